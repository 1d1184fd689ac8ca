import type { SequenceNumber, StreamRecord } from '../port.ts';
import { nothingSettled } from './batch.ts';
import { Bell } from './bell.ts';
import { CheckpointSaver } from './checkpoint-saver.ts';
import { Frontier } from './frontier.ts';
import { GivingUp } from './giving-up.ts';
import { Intake } from './intake.ts';
import { Invoker } from './invoker.ts';
import { KeyLane } from './key-lane.ts';
import type { Lane, LaneParts } from './lane.ts';
import { LaneQueue } from './lane-queue.ts';
import { MarkedRange } from './marks.ts';
import { noCounts, type ShardSnapshot } from './measures.ts';
import { type ConsumerOptions, isLoop, isThrottled, readOptions } from './options.ts';
import { OrderedLane, type WindowParts } from './ordered-lane.ts';
import { untilAnswered, untilThereIsRoom } from './patience.ts';
import type { FullSettings } from './settings.ts';
import { Windows } from './windows.ts';

/**
 * Reads a shard from its checkpoint and gives its function batch after batch, as a Lambda event source mapping does:
 * at least once, in order per partition key. A failing batch is split to isolate the record that fails it, which is
 * retried, then dead-lettered with its reason. One bad record never stops the shard.
 */
export class ShardConsumer<Event> {
  readonly #options: ConsumerOptions<Event>;
  readonly #settings: FullSettings;
  readonly #bell: Bell;
  readonly #counts = noCounts();
  readonly #matches: ((record: StreamRecord) => boolean) | undefined;
  #frontier = new Frontier(null);
  #lanes: Lane<Event>[] = [];
  #intake: Intake<Event> | undefined;
  #invoker: Invoker<Event> | undefined;

  /** Throws `stream.consumerNotValid`. */
  constructor(options: ConsumerOptions<Event>) {
    const { settings, matches } = readOptions(options);
    this.#options = options;
    this.#settings = settings;
    this.#matches = matches;
    this.#bell = new Bell(options.clock);
  }

  /** The last record before which, and with which, this consumer is done; null: none. */
  get checkpoint(): SequenceNumber | null {
    return this.#frontier.checkpoint;
  }

  /** As the checkpoint; with `newest` also beyond it, as far as the shard has no records. */
  get reached(): SequenceNumber | null {
    const { checkpoint, first } = this.#frontier;
    const intake = this.#intake;
    const empty = first === undefined && intake?.isCaughtUp ? intake.emptyUpTo : undefined;
    return empty !== undefined && empty > (checkpoint ?? 0n) ? empty : checkpoint;
  }

  /** Events brought to an end since the start, in whatever way. */
  get processed(): number {
    const { handled, deadLettered, expired } = this.#counts;
    return handled + deadLettered + expired;
  }

  /** It has read records that are not done. */
  get hasRecordsInHand(): boolean {
    return this.#frontier.first !== undefined;
  }

  /** The shard was closed, and everything of it is done. */
  get isAtEnd(): boolean {
    return this.#intake?.isAtEnd === true && this.#frontier.first === undefined;
  }

