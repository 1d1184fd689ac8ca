/**
 * Writes an export of tables to a folder. What is complete is noted file by file, so that an interrupted one goes on
 * behind the last complete file: of the same snapshot, never of another, as a mix would be of no moment at all. When
 * the data it began with cannot be had any more it starts over, and says so.
 */
import type { Clock } from '../../../kernel/clock.ts';
import { type Files, joinPath } from '../../../kernel/files.ts';
import type { Random } from '../../../kernel/random.ts';
import { DataFileWriter, fileMd5 } from './data-file.ts';
import { exportNotEmpty, exportTooNew, fileDamaged, interrupted, notDurable, nothingToResume } from './errors.ts';
import type { ExportSource } from './export-source.ts';
import {
  contentsName,
  dataFileEntry,
  type ExportContents,
  type ExportedTable,
  exportFormatVersion,
  md5Of,
  newExportId,
  stateName,
  summaryOf,
  tablesFolder,
} from './format.ts';
import type { SnapshotTable } from './held-snapshots.ts';
import { transferLimits } from './limits.ts';
import { LineLog, writeWhole } from './text-files.ts';

export interface ExportOptions {
  readonly files: Files;
  readonly clock: Clock;
  readonly random: Random;
  readonly directory: string;
  readonly isCompressed: boolean;
  readonly resumes: boolean;
  /** Opens the data; told what the export that is resumed was made of. */
  readonly open: (resumed: string | undefined) => Promise<ExportSource>;
  readonly onProgress: (progress: ExportProgress) => void;
  /** Ends it at the next page, so that it can be resumed. */
  readonly signal: AbortSignal;
}

export interface ExportProgress {
  readonly items: number;
  /** Of text written. */
  readonly bytes: number;
  /** As the tables count, which on AWS may be hours old; `isSnapshot` tells. */
  readonly itemsExpected: number;
  readonly isSnapshot: boolean;
  /** `over`: begun again, as what it was made of is gone. */
  readonly resumed: 'no' | 'yes' | 'over';
}

/** The first line of the state. */
interface Beginning {
  readonly version: number;
  readonly mark: string;
  readonly startedAtMs: number;
  readonly exportIds: Readonly<Record<string, string>>;
  readonly isCompressed: boolean;
  readonly tableNames: readonly string[];
}

/** A further line: a data file that is complete. */
interface DoneFile {
  readonly tableName: string;
  readonly segment: number;
  readonly fileName: string;
  readonly items: number;
  readonly bytes: number;
  readonly md5: string;
  /** Where the next begins; absent after the last of a segment. */
  readonly next?: unknown;
}

/** Resolves when everything is on the disk and has been read again. Throws `transfer.*` and what the source throws. */
export async function exportTables(options: ExportOptions): Promise<ExportContents> {
  const { files, directory, resumes } = options;
  const statePath = joinPath(directory, stateName);
  const names = await files.list(directory);
  if (resumes && !names.includes(stateName)) throw nothingToResume(directory);
  if (!resumes && names.length > 0) throw exportNotEmpty(directory);
  await files.makeDirectory(directory);
  const { log, lines } = await LineLog.open(files, directory, stateName, transferLimits.manifestBytesMax);
  try {
    const kept = readState(statePath, lines);
    const source = await options.open(kept?.beginning.mark);
    const isSame =
      kept !== undefined && kept.beginning.mark === source.mark && isOfSame(kept.beginning, source, options);
    let isDone = false;
    try {
      const run = isSame ? new Run(options, source, log, kept) : await begun(options, source, log, kept !== undefined);
      const contents = await run.complete();
      isDone = true;
      return contents;
    } finally {
      await source.close(!isDone);
    }
  } finally {
    await log.close();
  }
}

interface State {
  readonly beginning: Beginning;
  readonly done: readonly DoneFile[];
}

