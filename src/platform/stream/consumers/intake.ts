/** Reads a shard ahead of its lanes, as far as there is room, and sorts what it reads: passed by, broken, or into a lane. */
import assert from 'node:assert/strict';
import type { Clock } from '../../../kernel/clock.ts';
import { codeOf } from '../../../kernel/errors.ts';
import { consumerEnded } from '../errors.ts';
import type { RecordFilter, SequenceNumber, ShardId, StreamReader, StreamRecord } from '../port.ts';
import type { Suspects } from './batch.ts';
import type { Bell } from './bell.ts';
import { compact } from './compact.ts';
import type { Frontier } from './frontier.ts';
import type { GivingUp, Reason } from './giving-up.ts';
import { type Arrival, Item, Tracked } from './item.ts';
import type { Lane } from './lane.ts';
import { laneOf } from './lane-queue.ts';
import { consumerDefaults, consumerLimits } from './limits.ts';
import type { ShardCounts } from './measures.ts';
import { untilAnswered } from './patience.ts';
import type { FullSettings } from './settings.ts';

export interface IntakeOptions<Event> {
  readonly consumer: string;
  readonly settings: FullSettings;
  readonly reader: StreamReader;
  readonly shardId: ShardId;
  readonly clock: Clock;
  readonly wants?: RecordFilter;
  readonly matches?: (record: StreamRecord) => boolean;
  readonly select: (record: StreamRecord) => Event | undefined;
  readonly suspects?: Suspects;
  readonly gate?: SuspectGate;
  readonly lanes: readonly Lane<Event>[];
  readonly frontier: Frontier;
  readonly givingUp: GivingUp;
  readonly counts: ShardCounts;
  readonly bell: Bell;
  readonly newest?: () => SequenceNumber;
  readonly onRefused?: (error: unknown) => void;
  /** It was running before: what it reads first may have been handed out then. */
  readonly isRestart: boolean;
}

/** A record that is given up before its function sees it. */
interface Broken {
  readonly tracked: Tracked;
  readonly reason: Reason;
}

/** What records that are brought in together have in common. */
interface Together {
  readonly attempts: number;
  readonly arrival: Arrival;
  readonly broken: Broken[];
}

/** Keeps the shards of a stream from going beyond the suspects before all of them are past them. */
export interface SuspectGate {
  /** This shard has no suspect left. */
  arrive(): void;
  readonly opened: Promise<void>;
}

export class Intake<Event> {
  readonly #options: IntakeOptions<Event>;
  #after: SequenceNumber | null;
  #lastArrivalAtMs: number | undefined;
  #newestBefore: SequenceNumber | undefined;
  #wait: AbortController | undefined;
  #isCaughtUp = false;
  #isAtEnd = false;
  #isAlone = false;
  /** How many more records may have been handed out before the restart. */
  #givenBefore: number;
  #places = 0;

  constructor(options: IntakeOptions<Event>) {
    this.#options = options;
    this.#after = options.frontier.checkpoint;
    this.#givenBefore = options.isRestart ? options.settings.lookAheadRecordsMax : 0;
  }

  /** Of the last record read. */
  get lastArrivalAtMs(): number | undefined {
    return this.#lastArrivalAtMs;
  }

  /**
   * The newest number of the stream when a read began that found nothing, of a shard that was open then: so up to it
   * there is nothing. If the stream has grown since, in other shards, it is looked at again, for the next who asks.
   */
  get emptyUpTo(): SequenceNumber | undefined {
    const newest = this.#options.newest?.();
    if (newest !== undefined && this.#newestBefore !== undefined && newest > this.#newestBefore) this.#wait?.abort();
    return this.#newestBefore;
  }

  /** The last read has found nothing. */
  get isCaughtUp(): boolean {
    return this.#isCaughtUp;
  }

  /** The shard is closed, and all of it was read. */
  get isAtEnd(): boolean {
    return this.#isAtEnd;
  }

  /** Nothing more will come for now: a batch that is not full need not wait. */
  get isFlushing(): boolean {
    return this.#isAtEnd || this.#isAlone || this.#allowance <= 0;
  }

  /** Records that may be read before the checkpoint moves. */
  get #allowance(): number {
    const { frontier, settings } = this.#options;
    return frontier.bytes >= consumerLimits.lookAheadBytesMax ? 0 : settings.lookAheadRecordsMax - frontier.size;
  }

