import type { Identity } from '../access/port.ts';
import type { BrokerLimits } from './broker-limits.ts';

const windowMs = 60_000; // the limit is per minute
const remembered = 10_000; // ours: ids that are taken over from time to time; the longest unchanged goes first
const firstDelayMs = 250; // ours: doubles with each take-over beyond the limit

interface WaitingConnection {
  overtaken(): void;
}

interface Fight {
  /** When it was taken over lately, oldest first; at most one more than counts. */
  readonly atMs: number[];
}

/**
 * Slows down clients that take a client id from each other for ever (hostile S01). By id and user and address, so that
 * a stranger cannot lock a device out: its own address has its own count.
 */
export class Takeovers {
  readonly #limits: BrokerLimits;
  readonly #onFight: (identity: Identity, remoteAddress: string) => void;
  readonly #fights = new Map<string, Fight>();
  /** Who waits to take over, at most one of each. */
  readonly #waiting = new Map<string, WaitingConnection>();

  constructor(limits: BrokerLimits, onFight: (identity: Identity, remoteAddress: string) => void) {
    this.#limits = limits;
    this.#onFight = onFight;
  }

  /** One connection has taken the session of another. */
  note(identity: Identity, remoteAddress: string, nowMs: number): void {
    const key = keyOf(identity, remoteAddress);
    const fight = this.#fights.get(key) ?? { atMs: [] };
    this.#fights.delete(key); // To the end: the order is by the last take-over.
    this.#fights.set(key, fight);
    fight.atMs.push(nowMs);
    const doublingsMax = Math.ceil(Math.log2(this.#limits.takeoverDelayMsMax / firstDelayMs)) + 1;
    if (fight.atMs.length > this.#limits.takeoversPerMinuteMax + doublingsMax) fight.atMs.shift();
    if (fight.atMs.length === this.#limits.takeoversPerMinuteMax + 1) this.#onFight(identity, remoteAddress);
    if (this.#fights.size <= remembered) return;
    const oldest = this.#fights.keys().next().value;
    if (oldest !== undefined) this.#fights.delete(oldest);
  }

  /** One that waited before, for the same session, waits no longer: else a stream of them would come in one by one. */
  wait(identity: Identity, remoteAddress: string, connection: WaitingConnection): void {
    const key = keyOf(identity, remoteAddress);
    this.#waiting.get(key)?.overtaken();
    this.#waiting.set(key, connection);
  }

  stopWaiting(identity: Identity, remoteAddress: string, connection: WaitingConnection): void {
    const key = keyOf(identity, remoteAddress);
    if (this.#waiting.get(key) === connection) this.#waiting.delete(key);
  }

  /** How long this client must wait before it may take over once more. */
  waitMs(identity: Identity, remoteAddress: string, nowMs: number): number {
    const fight = this.#fights.get(keyOf(identity, remoteAddress));
    if (!fight) return 0;
    while (fight.atMs.length > 0 && fight.atMs[0] <= nowMs - windowMs) fight.atMs.shift();
    const beyond = fight.atMs.length - this.#limits.takeoversPerMinuteMax;
    return beyond < 0 ? 0 : Math.min(firstDelayMs * 2 ** beyond, this.#limits.takeoverDelayMsMax);
  }
}

function keyOf({ clientId, principal }: Identity, remoteAddress: string): string {
  return JSON.stringify([clientId, principal, remoteAddress]);
}