function readState(statePath: string, lines: readonly string[]): State | undefined {
  let beginning: Beginning | undefined;
  let done: DoneFile[] = [];
  for (const line of lines) {
    const read: Beginning | DoneFile = parsed(statePath, line);
    if (!('version' in read)) {
      done.push(read);
      continue;
    }
    if (read.version > exportFormatVersion) throw exportTooNew(statePath, read.version, exportFormatVersion);
    beginning = read; // begun over
    done = [];
  }
  return beginning && { beginning, done };
}

function parsed(statePath: string, line: string): Beginning | DoneFile {
  try {
    return JSON.parse(line);
  } catch {
    throw notDurable(statePath);
  }
}

function isOfSame(beginning: Beginning, { tables }: ExportSource, { isCompressed }: ExportOptions): boolean {
  const names = tables.map(({ Create }) => Create.TableName);
  return beginning.isCompressed === isCompressed && JSON.stringify(beginning.tableNames) === JSON.stringify(names);
}

async function begun(options: ExportOptions, source: ExportSource, log: LineLog, isOver: boolean): Promise<Run> {
  const { clock, random, isCompressed } = options;
  const tableNames = source.tables.map(({ Create }) => Create.TableName);
  const startedAtMs = clock.nowMs();
  const exportIds = Object.fromEntries(tableNames.map(name => [name, newExportId(startedAtMs, random)]));
  const mark = source.mark ?? 'none';
  const beginning = { version: exportFormatVersion, mark, startedAtMs, exportIds, isCompressed, tableNames };
  await log.append(beginning);
  await options.files.syncDirectory(options.directory);
  return new Run(options, source, log, { beginning, done: [] }, isOver);
}

class Run {
  readonly #options: ExportOptions;
  readonly #source: ExportSource;
  readonly #log: LineLog;
  readonly #beginning: Beginning;
  readonly #done: DoneFile[];
  readonly #resumed: ExportProgress['resumed'];
  #items = 0;
  #bytes = 0;
  #appending: Promise<void> = Promise.resolve();

  constructor(options: ExportOptions, source: ExportSource, log: LineLog, state: State, isOver?: boolean) {
    this.#options = options;
    this.#source = source;
    this.#log = log;
    this.#beginning = state.beginning;
    this.#done = [...state.done];
    this.#resumed = isOver === undefined ? 'yes' : isOver ? 'over' : 'no';
    for (const { items, bytes } of state.done) {
      this.#items += items;
      this.#bytes += bytes;
    }
  }

