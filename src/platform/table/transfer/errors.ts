import { MimamoriError, messageOf } from '../../../kernel/errors.ts';

export const exportNotFound = (directory: string) =>
  new MimamoriError({
    code: 'transfer.exportNotFound',
    message: `There is no finished export in ${directory}.`,
    fix: 'Give the folder that `mimamori export --out` wrote, or one with the AWSDynamoDB folder of an export of DynamoDB. Finish one that was interrupted with --resume.',
  });

export const exportNotEmpty = (directory: string) =>
  new MimamoriError({
    code: 'transfer.exportNotEmpty',
    message: `${directory} holds something already.`,
    fix: 'Choose an empty folder, or go on with an export that was interrupted with --resume.',
  });

export const nothingToResume = (directory: string) =>
  new MimamoriError({
    code: 'transfer.nothingToResume',
    message: `${directory} holds no export that was interrupted.`,
    fix: 'Leave out --resume to begin one.',
  });

export const interrupted = (fix: string) =>
  new MimamoriError({ code: 'transfer.interrupted', message: 'It was interrupted.', fix, retryable: true });

export const fileDamaged = (filePath: string, what: string) =>
  new MimamoriError({
    code: 'transfer.fileDamaged',
    message: `${filePath} is damaged: ${what}. Nothing was imported from this export by this call.`,
    fix: 'Copy the file again from where the export was made, or export again.',
  });

export const lineNotValid = (filePath: string, line: number, what: string) =>
  new MimamoriError({
    code: 'transfer.lineNotValid',
    message: `Line ${line} of ${filePath} is not an item: ${what}. Nothing was imported from this export by this call.`,
    fix: 'Copy the file again from where the export was made, or export again. A file that was edited needs a new checksum in manifest-files.json.',
  });

export const formatNotSupported = (what: string) =>
  new MimamoriError({
    code: 'transfer.formatNotSupported',
    message: `The export is ${what}; only full exports as DYNAMODB_JSON can be read.`,
    fix: 'Export the table again with ExportFormat DYNAMODB_JSON and ExportType FULL_EXPORT.',
  });

export const exportTooNew = (filePath: string, version: unknown, known: number) =>
  new MimamoriError({
    code: 'transfer.formatTooNew',
    message: `${filePath} has format ${String(version)}; this release knows formats up to ${known}.`,
    fix: 'Use the release that wrote it, or a later one.',
  });

export const schemaMissing = (tableName: string) =>
  new MimamoriError({
    code: 'transfer.schemaMissing',
    message: `Table ${tableName} is not there, and the export does not say what its keys are.`,
    fix: 'Create the table first, or give --schema a file with the output of `aws dynamodb describe-table`.',
  });

export const tableNotEmpty = (tableName: string) =>
  new MimamoriError({
    code: 'transfer.tableNotEmpty',
    message: `Table ${tableName} holds items already.`,
    fix: 'Import under another name with --as, or with --merge, which replaces items of the same key and keeps the others.',
  });

export const tableNotExported = (tableName: string, held: readonly string[]) =>
  new MimamoriError({
    code: 'transfer.tableNotFound',
    message: `There is no table ${tableName}; there is ${held.length === 0 ? 'none' : held.join(', ')}.`,
    fix: 'Give --table one of those names.',
  });

export const itemNotTaken = (filePath: string, line: number, written: number, cause: unknown) =>
  new MimamoriError({
    code: 'transfer.itemNotTaken',
    message: `Line ${line} of ${filePath} was refused by the table: ${messageOf(cause)} ${written} items are imported.`,
    fix: 'Mend what the table says, and call it again: it goes on where it stopped. To give up, delete the table.',
    cause,
  });

export const keysDiffer = (tableName: string) =>
  new MimamoriError({
    code: 'transfer.keysDiffer',
    message: `Table ${tableName} has other keys than the one that was exported.`,
    fix: 'Import under another name with --as.',
  });

export const snapshotGone = () =>
  new MimamoriError({
    code: 'transfer.snapshotGone',
    message: 'The snapshot that was being read is gone: the server was restarted, or it was not read for too long.',
    fix: 'Call it again with --resume; it starts over when the data may have changed.',
    retryable: true,
  });

export const notDurable = (what: string) =>
  new MimamoriError({
    code: 'transfer.stateNotValid',
    message: `${what} cannot be read.`,
    fix: 'Remove it and start again; what was written stays, and is written again.',
  });
