/** Many named streams in one folder: made, found, listed and deleted while they run, and the same again after any crash. */
import { type Clock, delay } from '../../../kernel/clock.ts';
import { codeOf, messageOf } from '../../../kernel/errors.ts';
import { type Files, joinPath } from '../../../kernel/files.ts';
import type { Log } from '../../../kernel/log.ts';
import { CatalogStream } from './catalog-stream.ts';
import { Cursors } from './cursors.ts';
import { directoryOf, logDirectoryOf } from './directories.ts';
import type { CatalogEngine } from './engine.ts';
import {
  ShardsTooManyError,
  settingsDamaged,
  streamExists,
  streamNameNotValid,
  streamNotFound,
  streamsTooMany,
} from './errors.ts';
import { catalogLimits } from './limits.ts';
import { type StreamMode, type StreamSettings, settingsOf } from './settings.ts';
import { neverWritten, readSettings, type Written } from './settings-file.ts';
import { reshardTo } from './update-shard-count.ts';

export interface CatalogOptions {
  readonly files: Files;
  readonly clock: Clock;
  readonly log: Log;
  /** Created when absent. */
  readonly directory: string;
  /** How long a stream is between two states; default: not at all. */
  readonly transitionMs?: number;
  /** Opens the log of a stream in `directory`, made when absent. */
  readonly openEngine: (directory: string, settings: StreamSettings) => Promise<CatalogEngine>;
}

export interface NewStream {
  readonly name: string;
  readonly shardCount: number;
  readonly mode?: StreamMode;
  readonly retentionHours?: number;
  /** Of one record, its key included. */
  readonly recordBytesMax?: number;
  readonly tags?: Readonly<Record<string, string>>;
}

export class StreamCatalog {
  readonly #options: CatalogOptions;
  readonly #cursors = new Cursors();
  readonly #streams = new Map<string, CatalogStream>();
  /** Folders whose settings cannot be read, by folder. Their names cannot be had. */
  readonly #damaged = new Map<string, Error>();
  readonly #deletions = new Set<Promise<void>>();
  readonly #closing = new AbortController();

  private constructor(options: CatalogOptions) {
    this.#options = options;
  }

  /** Finishes what the process before it had begun. A stream that is damaged keeps no other from being opened. */
  static async open(options: CatalogOptions): Promise<StreamCatalog> {
    const { files, directory } = options;
    const catalog = new StreamCatalog(options);
    await files.makeDirectory(directory);
    for (const directoryName of await files.list(directory)) {
      await catalog.#adopt(directoryName).catch(error => catalog.#noteDamage(directoryName, error));
    }
    return catalog;
  }

