/** One stream of a catalog: what it is, in which state, and its engine once somebody needs that. */
import { type Clock, delay } from '../../../kernel/clock.ts';
import type { Files } from '../../../kernel/files.ts';
import { recordTooLarge } from '../errors.ts';
import type { Appended, Resharding, SequenceNumber, Shard, ShardId, StartingPosition, Stream } from '../port.ts';
import type { RecordBatch } from '../record-batch.ts';
import type { Cursors, ReadPage, ReadSize } from './cursors.ts';
import type { CatalogEngine } from './engine.ts';
import { StreamInUseError, streamNotFound, streamReadOnly } from './errors.ts';
import type { StreamSettings, StreamStatus } from './settings.ts';
import { type Written, writeSettings } from './settings-file.ts';

export interface CatalogStreamOptions {
  readonly files: Files;
  readonly clock: Clock;
  readonly cursors: Cursors;
  /** Undefined: nothing of it is stored by the catalog. */
  readonly directory: string | undefined;
  readonly settings: StreamSettings;
  readonly written: Written;
  /** How long it stays between two states. */
  readonly transitionMs: number;
  /** Ends transitions that are under way. */
  readonly signal: AbortSignal;
  readonly openEngine: (settings: StreamSettings) => Promise<CatalogEngine>;
}

export class CatalogStream {
  readonly #options: CatalogStreamOptions;
  #settings: StreamSettings;
  #written: Written;
  #status: StreamStatus;
  #engine: Promise<CatalogEngine> | undefined;
  /** The end of the last change of the settings that was begun. */
  #changed: Promise<unknown> = Promise.resolve();
  /** Which key a record gets, given the one it came with. For streams of an app whose producers key badly. */
  rekey: ((partitionKey: string, data: Uint8Array) => string) | undefined;

  constructor(options: CatalogStreamOptions) {
    this.#options = options;
    this.#settings = options.settings;
    this.#written = options.written;
    const { phase } = options.settings;
    this.#status = phase === 'creating' ? 'CREATING' : phase === 'deleting' ? 'DELETING' : 'ACTIVE';
  }

  get name(): string {
    return this.#settings.name;
  }

  /** Where its log lies; undefined when nothing of it is stored by the catalog. */
  get directory(): string | undefined {
    return this.#options.directory;
  }

  get settings(): StreamSettings {
    return this.#settings;
  }

  get status(): StreamStatus {
    return this.#status;
  }

  /** Whether somebody else writes it. */
  get isReadOnly(): boolean {
    return this.#options.directory === undefined;
  }

  /** Throws as `Stream.append`, and `stream.recordTooLarge`, `catalog.streamNotFound`, `catalog.readOnly`. */
  async append(batch: RecordBatch): Promise<Appended> {
    const { recordBytesMax } = this.#settings;
    const largest = batch.recordBytesMax > recordBytesMax ? batch.largestRecordBytes() : 0;
    if (largest > recordBytesMax) throw recordTooLarge(largest, recordBytesMax);
    return (await this.#writable()).append(batch);
  }

  /** Throws `catalog.streamNotFound`. */
  async shards(): Promise<Shard[]> {
    return (await this.#usable()).shards();
  }

  /** Throws `catalog.streamNotFound`, `stream.shardNotFound`. */
  async locate(shardId: ShardId, position: StartingPosition): Promise<SequenceNumber | null> {
    const reader = (await this.#usable()).openReader();
    try {
      return await reader.locate(shardId, position);
    } finally {
      await reader.close();
    }
  }

  /** Records behind `after`. Throws as `StreamReader.read`, and `catalog.streamNotFound`. */
  async read(shardId: ShardId, after: SequenceNumber | null, size: ReadSize): Promise<ReadPage> {
    const engine = await this.#usable();
    try {
      return await this.#options.cursors.read(engine, shardId, after, size);
    } catch (error) {
      this.#checkUsable(); // Its files may have been taken away meanwhile.
      throw error;
    }
  }

  /**
   * Runs `work` on the shards while the stream says UPDATING; appends and reads go on. Throws `catalog.streamInUse`,
   * `catalog.readOnly`, and what `work` throws.
   */
  async reshard(work: (stream: Stream & Resharding) => Promise<void>): Promise<void> {
    this.#checkActive();
    this.#status = 'UPDATING';
    try {
      const stream = await this.#writable();
      await work(stream);
      await this.#countShards(stream);
    } catch (error) {
      this.#endTransition();
      throw error;
    }
    this.#after(this.#options.transitionMs, () => this.#endTransition());
  }

  /** Durable once it resolves. Throws `catalog.streamNotFound`, `catalog.readOnly`. */
  change(change: (settings: StreamSettings) => Partial<StreamSettings>): Promise<void> {
    return this.#inTurn(() => {
      this.#checkUsable();
      return this.#write({ ...this.#settings, ...change(this.#settings) });
    });
  }

  /** As `change`, when the stream is ACTIVE. Throws `catalog.streamInUse`, too. */
  async changeRetention(retentionHours: number): Promise<void> {
    this.#checkActive();
    await this.change(() => ({ retentionHours }));
    (await this.#usable()).setRetentionMs(retentionHours * 3_600_000);
  }

  /** What it is, durably, before there is anything of it. */
  startCreating(): Promise<void> {
    return this.#inTurn(() => this.#write(this.#settings));
  }

  /** Makes its log, and says ACTIVE when that is there and the transition over. */
  async finishCreating(): Promise<void> {
    await this.#opened();
    const finish = () =>
      this.#inTurn(async () => {
        await this.#write({ ...this.#settings, phase: 'kept' });
        this.#status = 'ACTIVE';
      });
    const { transitionMs } = this.#options;
    if (transitionMs === 0) return finish();
    this.#after(transitionMs, () => void finish().catch(() => {})); // The next start will say ACTIVE.
  }

