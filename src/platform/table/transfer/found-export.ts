/** Reads what an export says of itself, and checks its files before anything of them is used. */

import { messageOf } from '../../../kernel/errors.ts';
import { type Files, joinPath } from '../../../kernel/files.ts';
import { wireFormat } from '../values/wire-format.ts';
import type { TableCreation } from './creation.ts';
import { fileMd5, linesOf } from './data-file.ts';
import { exportNotFound, exportTooNew, fileDamaged, formatNotSupported, lineNotValid } from './errors.ts';
import {
  contentsName,
  type DataFileEntry,
  type ExportContents,
  type ExportSummary,
  exportFormatVersion,
  md5Of,
  tablesFolder,
} from './format.ts';
import { transferLimits } from './limits.ts';
import { readWhole } from './text-files.ts';

export interface FoundTable {
  readonly tableName: string;
  readonly exportId: string;
  /** Of an export of ours. */
  readonly creation: TableCreation | undefined;
  readonly itemCount: number;
  readonly dataFiles: readonly FoundFile[];
}

export interface FoundFile {
  readonly filePath: string;
  readonly itemCount: number;
  /** In base64. */
  readonly md5: string;
}

/** Throws `transfer.exportNotFound`, `transfer.fileDamaged`, `transfer.formatNotSupported`, `transfer.formatTooNew`. */
export async function findExport(files: Files, directory: string): Promise<FoundTable[]> {
  const contents = await readContents(files, directory);
  const folders = contents === undefined ? await foldersIn(files, directory) : undefined;
  const tables: FoundTable[] = [];
  for (const table of contents?.tables ?? []) {
    if (!/^[\w-]+$/.test(table.exportId)) throw fileDamaged(joinPath(directory, contentsName), 'an export id is none');
    const found = await readTable(files, joinPath(directory, tablesFolder, table.exportId), table.exportId);
    tables.push({ ...found, tableName: table.tableName, creation: table.creation });
  }
  for (const { folder, exportId } of folders ?? []) tables.push(await readTable(files, folder, exportId));
  if (tables.length === 0 && contents === undefined) throw exportNotFound(directory);
  return tables;
}

async function readContents(files: Files, directory: string): Promise<ExportContents | undefined> {
  const bytes = await readWhole(files, directory, contentsName, transferLimits.manifestBytesMax);
  if (bytes === undefined) return undefined;
  const filePath = joinPath(directory, contentsName);
  const contents = parsed(filePath, bytes.toString('utf8'), 1) as Partial<ExportContents> | null; // a cast: looked at below
  const { version, tables } = contents ?? {};
  if (typeof version !== 'number' || !Array.isArray(tables)) {
    throw fileDamaged(filePath, 'it does not say what is exported');
  }
  if (version > exportFormatVersion) throw exportTooNew(filePath, version, exportFormatVersion);
  return contents as ExportContents; // a cast: only exports write it
}

/** Where exports of DynamoDB are when somebody has copied them from a bucket, from any level above. */
async function foldersIn(files: Files, directory: string): Promise<{ folder: string; exportId: string }[]> {
  const names = await files.list(directory);
  if (names.includes('manifest-summary.json')) {
    return [{ folder: directory, exportId: directory.split(/[\\/]/).findLast(part => part !== '') ?? '' }];
  }
  const above = names.includes(tablesFolder) ? joinPath(directory, tablesFolder) : directory;
  const folders: { folder: string; exportId: string }[] = [];
  for (const exportId of await files.list(above)) {
    if (!/^\d+-[0-9a-f]+$/.test(exportId)) continue;
    const folder = joinPath(above, exportId);
    if ((await files.list(folder)).includes('manifest-summary.json')) folders.push({ folder, exportId });
  }
  return folders;
}

