import { appLimits } from '../app/index.ts';
import type { InvocationMarks, SequenceNumber, StreamTail, TailSeen } from '../platform/stream/index.ts';

/**
 * What the two threads must see of each other without a message: how far the stream is durable, how far it is
 * consumed, that the app thread is alive, and which records it is working on. All 64 bit and atomic.
 */
const slots = {
  lastDurable: 0,
  consumedUpTo: 1,
  heartbeat: 2,
  /** 1 while a reader waits for the stream: only then is a message worth its cost. */
  readerWaits: 3,
  /** Which shards the stream has: raised when they change. */
  shardsGeneration: 4,
  /** Two words for each declared stream: how far it is durable, and which shards it has. */
  streams: 5,
} as const;

const marksAt = slots.streams + appLimits.streamsMax * 2;

export const consumersMax = appLimits.consumerFunctionsMax + 2; // The commands' own and that of aggregates are two more.

export function newSharedState(): SharedArrayBuffer {
  return new SharedArrayBuffer((marksAt + consumersMax * 2) * 8);
}

/** The gateway thread's side. */
export class GatewayView {
  readonly #words: BigInt64Array;

  constructor(memory: SharedArrayBuffer) {
    this.#words = new BigInt64Array(memory);
  }

  /** Returns true when a reader waits and must be told. */
  setLastDurable(sequenceNumber: SequenceNumber, shardsGeneration: number): boolean {
    return this.#move(ofMessages, sequenceNumber, shardsGeneration);
  }

  /** The same for declared stream number `index`. */
  setStreamDurable(index: number, sequenceNumber: SequenceNumber, shardsGeneration: number): boolean {
    return this.#move(ofStream(index), sequenceNumber, shardsGeneration);
  }

  #move({ last, generation }: TailSlots, sequenceNumber: SequenceNumber, shardsGeneration: number): boolean {
    Atomics.store(this.#words, generation, BigInt(shardsGeneration)); // First: it tells where the rest belongs.
    Atomics.store(this.#words, last, sequenceNumber);
    return Atomics.exchange(this.#words, slots.readerWaits, 0n) === 1n;
  }

  /** The record every consumer is done with; null = not even the first. */
  consumedUpTo(): SequenceNumber | null {
    const sequenceNumber = Atomics.load(this.#words, slots.consumedUpTo);
    return sequenceNumber === 0n ? null : sequenceNumber;
  }

  heartbeat(): bigint {
    return Atomics.load(this.#words, slots.heartbeat);
  }

  /** The records that consumer number `index` is working on, if any. */
  inFlight(index: number): { first: SequenceNumber; last: SequenceNumber } | undefined {
    const first = Atomics.load(this.#words, marksAt + index * 2);
    return first === 0n ? undefined : { first, last: Atomics.load(this.#words, marksAt + index * 2 + 1) };
  }

  /** Before a new app thread starts. */
  clearMarks(): void {
    for (let index = marksAt; index < this.#words.length; index++) Atomics.store(this.#words, index, 0n);
  }
}

/** Where the two words of a tail lie. */
interface TailSlots {
  readonly last: number;
  readonly generation: number;
}

const ofMessages: TailSlots = { last: slots.lastDurable, generation: slots.shardsGeneration };

function ofStream(index: number): TailSlots {
  const last = slots.streams + index * 2;
  return { last, generation: last + 1 };
}

/** The tail of a stream that the gateway thread writes. */
class SharedTail implements StreamTail {
  readonly #words: BigInt64Array;
  readonly #slots: TailSlots;
  readonly #waiting = new Set<{ seen: TailSeen; wake: () => void }>();

  constructor(words: BigInt64Array, tailSlots: TailSlots) {
    this.#words = words;
    this.#slots = tailSlots;
  }

  lastSequenceNumber(): SequenceNumber {
    return Atomics.load(this.#words, this.#slots.last);
  }

  shardsGeneration(): number {
    return Number(Atomics.load(this.#words, this.#slots.generation));
  }

  onceMoved(seen: TailSeen, wake: () => void): () => void {
    const waiter = { seen, wake };
    this.#waiting.add(waiter);
    Atomics.store(this.#words, slots.readerWaits, 1n);
    if (this.#isBeyond(seen)) queueMicrotask(() => this.moved()); // It moved before the flag was up.
    return () => void this.#waiting.delete(waiter);
  }

  /** The gateway thread says that a stream has moved. */
  moved(): void {
    for (const waiter of this.#waiting) {
      if (!this.#isBeyond(waiter.seen)) continue;
      this.#waiting.delete(waiter);
      waiter.wake();
    }
    if (this.#waiting.size > 0) Atomics.store(this.#words, slots.readerWaits, 1n);
  }

  #isBeyond({ sequenceNumber, generation }: TailSeen): boolean {
    return this.lastSequenceNumber() > sequenceNumber || this.shardsGeneration() !== generation;
  }
}

/** The app thread's side. */
export class AppView {
  readonly #words: BigInt64Array;
  /** Of the messages of devices. */
  readonly tail: StreamTail;
  readonly #tails: SharedTail[] = [];

  constructor(memory: SharedArrayBuffer) {
    this.#words = new BigInt64Array(memory);
    this.tail = this.#tailAt(ofMessages);
  }

  /** Of declared stream number `index`. */
  streamTail(index: number): StreamTail {
    return this.#tailAt(ofStream(index));
  }

  /** The gateway thread says that a stream has moved. */
  moved(): void {
    for (const tail of this.#tails) tail.moved();
  }

  #tailAt(tailSlots: TailSlots): StreamTail {
    const tail = new SharedTail(this.#words, tailSlots);
    this.#tails.push(tail);
    return tail;
  }

  beat(consumedUpTo: SequenceNumber | null): void {
    Atomics.add(this.#words, slots.heartbeat, 1n);
    Atomics.store(this.#words, slots.consumedUpTo, consumedUpTo ?? 0n);
  }

  marksOf(index: number): InvocationMarks {
    const at = marksAt + index * 2;
    return {
      enter: (first, last) => {
        Atomics.store(this.#words, at + 1, last);
        Atomics.store(this.#words, at, first);
      },
      leave: () => void Atomics.store(this.#words, at, 0n),
    };
  }
}
