/**
 * Counts what has become durable, by thing and minute: the gateway's end of the ledger. It costs an addition per message,
 * and says for which range of the stream its counts are exact. Where it cannot say (records came in another way, or the
 * numbers of a stream do not follow each other) whoever asks counts that part from the stream.
 */
import type { Appended, SequenceNumber } from '../../platform/stream/index.ts';

export const tallyLimits = {
  minuteMs: 60_000,
  thingsMax: 10_000, // ours: counted by name in one minute; what others send is counted together
  minutesMax: 60, // ours: not asked for; then it lets go of all, and they are counted from the stream
} as const;

/** Counts of all records in a range of the stream. */
export interface ReceivedCounts {
  /** Exclusive, and inclusive. */
  readonly after: SequenceNumber;
  readonly upTo: SequenceNumber;
  readonly minutes: readonly ReceivedMinute[];
}

export interface ReceivedMinute {
  /** Since the Unix epoch. */
  readonly minute: number;
  readonly things: readonly string[];
  /** By thing, in their order. */
  readonly counts: readonly number[];
  /** Of things that were not counted by name. */
  readonly others: number;
  /** The last record of it. */
  readonly upTo: SequenceNumber;
}

interface Minute {
  readonly byThing: Map<string, { count: number }>;
  others: number;
  upTo: SequenceNumber;
}

export class ReceivedTally {
  readonly #minutes = new Map<number, Minute>();
  #after: SequenceNumber | undefined;
  #upTo: SequenceNumber = 0n;
  #count = 0n;
  readonly #onFirst: () => void;

  /** @param onFirst  called when there is something to ask for again */
  constructor(onFirst: () => void = () => {}) {
    this.#onFirst = onFirst;
  }

  /** Records of one batch that was appended, each with its thing. Of an engine that does not say when, it counts nothing. */
  add(things: readonly string[], { placeOf, failed, arrivalAtMs }: Appended): void {
    if (arrivalAtMs === undefined || failed.size === things.length) return;
    if (this.#after === undefined) this.#onFirst();
    const minute = this.#minuteOf(Math.floor(arrivalAtMs / tallyLimits.minuteMs));
    this.#addRange(things.length, placeOf, failed);
    minute.upTo = this.#upTo;
    for (let index = 0; index < things.length; index++) {
      if (failed.size > 0 && failed.has(index)) continue;
      const row = minute.byThing.get(things[index]);
      if (row !== undefined) row.count++;
      else if (minute.byThing.size < tallyLimits.thingsMax) minute.byThing.set(things[index], { count: 1 });
      else minute.others++;
    }
  }

  /** What was counted since it was asked last, if that is all records of a range. */
  take(): ReceivedCounts | undefined {
    const after = this.#after;
    if (after === undefined || this.#count === 0n) return undefined;
    const isWhole = this.#upTo - after === this.#count;
    const minutes = [...this.#minutes].map(([minute, { byThing, others, upTo }]) => ({
      minute,
      things: [...byThing.keys()],
      counts: Array.from(byThing.values(), ({ count }) => count),
      others,
      upTo,
    }));
    const counts = isWhole ? { after, upTo: this.#upTo, minutes } : undefined;
    this.#forget();
    return counts;
  }

  #addRange(count: number, placeOf: Appended['placeOf'], failed: Appended['failed']): void {
    let first: SequenceNumber | undefined;
    let last = 0n;
    const note = (index: number) => {
      const { sequenceNumber } = placeOf(index);
      if (first === undefined || sequenceNumber < first) first = sequenceNumber;
      if (sequenceNumber > last) last = sequenceNumber;
    };
    const ends = failed.size === 0 ? [placeOf(0).sequenceNumber, placeOf(count - 1).sequenceNumber] : undefined;
    if (ends && ends[1] - ends[0] === BigInt(count - 1)) [first, last] = ends;
    else for (let index = 0; index < count; index++) if (!failed.has(index)) note(index);
    if (first === undefined) return;
    if (this.#after === undefined || first <= this.#after) this.#after = first - 1n;
    if (last > this.#upTo) this.#upTo = last;
    this.#count += BigInt(count - failed.size);
  }

  #minuteOf(minute: number): Minute {
    const known = this.#minutes.get(minute);
    if (known !== undefined) return known;
    if (this.#minutes.size >= tallyLimits.minutesMax) this.#forget();
    const fresh = { byThing: new Map(), others: 0, upTo: 0n };
    this.#minutes.set(minute, fresh);
    return fresh;
  }

  /** What comes next begins a range of its own. */
  #forget(): void {
    this.#minutes.clear();
    this.#after = undefined;
    this.#count = 0n;
  }
}
