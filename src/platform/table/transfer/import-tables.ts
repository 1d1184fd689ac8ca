/**
 * Brings an export into tables. First everything is checked, to the last line; then it is written in batches, each
 * durable when it is answered. How far it has come is noted beside the export, so that a call after a kill goes on
 * there; what is written twice is the same. Tables that are made get their streams and expiry when the items are there.
 */

import { createHash } from 'node:crypto';
import type { TableDescription } from '@aws-sdk/client-dynamodb';
import { type Clock, delay } from '../../../kernel/clock.ts';
import { MimamoriError } from '../../../kernel/errors.ts';
import { type Files, joinPath } from '../../../kernel/files.ts';
import type { Random } from '../../../kernel/random.ts';
import type { TableCreation } from './creation.ts';
import {
  exportTooNew,
  interrupted,
  itemNotTaken,
  keysDiffer,
  notDurable,
  schemaMissing,
  tableNotEmpty,
  tableNotExported,
} from './errors.ts';
import type { Call } from './export-source.ts';
import { exportFormatVersion } from './format.ts';
import { type FoundItem, type FoundTable, findExport, itemsOf, verifyFiles } from './found-export.ts';
import { transferLimits } from './limits.ts';
import { LineLog } from './text-files.ts';

export interface ImportOptions {
  readonly files: Files;
  readonly clock: Clock;
  readonly random: Random;
  readonly directory: string;
  readonly call: Call;
  /** What tells the place apart that is imported into: a folder or a URL. */
  readonly destination: string;
  /** Undefined: all. */
  readonly tableName: string | undefined;
  /** The name one table gets. */
  readonly newName: string | undefined;
  /** Tables may hold items already. */
  readonly merges: boolean;
  /** What makes a table whose export does not say it. */
  readonly creation: TableCreation | undefined;
  readonly onProgress: (progress: ImportProgress) => void;
  /** Ends it after the present batches. */
  readonly signal: AbortSignal;
}

export interface ImportProgress {
  readonly step: 'verify' | 'write';
  readonly items: number;
  readonly itemsExpected: number;
}

export interface ImportedTable {
  readonly tableName: string;
  readonly items: number;
  readonly isNew: boolean;
}

/** Throws `transfer.*` and what the tables refuse. */
export async function importTables(options: ImportOptions): Promise<ImportedTable[]> {
  const { files, directory, onProgress, signal } = options;
  const found = chosen(await findExport(files, directory), options);
  const itemsExpected = found.reduce((sum, { itemCount }) => sum + itemCount, 0);
  let items = 0;
  const progressOf = (step: ImportProgress['step']) => (more: number) => {
    items += more;
    onProgress({ step, items, itemsExpected });
  };
  for (const table of found) await verifyFiles(files, table, progressOf('verify'), signal);
  if (signal.aborted) throw interrupted('Nothing was imported; call it again.');
  items = 0;
  const imported: ImportedTable[] = [];
  for (const table of found) imported.push(await importTable(options, table, progressOf('write')));
  // Until all are done, so that a call after a kill knows which are.
  for (const { tableName } of imported) await files.remove(joinPath(directory, stateNameOf(options, tableName)));
  return imported;
}

function chosen(found: readonly FoundTable[], { tableName, newName }: ImportOptions): readonly FoundTable[] {
  const names = found.map(each => each.tableName);
  const tables = tableName === undefined ? found : found.filter(each => each.tableName === tableName);
  if (tables.length === 0 && tableName !== undefined) throw tableNotExported(tableName, names);
  const isAmbiguous = tables.length > 1 && (newName !== undefined || new Set(names).size < names.length);
  if (isAmbiguous) throw severalTables(names);
  return tables;
}

const severalTables = (names: readonly string[]) =>
  new MimamoriError({
    code: 'transfer.severalTables',
    message: `The folder holds several exports: ${names.join(', ')}.`,
    fix: 'Choose one with --table; of several exports of one table, give the folder of one.',
  });

/** Lines of the note of how far an import has come. */
type Noted =
  | { readonly version: number; readonly exportId: string; readonly isNew: boolean }
  | { readonly file: number; readonly line: number; readonly items: number }
  | { readonly done: number };

async function importTable(
  options: ImportOptions,
  found: FoundTable,
  onItems: (items: number) => void,
): Promise<ImportedTable> {
  const { files, directory } = options;
  const tableName = options.newName ?? found.tableName;
  const stateName = stateNameOf(options, tableName);
  const { log, lines } = await LineLog.open(files, directory, stateName, transferLimits.manifestBytesMax);
  try {
    const noted = readState(joinPath(directory, stateName), lines, found.exportId);
    if (noted.done !== undefined) {
      onItems(noted.done);
      return { tableName, items: noted.done, isNew: noted.isNew === true };
    }
    const creation = found.creation ?? options.creation;
    const isNew = await prepare(options, tableName, creation, noted.isNew, async beginning => {
      if (noted.isNew === undefined)
        await log.append({ version: exportFormatVersion, exportId: found.exportId, isNew: beginning });
    });
    onItems(noted.items);
    const writer = new Writer(options, tableName, found, noted, line => log.append(line), onItems);
    const items = await writer.writeAll();
    if (isNew && creation !== undefined) await settle(options, tableName, creation);
    await log.append({ done: items });
    return { tableName, items, isNew };
  } finally {
    await log.close();
  }
}

