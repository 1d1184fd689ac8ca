import { MimamoriError } from './errors.ts';
import { storeLimits } from './store.ts';

export const storeFull = (cause: unknown) =>
  new MimamoriError({
    code: 'store.full',
    message: 'The disk is full; nothing of this write was stored.',
    fix: 'Free disk space or shorten retention, then send the write again.',
    retryable: true,
    cause,
  });

export const storeFailed = (what: string, cause?: unknown) =>
  new MimamoriError({
    code: 'store.failed',
    message: `The store could not complete the operation: ${what}.`,
    fix: 'Check the disk and the permissions of the data directory, then open the store again.',
    cause,
  });

export const storeClosed = () => storeFailed('it is closed');

export const storeBusy = (pendingBytes: number) =>
  new MimamoriError({
    code: 'store.busy',
    message: `${pendingBytes} bytes are waiting for the disk already.`,
    fix: 'Wait until earlier writes are acknowledged, and write again.',
    retryable: true,
  });

export const storeCorrupt = (filePath: string, position: number, reason: string) =>
  new MimamoriError({
    code: 'store.corrupt',
    message: `${filePath} is damaged at byte ${position}: ${reason}. The store is not opened.`,
    fix: 'Restore the directory from a backup. Moving its journal away gives up the latest writes, and may leave some of them half done.',
  });

export const storePagesCorrupt = (filePath: string, reason: string, cause: unknown) =>
  new MimamoriError({
    code: 'store.corrupt',
    message: `${filePath} is damaged: ${reason}.`,
    fix: 'Stop the app, check the disk, and restore the directory from a backup, or import an export into a new one.',
    cause,
  });

export const storeVersionUnknown = (filePath: string) =>
  new MimamoriError({
    code: 'store.versionUnknown',
    message: `${filePath} was written by another release, in a format that this one cannot read.`,
    fix: 'Open the data directory with the release that wrote it, or a later one.',
  });

export const storeInUse = (path: string, owner: string) =>
  new MimamoriError({
    code: 'store.inUse',
    message: `The store in ${path} is in use by ${owner}.`,
    fix: 'Stop that one first, or choose another directory.',
  });

export const storeSnapshotsBusy = (snapshots: number) =>
  new MimamoriError({
    code: 'store.busy',
    message: `${snapshots} snapshots of the store are open already.`,
    fix: 'Close one that is no longer read, and ask again.',
    retryable: true,
  });

export const storeKeyTooLarge = (keyBytes: number) =>
  new MimamoriError({
    code: 'store.keyTooLarge',
    message: `A key has ${keyBytes} bytes; 1 to ${storeLimits.keyBytesMax} are allowed.`,
    fix: 'Shorten the key.',
  });

export const storeValueTooLarge = (valueBytes: number) =>
  new MimamoriError({
    code: 'store.valueTooLarge',
    message: `A value has ${valueBytes} bytes; at most ${storeLimits.valueBytesMax} are allowed.`,
    fix: 'Split the value.',
  });

/** Both engines refuse the same keys and values in the same words. */
export function checkEntry(key: Uint8Array, value: Uint8Array | undefined): void {
  if (key.length === 0 || key.length > storeLimits.keyBytesMax) throw storeKeyTooLarge(key.length);
  if (value !== undefined && value.length > storeLimits.valueBytesMax) throw storeValueTooLarge(value.length);
}
