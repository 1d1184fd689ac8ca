/** Consumers of a sharded stream for tests: what they keep survives them, and they can be killed at any point. */
import assert from 'node:assert/strict';
import { delay } from '../../../kernel/clock.ts';
import { type Random, seededRandom } from '../../../kernel/random.ts';
import { VirtualClock } from '../../../kernel/virtual-clock.ts';
import type { SequenceNumber, StreamRecord } from '../port.ts';
import type { BatchAnswer, BatchContext, DeadLetter, Fate, KeptWindow, Selected } from './batch.ts';
import type { GivenUp } from './failure-message.ts';
import { StreamConsumer, type StreamConsumerOptions } from './stream-consumer.ts';
import { TestShards } from './test-shards.ts';

/** `isDead`: its process was killed meanwhile, and it must not have an effect. */
export type TextHandler = (
  batch: Selected<string>[],
  context: BatchContext,
  isDead: () => boolean,
) => Promise<BatchAnswer>;

/** One run of a consumer. */
export interface Life {
  readonly consumer: StreamConsumer<string>;
  readonly ended: Promise<void>;
  /** Ends at once: what it does from now on has no effect. */
  kill(): void;
  /** Ends in its own time. */
  stop(): Promise<void>;
}

export class ConsumersWorld {
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly stream: TestShards;
  /** What a table would hold. */
  readonly checkpoints = new Map<string, SequenceNumber>();
  readonly windows = new Map<string, KeptWindow>();
  readonly dead: DeadLetter[] = [];
  readonly givenUp: GivenUp[] = [];
  /** What became of each record, kept together with the checkpoints. */
  readonly account = new Map<SequenceNumber, Fate>();
  readonly #given = new Set<SequenceNumber>();
  saveLatencyMs = 0;
  saves = 0;
  onDead: (letter: DeadLetter) => void = () => {};
  /** What the storage throws when it is asked to keep something; undefined: nothing. */
  fault: () => Error | undefined = () => undefined;

  constructor(seed = 1, shards = 1, clock = new VirtualClock()) {
    this.clock = clock;
    this.random = seededRandom(seed);
    this.stream = new TestShards(this.clock, shards);
  }

  get deadTexts(): string[] {
    return this.dead.map(({ record }) => textOf(record));
  }

  start(handle: TextHandler, options: Partial<StreamConsumerOptions<string>> = {}): Life {
    const stop = new AbortController();
    let isDead = false;
    /** Nothing that is done after death has an effect, or an end. */
    const alive = async <T>(work: () => T | Promise<T>): Promise<T> => {
      if (isDead) return new Promise(() => {});
      const result = await work();
      return isDead ? new Promise(() => {}) : result;
    };
    const consumer = new StreamConsumer<string>({
      name: 'test',
      clock: this.clock,
      random: this.random,
      openReader: () => this.stream.openReader(),
      select: textOf,
      invoke: (batch, context) =>
        alive(() => {
          this.#noteGiven(batch, context);
          return handle(batch, context, () => isDead);
        }),
      loadCheckpoint: async (_name, shardId) => this.checkpoints.get(shardId) ?? null,
      loadWindow: async (_name, shardId) => this.windows.get(shardId),
      saveCheckpoint: (_name, shardId, upTo, settled, window) =>
        alive(async () => {
          await this.#storageWorks();
          if (isDead) return;
          this.saves++;
          this.checkpoints.set(shardId, upTo);
          if (window) this.windows.set(shardId, window);
          else this.windows.delete(shardId);
          this.#keepAccount(settled);
        }),
      deleteCheckpoint: (_name, shardId) => alive(() => void this.checkpoints.delete(shardId)),
      deadLetter: letter =>
        alive(async () => {
          await this.#storageWorks();
          if (isDead) return;
          this.dead.push(letter);
          this.onDead(letter);
        }),
      onFailure: givenUp => alive(() => void this.givenUp.push(givenUp)),
      ...options,
    });
    const ended = consumer.run(stop.signal);
    ended.catch(() => {}); // Whoever waits for the end gets it.
    return {
      consumer,
      ended,
      kill: () => {
        isDead = true;
        stop.abort();
      },
      stop: () => {
        stop.abort();
        return this.clock.until(ended);
      },
    };
  }

  async #storageWorks(): Promise<void> {
    if (this.saveLatencyMs > 0) await delay(this.clock, this.saveLatencyMs);
    const fault = this.fault();
    if (fault) throw fault;
  }

  /** What was handed out before is marked, also across lives. */
  #noteGiven(batch: Selected<string>[], { isRedelivered }: BatchContext): void {
    const again = batch.find(({ record }) => this.#given.has(record.sequenceNumber));
    assert.ok(!again || isRedelivered, `${again?.event} comes again and is not marked`);
    for (const { record } of batch) this.#given.add(record.sequenceNumber);
  }

  #keepAccount(settled: Readonly<Record<Fate, readonly StreamRecord[]>>): void {
    for (const [fate, records] of Object.entries(settled) as [Fate, readonly StreamRecord[]][]) {
      for (const { sequenceNumber } of records) {
        assert.ok(!this.account.has(sequenceNumber), `record ${sequenceNumber} is counted twice`);
        this.account.set(sequenceNumber, fate);
      }
    }
  }
}

export function textOf(record: StreamRecord): string {
  return record.data.toString();
}

/** Counts by fate. */
export function countsOf(account: ReadonlyMap<SequenceNumber, Fate>): Partial<Record<Fate, number>> {
  const counts: Partial<Record<Fate, number>> = {};
  for (const fate of account.values()) counts[fate] = (counts[fate] ?? 0) + 1;
  return counts;
}
