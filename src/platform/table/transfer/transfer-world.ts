/** For tests: engines on memory disks, exports in folders of the system. */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { systemClock } from '../../../kernel/clock.ts';
import { systemFiles } from '../../../kernel/files.ts';
import { MemoryDisk } from '../../../kernel/memory-store.ts';
import { seededRandom } from '../../../kernel/random.ts';
import { callOperation } from '../call.ts';
import type { Engine } from '../engine.ts';
import { type EngineOptions, openEngine } from '../storage/open-engine.ts';
import { wireFormat } from '../values/wire-format.ts';
import { type Call, openSource, type SourceOptions } from './export-source.ts';
import { type ExportOptions, exportTables } from './export-tables.ts';
import type { ExportContents } from './format.ts';
import { type ImportedTable, type ImportOptions, importTables } from './import-tables.ts';

let folders: string[] = [];
let engines: Engine[] = [];

/** After a test, however it ended. */
export async function cleanUp(): Promise<void> {
  await Promise.all(engines.map(engine => engine.close()));
  for (const each of folders) rmSync(each, { recursive: true, force: true });
  engines = [];
  folders = [];
}

export function folder(): string {
  const made = mkdtempSync(path.join(os.tmpdir(), 'mimamori-transfer-'));
  folders.push(made);
  return made;
}

export async function openMemoryEngine(options: Partial<EngineOptions> = {}): Promise<Engine> {
  const disk = new MemoryDisk({ clock: systemClock, syncMs: 0 });
  const engine = await openEngine({ store: disk.open(), clock: systemClock, random: seededRandom(1), ...options });
  engines.push(engine);
  return engine;
}

/** As the endpoint does it, without the wire. */
export function callsOf(engine: Engine): Call {
  return async (operation, input) => {
    const copy = JSON.parse(JSON.stringify(input));
    const own = engine.snapshots.operations[operation];
    return own === undefined ? callOperation(engine, operation as never, copy, { format: wireFormat }) : own(copy); // a cast: a test's own
  };
}

/** What knows DynamoDB's calls only. */
export function withoutSnapshots(call: Call): Call {
  return (operation, input) =>
    operation.endsWith('Snapshot')
      ? Promise.reject(Object.assign(new Error(operation), { name: 'UnknownOperationException' }))
      : call(operation, input);
}

export function exportTo(
  directory: string,
  call: Call,
  options: Partial<ExportOptions> & Partial<Pick<SourceOptions, 'tableNames' | 'dataMark'>> = {},
): Promise<ExportContents> {
  const { tableNames, dataMark, ...rest } = options;
  return exportTables({
    files: systemFiles,
    clock: systemClock,
    random: seededRandom(2),
    directory,
    isCompressed: true,
    resumes: false,
    open: resumed => openSource({ call, clock: systemClock, tableNames, resumed, dataMark }),
    onProgress: () => {},
    signal: new AbortController().signal,
    ...rest,
  });
}

export function importFrom(
  directory: string,
  call: Call,
  options: Partial<ImportOptions> = {},
): Promise<ImportedTable[]> {
  return importTables({
    files: systemFiles,
    clock: systemClock,
    random: seededRandom(3),
    directory,
    call,
    destination: 'a test',
    tableName: undefined,
    newName: undefined,
    merges: false,
    creation: undefined,
    onProgress: () => {},
    signal: new AbortController().signal,
    ...options,
  });
}

/** Every entry of the tables themselves: items by name of the table, in the bytes they are stored in. */
export function itemsOf(engine: Engine, tableName: string): Map<string, string> {
  const { id } = engine.catalog.table(tableName);
  const range = { start: Uint8Array.of(0x45, id >> 8, id & 255, 0), end: Uint8Array.of(0x45, id >> 8, id & 255, 1) };
  const items = new Map<string, string>();
  for (const { key, value } of engine.store.range(range)) {
    items.set(Buffer.from(key.subarray(4)).toString('hex'), Buffer.from(value).toString('hex'));
  }
  return items;
}