  async complete(): Promise<ExportContents> {
    const { files, directory } = this.#options;
    this.#tell();
    const tables: ExportedTable[] = [];
    for (const table of this.#source.tables) tables.push(await this.#exportTable(table));
    const { isSnapshot, atMs } = this.#source;
    const exportTime = new Date(atMs).toISOString();
    const contents: ExportContents = { version: exportFormatVersion, isSnapshot, exportTime, tables };
    await writeWhole(files, joinPath(directory, contentsName), `${JSON.stringify(contents, undefined, 2)}\n`);
    await files.syncDirectory(directory);
    await files.remove(joinPath(directory, stateName));
    await files.syncDirectory(directory);
    return contents;
  }

  async #exportTable(table: SnapshotTable): Promise<ExportedTable> {
    const { files, clock } = this.#options;
    const { TableName } = table.Create;
    const exportId = this.#beginning.exportIds[TableName];
    const folder = joinPath(this.#options.directory, tablesFolder, exportId);
    await files.makeDirectory(joinPath(folder, 'data'));
    await writeWhole(files, joinPath(folder, '_started'), '');
    const segments = Array.from({ length: this.#source.segments }, (_, segment) => segment);
    await allOrFirst(segments.map(segment => this.#exportSegment(TableName, segment, folder)));
    const done = this.#done
      .filter(({ tableName }) => tableName === TableName)
      .sort((left, right) => (left.fileName < right.fileName ? -1 : 1));
    const itemCount = done.reduce((sum, { items }) => sum + items, 0);
    const entries = done.map(({ fileName, items, md5 }) => dataFileEntry(exportId, fileName, items, md5));
    const manifest = entries.map(entry => `${JSON.stringify(entry)}\n`).join('');
    const summary = summaryOf({
      exportId,
      tableArn: table.TableArn,
      tableId: table.TableId,
      itemCount,
      bytes: table.TableSizeBytes,
      exportAtMs: this.#source.atMs,
      startedAtMs: this.#beginning.startedAtMs,
      endedAtMs: clock.nowMs(),
    });
    await this.#writeManifest(folder, 'manifest-files', manifest);
    await this.#writeManifest(folder, 'manifest-summary', JSON.stringify(summary));
    await files.syncDirectory(folder);
    const { TableArn: _arn, TableId: _id, ItemCount: _items, TableSizeBytes: _bytes, ...creation } = table;
    return { tableName: TableName, exportId, itemCount, creation };
  }

  async #writeManifest(folder: string, name: string, text: string): Promise<void> {
    const { files } = this.#options;
    await writeWhole(files, joinPath(folder, `${name}.json`), text);
    await writeWhole(files, joinPath(folder, `${name}.checksum`), md5Of(Buffer.from(text, 'utf8')));
  }

  async #exportSegment(tableName: string, segment: number, folder: string): Promise<void> {
    const before = this.#done.filter(done => done.tableName === tableName && done.segment === segment);
    let position = before.at(-1)?.next;
    if (before.length > 0 && position === undefined) return;
    for (let number = before.length; ; number++) {
      const suffix = this.#options.isCompressed ? 'json.gz' : 'json';
      const fileName = `${String(segment).padStart(3, '0')}-${String(number).padStart(6, '0')}.${suffix}`;
      position = await this.#exportFile({ tableName, segment, fileName }, joinPath(folder, 'data', fileName), position);
      if (position === undefined) return;
    }
  }

  /** @returns where the next file begins; undefined: nothing is left */
  async #exportFile(
    place: Pick<DoneFile, 'tableName' | 'segment' | 'fileName'>,
    filePath: string,
    from: unknown,
  ): Promise<unknown> {
    const { files, signal } = this.#options;
    const writer = await DataFileWriter.create(files, filePath);
    let next = from;
    let bytes = 0;
    try {
      do {
        const page = await this.#source.read(place.tableName, place.segment, next);
        const pageBytes = await writer.append(page.items);
        bytes += pageBytes;
        next = page.next;
        this.#items += page.items.length;
        this.#bytes += pageBytes;
        this.#tell();
      } while (next !== undefined && !writer.isFull && !signal.aborted);
    } catch (error) {
      await writer.abandon();
      throw error;
    }
    const written = await writer.finish();
    await this.#verify(filePath, written.md5);
    await files.syncDirectory(joinPath(filePath, '..'));
    await this.#note({ ...place, ...written, bytes, ...(next !== undefined && { next }) });
    if (signal.aborted && next !== undefined) throw interrupted('Call it again with --resume to go on.');
    return next;
  }

  /** What was written is what can be read. */
  async #verify(filePath: string, md5: string): Promise<void> {
    if ((await fileMd5(this.#options.files, filePath)) !== md5) {
      throw fileDamaged(filePath, 'its checksum is not that of what was written');
    }
  }

  /** One line after the other, as segments are written at the same time. */
  #note(done: DoneFile): Promise<void> {
    this.#done.push(done);
    this.#appending = this.#appending.then(() => this.#log.append(done));
    return this.#appending;
  }

  #tell(): void {
    const { tables, isSnapshot } = this.#source;
    const itemsExpected = tables.reduce((sum, { ItemCount }) => sum + ItemCount, 0);
    const progress = { items: this.#items, bytes: this.#bytes, itemsExpected, isSnapshot, resumed: this.#resumed };
    this.#options.onProgress(progress);
  }
}

/** Throws when all have ended, so that nothing is written behind the back of whoever handles it. */
async function allOrFirst(works: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(works);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}
