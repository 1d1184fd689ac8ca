import assert from 'node:assert/strict';
import { type Clock, delay } from '../../../kernel/clock.ts';
import { codeOf } from '../../../kernel/errors.ts';
import { consumerEnded } from '../errors.ts';
import type { RecordFilter, SequenceNumber, ShardId, StreamReader, StreamRecord } from '../port.ts';
import type {
  BatchContext,
  BatchHandler,
  DeadLetter,
  Fate,
  InvocationMarks,
  KeptWindow,
  Outcome,
  Selected,
  Settled,
  Suspects,
} from './batch.ts';
import { consumerDefaults } from './limits.ts';
import type { ConsumerSettings } from './settings.ts';

export interface ConsumerOptions<Event> extends ConsumerSettings {
  readonly name: string;
  readonly reader: StreamReader;
  readonly shardId: ShardId;
  readonly clock: Clock;
  /** Records it refuses are passed by before they cost anything; default: none. */
  readonly wants?: RecordFilter;
  /** The event a record means to this consumer, or undefined to pass it by. What it throws dead-letters the record. */
  readonly select: (record: StreamRecord) => Event | undefined;
  readonly invoke: BatchHandler<Event>;
  readonly loadCheckpoint: () => Promise<SequenceNumber | null>;
  /** Resolves once it would survive a crash. `window` is kept with the checkpoint; undefined: there is none any more. */
  readonly saveCheckpoint: (upTo: SequenceNumber, settled: Settled, window?: KeptWindow) => Promise<void>;
  readonly deadLetter: (letter: DeadLetter) => Promise<void>;
  readonly marks?: InvocationMarks;
  readonly suspects?: Suspects;
}

interface Pending<Event> extends Selected<Event> {
  attempts: number;
}

/**
 * Reads a shard from its checkpoint and gives its function batch after batch, as a Lambda event source mapping does:
 * at least once, in order per partition key, a failing batch is split to isolate the record that fails it, which is
 * retried, then dead-lettered with its reason. One bad record never stops the shard.
 */
export class Consumer<Event> {
  readonly #options: ConsumerOptions<Event>;
  #checkpoint: SequenceNumber | null = null;
  #savedAtMs = Number.NEGATIVE_INFINITY;
  #unsaved = false;
  /** The last read brought a whole batch: there is probably more. */
  #behind = true;
  #processed = 0;
  #settled = nothingSettled();
  #signal = new AbortController().signal;

  constructor(options: ConsumerOptions<Event>) {
    this.#options = options;
  }

  /** The last record this consumer is done with. */
  get checkpoint(): SequenceNumber | null {
    return this.#checkpoint;
  }

  /** Events handled since the start. */
  get processed(): number {
    return this.#processed;
  }

