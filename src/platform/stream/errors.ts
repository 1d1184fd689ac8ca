import { MimamoriError } from '../../kernel/errors.ts';

export const recordTooLarge = (bytes: number, bytesMax: number) =>
  new MimamoriError({
    code: 'stream.recordTooLarge',
    message: `A record of ${bytes} bytes is over the limit of ${bytesMax}.`,
    fix: 'Send less per record, or store the payload as an object and send its key.',
  });

export const streamFull = (cause: unknown) =>
  new MimamoriError({
    code: 'stream.full',
    message: 'The disk has no room for the record; it was not kept.',
    fix: 'Free disk space. The stream takes records again by itself as soon as there is room.',
    retryable: true,
    cause,
  });

export const streamFailed = (cause: unknown) =>
  new MimamoriError({
    code: 'stream.failed',
    message: 'The disk failed while records were being made durable; none of them is acknowledged.',
    fix: 'Restart, which recovers from what is on the disk; check the disk (`dmesg`, SMART) if it comes back.',
    cause,
  });

export const streamCorrupt = (filePath: string, position: number, reason: string) =>
  new MimamoriError({
    code: 'stream.corrupt',
    message: `${filePath} is damaged at byte ${position}: ${reason}. Nothing behind it is served.`,
    fix: 'Restore the file from a backup, or move it away to go on without its records; they will be missing.',
  });

export const streamClosed = () =>
  new MimamoriError({
    code: 'stream.closed',
    message: 'The stream is closed.',
    fix: 'Append before closing; during a shutdown, send again after the restart.',
    retryable: true,
  });
