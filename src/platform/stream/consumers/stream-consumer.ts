import type { SequenceNumber, Shard, ShardId, StreamReader } from '../port.ts';
import { type KeptWindow, nothingSettled, type Settled } from './batch.ts';
import { Bell } from './bell.ts';
import { MarkedRange } from './marks.ts';
import type { ConsumerSnapshot } from './measures.ts';
import { type CommonOptions, readOptions } from './options.ts';
import { untilAnswered } from './patience.ts';
import { ShardConsumer } from './shard-consumer.ts';
import { ShardPlan } from './shard-plan.ts';
import { SuspectGates } from './suspect-gate.ts';

export interface StreamConsumerOptions<Event> extends CommonOptions<Event> {
  /** A reader for one shard, or for the list of shards. Closed by the consumer. */
  readonly openReader: () => StreamReader;
  /** Null: never saved. 0: begun, and nothing was done. */
  readonly loadCheckpoint: (consumer: string, shardId: ShardId) => Promise<SequenceNumber | null>;
  /** The window that was kept with the checkpoint. Needed with a tumbling window. */
  readonly loadWindow?: (consumer: string, shardId: ShardId) => Promise<KeptWindow | undefined>;
  /** Resolves once it would survive a crash. `window` is kept with it; undefined: there is none any more. */
  readonly saveCheckpoint: (
    consumer: string,
    shardId: ShardId,
    upTo: SequenceNumber,
    settled: Settled,
    window?: KeptWindow,
  ) => Promise<void>;
  /** Forgets the checkpoint of a shard that is read to its end; content if there is none. */
  readonly deleteCheckpoint?: (consumer: string, shardId: ShardId) => Promise<void>;
}

/** Under which the place of `LATEST` is kept: which shards there were when the consumer was first started. */
export const startMarker: ShardId = '$start';
const marking = 1n; // They are being noted.
const marked = 2n; // All of them are: what has no checkpoint now was opened since, and is read from its start.

const shardsAgainMs = 1_000; // ours: how often the list is read when a shard has ended and its children are not there yet

interface RunningShard<Event> {
  readonly consumer: ShardConsumer<Event>;
  readonly ended: Promise<void>;
}

/** Reads all shards of a stream, a parent to its end before its children, also while it is being split and merged. */
export class StreamConsumer<Event> {
  readonly #options: StreamConsumerOptions<Event>;
  readonly #bell: Bell;
  readonly #marks: MarkedRange;
  readonly #progress = new Map<ShardId, SequenceNumber>();
  readonly #looked = new Set<ShardId>();
  readonly #closed = new Set<ShardId>();
  readonly #running = new Map<ShardId, RunningShard<Event>>();
  /** How far shards came that are not running any more, until what is to be read instead is running. */
  readonly #left = new Map<ShardId, SequenceNumber | null>();
  #gates: SuspectGates | undefined;
  #processedBefore = 0;
  #hasChanged = false;
  #failure: { readonly error: unknown } | undefined;

  /** Throws `stream.consumerNotValid`. */
  constructor(options: StreamConsumerOptions<Event>) {
    readOptions(options);
    this.#options = options;
    this.#bell = new Bell(options.clock);
    this.#marks = new MarkedRange(options.marks);
  }