  /** Works until `signal` aborts or the shard ends. */
  async run(signal: AbortSignal): Promise<void> {
    const { bell, newest } = this.#options;
    for (let mayBeClosed = false; !signal.aborted; ) {
      await this.#untilRoom(signal);
      const newestBefore = newest?.();
      const records = await this.#read(consumerDefaults.readBytesMax, signal);
      if (records === undefined) return;
      if (records === 'gone') return this.#end();
      // What came behind the end of a closed shard went to its children, who have still to do it.
      if (records.length === 0 && newest && (await this.#isOpen(signal))) this.#newestBefore = newestBefore;
      this.#isCaughtUp = records.length === 0;
      if (records.length > 0) {
        mayBeClosed = false;
        this.#after = records[records.length - 1].sequenceNumber;
        this.#lastArrivalAtMs = records[records.length - 1].arrivalAtMs;
        await this.#feed(compact(records), signal);
        continue;
      }
      this.#givenBefore = 0; // All that there was when it started has been read.
      this.#options.gate?.arrive();
      bell.ring(); // A window that waited for stragglers may end.
      // Woken for nothing: the shard was closed. Looked at once more, as records may have come before that.
      if (mayBeClosed && (await this.#isClosed(signal))) {
        const left = await this.#read(1, signal);
        if (left === 'gone' || left?.length === 0) return this.#end();
      } else await untilAnswered({ ...this.#options, signal }, () => this.#waitForMore(signal));
      mayBeClosed = true;
    }
  }

  /** Until there is something to read, or a reason to look. */
  async #waitForMore(signal: AbortSignal): Promise<void> {
    const { reader, shardId } = this.#options;
    const wait = new AbortController();
    const stop = () => wait.abort();
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop(); // Before anybody listened.
    this.#wait = wait;
    try {
      await reader.waitBeyond(shardId, this.#after, wait.signal);
    } finally {
      this.#wait = undefined;
      signal.removeEventListener('abort', stop);
    }
  }

  /** Undefined: it was stopped. */
  async #read(bytesMax: number, signal: AbortSignal): Promise<StreamRecord[] | 'gone' | undefined> {
    const { reader, shardId, wants } = this.#options;
    try {
      return await untilAnswered({ ...this.#options, signal }, () =>
        reader.read(shardId, this.#after, bytesMax, wants),
      );
    } catch (error) {
      if (codeOf(error) === 'stream.shardNotFound') return 'gone'; // Retention has taken what was left of it.
      throw error;
    }
  }

  async #isClosed(signal: AbortSignal): Promise<boolean> {
    return (await this.#isOpen(signal)) === false;
  }

  /** Undefined: it was stopped. */
  async #isOpen(signal: AbortSignal): Promise<boolean | undefined> {
    const { reader, shardId } = this.#options;
    const shards = await untilAnswered({ ...this.#options, signal }, () => reader.shards());
    return shards?.some(other => other.shardId === shardId && other.endingSequenceNumber === undefined);
  }

  #end(): void {
    this.#isAtEnd = true;
    this.#options.gate?.arrive();
    this.#options.bell.ring();
  }

  /** Waits until another batch may be brought in. */
  async #untilRoom(signal: AbortSignal): Promise<void> {
    const { lanes, settings, bell } = this.#options;
    const hasRoom = () => this.#allowance > 0 && lanes.some(({ queue }) => queue.length < settings.batchRecordsMax);
    while (!signal.aborted && !hasRoom()) await bell.wait();
  }

  /** Brings what was read into the lanes, a batch for each at a time. */
  async #feed(records: StreamRecord[], signal: AbortSignal): Promise<void> {
    const { lanes, settings, wants } = this.#options;
    const pieceMax = settings.batchRecordsMax * lanes.length;
    const last = records[records.length - 1].data;
    // The reader leaves out what is not wanted, except for the last, which tells how far it has come.
    const wanted = wants === undefined || wants(last, 0, last.length) ? records.length : records.length - 1;
    for (let from = 0; from < records.length; ) {
      if (from > 0) await this.#untilRoom(signal);
      if (signal.aborted) return;
      const to = this.#endOfPiece(records, from, pieceMax);
      if (to === from) await this.#bringAlone(records[from++], signal);
      else {
        if (this.#isBeyondSuspects(records[from])) await this.#options.gate?.opened;
        if (signal.aborted) return;
        await this.#bring(records.slice(from, Math.min(to, wanted)));
        from = to;
      }
    }
    if (wanted === records.length) return;
    this.#options.frontier.add(new Tracked(records[wanted], 'passed'));
    this.#moved();
  }

  /** Where the piece from `from` on ends; there already, if a suspect is first. */
  #endOfPiece(records: StreamRecord[], from: number, pieceMax: number): number {
    const to = Math.min(records.length, from + Math.max(1, Math.min(pieceMax, this.#allowance)));
    const { suspects } = this.#options;
    if (suspects === undefined || records[from].sequenceNumber > suspects.last) return to;
    for (let at = from; at < to; at++) if (records[at].sequenceNumber >= suspects.first) return at;
    return to;
  }

  #isBeyondSuspects({ sequenceNumber }: StreamRecord): boolean {
    const { suspects, gate } = this.#options;
    if (suspects === undefined || sequenceNumber <= suspects.last) return false;
    gate?.arrive();
    return true;
  }

  async #bring(records: StreamRecord[], attempts = 0): Promise<void> {
    const { clock, givingUp } = this.#options;
    const broken: Broken[] = [];
    const together = { attempts, arrival: { atMs: clock.monotonicMs() }, broken };
    for (const record of records) this.#sort(record, together);
    this.#givenBefore = Math.max(0, this.#givenBefore - records.length);
    this.#moved();
    if (broken.length === 0) return;
    await givingUp.giveUpEach(broken);
    this.#moved();
  }

  #sort(record: StreamRecord, { attempts, arrival, broken }: Together): void {
    const { consumer, settings, matches, select, frontier, counts, lanes } = this.#options;
    let event: Event | undefined;
    let reason: Reason | undefined;
    try {
      event = matches === undefined || matches(record) ? select(record) : undefined;
    } catch (error) {
      reason = { error, attempts: 1 }; // It will not become valid by being tried again.
    }
    if (event === undefined && reason === undefined) {
      counts.filtered++;
      return frontier.add(new Tracked(record, 'filtered'));
    }
    if (attempts >= settings.attemptsMax) {
      reason ??= { error: consumerEnded(consumer, attempts), attempts, condition: 'RetryAttemptsExhausted' };
    }
    if (event === undefined || reason) {
      const tracked = new Tracked(record);
      frontier.add(tracked);
      if (reason) broken.push({ tracked, reason });
      return;
    }
    const item = new Item({ record, event }, arrival, this.#places++, attempts > 0 || this.#givenBefore > 0);
    item.attempts = attempts;
    frontier.add(item);
    const lane = lanes.length === 1 ? lanes[0] : lanes[laneOf(record.partitionKey, lanes.length)];
    lane.queue.push(item);
  }

  /** Brings one record that may have ended the thread, while nothing else of this shard runs, and waits for its end. */
  async #bringAlone(record: StreamRecord, signal: AbortSignal): Promise<void> {
    const { suspects, lanes, frontier, bell } = this.#options;
    assert(suspects); // or it would not be one
    this.#isAlone = true;
    bell.ring();
    while (!signal.aborted && !lanes.every(({ isIdle }) => isIdle)) await bell.wait();
    await suspects.alone(async () => {
      if (signal.aborted) return;
      await this.#bring([record], suspects.restarts.get(record.sequenceNumber));
      while (!signal.aborted && frontier.first !== undefined) await bell.wait();
    });
    this.#isAlone = false;
  }

  #moved(): void {
    this.#options.frontier.advance();
    this.#options.bell.ring();
  }
}