function stateNameOf({ destination }: ImportOptions, tableName: string): string {
  const mark = createHash('sha256').update(`${destination}\n${tableName}`).digest('hex').slice(0, 16);
  return `mimamori-import-${mark}.state`;
}

interface Position {
  /** Undefined: nothing has begun. */
  readonly isNew: boolean | undefined;
  readonly file: number;
  /** The last line of that file that is written. */
  readonly line: number;
  readonly items: number;
  /** How many items there were when it was over. */
  readonly done?: number;
}

/** What was noted of another export is of no use. */
function readState(filePath: string, lines: readonly string[], exportId: string): Position {
  let position: Position = { isNew: undefined, file: 0, line: 0, items: 0 };
  for (const line of lines) {
    let noted: Noted;
    try {
      noted = JSON.parse(line);
    } catch {
      throw notDurable(filePath);
    }
    if ('version' in noted) {
      if (noted.version > exportFormatVersion) throw exportTooNew(filePath, noted.version, exportFormatVersion);
      position = { isNew: noted.exportId === exportId ? noted.isNew : undefined, file: 0, line: 0, items: 0 };
    } else if (position.isNew !== undefined) position = { ...position, ...noted };
  }
  return position;
}

/** Sees that the table is there and may be written to. @returns whether it is the import's own */
async function prepare(
  options: ImportOptions,
  tableName: string,
  creation: TableCreation | undefined,
  wasNew: boolean | undefined,
  begin: (isNew: boolean) => Promise<void>,
): Promise<boolean> {
  const { call, merges } = options;
  const table = await find(call, tableName);
  if (table === undefined) {
    if (creation === undefined) throw schemaMissing(tableName);
    await begin(true);
    await call('CreateTable', { ...creation.Create, TableName: tableName });
    await waitUntilActive(options, tableName);
    return true;
  }
  if (creation !== undefined && keysOf(table) !== keysOf(creation.Create)) throw keysDiffer(tableName);
  if (wasNew === undefined && !merges) {
    const { Items = [] } = (await call('Scan', { TableName: tableName, Limit: 1 })) as { Items?: unknown[] }; // a cast: so Scan answers
    if (Items.length > 0) throw tableNotEmpty(tableName);
  }
  await begin(false);
  await waitUntilActive(options, tableName);
  return wasNew ?? false;
}

async function find(call: Call, TableName: string): Promise<TableDescription | undefined> {
  try {
    const { Table } = (await call('DescribeTable', { TableName })) as { Table?: TableDescription }; // a cast: so it answers
    return Table;
  } catch (error) {
    if (error instanceof Error && error.name === 'ResourceNotFoundException') return undefined;
    throw error;
  }
}

function keysOf({
  KeySchema = [],
  AttributeDefinitions = [],
}: Pick<TableDescription, 'KeySchema' | 'AttributeDefinitions'>) {
  const typeOf = (name: string | undefined) =>
    AttributeDefinitions.find(({ AttributeName }) => AttributeName === name)?.AttributeType;
  return JSON.stringify(KeySchema.map(({ AttributeName, KeyType }) => [AttributeName, KeyType, typeOf(AttributeName)]));
}

async function waitUntilActive({ call, clock, signal }: ImportOptions, tableName: string): Promise<void> {
  const untilMs = clock.monotonicMs() + transferLimits.activeWaitMs;
  for (
    let pauseMs: number = transferLimits.retryMsMin;
    clock.monotonicMs() < untilMs;
    pauseMs = Math.min(pauseMs * 2, 2_000)
  ) {
    const table = await find(call, tableName);
    if (table?.TableStatus === 'ACTIVE') return;
    await delay(clock, pauseMs, signal);
    if (signal.aborted) throw interrupted('Call it again to go on.');
  }
}

/** What waits until the items are there. A repeated call finds it done. */
async function settle(options: ImportOptions, TableName: string, creation: TableCreation): Promise<void> {
  const { call } = options;
  const { TimeToLiveAttribute: AttributeName, StreamViewType } = creation;
  if (AttributeName !== undefined) {
    const described = (await call('DescribeTimeToLive', { TableName })) as {
      TimeToLiveDescription?: { TimeToLiveStatus?: string };
    }; // a cast: so it answers
    if (!described.TimeToLiveDescription?.TimeToLiveStatus?.startsWith('ENABL')) {
      await call('UpdateTimeToLive', { TableName, TimeToLiveSpecification: { Enabled: true, AttributeName } });
    }
  }
  if (StreamViewType === undefined) return;
  const table = await find(call, TableName);
  if (table?.StreamSpecification?.StreamEnabled) return;
  await call('UpdateTable', { TableName, StreamSpecification: { StreamEnabled: true, StreamViewType } });
  await waitUntilActive(options, TableName);
}

