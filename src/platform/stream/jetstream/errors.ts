import { MimamoriError } from '../../../kernel/errors.ts';
import { streamFull } from '../errors.ts';
import { streamAccessDenied, streamNotFound, streamRefused, streamUnavailable } from '../remote-errors.ts';

/** `err_code` of JetStream's API [nats-server, errors.json]. */
const codes = {
  wrongLastSequence: 10071,
  streamNotFound: 10059,
  storageResourcesExceeded: 10047,
  streamStoreFailed: 10077,
  accountResourcesExceeded: 10002,
  messageExceedsMaximum: 10054,
} as const;

const apiCodesFrom = 10_000; // Below are the statuses of HTTP that NATS uses elsewhere.

const full: readonly number[] = [
  codes.storageResourcesExceeded,
  codes.streamStoreFailed,
  codes.accountResourcesExceeded,
];
const access = new Set(['PermissionViolationError', 'AuthorizationError', 'UserAuthenticationExpiredError']);

/** Of the client, before anything is sent. */
const unsendable = new Set(['InvalidArgumentError', 'InvalidSubjectError', 'InvalidOperationError']);

/** What NATS, its client or the network threw, as ours. Everything of ours passes unchanged. */
export function refusalOf(thrown: unknown, streamName: string): MimamoriError {
  if (thrown instanceof MimamoriError) return thrown;
  if (!(thrown instanceof Error)) return streamUnavailable(streamName, thrown);
  const code = apiCodeOf(thrown);
  if (code === codes.streamNotFound) return streamNotFound(streamName, thrown);
  if (code !== undefined && full.includes(code)) return streamFull(thrown);
  if (access.has(thrown.name)) return streamAccessDenied(streamName, thrown);
  if (unsendable.has(thrown.name) || (code !== undefined && statusOf(thrown) === 400))
    return streamRefused(streamName, thrown.message, thrown);
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
