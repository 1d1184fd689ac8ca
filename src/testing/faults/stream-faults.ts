/** What can go wrong between the gateway and the stream, and between the stream and its consumers. */
import { currentCaller } from '../../kernel/callers.ts';
import { type Clock, delay } from '../../kernel/clock.ts';
import type { Random } from '../../kernel/random.ts';
import { type Appended, type RecordBatch, type StreamRecord, streamFull } from '../../platform/stream/index.ts';
import { type Duration, durationMs } from '../world/durations.ts';
import { type Fault, type FaultOptions, FaultRules } from './fault.ts';

export interface ReadFaultOptions extends FaultOptions {
  /** The function that reads. Default: all. */
  readonly consumer?: string;
}

type AppendFault = { readonly kind: 'refuse' } | { readonly kind: 'delay'; readonly ms: number };

export class StreamFaults {
  readonly #clock: Clock;
  readonly #appends: FaultRules<RecordBatch, AppendFault>;
  readonly #repeats: FaultRules<string, true>;
  readonly #reads: FaultRules<string | undefined, number>;

  constructor({ clock, random }: { clock: Clock; random: Random }) {
    this.#clock = clock;
    this.#appends = new FaultRules(random);
    this.#repeats = new FaultRules(random);
    this.#reads = new FaultRules(random);
  }

  /** Appends are refused with `stream.full`: publishers get no acknowledgement and send again. */
  refuse(options: FaultOptions = {}): Fault {
    return this.#appends.add({ kind: 'refuse' }, () => true, options);
  }

  /** Appends are made so much later. */
  delay(duration: Duration, options: FaultOptions = {}): Fault {
    return this.#appends.add({ kind: 'delay', ms: durationMs(duration) }, () => true, options);
  }

  /** Records are there twice, as after a producer's retry. */
  duplicate(options: FaultOptions & { readonly topic?: string | RegExp } = {}): Fault {
    const { topic, ...how } = options;
    const meets = (found: string) =>
      topic === undefined || (typeof topic === 'string' ? found === topic : topic.test(found));
    return this.#repeats.add(true, meets, how);
  }

  /** Consumers get what they read so much later. */
  delayRead(duration: Duration, { consumer, ...how }: ReadFaultOptions = {}): Fault {
    const meets = (name: string | undefined) => consumer === undefined || name === consumer;
    return this.#reads.add(durationMs(duration), meets, how);
  }

  stopAll(): void {
    for (const rules of [this.#appends, this.#repeats, this.#reads]) rules.stopAll();
  }

  async append(batch: RecordBatch, append: () => Promise<Appended>): Promise<Appended> {
    const fault = this.#appends.take(batch);
    if (fault?.kind === 'refuse') throw streamFull(undefined);
    if (fault?.kind === 'delay') await delay(this.#clock, fault.ms);
    return append();
  }

  /** Whether the record on this topic is to be there a second time. */
  repeats(topic: string): boolean {
    return this.#repeats.take(topic) === true;
  }

  async read(read: () => Promise<StreamRecord[]>): Promise<StreamRecord[]> {
    const records = await read();
    const ms = records.length > 0 ? this.#reads.take(currentCaller()?.functionName) : undefined;
    if (ms !== undefined) await delay(this.#clock, ms);
    return records;
  }
}