  /** From now on it is going; durably so when it resolves. Throws `catalog.streamInUse`, `catalog.readOnly`. */
  async startDeleting(): Promise<void> {
    if (this.isReadOnly) throw streamReadOnly(this.name);
    if (this.#status === 'CREATING') throw new StreamInUseError(this.name, this.#status);
    const before = this.#status;
    this.#status = 'DELETING';
    try {
      await this.#inTurn(() => this.#write({ ...this.#settings, phase: 'deleting' }));
    } catch (error) {
      this.#status = before;
      throw error;
    }
  }

  /** Makes durable what was appended, and ends all readers. */
  async close(): Promise<void> {
    const engine = await this.#engine?.catch(() => undefined);
    if (engine === undefined) return;
    await engine.close();
    await this.#options.cursors.close(engine);
  }

  async #writable(): Promise<Stream & Resharding> {
    const { stream } = await this.#usable();
    if (stream === undefined) throw streamReadOnly(this.name);
    return stream;
  }

  async #usable(): Promise<CatalogEngine> {
    this.#checkUsable();
    return this.#opened();
  }

  #checkUsable(): void {
    if (this.#status === 'CREATING' || this.#status === 'DELETING') throw streamNotFound(this.name);
  }

  #checkActive(): void {
    if (this.isReadOnly) throw streamReadOnly(this.name);
    if (this.#status !== 'ACTIVE') throw new StreamInUseError(this.name, this.#status);
  }

  /** One that could not be opened is tried again by whoever asks next. */
  #opened(): Promise<CatalogEngine> {
    this.#engine ??= this.#options.openEngine(this.#settings).catch(error => {
      this.#engine = undefined;
      throw error;
    });
    return this.#engine;
  }

  async #countShards(stream: Stream): Promise<void> {
    const open = (await stream.shards()).filter(shard => shard.endingSequenceNumber === undefined);
    await this.change(() => ({ openShardCount: open.length }));
  }

  #endTransition(): void {
    if (this.#status === 'UPDATING') this.#status = 'ACTIVE';
  }

  #after(ms: number, run: () => void): void {
    if (ms === 0) return run();
    const { clock, signal } = this.#options;
    void delay(clock, ms, signal).then(() => {
      if (!signal.aborted) run();
    });
  }

  /** One change after the other, each of what the one before has left. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#changed.then(work);
    this.#changed = done.catch(() => {});
    return done;
  }

  async #write(settings: StreamSettings): Promise<void> {
    const { files, directory } = this.#options;
    if (directory === undefined) throw streamReadOnly(this.name);
    this.#written = await writeSettings(files, directory, settings, this.#written);
    this.#settings = settings;
  }
}