  /**
   * Works until `signal` aborts, or the shard ends; finishes the batches in hand first, unless they wait to be tried
   * again. Rejects when storage fails: the checkpoint then stands before everything that is not done, and a new run
   * starts from it.
   */
  async run(signal: AbortSignal): Promise<void> {
    const stop = new AbortController();
    const onAbort = () => stop.abort();
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) stop.abort();
    stop.signal.addEventListener('abort', () => this.#bell.ring());
    try {
      await this.#work(stop);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  async #work(stop: AbortController): Promise<void> {
    let failure: { readonly error: unknown } | undefined;
    const fail = (error: unknown) => {
      failure ??= { error };
      stop.abort();
    };
    const { saver, intake } = await this.#assemble(stop.signal);
    const saving = saver.run(stop.signal).catch(fail);
    const lanes = this.#lanes.map(lane => this.#runLane(lane, saver, stop.signal));
    await Promise.all([intake.run(stop.signal), ...lanes].map(running => running.catch(fail)));
    saver.finish();
    await saving;
    if (failure) throw failure.error;
  }

  async #runLane(lane: Lane<Event>, saver: CheckpointSaver, signal: AbortSignal): Promise<void> {
    const bell = this.#bell;
    while (!signal.aborted) {
      if (saver.isBehind) {
        await bell.wait();
        continue;
      }
      const work = lane.next(this.#options.clock.monotonicMs());
      if (typeof work === 'function') {
        bell.ring(); // There is room in its queue.
        await work();
        bell.ring();
      } else if (this.#intake?.isAtEnd && lane.isIdle) return;
      else await bell.wait(work);
    }
  }

  /** What it is and how far, for whoever watches over it. */
  snapshot(): ShardSnapshot {
    const { shardId, clock, newest } = this.#options;
    const { checkpoint, first, size } = this.#frontier;
    const intake = this.#intake;
    const isCaughtUp = intake?.isCaughtUp ?? false;
    // All that was read is done, but there is more: it came after what was read last.
    const oldestAtMs = first?.arrivalAtMs ?? (isCaughtUp ? undefined : intake?.lastArrivalAtMs);
    return {
      ...this.#counts,
      shardId,
      checkpoint,
      iteratorAgeMs: oldestAtMs === undefined ? 0 : Math.max(0, clock.nowMs() - oldestAtMs),
      ...(newest && { recordsBehind: Number(newest() - (checkpoint ?? 0n)) }),
      inFlight: this.#invoker?.inFlight ?? 0,
      waiting: this.#lanes.reduce((sum, { waiting }) => sum + waiting, 0),
      ahead: size,
      isCaughtUp,
    };
  }

  /** Loads what is kept, and makes the parts that work on it. */
  async #assemble(signal: AbortSignal): Promise<{ saver: CheckpointSaver; intake: Intake<Event> }> {
    const { name: consumer, shardId, clock } = this.#options;
    const loaded = await this.#options.loadCheckpoint();
    const start = loaded ?? (await this.#begin(signal));
    const kept = await this.#options.loadWindow?.();
    const { tumblingWindowMs } = this.#settings;
    const windows =
      tumblingWindowMs > 0 ? new Windows(tumblingWindowMs, kept, this.#options.windowStateBytesMax) : undefined;
    const frontier = new Frontier(start === 0n ? null : start);
    this.#frontier = frontier;
    const shared = { consumer, shardId, clock, counts: this.#counts, bell: this.#bell, frontier, signal };
    const save = this.#options.saveCheckpoint;
    const saver = new CheckpointSaver({ ...shared, save, window: () => windows?.kept });
    const givingUp = new GivingUp({ ...this.#options, ...shared });
    const parts = this.#laneParts(givingUp, signal);
    this.#lanes = windows
      ? [new OrderedLane(parts(), this.#windowParts(windows, saver))]
      : Array.from({ length: this.#settings.parallelizationFactor }, () =>
          this.#settings.failureBlocks === 'key' ? new KeyLane(parts()) : new OrderedLane(parts()),
        );
    const { settings, lanes, matches } = { settings: this.#settings, lanes: this.#lanes, matches: this.#matches };
    const isRestart = loaded !== null;
    this.#intake = new Intake({ ...this.#options, ...shared, settings, lanes, matches, givingUp, isRestart });
    return { saver, intake: this.#intake };
  }

  /** The first run: fixes where it begins, as "the newest" is another place after a restart. */
  async #begin(signal: AbortSignal): Promise<SequenceNumber> {
    const { reader, shardId, saveCheckpoint, clock } = this.#options;
    const { startingPosition } = this.#settings;
    const isOldest = startingPosition.type === 'TRIM_HORIZON';
    const patience = { clock, signal, onRefused: this.#options.onRefused };
    const found = isOldest ? null : await untilAnswered(patience, () => reader.locate(shardId, startingPosition));
    if (found === undefined) return 0n; // It was stopped, and will ask again.
    const start = found ?? 0n;
    await untilThereIsRoom(patience, () => saveCheckpoint(start, nothingSettled));
    return start;
  }

  #laneParts(givingUp: GivingUp, signal: AbortSignal): () => LaneParts<Event> {
    const { name: consumer, isFinal = isLoop, isThrottle = isThrottled, ...options } = this.#options;
    const settings = this.#settings;
    const heedsFailures = settings.reportsBatchItemFailures;
    const marks = options.markedRange ?? new MarkedRange(options.marks);
    const counts = this.#counts;
    const invoker = new Invoker({ ...options, consumer, heedsFailures, isThrottle, marks, counts, signal });
    this.#invoker = invoker;
    const onDone = (handled: number) => {
      counts.handled += handled;
      this.#frontier.advance();
      this.#bell.ring();
    };
    const isFlushing = () => this.#intake?.isFlushing === true;
    const common = { ...options, settings, invoker, givingUp, isFinal, isFlushing, onDone, signal };
    return () => ({ ...common, queue: new LaneQueue<Event>(settings) });
  }

  #windowParts(windows: Windows, saver: CheckpointSaver): WindowParts {
    const { name: consumer, shardId, suspects } = this.#options;
    return {
      windows,
      consumer,
      shardId,
      isCaughtUp: () => this.#intake?.isCaughtUp === true,
      isAtEnd: () => this.#intake?.isAtEnd === true,
      onChange: () => {
        saver.noteWindow();
        this.#bell.ring();
      },
      marked: () => this.#frontier.checkpoint ?? 0n,
      restartsOf: marked => suspects?.restarts.get(marked) ?? 0,
    };
  }
}