interface Batch {
  readonly items: FoundItem[];
  bytes: number;
}

class Writer {
  readonly #options: ImportOptions;
  readonly #tableName: string;
  readonly #found: FoundTable;
  readonly #from: Position;
  readonly #note: (noted: Noted) => Promise<void>;
  readonly #onItems: (items: number) => void;
  #items: number;
  #noted: number;

  constructor(
    options: ImportOptions,
    tableName: string,
    found: FoundTable,
    from: Position,
    note: (noted: Noted) => Promise<void>,
    onItems: (items: number) => void,
  ) {
    this.#options = options;
    this.#tableName = tableName;
    this.#found = found;
    this.#from = from;
    this.#note = note;
    this.#onItems = onItems;
    this.#items = from.items;
    this.#noted = from.items;
  }

  /** @returns how many items there are */
  async writeAll(): Promise<number> {
    for (const [at, { filePath }] of this.#found.dataFiles.entries()) {
      if (at < this.#from.file) continue;
      let batches: Batch[] = [];
      for await (const item of itemsOf(this.#options.files, filePath)) {
        if (at === this.#from.file && item.line <= this.#from.line) continue;
        if (!hasRoom(batches.at(-1), item)) {
          if (batches.length === transferLimits.batchesAtOnce) {
            await this.#write(at, filePath, batches);
            batches = [];
          }
          batches.push({ items: [], bytes: 0 });
        }
        const batch = batches[batches.length - 1];
        batch.items.push(item);
        batch.bytes += item.bytes;
      }
      await this.#write(at, filePath, batches);
    }
    return this.#items;
  }

  /** Everything of it is durable before how far it went is noted. */
  async #write(file: number, filePath: string, batches: readonly Batch[]): Promise<void> {
    const last = batches.at(-1)?.items.at(-1);
    if (last === undefined) return;
    const results = await Promise.allSettled(batches.map(batch => this.#writeBatch(filePath, batch.items)));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
    const written = batches.reduce((sum, { items }) => sum + items.length, 0);
    this.#items += written;
    this.#onItems(written);
    const { signal } = this.#options;
    if (signal.aborted || this.#items - this.#noted >= transferLimits.checkpointItems) {
      await this.#note({ file, line: last.line, items: this.#items });
      this.#noted = this.#items;
    }
    if (signal.aborted) {
      throw interrupted(
        `${this.#items} of ${this.#found.itemCount} items of ${this.#tableName} are imported; call it again to go on.`,
      );
    }
  }

  async #writeBatch(filePath: string, items: readonly FoundItem[]): Promise<void> {
    try {
      await this.#batchWrite(items.map(({ item }) => ({ PutRequest: { Item: item } })));
    } catch (error) {
      if (!isRefusal(error)) throw error;
      await this.#putEach(filePath, items); // which one it is, or twice the same key
    }
  }

  async #batchWrite(requests: readonly object[]): Promise<void> {
    let left = requests;
    for (let attempt = 0; ; attempt++) {
      const answer = await this.#call('BatchWriteItem', { RequestItems: { [this.#tableName]: left } });
      const { UnprocessedItems = {} } = answer as { UnprocessedItems?: Record<string, object[]> }; // a cast: so it answers
      left = UnprocessedItems[this.#tableName] ?? [];
      if (left.length === 0) return;
      if (attempt >= transferLimits.retriesMax)
        throw interrupted('The table takes no more; call it again later to go on.');
      await this.#pause(attempt);
    }
  }

  async #putEach(filePath: string, items: readonly FoundItem[]): Promise<void> {
    for (const { line, item } of items) {
      await this.#call('PutItem', { TableName: this.#tableName, Item: item }).catch(error => {
        throw isRefusal(error) ? itemNotTaken(filePath, line, this.#items, error) : error;
      });
    }
  }

  /** What may succeed later is tried later. */
  async #call(operation: string, input: object): Promise<unknown> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#options.call(operation, input);
      } catch (error) {
        const mayRetry = error instanceof MimamoriError && error.retryable && attempt < transferLimits.retriesMax;
        if (!mayRetry || this.#options.signal.aborted) throw error;
        await this.#pause(attempt);
      }
    }
  }

  #pause(attempt: number): Promise<void> {
    const { clock, random, signal } = this.#options;
    const { retryMsMin, retryMsMax } = transferLimits;
    const most = Math.min(retryMsMax, retryMsMin * 2 ** attempt);
    return delay(clock, most / 2 + random.integer(Math.ceil(most / 2)), signal);
  }
}

function hasRoom(batch: Batch | undefined, item: FoundItem): boolean {
  if (batch === undefined || batch.items.length >= transferLimits.batchItems) return false;
  return batch.items.length === 0 || batch.bytes + item.bytes <= transferLimits.batchBytesMax;
}

function isRefusal(error: unknown): boolean {
  return error instanceof Error && error.name === 'ValidationException';
}