  /**
   * Works until `signal` aborts; finishes the batch in hand first, unless it waits to be tried again. Rejects when
   * storage fails: the checkpoint then stands before everything that is not done, and a new run starts from it.
   */
  async run(signal: AbortSignal): Promise<void> {
    this.#signal = signal;
    this.#checkpoint = await this.#options.loadCheckpoint();
    while (!signal.aborted) {
      try {
        await this.#takeTurn(signal);
      } catch (error) {
        // A full disk is waited for: nothing is skipped, and nothing else of the app is disturbed.
        if (codeOf(error) !== 'store.full') throw error;
        await delay(this.#options.clock, consumerDefaults.throttledRetryMsMax, signal);
      }
    }
    if (this.#unsaved) await this.#save();
  }

  /** Once something is there, lets more come until the window is over. */
  async #gather(signal: AbortSignal): Promise<void> {
    const { batchWindowMs = 0, reader, shardId, clock } = this.#options;
    if (batchWindowMs === 0) return;
    if (this.#unsaved) await this.#settleIdle(signal);
    await reader.waitBeyond(shardId, this.#checkpoint, signal);
    await delay(clock, batchWindowMs, signal);
  }

  /** Whether more than one batch's worth was there: then waiting for more would only make us later. */
  #isFull(records: StreamRecord[]): boolean {
    if (records.length >= (this.#options.batchRecordsMax ?? consumerDefaults.batchRecordsMax)) return true;
    let bytes = 0;
    for (const { data } of records) bytes += data.length;
    return bytes >= consumerDefaults.readBytesMax;
  }

  /** One read and what it brings, or the wait for something to read. */
  async #takeTurn(signal: AbortSignal): Promise<void> {
    const { reader, shardId, wants } = this.#options;
    if (!this.#behind) await this.#gather(signal);
    const records = await reader.read(shardId, this.#checkpoint, consumerDefaults.readBytesMax, wants);
    this.#behind = this.#isFull(records);
    if (records.length > 0) await this.#consume(records, signal);
    else if (this.#unsaved) await this.#settleIdle(signal);
    else await reader.waitBeyond(shardId, this.#checkpoint, signal);
  }

  async #consume(records: StreamRecord[], signal: AbortSignal): Promise<void> {
    const batchRecordsMax = this.#options.batchRecordsMax ?? consumerDefaults.batchRecordsMax;
    for (let from = 0; from < records.length && !signal.aborted; from += batchRecordsMax) {
      const slice = records.length <= batchRecordsMax ? records : records.slice(from, from + batchRecordsMax);
      const batch = await this.#select(slice);
      const finished = await this.#work(batch, signal);
      if (!finished) return; // Stopped between two attempts: the records come again after the restart.
      for (const { record } of batch)
        if (!this.#settled.deadLettered.includes(record)) this.#settled.handled.push(record);
      this.#checkpoint = slice[slice.length - 1].sequenceNumber;
      this.#processed += batch.length;
      this.#unsaved = true;
      const due = this.#options.clock.monotonicMs() - this.#savedAtMs >= consumerDefaults.idleCheckpointMs;
      if (batch.length > 0 || due) await this.#save();
    }
  }

  /** Nothing to read and passed-by records to remember: do so once the interval is over, unless more comes first. */
  async #settleIdle(signal: AbortSignal): Promise<void> {
    const sinceMs = this.#options.clock.monotonicMs() - this.#savedAtMs;
    if (sinceMs < consumerDefaults.idleCheckpointMs) {
      const until = new AbortController();
      const stop = () => until.abort();
      signal.addEventListener('abort', stop);
      if (signal.aborted) stop(); // While the last read was under way; the event has passed.
      const timer = this.#options.clock.setTimer(consumerDefaults.idleCheckpointMs - sinceMs, stop);
      await this.#options.reader.waitBeyond(this.#options.shardId, this.#checkpoint, until.signal);
      timer.cancel();
      signal.removeEventListener('abort', stop);
      if (!until.signal.aborted) return;
    }
    await this.#save();
  }

  async #save(): Promise<void> {
    if (this.#checkpoint !== null) await this.#options.saveCheckpoint(this.#checkpoint, this.#settled);
    this.#settled = nothingSettled();
    this.#savedAtMs = this.#options.clock.monotonicMs();
    this.#unsaved = false;
  }

  async #select(records: StreamRecord[]): Promise<Pending<Event>[]> {
    const batch: Pending<Event>[] = [];
    for (const record of records) {
      try {
        const event = this.#options.select(record);
        if (event !== undefined) batch.push({ record, event, attempts: 0 });
        else this.#settled.filtered.push(record);
      } catch (error) {
        await this.#bury({ record, attempts: 1 }, error); // It will not become valid by being tried again.
      }
    }
    return batch;
  }

  /** Brings every record of the batch to its end: handled or dead-lettered. False when stopped on the way. */
  async #work(batch: Pending<Event>[], signal: AbortSignal): Promise<boolean> {
    const { suspects } = this.#options;
    if (!suspects) return this.#settle(batch, signal);
    const start = indexFrom(batch, suspects.first);
    const end = indexFrom(batch, suspects.last + 1n);
    if (!(await this.#settle(batch.slice(0, start), signal))) return false;
    for (const pending of batch.slice(start, end)) {
      pending.attempts = suspects.restarts.get(pending.record.sequenceNumber) ?? 0;
      const finished = await suspects.alone(() => this.#settle([pending], signal));
      if (!finished) return false;
    }
    return this.#settle(batch.slice(end), signal);
  }

  /** Runs groups from a stack: a group that fails as a whole is replaced by its halves, so order is kept. */
  async #settle(batch: Pending<Event>[], signal: AbortSignal): Promise<boolean> {
    const groups: Pending<Event>[][] = batch.length > 0 ? [batch] : [];
    for (let group = groups.pop(); group; group = groups.pop()) {
      const rest = await this.#attempt(group);
      if (rest === 'split') {
        const middle = group.length >> 1;
        groups.push(group.slice(middle), group.slice(0, middle));
      } else if (rest.length > 0) {
        if (signal.aborted) return false;
        await delay(this.#options.clock, this.#retryDelayMs(rest), signal);
        if (signal.aborted) return false;
        groups.push(rest);
      }
    }
    return true;
  }

  #retryDelayMs(rest: Pending<Event>[]): number {
    const attempts = rest.reduce((most, pending) => Math.max(most, pending.attempts), 0);
    if (attempts === 0) return 0; // The record they waited for was dead-lettered: nothing is tried a second time.
    const firstDelayMs = this.#options.retryDelayMs ?? consumerDefaults.retryDelayMs;
    return Math.min(firstDelayMs * 2 ** (attempts - 1), consumerDefaults.retryDelayMsMax);
  }

  /** One invocation. Returns what must be tried again, or 'split' when the batch failed as a whole. */
  async #attempt(group: Pending<Event>[]): Promise<Pending<Event>[] | 'split'> {
    const exhausted = group.filter(pending => pending.attempts >= this.#attemptsMax);
    for (const pending of exhausted) await this.#bury(pending, consumerEnded(this.#options.name, pending.attempts));
    const runnable = exhausted.length > 0 ? group.filter(pending => pending.attempts < this.#attemptsMax) : group;
    if (runnable.length === 0) return [];
    const outcome = await this.#invoke(runnable);
    return outcome === 'thrown' ? 'split' : this.#sort(runnable, outcome);
  }

  /** What the handler throws is an outcome; a group of more than one that throws as a whole is 'thrown'. */
  async #invoke(group: Pending<Event>[]): Promise<Outcome | 'thrown'> {
    const { marks, invoke } = this.#options;
    marks?.enter(group[0].record.sequenceNumber, group[group.length - 1].record.sequenceNumber);
    try {
      const answer = await invoke(group, this.#contextOf(group));
      return answer && 'failed' in answer ? answer : { failed: new Map(), skipped: new Set() };
    } catch (error) {
      if (codeOf(error) === 'store.full') throw error; // Not the records' fault: costs them no attempt.
      return group.length > 1 ? 'thrown' : { failed: new Map([[0, error]]), skipped: new Set() };
    } finally {
      marks?.leave();
    }
  }

  #contextOf(group: Pending<Event>[]): BatchContext {
    const { name: consumer, shardId, clock } = this.#options;
    const attempts = group.reduce((most, pending) => Math.max(most, pending.attempts), 0);
    return {
      consumer,
      shardId,
      attempt: attempts + 1,
      isRedelivered: attempts > 0,
      iteratorAgeMs: clock.nowMs() - group[group.length - 1].record.arrivalAtMs,
      signal: this.#signal,
    };
  }

  /** What must be tried again, in its order; what has been tried often enough is dead-lettered. */
  async #sort(group: Pending<Event>[], { failed, skipped }: Outcome): Promise<Pending<Event>[]> {
    const again: Pending<Event>[] = [];
    if (failed.size === 0 && skipped.size === 0) return again;
    assert(failed.size > 0); // Something failed, or what is skipped would be tried for ever.
    for (const error of failed.values()) if (codeOf(error) === 'store.full') throw error;
    let found = 0;
    for (const [index, pending] of group.entries()) {
      if (failed.has(index)) {
        found++;
        pending.attempts++;
        if (pending.attempts >= this.#attemptsMax) await this.#bury(pending, failed.get(index));
        else again.push(pending);
      } else if (skipped.has(index)) again.push(pending);
    }
    assert(found === failed.size); // Every failure is one of this batch, or it would count as handled.
    return again;
  }

  get #attemptsMax(): number {
    return this.#options.attemptsMax ?? consumerDefaults.attemptsMax;
  }

  #bury(dead: { record: StreamRecord; attempts: number }, error: unknown): Promise<void> {
    const { name: consumer, shardId } = this.#options;
    this.#settled.deadLettered.push(dead.record);
    return this.#options.deadLetter({ consumer, shardId, record: dead.record, error, attempts: dead.attempts });
  }
}

function nothingSettled(): Record<Fate, StreamRecord[]> {
  return { handled: [], filtered: [], deadLettered: [], expired: [] };
}

/** Where the records from `sequenceNumber` on begin. */
function indexFrom(batch: Pending<unknown>[], sequenceNumber: SequenceNumber): number {
  const index = batch.findIndex(({ record }) => record.sequenceNumber >= sequenceNumber);
  return index < 0 ? batch.length : index;
}

/**
 * Turns a handler of one event into a handler of a batch: different partition keys run beside each other, at most
 * `lanesMax` at a time; the records of one key run one after the other, and wait when one of them fails.
 */
export function eachRecord<Event>(
  handle: (selected: Selected<Event>) => Promise<void>,
  lanesMax = 64,
): (batch: Selected<Event>[]) => Promise<Outcome> {
  return async batch => {
    const failed = new Map<number, unknown>();
    const skipped = new Set<number>();
    const lanes = Map.groupBy(batch.keys(), index => batch[index].record.partitionKey);
    const waiting = lanes.values(); // One iterator for all runners: each takes the next lane.
    const runLanes = async () => {
      for (const lane of waiting) {
        for (const [place, index] of lane.entries()) {
          try {
            await handle(batch[index]);
          } catch (error) {
            failed.set(index, error);
            for (const later of lane.slice(place + 1)) skipped.add(later);
            break;
          }
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(lanesMax, lanes.size) }, runLanes));
    return { failed, skipped };
  };
}
