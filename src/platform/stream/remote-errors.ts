/** What a stream that lies on another machine can refuse, beside what every stream can. */
import { MimamoriError } from '../../kernel/errors.ts';

export const streamNotFound = (streamName: string, cause?: unknown) =>
  new MimamoriError({
    code: 'stream.notFound',
    message: `There is no stream ${streamName} where it is looked for.`,
    fix: 'Create it, or check its name, the region or server, and the account.',
    cause,
  });

export const streamAccessDenied = (streamName: string, cause: unknown) =>
  new MimamoriError({
    code: 'stream.accessDenied',
    message: `The stream ${streamName} may not be used with these credentials.`,
    fix: 'Check that the credentials are valid and not expired, and that their policy allows what the README of the engine lists.',
    cause,
  });

export const streamKeyNotUsable = (streamName: string, cause: unknown) =>
  new MimamoriError({
    code: 'stream.keyNotUsable',
    message: `The records of ${streamName} are encrypted with a KMS key that cannot be used.`,
    fix: 'Enable the key, and allow these credentials `kms:GenerateDataKey` to append and `kms:Decrypt` to read.',
    cause,
  });

export const streamUnavailable = (streamName: string, cause: unknown) =>
  new MimamoriError({
    code: 'stream.unavailable',
    message: `The stream ${streamName} did not answer, or not in time. Records on their way to it may have been kept.`,
    fix: 'Check the network and the servers, then append again; consumers may see such a record twice.',
    retryable: true,
    cause,
  });

export const streamRefused = (streamName: string, reason: string, cause: unknown) =>
  new MimamoriError({
    code: 'stream.refused',
    message: `The stream ${streamName} refused a request: ${reason}`,
    fix: 'Read the reason; the same request will be refused again.',
    cause,
  });

export const recordsWaiting = (pendingBytes: number, pendingRecords: number) =>
  new MimamoriError({
    code: 'stream.busy',
    message: `${pendingRecords} records of ${pendingBytes} bytes are on their way, which is as much as memory may hold; the new ones were not kept.`,
    fix: 'Wait until earlier appends are durable, then append again.',
    retryable: true,
  });

export const checkpointOfAnother = (streamName: string, after: bigint, cause?: unknown) =>
  new MimamoriError({
    code: 'stream.checkpointNotReached',
    message: `A consumer has handled record ${after}, which ${streamName} has never had: it is another stream of the same name, or was restored.`,
    fix: 'Use the stream the checkpoint was made with, or remove the checkpoint to begin anew.',
    cause,
  });

/** An error of code, which no repetition makes good; anything else that is unknown may be the network. */
export function isMistake({ name }: Error): boolean {
  return ['TypeError', 'ReferenceError', 'RangeError', 'SyntaxError', 'AssertionError'].includes(name);
}