  /** Events brought to an end since the start, in whatever way. */
  get processed(): number {
    let processed = this.#processedBefore;
    for (const { consumer } of this.#running.values()) processed += consumer.processed;
    return processed;
  }

  /**
   * Everything up to it is done, in every shard; null: not even the first record. Means something only where one counter
   * counts all records of the stream; with `newest` a shard in which nothing happens does not hold it back.
   */
  get consumedUpTo(): SequenceNumber | null {
    let least: SequenceNumber | undefined;
    for (const reached of [...this.#reached(), ...this.#left.values()]) {
      if (reached === null) return null;
      if (least === undefined || reached < least) least = reached;
    }
    return least ?? null;
  }

  *#reached(): Iterable<SequenceNumber | null> {
    for (const { consumer } of this.#running.values()) yield consumer.reached;
  }

  /** Whether a record is handled, or waits to be. */
  get hasRecordsInHand(): boolean {
    return [...this.#running.values()].some(({ consumer }) => consumer.hasRecordsInHand);
  }

  snapshot(): ConsumerSnapshot {
    const shards = [...this.#running.values()].map(({ consumer }) => consumer.snapshot());
    const iteratorAgeMs = shards.reduce((most, shard) => Math.max(most, shard.iteratorAgeMs), 0);
    return { consumer: this.#options.name, iteratorAgeMs, shards };
  }

  /** Works until `signal` aborts. Rejects when storage fails, in whatever shard; all of them have stopped then. */
  async run(signal: AbortSignal): Promise<void> {
    const stop = new AbortController();
    const onAbort = () => stop.abort();
    stop.signal.addEventListener('abort', () => {
      this.#gates?.open();
      this.#bell.ring();
    });
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) stop.abort();
    this.#failure = undefined;
    this.#gates = undefined;
    for (const known of [this.#progress, this.#looked, this.#closed]) known.clear(); // What is kept is what counts.
    const lister = this.#options.openReader();
    try {
      await this.#follow(lister, stop);
    } catch (error) {
      this.#failure ??= { error };
    } finally {
      stop.abort();
      await Promise.all([...this.#running.values()].map(({ ended }) => ended));
      signal.removeEventListener('abort', onAbort);
      await lister.close();
    }
    if (this.#failure) throw this.#failure.error;
  }

  /** Starts what may be read, and looks again when a shard was begun or has ended. */
  async #follow(lister: StreamReader, stop: AbortController): Promise<void> {
    const { clock, startingPosition } = this.#options;
    if (startingPosition?.type === 'LATEST') await this.#markNewest(lister, stop.signal);
    while (!stop.signal.aborted) {
      this.#hasChanged = false;
      const left = [...this.#left.keys()];
      const plan = new ShardPlan(await this.#look(lister, stop.signal), this.#progress);
      for (const { shardId } of plan.toForget) await this.#forget(shardId);
      this.#gates ??= new SuspectGates(plan.ready.map(({ shardId }) => shardId));
      for (const shard of plan.ready) if (!this.#running.has(shard.shardId)) this.#start(shard, stop);
      for (const shardId of left) this.#left.delete(shardId);
      if (this.#hasChanged || stop.signal.aborted) continue;
      await this.#bell.wait(this.#running.size > 0 ? undefined : clock.monotonicMs() + shardsAgainMs);
    }
  }

  /** The list of shards, with what is known of each; what is gone from it is forgotten. */
  async #look(lister: StreamReader, signal: AbortSignal): Promise<Shard[]> {
    const { name, loadCheckpoint } = this.#options;
    const shards = (await untilAnswered({ ...this.#options, signal }, () => lister.shards())) ?? [];
    for (const { shardId } of shards) {
      if (this.#looked.has(shardId)) continue;
      const upTo = await loadCheckpoint(name, shardId);
      this.#looked.add(shardId);
      if (upTo !== null) this.#progress.set(shardId, upTo);
    }
    await this.#forgetGone(new Set(shards.map(({ shardId }) => shardId)));
    for (const { shardId, endingSequenceNumber } of shards)
      if (endingSequenceNumber !== undefined) this.#closed.add(shardId);
    return shards;
  }

  /** Retention has taken them. Only of what was closed is that certain: a list may be incomplete for a moment. */
  async #forgetGone(listed: ReadonlySet<ShardId>): Promise<void> {
    for (const shardId of this.#closed) {
      if (listed.has(shardId) || this.#running.has(shardId)) continue;
      this.#closed.delete(shardId);
      if (this.#progress.has(shardId)) await this.#forget(shardId);
    }
  }

  async #forget(shardId: ShardId): Promise<void> {
    await this.#options.deleteCheckpoint?.(this.#options.name, shardId);
    this.#progress.delete(shardId);
  }

  /** The first start of a consumer of what is new: notes the end of every shard, so that a restart begins there, too. */
  async #markNewest(lister: StreamReader, signal: AbortSignal): Promise<void> {
    const { name, loadCheckpoint, saveCheckpoint } = this.#options;
    const marker = await loadCheckpoint(name, startMarker);
    if (marker === marked) return;
    const shards = await this.#look(lister, signal);
    // With another starting position it has run before: what it has no checkpoint of was opened since.
    const hasRun = marker === null && this.#progress.size > 0;
    if (!hasRun) await saveCheckpoint(name, startMarker, marking, nothingSettled);
    for (const { shardId, endingSequenceNumber } of hasRun ? [] : shards) {
      if (this.#progress.has(shardId)) continue;
      const patience = { ...this.#options, signal };
      const latest = () => untilAnswered(patience, () => lister.locate(shardId, { type: 'LATEST' }));
      const end = endingSequenceNumber ?? (await latest()) ?? 0n;
      if (signal.aborted) return;
      await this.#save(shardId, end, nothingSettled);
    }
    await saveCheckpoint(name, startMarker, marked, nothingSettled);
  }

  #start({ shardId }: Shard, stop: AbortController): void {
    const { name, openReader, loadWindow, startingPosition } = this.#options;
    const reader = openReader();
    const consumer = new ShardConsumer<Event>({
      ...this.#options,
      reader,
      shardId,
      // What was there at the first start has a checkpoint; everything else is new from its first record on.
      startingPosition: startingPosition?.type === 'LATEST' ? undefined : startingPosition,
      markedRange: this.#marks,
      gate: this.#gates?.gateOf(shardId),
      loadCheckpoint: async () => this.#progress.get(shardId) ?? null,
      loadWindow: loadWindow && (() => loadWindow(name, shardId)),
      saveCheckpoint: (upTo, settled, window) => this.#save(shardId, upTo, settled, window),
    });
    const ended = this.#runShard(shardId, consumer, reader, stop.signal).catch(error => {
      this.#failure ??= { error };
      stop.abort();
    });
    this.#running.set(shardId, { consumer, ended });
  }

  async #runShard(
    shardId: ShardId,
    consumer: ShardConsumer<Event>,
    reader: StreamReader,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      await consumer.run(signal);
      if (consumer.isAtEnd) await this.#finish(shardId, reader, signal);
    } finally {
      this.#left.set(shardId, consumer.reached);
      this.#running.delete(shardId);
      this.#processedBefore += consumer.processed;
      this.#change();
      await reader.close();
    }
  }

  /** Notes that a shard is read to its end: its children may begin, also after a restart. */
  async #finish(shardId: ShardId, reader: StreamReader, signal: AbortSignal): Promise<void> {
    const shards = await untilAnswered({ ...this.#options, signal }, () => reader.shards());
    const end = shards?.find(other => other.shardId === shardId)?.endingSequenceNumber;
    if (end !== undefined) await this.#save(shardId, end, nothingSettled);
  }

  async #save(shardId: ShardId, upTo: SequenceNumber, settled: Settled, window?: KeptWindow): Promise<void> {
    await this.#options.saveCheckpoint(this.#options.name, shardId, upTo, settled, window);
    const isFirst = !this.#progress.has(shardId);
    this.#progress.set(shardId, upTo);
    if (isFirst) this.#change(); // Its parents' checkpoints are needed no longer.
  }

  #change(): void {
    this.#hasChanged = true;
    this.#bell.ring();
  }
}
