/** What can become of messages on their way in one direction: they are lost, late, come twice, or overtake one another. */
import { type Clock, delay } from '../../kernel/clock.ts';
import type { Random } from '../../kernel/random.ts';
import { optionsNotValid } from '../errors.ts';
import { testingLimits } from '../limits.ts';
import { type Duration, durationMs } from '../world/durations.ts';
import { type Fault, type FaultOptions, FaultRules } from './fault.ts';

/** Which messages are met. Default: all. */
export interface MessageFaultOptions extends FaultOptions {
  readonly thingName?: string;
  /** Whole, or what it is to match. */
  readonly topic?: string | RegExp;
}

export interface MessageOnItsWay {
  readonly thingName: string;
  readonly topic: string;
  readonly bytes: number;
}

type MessageFault =
  | { readonly kind: 'drop' | 'duplicate' | 'reorder' }
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'throttle'; readonly bytesPerSecond: number };

/** One that waits for the next one to overtake it. */
interface Held {
  readonly thingName: string;
  readonly release: () => void;
}

export class MessageFaults {
  readonly #clock: Clock;
  readonly #rules: FaultRules<MessageOnItsWay, MessageFault>;
  readonly #held = new Set<Held>();
  /** By thing: when its narrow line is free again, monotonic. */
  readonly #freeAtMs = new Map<string, number>();

  constructor({ clock, random }: { clock: Clock; random: Random }) {
    this.#clock = clock;
    this.#rules = new FaultRules(random);
  }

  drop(options: MessageFaultOptions = {}): Fault {
    return this.#add({ kind: 'drop' }, options);
  }

  delay(duration: Duration, options: MessageFaultOptions = {}): Fault {
    return this.#add({ kind: 'delay', ms: durationMs(duration) }, options);
  }

  duplicate(options: MessageFaultOptions = {}): Fault {
    return this.#add({ kind: 'duplicate' }, options);
  }

  /** The message arrives behind the next one of its thing, or after a second if there is none. */
  reorder(options: MessageFaultOptions = {}): Fault {
    return this.#add({ kind: 'reorder' }, options);
  }

  /** A narrow line: so many bytes a second, one message after the other. */
  throttle(bytesPerSecond: number, options: MessageFaultOptions = {}): Fault {
    if (!(bytesPerSecond > 0)) {
      throw optionsNotValid(`A line cannot carry ${bytesPerSecond} bytes a second.`, 'Give a number above 0.');
    }
    return this.#add({ kind: 'throttle', bytesPerSecond }, options);
  }

  stopAll(): void {
    this.#rules.stopAll();
  }

  /** Sends the message as the faults in force have it: not at all, once, or twice. `lost` answers for one that is lost. */
  async send<T>(message: MessageOnItsWay, send: () => Promise<T>, lost: () => Promise<T>): Promise<T> {
    const fault = this.#rules.take(message);
    if (fault?.kind === 'drop') return lost();
    if (fault?.kind === 'delay') await delay(this.#clock, fault.ms);
    if (fault?.kind === 'throttle') await this.#waitInLine(message, fault.bytesPerSecond);
    if (fault?.kind === 'reorder') await this.#overtaken(message.thingName);
    const sent = send();
    if (fault?.kind !== 'reorder') this.#release(message.thingName);
    if (fault?.kind === 'duplicate') await send();
    return sent;
  }

  #add(fault: MessageFault, { thingName, topic, ...how }: MessageFaultOptions): Fault {
    const meets = (message: MessageOnItsWay) =>
      (thingName === undefined || message.thingName === thingName) &&
      (topic === undefined || (typeof topic === 'string' ? message.topic === topic : topic.test(message.topic)));
    return this.#rules.add(fault, meets, how);
  }

  #waitInLine({ thingName, bytes }: MessageOnItsWay, bytesPerSecond: number): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    const freeAtMs = Math.max(nowMs, this.#freeAtMs.get(thingName) ?? 0) + (bytes * 1_000) / bytesPerSecond;
    this.#freeAtMs.set(thingName, freeAtMs);
    return delay(this.#clock, freeAtMs - nowMs);
  }

  async #overtaken(thingName: string): Promise<void> {
    const waiting = new AbortController();
    const held: Held = { thingName, release: () => waiting.abort() };
    this.#held.add(held);
    await delay(this.#clock, testingLimits.reorderedMsMax, waiting.signal);
    this.#held.delete(held);
  }

  #release(thingName: string): void {
    for (const held of this.#held) if (held.thingName === thingName) held.release();
  }
}