async function readTable(files: Files, folder: string, exportId: string): Promise<FoundTable> {
  const summaryPath = joinPath(folder, 'manifest-summary.json');
  const summary = parsed(summaryPath, await readManifest(files, folder, 'manifest-summary'), 1) as ExportSummary; // a cast: looked at here
  const { outputFormat, exportType = 'FULL_EXPORT', tableArn, itemCount } = summary;
  if (outputFormat !== 'DYNAMODB_JSON') throw formatNotSupported(`${outputFormat}`);
  if (exportType !== 'FULL_EXPORT') throw formatNotSupported(exportType);
  const tableName = /:table\/([\w.-]+)/.exec(String(tableArn))?.[1];
  if (tableName === undefined) throw fileDamaged(summaryPath, 'it names no table');
  const manifestPath = joinPath(folder, 'manifest-files.json');
  const lines = (await readManifest(files, folder, 'manifest-files')).split('\n').filter(line => line.trim() !== '');
  const dataFiles = lines.map((line, at) => {
    const { dataFileS3Key, ...entry } = parsed(manifestPath, line, at + 1) as DataFileEntry; // a cast: looked at below
    const name = String(dataFileS3Key).split('/').at(-1) ?? '';
    const isComplete = /^[\w.-]+\.(json|gz)$/.test(name) && Number.isInteger(entry.itemCount);
    if (!isComplete || typeof entry.md5Checksum !== 'string') {
      throw fileDamaged(manifestPath, `line ${at + 1} names no data file`);
    }
    return { filePath: joinPath(folder, 'data', name), itemCount: entry.itemCount, md5: entry.md5Checksum };
  });
  const sum = dataFiles.reduce((before, file) => before + file.itemCount, 0);
  if (sum !== itemCount) throw fileDamaged(manifestPath, `its files have ${sum} items, the summary ${itemCount}`);
  return { tableName, exportId, creation: undefined, itemCount, dataFiles };
}

async function readManifest(files: Files, folder: string, name: string): Promise<string> {
  const filePath = joinPath(folder, `${name}.json`);
  const bytes = await readWhole(files, folder, `${name}.json`, transferLimits.manifestBytesMax);
  if (bytes === undefined) throw fileDamaged(filePath, 'it is not there');
  const expected = await checksumBeside(files, folder, name);
  if (expected !== undefined && expected !== md5Of(bytes)) throw fileDamaged(filePath, 'its checksum is another');
  return bytes.toString('utf8');
}

/** In base64; undefined where a copy has left it behind. Older exports call it `.md5`. */
async function checksumBeside(files: Files, folder: string, name: string): Promise<string | undefined> {
  for (const suffix of ['checksum', 'md5']) {
    const text = (await readWhole(files, folder, `${name}.${suffix}`, 1_024))?.toString('latin1').trim();
    if (text !== undefined && /^[A-Za-z0-9+/]{22}==$/.test(text)) return text;
  }
  return undefined;
}

function parsed(filePath: string, text: string, line: number): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw fileDamaged(filePath, `line ${line} is not JSON`);
  }
}

/** Reads every file to its end. Throws `transfer.fileDamaged` and `transfer.lineNotValid`. */
export async function verifyFiles(
  files: Files,
  { dataFiles }: FoundTable,
  onItems: (items: number) => void,
  signal: AbortSignal,
): Promise<void> {
  for (const file of dataFiles) {
    if (signal.aborted) return;
    const { filePath, itemCount, md5 } = file;
    const found = await fileMd5(files, filePath).catch(cause => {
      throw fileDamaged(filePath, messageOf(cause));
    });
    if (found !== md5) throw fileDamaged(filePath, `its MD5 is ${found}, the manifest has ${md5}`);
    let items = 0;
    for await (const item of itemsOf(files, filePath)) {
      checkItem(filePath, item);
      items++;
      if (items % 1_000 === 0) onItems(1_000);
    }
    onItems(items % 1_000);
    if (items !== itemCount) throw fileDamaged(filePath, `it has ${items} items, the manifest has ${itemCount}`);
  }
}

export interface FoundItem {
  readonly line: number;
  /** Typed, as on the wire. */
  readonly item: Record<string, unknown>;
  readonly bytes: number;
}

/** Throws `transfer.fileDamaged` and `transfer.lineNotValid`. */
export async function* itemsOf(files: Files, filePath: string): AsyncGenerator<FoundItem> {
  const lines = linesOf(files, filePath);
  try {
    for (;;) {
      const next = await lines.next().catch(cause => {
        throw fileDamaged(filePath, messageOf(cause));
      });
      if (next.done) return;
      const { number, text } = next.value;
      if (text.trim() !== '') yield { line: number, item: itemIn(filePath, number, text), bytes: text.length };
    }
  } finally {
    await lines.return(undefined); // closes the file
  }
}

function itemIn(filePath: string, line: number, text: string): Record<string, unknown> {
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch (cause) {
    throw lineNotValid(filePath, line, messageOf(cause));
  }
  const item = typeof read === 'object' && read !== null && 'Item' in read ? read.Item : undefined;
  if (typeof item !== 'object' || item === null || Array.isArray(item)) {
    throw lineNotValid(filePath, line, 'it has no "Item"');
  }
  return item as Record<string, unknown>; // a cast: an object of JSON
}

/** What a table would refuse of it on its own; keys are compared with the table when it is written. */
function checkItem(filePath: string, { line, item }: FoundItem): void {
  try {
    wireFormat.readItem(item);
  } catch (cause) {
    throw lineNotValid(filePath, line, messageOf(cause));
  }
}
