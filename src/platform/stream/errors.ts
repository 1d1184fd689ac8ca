import { MimamoriError, messageOf } from '../../kernel/errors.ts';

export const recordTooLarge = (bytes: number, bytesMax: number) =>
  new MimamoriError({
    code: 'stream.recordTooLarge',
    message: `A record of ${bytes} bytes is over the limit of ${bytesMax}.`,
    fix: 'Send less per record, or store the payload as an object and send its key.',
  });

export const partitionKeyNotValid = (reason: string) =>
  new MimamoriError({
    code: 'stream.partitionKeyNotValid',
    message: `A partition key ${reason}.`,
    fix: 'Use 1 to 256 characters of well-formed Unicode, such as a thing name.',
  });

export const streamBusy = (pendingBytes: number) =>
  new MimamoriError({
    code: 'stream.busy',
    message: `${pendingBytes} bytes wait for the disk, which is as much as memory may hold; the records were not kept.`,
    fix: 'Wait until earlier appends are durable, then append again.',
    retryable: true,
  });

export const streamFull = (cause: unknown) =>
  new MimamoriError({
    code: 'stream.full',
    message: 'The disk has no room for the records; none of them was kept.',
    fix: 'Free disk space. The stream takes records again by itself as soon as there is room.',
    retryable: true,
    cause,
  });

export const streamFailed = (cause: unknown) =>
  new MimamoriError({
    code: 'stream.failed',
    message: `The disk failed while records were being made durable (${messageOf(cause)}); none of them is acknowledged.`,
    fix: 'Restart, which recovers from what is on the disk; check the disk (`dmesg`, SMART) if it comes back.',
    cause,
  });

export const streamNotWritable = (directory: string, cause: unknown) =>
  new MimamoriError({
    code: 'stream.notWritable',
    message: `${directory} cannot be written (${messageOf(cause)}), so the stream was not opened.`,
    fix: 'Mount the disk for writing, and let the user who runs this own the directory; then start again.',
    cause,
  });

export const streamCorrupt = (filePath: string, position: number, reason: string) =>
  new MimamoriError({
    code: 'stream.corrupt',
    message: `${filePath} is damaged at byte ${position}: ${reason}. Nothing behind it is served.`,
    fix: 'Restore the file from a backup. If it is not the newest: moving it and all older ones away gives up their records.',
  });

export const checkpointNotReached = (after: bigint, last: bigint) =>
  new MimamoriError({
    code: 'stream.checkpointNotReached',
    message: `A consumer has handled record ${after}, but the stream ends at ${last}: records that were durable are gone.`,
    fix: 'Restore the stream and the checkpoints from the same backup; new records would be taken for handled ones.',
  });

export const streamClosed = () =>
  new MimamoriError({
    code: 'stream.closed',
    message: 'The stream is closed.',
    fix: 'Append before closing; during a shutdown, send again after the restart.',
    retryable: true,
  });

export const streamThrottled = (shardId: string) =>
  new MimamoriError({
    code: 'stream.throttled',
    message: `${shardId} takes no more for now: it was sent more bytes or records a second than it may be.`,
    fix: 'Append the record again a little later. If it goes on: split the shard, or spread the load over more partition keys.',
    retryable: true,
  });

export const hashKeyNotValid = (reason: string) =>
  new MimamoriError({
    code: 'stream.hashKeyNotValid',
    message: `A hash key ${reason}.`,
    fix: 'Use a number from 0 to 2^128 - 1; to split a shard, one inside its range, but not the first.',
  });

export const shardNotFound = (shardId: string) =>
  new MimamoriError({
    code: 'stream.shardNotFound',
    message: `The stream has no shard ${shardId}, or no longer: retention has passed the end of it.`,
    fix: 'List the shards, and begin with the oldest there is.',
  });

export const shardNotOpen = (shardId: string) =>
  new MimamoriError({
    code: 'stream.shardNotOpen',
    message: `${shardId} is closed: it was split or merged before.`,
    fix: 'List the shards, and take one that has no ending sequence number.',
  });

export const shardsNotAdjacent = (shardId: string, adjacentShardId: string) =>
  new MimamoriError({
    code: 'stream.shardsNotAdjacent',
    message: `${shardId} and ${adjacentShardId} are not next to each other.`,
    fix: 'Merge two shards of which one ends at the hash key before the one the other begins with.',
  });

export const shardsTooMany = (shardsMax: number) =>
  new MimamoriError({
    code: 'stream.shardsTooMany',
    message: `The stream would have more than ${shardsMax} shards, closed ones that are still kept included.`,
    fix: 'Merge shards, or wait until retention has removed the closed ones.',
  });

export const shardsNotChanged = (cause: unknown) =>
  new MimamoriError({
    code: 'stream.shardsNotChanged',
    message: `The new shards could not be stored (${messageOf(cause)}); the shards are as they were.`,
    fix: 'Free disk space or whatever else the message names, then split or merge again.',
    retryable: true,
    cause,
  });

export const consumerEnded = (consumer: string, times: number) =>
  new MimamoriError({
    code: 'stream.consumerEnded',
    message: `The thread of ${consumer} had to be ended ${times} times while it handled this record alone.`,
    fix: 'Find the endless loop, the leak or the exit that the record leads to; then send it in again.',
  });

export const consumerNotValid = (consumer: string, reason: string) =>
  new MimamoriError({
    code: 'stream.consumerNotValid',
    message: `The consumer ${consumer} cannot be started: ${reason}.`,
    fix: 'Correct the setting; its limits are those of a Lambda event source mapping.',
  });

export const responseNotValid = (reason: string) =>
  new MimamoriError({
    code: 'stream.responseNotValid',
    message: `What a function returned cannot be read: ${reason}. Its whole batch counts as failed.`,
    fix: 'Return { batchItemFailures: [{ itemIdentifier: "<sequence number>" }] } with numbers of the batch, or nothing.',
  });

export const reportedFailed = (sequenceNumber: bigint) =>
  new MimamoriError({
    code: 'stream.reportedFailed',
    message: `The function named record ${sequenceNumber} as the first that it could not handle.`,
    fix: 'See the log of the function for the reason; then send the record in again.',
  });

export const recordExpired = (ageMs: number, recordAgeMsMax: number) =>
  new MimamoriError({
    code: 'stream.recordExpired',
    message: `A record is ${ageMs} ms old, and its consumer handles none older than ${recordAgeMsMax} ms.`,
    fix: 'If it still matters, send it in again; if it comes often, make the function faster or raise recordAgeMsMax.',
  });

export const windowStateNotValid = (reason: string, cause?: unknown) =>
  new MimamoriError({
    code: 'stream.windowStateNotValid',
    message: `The state of a tumbling window cannot be kept: ${reason}.`,
    fix: 'Return a state of plain JSON values, within 1 MB.',
    cause,
  });

export const sampleNotValid = (given: number, wanted: string) =>
  new MimamoriError({
    code: 'stream.sampleNotValid',
    message: `A calculation was given ${given}, and needs ${wanted}.`,
    fix: 'Correct such values, or leave them out, beforehand.',
  });
