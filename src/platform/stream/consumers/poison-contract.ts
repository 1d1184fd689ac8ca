/** One bad record in 10,000 over any engine: what a consumer promises of it, as a function of "make me one". */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Clock } from '../../../kernel/clock.ts';
import { codeOf } from '../../../kernel/errors.ts';
import { reportedFailed } from '../errors.ts';
import type { SequenceNumber, ShardId, Stream, StreamReader, StreamRecord } from '../port.ts';
import { RecordBatch } from '../record-batch.ts';
import type { DeadLetter, Selected } from './batch.ts';
import { eachRecord } from './each-record.ts';
import { StreamConsumer, type StreamConsumerOptions } from './stream-consumer.ts';

/** A place with one stream, empty at first, of any number of shards. */
export interface PoisonWorld {
  readonly clock: Clock;
  open(): Promise<Stream>;
  openReader(): StreamReader;
  /** Waits for `promise`, moving the clock if time does not pass by itself. */
  until<T>(promise: Promise<T>): Promise<T>;
  cleanUp(): Promise<void>;
}

const recordsCount = 10_000;
const keysCount = 100;
const poison = 7_321;
const keyOf = (index: number) => `thing-${index % keysCount}`;

/** What the function has done, and what the consumer has kept. */
class Observed {
  readonly handled = new Map<string, number[]>();
  readonly dead: DeadLetter[] = [];
  readonly checkpoints = new Map<ShardId, SequenceNumber>();
  settled = 0;
  readonly #allDone = Promise.withResolvers<void>();

  /** Resolves when every record has come behind a saved checkpoint. */
  get allDone(): Promise<void> {
    return this.#allDone.promise;
  }

  handle({ record, event }: Selected<number>): void {
    if (event === poison) throw new Error(`record ${event} is poison`);
    const ofKey = this.handled.get(record.partitionKey);
    if (ofKey) ofKey.push(event);
    else this.handled.set(record.partitionKey, [event]);
  }

  save(shardId: ShardId, upTo: SequenceNumber, settled: number): void {
    this.checkpoints.set(shardId, upTo);
    this.settled += settled;
    if (this.settled === recordsCount) this.#allDone.resolve();
  }
}

/** The ways in which a function can fail over one record of its batch. */
const ways: Readonly<Record<string, (observed: Observed) => Partial<StreamConsumerOptions<number>>>> = {
  'throws for its batch': observed => ({
    invoke: async batch => {
      if (batch.some(({ event }) => event === poison)) throw new Error(`record ${poison} is poison`);
      for (const selected of batch) observed.handle(selected);
    },
  }),
  'names the record': observed => ({
    reportsBatchItemFailures: true,
    invoke: async batch => {
      for (const selected of batch) {
        // As AWS' own examples do: it stops at the first that fails.
        if (selected.event === poison) {
          return { batchItemFailures: [{ itemIdentifier: String(selected.record.sequenceNumber) }] };
        }
        observed.handle(selected);
      }
      return { batchItemFailures: [] };
    },
  }),
  'takes one record at a time': observed => ({ invoke: eachRecord(async selected => observed.handle(selected)) }),
};

/** @param waysMax  so many of the ways, for an engine that takes seconds for each */
export function poisonContract(
  engine: string,
  makeWorld: () => Promise<PoisonWorld>,
  waysMax = Number.POSITIVE_INFINITY,
): void {
  describe(`a poison record in ${recordsCount}: ${engine} (covers S2-19)`, () => {
    for (const [way, options] of Object.entries(ways).slice(0, waysMax)) {
      it(`is set aside with its reason, all others are handled once and in order: the function ${way}`, async () => {
        const world = await makeWorld();
        const stream = await world.open();
        try {
          await appendAll(world, stream);
          await consume(world, options);
        } finally {
          await world.until(stream.close());
          await world.cleanUp();
        }
      });
    }
  });
}

async function appendAll(world: PoisonWorld, stream: Stream): Promise<void> {
  const appends: Promise<unknown>[] = [];
  let batch = new RecordBatch();
  for (let index = 0; index < recordsCount; index++) {
    batch.add(keyOf(index), Buffer.from(JSON.stringify({ index })));
    if (batch.count < 500 && index + 1 < recordsCount) continue; // As many as PutRecords takes.
    appends.push(stream.append(batch).then(({ failed }) => assert.equal(failed.size, 0)));
    batch = new RecordBatch();
  }
  await world.until(Promise.all(appends));
}

async function consume(
  world: PoisonWorld,
  options: (observed: Observed) => Partial<StreamConsumerOptions<number>>,
): Promise<void> {
  const observed = new Observed();
  const stop = new AbortController();
  const consumer = new StreamConsumer<number>({
    name: 'poisoned',
    clock: world.clock,
    openReader: () => world.openReader(),
    select: indexOf,
    invoke: async () => {},
    loadCheckpoint: async () => null,
    saveCheckpoint: async (_name, shardId, upTo, settled) => {
      observed.save(shardId, upTo, Object.values(settled).flat().length);
    },
    deadLetter: async letter => void observed.dead.push(letter),
    batchRecordsMax: 1_000,
    attemptsMax: 3,
    retryDelayMs: 20,
    ...options(observed),
  });
  const running = consumer.run(stop.signal);
  await world.until(Promise.race([observed.allDone, running]));
  check(observed, options === ways['names the record']);
  await world.until(untilCaughtUp(consumer, world.clock));
  stop.abort();
  await world.until(running);
}

function check({ handled, dead }: Observed, isNamed: boolean): void {
  for (let key = 0; key < keysCount; key++) {
    const expected = Array.from({ length: recordsCount / keysCount }, (_, row) => row * keysCount + key);
    assert.deepEqual(
      handled.get(keyOf(key)),
      expected.filter(index => index !== poison),
    );
  }
  assert.deepEqual(
    dead.map(({ record, attempts, condition }) => ({ index: indexOf(record), attempts, condition })),
    [{ index: poison, attempts: 3, condition: 'RetryAttemptsExhausted' }],
  );
  const { error, record } = dead[0];
  if (isNamed) assert.equal(codeOf(error), reportedFailed(record.sequenceNumber).code);
  else assert.match(String(error), /record 7321 is poison/);
}

/** Nothing is open any more, and the iterator age is back to zero. */
async function untilCaughtUp(consumer: StreamConsumer<number>, clock: Clock): Promise<void> {
  for (let attempt = 0; attempt < 1_000; attempt++) {
    const { iteratorAgeMs, shards } = consumer.snapshot();
    if (iteratorAgeMs === 0 && shards.every(({ isCaughtUp, ahead }) => isCaughtUp && ahead === 0)) return;
    await new Promise<void>(resolve => void clock.setTimer(10, resolve));
  }
  assert.fail(`the iterator age is still ${consumer.snapshot().iteratorAgeMs} ms`);
}

function indexOf(record: StreamRecord): number {
  return JSON.parse(record.data.toString()).index;
}
