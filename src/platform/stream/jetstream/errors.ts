import { MimamoriError } from '../../../kernel/errors.ts';
import { streamFull } from '../errors.ts';
import { isMistake, streamAccessDenied, streamNotFound, streamRefused, streamUnavailable } from '../remote-errors.ts';

/** `err_code` of JetStream's API [nats-server, errors.json]. */
const codes = {
  wrongLastSequence: 10071,
  streamNotFound: 10059,
  storageResourcesExceeded: 10047,
  streamStoreFailed: 10077,
  accountResourcesExceeded: 10002,
  insufficientResources: 10023,
  notEnabledForAccount: 10039,
  notEnabled: 10076,
  messageExceedsMaximum: 10054,
} as const;

const apiCodesFrom = 10_000; // Below are the statuses of HTTP that NATS uses elsewhere.

const full: readonly number[] = [
  codes.storageResourcesExceeded,
  codes.streamStoreFailed,
  codes.accountResourcesExceeded,
  codes.insufficientResources,
];
const access = new Set(['PermissionViolationError', 'AuthorizationError', 'UserAuthenticationExpiredError']);

const notEnabled: readonly number[] = [codes.notEnabledForAccount, codes.notEnabled];
/** Of the client, before anything is sent. */
const unsendable = new Set(['InvalidArgumentError', 'InvalidSubjectError', 'InvalidOperationError']);

/** What NATS, its client or the network threw, as ours. Everything of ours passes unchanged. */
export function refusalOf(thrown: unknown, streamName: string): MimamoriError {
  if (thrown instanceof MimamoriError) return thrown;
  // The client wraps some of what it hears.
  const causes = [thrown, thrown instanceof Error ? thrown.cause : undefined].filter(each => each instanceof Error);
  for (const cause of causes) {
    const code = apiCodeOf(cause);
    if (code === codes.streamNotFound) return streamNotFound(streamName, thrown);
    if (code !== undefined && full.includes(code)) return streamFull(thrown);
    if (access.has(cause.name)) return streamAccessDenied(streamName, thrown);
    const isRefused = code !== undefined && (statusOf(cause) === 400 || notEnabled.includes(code));
    if (isRefused || unsendable.has(cause.name) || isMistake(cause))
      return streamRefused(streamName, cause.message, thrown);
  }
  // No leader, no answer, no connection, or a server that is not ready: all of it passes.
  return streamUnavailable(streamName, thrown);
}

/** Whether another message came before the one that was to follow a certain one. */
export function isOutrun(thrown: unknown): boolean {
  return apiCodeOf(thrown) === codes.wrongLastSequence;
}

export const streamNameNotValid = (streamName: string) =>
  new MimamoriError({
    code: 'stream.nameNotValid',
    message: `"${streamName.slice(0, 100)}" cannot be the name of a stream in JetStream.`,
    fix: 'Use up to 200 letters, digits, - and _.',
  });

export const streamVersionUnknown = (what: string) =>
  new MimamoriError({
    code: 'stream.versionUnknown',
    message: `${what} was written by another release, in a format that this one does not know.`,
    fix: 'Use the release that wrote it, or a later one.',
  });

function apiCodeOf(thrown: unknown): number | undefined {
  const code: unknown = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  return typeof code === 'number' && code >= apiCodesFrom ? code : undefined;
}

function statusOf(thrown: Error): number | undefined {
  return 'status' in thrown && typeof thrown.status === 'number' ? thrown.status : undefined;
}