  /** By name, those that are being made or deleted included. */
  list(): CatalogStream[] {
    return [...this.#streams.values()].sort((left, right) => (left.name < right.name ? -1 : 1));
  }

  find(name: string): CatalogStream | undefined {
    return this.#streams.get(name);
  }

  /** Throws `catalog.streamNotFound`. */
  get(name: string): CatalogStream {
    const stream = this.#streams.get(name);
    if (stream === undefined) throw streamNotFound(name);
    return stream;
  }

  /**
   * Resolves once the stream is there to stay; it is ACTIVE then, unless there is a transition. Throws
   * `catalog.nameNotValid`, `catalog.streamExists`, `catalog.streamsTooMany`, `catalog.shardsTooMany`, and what the disk
   * throws; then there is none.
   */
  async create(stream: NewStream): Promise<CatalogStream> {
    const { name, shardCount } = stream;
    if (!isStreamName(name)) throw streamNameNotValid(name);
    if (this.#streams.has(name)) throw streamExists(name);
    const directoryName = directoryOf(name);
    const damage = this.#damaged.get(directoryName);
    if (damage) throw damage;
    if (this.#streams.size >= catalogLimits.streamsMax) throw streamsTooMany();
    this.checkShards(shardCount);
    const settings = this.#settingsOf(stream);
    const made = this.#streamOf(directoryName, settings, neverWritten);
    this.#streams.set(name, made); // Nobody else takes the name while it is being made.
    try {
      await this.#options.files.makeDirectory(this.#pathOf(directoryName));
      await made.startCreating();
      await made.finishCreating();
      return made;
    } catch (error) {
      await made.close();
      await this.#remove(directoryName).catch(() => {}); // What is left of it, the next start removes.
      this.#streams.delete(name);
      throw error;
    }
  }

  /** The stream of this name, made if there is none. */
  async openStream(stream: NewStream): Promise<CatalogStream> {
    return this.#streams.get(stream.name) ?? this.create(stream);
  }

  /** Shows a stream that somebody else keeps and writes. Its name is nobody else's. */
  addReadOnly(settings: Pick<NewStream, 'name'> & { createdAtMs: number }, engine: CatalogEngine): void {
    if (this.#streams.has(settings.name)) throw streamExists(settings.name);
    const all = { ...this.#settingsOf({ shardCount: 1, ...settings }), ...settings, phase: 'kept' as const };
    this.#streams.set(settings.name, this.#streamOf(undefined, all, neverWritten, engine));
  }

  /** Resolves once the stream would not come back; what it held goes after the transition. Throws as `get`, and `catalog.streamInUse`. */
  async delete(name: string): Promise<void> {
    const stream = this.get(name);
    if (stream.status === 'DELETING') return;
    await stream.startDeleting();
    const { clock, transitionMs = 0, log } = this.#options;
    const over = transitionMs === 0 ? Promise.resolve() : delay(clock, transitionMs, this.#closing.signal);
    const deletion = over
      .then(() => this.#finishDeleting(stream))
      .catch(error => log.error(factsOf(name, error), 'A deleted stream could not be removed.'))
      .finally(() => this.#deletions.delete(deletion));
    this.#deletions.add(deletion);
    if (transitionMs === 0) await deletion;
  }

  /** Throws `catalog.streamInUse`, `catalog.shardsTooMany`. */
  async updateShardCount(name: string, targetShardCount: number): Promise<void> {
    const stream = this.get(name);
    this.checkShards(targetShardCount - stream.settings.openShardCount);
    await stream.reshard(async shards => {
      await stream.change(() => ({ targetShardCount })); // A start goes on with it.
      await reshardTo(shards, targetShardCount);
      await stream.change(() => ({ targetShardCount: undefined }));
    });
  }

  /** Throws `catalog.shardsTooMany`. */
  checkShards(more: number): void {
    const open = this.openShardCount;
    if (more > 0 && open + more > catalogLimits.openShardsMax) throw new ShardsTooManyError(open, more);
  }

  get openShardCount(): number {
    let count = 0;
    for (const { settings } of this.#streams.values()) count += settings.openShardCount;
    return count;
  }

  /** Makes durable what was appended to any of them. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#deletions);
    await Promise.all([...this.#streams.values()].map(stream => stream.close()));
    await this.#cursors.close();
  }

  /** Takes over what a process before has left in a folder. Throws when it cannot be told what it is. */
  async #adopt(directoryName: string): Promise<void> {
    const { files } = this.#options;
    const directory = this.#pathOf(directoryName);
    const found = await readSettings(files, directory);
    const settings = found && found !== 'damaged' ? settingsOf(found.value, directoryName) : undefined;
    if (found === undefined || found === 'damaged' || settings === undefined) {
      const isEmpty = (await files.list(logDirectoryOf(directory))).length === 0;
      // Settings are written before there is a log: whoever was making it died first, and told nobody that it is there.
      if (isEmpty && !settings) return files.removeDirectory(directory);
      throw settingsDamaged(directory);
    }
    const stream = this.#streamOf(directoryName, settings, found);
    this.#streams.set(stream.name, stream);
    if (settings.phase === 'deleting') await this.#finishDeleting(stream);
    if (settings.phase === 'creating') await stream.finishCreating();
    if (settings.targetShardCount !== undefined) await this.updateShardCount(stream.name, settings.targetShardCount);
  }

  #noteDamage(directoryName: string, error: unknown): void {
    const directory = this.#pathOf(directoryName);
    this.#options.log.error(
      { directory, code: codeOf(error), error: messageOf(error) },
      'A stream could not be opened.',
    );
    this.#damaged.set(directoryName, error instanceof Error ? error : settingsDamaged(directory));
  }

  async #finishDeleting(stream: CatalogStream): Promise<void> {
    await stream.close();
    await this.#remove(directoryOf(stream.name));
    this.#streams.delete(stream.name);
  }

  /** The log first: while there are settings, a start knows that it is to go. */
  async #remove(directoryName: string): Promise<void> {
    const { files } = this.#options;
    const directory = this.#pathOf(directoryName);
    await files.removeDirectory(logDirectoryOf(directory));
    await files.removeDirectory(directory);
  }

  #settingsOf({ name, shardCount, mode, retentionHours, recordBytesMax, tags }: NewStream): StreamSettings {
    return {
      name,
      createdAtMs: this.#options.clock.nowMs(),
      phase: 'creating',
      mode: mode ?? 'PROVISIONED',
      shardCount,
      openShardCount: shardCount,
      retentionHours: retentionHours ?? catalogLimits.retentionHoursMin,
      recordBytesMax: recordBytesMax ?? catalogLimits.recordBytesMin,
      shardLevelMetrics: [],
      tags: tags ?? {},
    };
  }

  #streamOf(
    directoryName: string | undefined,
    settings: StreamSettings,
    written: Written,
    engine?: CatalogEngine,
  ): CatalogStream {
    const { files, clock, transitionMs = 0, openEngine } = this.#options;
    const directory = directoryName === undefined ? undefined : this.#pathOf(directoryName);
    return new CatalogStream({
      files,
      clock,
      cursors: this.#cursors,
      directory,
      settings,
      written,
      transitionMs,
      signal: this.#closing.signal,
      openEngine: async settings => engine ?? openEngine(logDirectoryOf(directory ?? ''), settings),
    });
  }

  #pathOf(directoryName: string): string {
    return joinPath(this.#options.directory, directoryName);
  }
}

/** As Kinesis takes them. */
export function isStreamName(name: string): boolean {
  return name.length <= catalogLimits.nameCharactersMax && /^[a-zA-Z0-9_.-]+$/.test(name);
}

function factsOf(name: string, error: unknown): object {
  return { stream: name, code: codeOf(error), error: messageOf(error) };
}
