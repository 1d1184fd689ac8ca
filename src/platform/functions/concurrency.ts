/**
 * How many invocations run at once: of each function, and of all. As in Lambda a reservation is both a promise and a cap;
 * functions without one share what is left. Whoever waits is let in first come, first served within a function, and the
 * functions that wait take turns, so that one with a long line keeps no other from running.
 */
import { Fifo } from '../../kernel/fifo.ts';
import { concurrencyNotValid } from './errors.ts';
import { functionLimits } from './limits.ts';
import type { FunctionSettings } from './port.ts';

/**
 * Isolated invocations at once: as many as the machine is said to bear, or as its functions reserve, which is the same
 * wherever the app is started. Those without a reservation have at least one.
 */
export function isolatedRoom(settings: Iterable<FunctionSettings>, atLeast: number): number {
  let reserved = 0;
  let unreserved = 0;
  for (const { isolated, reservedConcurrency } of settings) {
    if (!isolated) continue;
    if (reservedConcurrency === undefined) unreserved = 1;
    else reserved += reservedConcurrency;
  }
  return Math.max(atLeast, reserved + unreserved);
}

export class ConcurrencyPool {
  readonly #max: number;
  readonly #unreservedMin: number;
  #sharedMax: number;
  #sharedRunning = 0;
  /** Lines without a reservation in which somebody waits, the one whose turn it is first. */
  readonly #turns = new Fifo<Line>();

  /**
   * @param max  invocations at once, of all functions together
   * @param unreservedMin  so many are left to functions without a reservation
   */
  constructor(max: number, unreservedMin = unreservedOf(max)) {
    this.#max = max;
    this.#sharedMax = max;
    this.#unreservedMin = unreservedMin;
  }

  /**
   * A line for one function. Throws `function.concurrencyNotValid` when its reservation leaves too little to others.
   * @param reserved  so many at once, and no more; undefined: a part of what is not reserved
   */
  newLine(reserved?: number): Line {
    if (reserved !== undefined) {
      const reservedSum = this.#max - this.#sharedMax + reserved;
      const reservableMax = this.#max - this.#unreservedMin;
      if (reservedSum > reservableMax) throw concurrencyNotValid(reservedSum, reservableMax);
      this.#sharedMax -= reserved;
    }
    return new Line(reserved, this);
  }

  get sharedMax(): number {
    return this.#sharedMax;
  }

  /** @internal */
  admitShared(): boolean {
    if (this.#sharedRunning >= this.#sharedMax) return false;
    this.#sharedRunning++;
    return true;
  }

  /** @internal  a line without a reservation has got its first waiter */
  queue(line: Line): void {
    this.#turns.push(line);
  }

  /** @internal */
  leaveShared(): void {
    this.#sharedRunning--;
    for (let line = this.#turns.shift(); line !== undefined; line = this.#turns.shift()) {
      if (line.waiting === 0) continue; // They have been told to go meanwhile.
      this.#sharedRunning++;
      line.admitNext();
      if (line.waiting > 0) this.#turns.push(line);
      return;
    }
  }
}

/** Of a pool smaller than an account of Lambda a tenth is enough. */
function unreservedOf(max: number): number {
  return Math.min(functionLimits.unreservedMin, Math.floor(max / 10));
}

interface Waiter {
  readonly admit: () => void;
  readonly refuse: (error: Error) => void;
}

/** Of one function: those who run, and those who wait to. */
export class Line {
  readonly reserved: number | undefined;
  readonly #pool: ConcurrencyPool;
  readonly #waiters = new Fifo<Waiter>();
  #running = 0;

  constructor(reserved: number | undefined, pool: ConcurrencyPool) {
    this.reserved = reserved;
    this.#pool = pool;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiters.length;
  }

  /** The most that can ever run at once. */
  get max(): number {
    return this.reserved ?? this.#pool.sharedMax;
  }

  /** Takes a place if one is free and nobody has waited longer. Whoever gets one leaves it. */
  tryEnter(): boolean {
    if (this.#waiters.length > 0) return false;
    const isFree = this.reserved === undefined ? this.#pool.admitShared() : this.#running < this.reserved;
    if (isFree) this.#running++;
    return isFree;
  }

  /** To be called when `tryEnter` has refused. Resolves with a place taken; rejects when all who wait are sent away. */
  wait(): Promise<void> {
    return new Promise((admit, refuse) => {
      this.#waiters.push({ admit, refuse });
      if (this.reserved === undefined && this.#waiters.length === 1) this.#pool.queue(this);
    });
  }

  leave(): void {
    this.#running--;
    if (this.reserved === undefined) this.#pool.leaveShared();
    else if (this.#waiters.length > 0 && this.#running < this.reserved) this.admitNext();
  }

  sendAway(error: Error): void {
    for (let waiter = this.#waiters.shift(); waiter !== undefined; waiter = this.#waiters.shift()) waiter.refuse(error);
  }

  /** @internal  there is a place for the one who has waited longest */
  admitNext(): void {
    this.#running++;
    this.#waiters.shift()?.admit();
  }
}
