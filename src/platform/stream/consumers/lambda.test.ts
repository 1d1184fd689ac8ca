/** A consumer with the settings of an event source mapping does what Lambda does: the list of kinesis.md, section 9. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { delay } from '../../../kernel/clock.ts';
import { codeOf, MimamoriError } from '../../../kernel/errors.ts';
import type { BatchContext } from './batch.ts';
import { ConsumersWorld, countsOf, type TextHandler, textOf } from './consumer-world.ts';
import { consumerLimits } from './limits.ts';
import { type ConsumerSettings, type EventSourceMapping, likeLambda } from './settings.ts';

const mapping = (changes: Partial<EventSourceMapping> = {}): ConsumerSettings =>
  likeLambda({ StartingPosition: 'TRIM_HORIZON', ...changes });

interface Given {
  readonly atMs: number;
  readonly texts: string[];
  readonly context: BatchContext;
}

/** Notes what a handler is given, then does as `handle` does. */
function noting(world: ConsumersWorld, handle: TextHandler = async () => {}): { given: Given[]; handler: TextHandler } {
  const given: Given[] = [];
  const handler: TextHandler = (batch, context, isDead) => {
    given.push({ atMs: world.clock.monotonicMs(), texts: batch.map(({ event }) => event), context });
    return handle(batch, context, isDead);
  };
  return { given, handler };
}

const textsOf = (given: Given[]) => given.map(({ texts }) => texts);

function putAll(world: ConsumersWorld, ...texts: string[]): void {
  for (const text of texts) world.stream.put(text.split(':')[0], text);
}

const failingOn =
  (...poison: string[]): TextHandler =>
  async batch => {
    for (const { event } of batch) if (poison.includes(event)) throw new Error(`no ${event}`);
  };

describe('event source mapping: when a batch is handed over', () => {
  it('at the batch size, however long the window is', async () => {
    const world = new ConsumersWorld();
    const { given, handler } = noting(world);
    const life = world.start(handler, mapping({ BatchSize: 3, MaximumBatchingWindowInSeconds: 300 }));
    for (let index = 0; index < 7; index++) {
      await world.clock.advance(1_000);
      putAll(world, `a:${index}`);
    }
    await world.clock.settle();
    assert.deepEqual(textsOf(given), [
      ['a:0', 'a:1', 'a:2'],
      ['a:3', 'a:4', 'a:5'],
    ]);
    assert.deepEqual(
      given.map(({ atMs }) => atMs),
      [3_000, 6_000],
    );
    await life.stop();
  });

  it('when the window is over, counted from its first record', async () => {
    const world = new ConsumersWorld();
    const { given, handler } = noting(world);
    const life = world.start(handler, mapping({ BatchSize: 100, MaximumBatchingWindowInSeconds: 5 }));
    await world.clock.advance(2_000);
    for (const text of ['a:1', 'b:2', 'a:3']) {
      putAll(world, text);
      await world.clock.advance(1_000);
    }
    await world.clock.advance(10_000);
    assert.deepEqual(textsOf(given), [['a:1', 'b:2', 'a:3']]);
    assert.equal(given[0].atMs, 7_000);
    await life.stop();
  });

  it('at 6 MB of payload, the data counted as base64', async () => {
    const world = new ConsumersWorld();
    const sizes: number[] = [];
    const handler: TextHandler = async batch => void sizes.push(batch.length);
    const life = world.start(handler, mapping({ BatchSize: 1_000, MaximumBatchingWindowInSeconds: 300 }));
    for (let index = 0; index < 10; index++) world.stream.put('a', 'x'.repeat(900_000)); // 1.2 MB each as base64
    await world.clock.advance(100);
    assert.deepEqual(sizes, [5]);
    await world.clock.advance(300_000);
    assert.deepEqual(sizes, [5, 5]);
    await life.stop();
  });

  it('at once without a window, with what is there', async () => {
    const world = new ConsumersWorld();
    const { given, handler } = noting(world, () => delay(world.clock, 100));
    const life = world.start(handler, mapping());
    for (let index = 0; index < 30; index++) {
      putAll(world, `a:${index}`);
      await world.clock.advance(10);
    }
    await world.clock.advance(300);
    assert.deepEqual(
      given.map(({ texts }) => texts.length),
      [1, 9, 10, 10],
    );
    await life.stop();
  });
});

describe('event source mapping: lanes', () => {
  it('has as many batches of a shard in flight as the factor says, and no key in two of them', async () => {
    const world = new ConsumersWorld();
    const keysInFlight = new Set<string>();
    let inFlight = 0;
    let most = 0;
    const handled: string[] = [];
    const handler: TextHandler = async batch => {
      const keys = new Set(batch.map(({ record }) => record.partitionKey));
      for (const key of keys) assert.ok(!keysInFlight.has(key));
      for (const key of keys) keysInFlight.add(key);
      most = Math.max(most, ++inFlight);
      await delay(world.clock, 10 + world.random.integer(50));
      for (const { event } of batch) handled.push(event);
      for (const key of keys) keysInFlight.delete(key);
      inFlight--;
    };
    for (let index = 0; index < 500; index++) putAll(world, `k${index % 40}:${index}`);
    const life = world.start(handler, mapping({ BatchSize: 10, ParallelizationFactor: 4 }));
    await world.clock.advance(5_000);
    assert.equal(most, 4);
    assert.equal(handled.length, 500);
    for (let key = 0; key < 40; key++) {
      const ofKey = handled.filter(text => text.startsWith(`k${key}:`)).map(text => Number(text.split(':')[1]));
      assert.deepEqual(
        ofKey,
        ofKey.toSorted((left, right) => left - right),
      );
    }
    await life.stop();
  });

  it('saves no checkpoint behind a record that another lane has not done', async () => {
    const world = new ConsumersWorld();
    const handler: TextHandler = async batch => {
      if (batch.some(({ event }) => event === 'k0:0')) await delay(world.clock, 1_000);
    };
    for (let index = 0; index < 100; index++) putAll(world, `k${index}:${index}`);
    const life = world.start(handler, mapping({ BatchSize: 5, ParallelizationFactor: 10 }));
    await world.clock.advance(900);
    assert.deepEqual([...world.checkpoints.values()], [0n]);
    assert.equal(world.account.size, 0);
    await world.clock.advance(200);
    assert.deepEqual([...world.checkpoints.values()], [300n]); // Its numbers go by threes.
    assert.deepEqual(countsOf(world.account), { handled: 100 });
    await life.stop();
  });

  it('blocks the lane of a batch that fails, and no other; waits longer each time, by chance a part of it (covers S1-34 S2-27)', async () => {
    const world = new ConsumersWorld();
    const { given, handler } = noting(world, failingOn('a:1'));
    const life = world.start(handler, { ...mapping({ ParallelizationFactor: 2, BatchSize: 10 }), retryDelayMs: 1_000 });
    putAll(world, 'a:1', 'a:2', 'b:1'); // The keys a and b fall into different lanes.
    await world.clock.settle();
    putAll(world, 'a:3', 'b:2');
    await world.clock.advance(120_000);
    const ofA = given.filter(({ texts }) => texts[0].startsWith('a'));
    for (const { texts } of ofA) assert.deepEqual(texts, ['a:1', 'a:2']);
    assert.deepEqual(textsOf(given.filter(({ texts }) => texts[0].startsWith('b'))), [['b:1'], ['b:2']]);
    for (let attempt = 1; attempt < ofA.length; attempt++) {
      const waitedMs = ofA[attempt].atMs - ofA[attempt - 1].atMs;
      assert.ok(waitedMs <= Math.min(1_000 * 2 ** (attempt - 1), 60_000), `${waitedMs} ms`);
      assert.equal(ofA[attempt].context.attempt, attempt + 1);
      assert.equal(ofA[attempt].context.isRedelivered, true);
    }
    assert.ok(ofA.length > 5);
    assert.equal(life.consumer.snapshot().shards[0].waiting, 2);
    life.kill();
  });
});

describe('event source mapping: failures', () => {
  it('gives a whole batch up after its retries, tells the destination, and goes on', async () => {
    const world = new ConsumersWorld();
    const startedAtMs = world.clock.nowMs();
    const { given, handler } = noting(world, failingOn('a:2'));
    putAll(world, 'a:1', 'a:2', 'b:3');
    await world.clock.advance(1_000);
    const options = { functionArn: 'arn:fn', streamArn: 'arn:stream', retryDelayMs: 0 };
    const life = world.start(handler, { ...mapping({ BatchSize: 3, MaximumRetryAttempts: 2 }), ...options });
    await world.clock.advance(1_000);
    putAll(world, 'a:4');
    await world.clock.advance(1_000);
    assert.deepEqual(textsOf(given), [['a:1', 'a:2', 'b:3'], ['a:1', 'a:2', 'b:3'], ['a:1', 'a:2', 'b:3'], ['a:4']]);
    assert.equal(world.givenUp.length, 1);
    const [{ message, letters }] = world.givenUp;
    const { requestId, ...requestContext } = message.requestContext;
    assert.match(requestId, /^[0-9a-z]{26}$/);
    assert.deepEqual(requestContext, {
      functionArn: 'arn:fn',
      condition: 'RetryAttemptsExhausted',
      approximateInvokeCount: 3,
    });
    assert.deepEqual(message.responseContext, {
      statusCode: 200,
      executedVersion: '$LATEST',
      functionError: 'Unhandled',
    });
    assert.equal(message.version, '1.0');
    assert.equal(message.timestamp, new Date(startedAtMs + 1_000).toISOString());
    assert.deepEqual(message.KinesisBatchInfo, {
      shardId: 'shardId-000000000000',
      startSequenceNumber: '3',
      endSequenceNumber: '9',
      approximateArrivalOfFirstRecord: new Date(startedAtMs).toISOString(),
      approximateArrivalOfLastRecord: new Date(startedAtMs).toISOString(),
      batchSize: 3,
      streamArn: 'arn:stream',
    });
    assert.deepEqual(
      letters.map(({ record, attempts }) => [textOf(record), attempts]),
      [
        ['a:1', 3],
        ['a:2', 3],
        ['b:3', 3],
      ],
    );
    assert.deepEqual(countsOf(world.account), { deadLettered: 3, handled: 1 });
    await life.stop();
  });

  it('with its unkind defaults a poison record stops the shard until it expires, which is never silent', async () => {
    const world = new ConsumersWorld();
    const { given, handler } = noting(world, failingOn('a:1'));
    putAll(world, 'a:1');
    const life = world.start(handler, mapping({ MaximumRecordAgeInSeconds: 600 }));
    await world.clock.advance(300_000);
    putAll(world, 'b:2');
    await world.clock.advance(290_000);
    assert.equal(life.consumer.snapshot().iteratorAgeMs, 590_000);
    assert.ok(given.every(({ texts }) => texts.join() === 'a:1'));
    await world.clock.advance(90_000);
    assert.deepEqual(given.at(-1)?.texts, ['b:2']);
    assert.deepEqual(
      world.dead.map(({ record, condition, error }) => [textOf(record), condition, codeOf(error)]),
      [['a:1', 'MaximumRecordAgeExceeded', 'stream.recordExpired']],
    );
    assert.equal(world.givenUp[0].message.requestContext.condition, 'MaximumRecordAgeExceeded');
    assert.deepEqual(countsOf(world.account), { expired: 1, handled: 1 });
    assert.equal(life.consumer.snapshot().iteratorAgeMs, 0);
    await life.stop();
  });

  it('gives no record to the function that is too old already', async () => {
    const world = new ConsumersWorld();
    const { given, handler } = noting(world);
    putAll(world, 'a:1', 'b:2');
    await world.clock.advance(70_000);
    putAll(world, 'a:3');
    const life = world.start(handler, mapping({ MaximumRecordAgeInSeconds: 60 }));
    await world.clock.advance(10);
    assert.deepEqual(textsOf(given), [['a:3']]);
    assert.deepEqual(world.deadTexts, ['a:1', 'b:2']);
    assert.equal(world.givenUp[0].message.KinesisBatchInfo.batchSize, 2);
    await life.stop();
  });

  it('bisects without using up a retry, in order', async () => {
    const world = new ConsumersWorld();
    const { given, handler } = noting(world, failingOn('a:3'));
    putAll(world, 'a:1', 'a:2', 'a:3', 'a:4');
    const settings = mapping({ BisectBatchOnFunctionError: true, MaximumRetryAttempts: 1 });
    const life = world.start(handler, settings);
    await world.clock.advance(1_000);
    assert.deepEqual(textsOf(given), [
      ['a:1', 'a:2', 'a:3', 'a:4'],
      ['a:1', 'a:2'],
      ['a:3', 'a:4'],
      ['a:3'],
      ['a:3'],
      ['a:4'],
    ]);
    assert.deepEqual(
      given.map(({ context }) => context.attempt),
      [1, 1, 1, 1, 2, 1],
    );
    assert.deepEqual(world.deadTexts, ['a:3']);
    await life.stop();
  });

  it('costs no attempt to be refused for want of room', async () => {
    const refused = new MimamoriError({ code: 'function.busy', message: 'No room.', fix: 'Wait.', retryable: true });
    for (const failureBlocks of ['lane', 'key'] as const) {
      const world = new ConsumersWorld();
      let refusals = 20;
      const { given, handler } = noting(world, async () => {
        if (refusals-- > 0) throw refused;
      });
      putAll(world, 'a:1', 'a:2');
      const isThrottle = (error: unknown) => codeOf(error) === 'function.busy';
      const life = world.start(handler, { ...mapping({ MaximumRetryAttempts: 0 }), failureBlocks, isThrottle });
      await world.clock.advance(30_000);
      assert.equal(given.length, 21);
      assert.deepEqual(world.dead, []);
      assert.equal(life.consumer.snapshot().shards[0].throttles, 20);
      await life.stop();
    }
  });
});

describe('event source mapping: partial responses', () => {
  const settings = (more: Partial<EventSourceMapping> = {}) =>
    mapping({ FunctionResponseTypes: ['ReportBatchItemFailures'], MaximumRetryAttempts: 1, ...more });

  /** What is given the second time when the first answer to records 1 to 4 is `answer`. */
  async function secondGiven(answer: unknown, more: ConsumerSettings = settings()): Promise<string[] | undefined> {
    const world = new ConsumersWorld();
    let calls = 0;
    // Answers come from users: whatever the type says, this is what a handler may return.
    const { given, handler } = noting(world, async () => (calls++ === 0 ? answer : undefined) as undefined);
    putAll(world, 'a:1', 'a:2', 'b:3', 'b:4'); // with the numbers 3, 6, 9 and 12
    const life = world.start(handler, more);
    await world.clock.advance(10_000);
    assert.deepEqual(world.dead, []);
    assert.deepEqual(countsOf(world.account), { handled: 4 });
    await life.stop();
    return given[1]?.texts;
  }

  const named = (...itemIdentifiers: unknown[]) => ({
    batchItemFailures: itemIdentifiers.map(itemIdentifier => ({ itemIdentifier })),
  });
  const all = ['a:1', 'a:2', 'b:3', 'b:4'];

  it('take everything for done that is empty or null', async () => {
    const empty = [undefined, null, {}, { batchItemFailures: null }, { batchItemFailures: [] }, 'done', 5];
    for (const answer of empty) assert.equal(await secondGiven(answer), undefined);
  });

  it('try again from the lowest number on, also what had succeeded', async () => {
    assert.deepEqual(await secondGiven(named('12', '6')), ['a:2', 'b:3', 'b:4']);
    assert.deepEqual(await secondGiven(named('12')), ['b:4']);
    assert.deepEqual(await secondGiven(named('3')), all);
  });

  it('are a failure of the whole batch when they cannot be read', async () => {
    const malformed = [
      named(''),
      named(null),
      named('6', undefined),
      named('7'),
      named('6', '999'),
      named(6),
      { batchItemFailures: [{ wrongName: '6' }] },
      { batchItemFailures: [null] },
      { batchItemFailures: ['6'] },
      { batchItemFailures: '6' },
      { batchItemFailures: { itemIdentifier: '6' } },
    ];
    for (const answer of malformed) assert.deepEqual(await secondGiven(answer), all, JSON.stringify(answer));
  });

  it('are not heeded without the setting', async () => {
    assert.equal(await secondGiven(named('6'), mapping()), undefined);
  });

  it('split the batch at the number when bisection is on, which costs no attempt', async () => {
    const world = new ConsumersWorld();
    const { given, handler } = noting(world, async batch => {
      const bad = batch.find(({ event }) => event === 'b:3');
      return bad && { batchItemFailures: [{ itemIdentifier: String(bad.record.sequenceNumber) }] };
    });
    putAll(world, ...all);
    const life = world.start(handler, settings({ BisectBatchOnFunctionError: true }));
    await world.clock.advance(10_000);
    assert.deepEqual(textsOf(given), [all, ['b:3', 'b:4'], ['b:3'], ['b:3'], ['b:4']]);
    assert.deepEqual(world.deadTexts, ['b:3']);
    assert.equal(codeOf(world.dead[0].error), 'stream.reportedFailed');
    await life.stop();
  });

  it('hold up nothing but the key of the lowest number in our own way', async () => {
    const world = new ConsumersWorld();
    const { given, handler } = noting(world, async batch => {
      const bad = batch.find(({ event }) => event === 'a:2');
      return bad && { batchItemFailures: [{ itemIdentifier: String(bad.record.sequenceNumber) }] };
    });
    putAll(world, 'a:1', 'a:2', 'b:3', 'a:4', 'b:5');
    const life = world.start(handler, { reportsBatchItemFailures: true });
    await world.clock.advance(10_000);
    assert.deepEqual(textsOf(given), [
      ['a:1', 'a:2', 'b:3', 'a:4', 'b:5'],
      ['b:3', 'b:5'],
      ['a:2', 'a:4'],
      ['a:2', 'a:4'],
      ['a:4'],
    ]);
    assert.deepEqual(world.deadTexts, ['a:2']);
    await life.stop();
  });
});

describe('event source mapping: where it begins, and begins again', () => {
  it('repeats after a kill what was not behind the checkpoint, marked, and nothing else', async () => {
    const world = new ConsumersWorld();
    const { given, handler } = noting(world, async batch => {
      if (batch.some(({ event }) => event === 'a:2')) await delay(world.clock, 1_000);
    });
    putAll(world, 'a:1', 'a:2', 'a:3');
    const life = world.start(handler, mapping({ BatchSize: 1 }));
    await world.clock.advance(500);
    life.kill();
    const second = world.start(handler, mapping({ BatchSize: 1 }));
    await world.clock.advance(2_000);
    putAll(world, 'a:4');
    await world.clock.advance(10);
    assert.deepEqual(
      given.map(({ texts, context }) => [texts[0], context.isRedelivered]),
      [
        ['a:1', false],
        ['a:2', false],
        ['a:2', true],
        ['a:3', true], // It may have been handed out before: who was killed cannot tell.
        ['a:4', false],
      ],
    );
    assert.equal(world.account.size, 4);
    await second.stop();
  });

  it('LATEST: at the first start, also when it was killed before it had done anything', async () => {
    const world = new ConsumersWorld(1, 2);
    putAll(world, 'a:1', 'b:2', 'c:3');
    const { given, handler } = noting(world);
    const first = world.start(handler, mapping({ StartingPosition: 'LATEST' }));
    await world.clock.settle();
    first.kill();
    putAll(world, 'a:4', 'b:5', 'c:6');
    world.stream.split(world.stream.openShards[0].shardId);
    putAll(world, 'a:7', 'b:8', 'c:9');
    const second = world.start(handler, mapping({ StartingPosition: 'LATEST' }));
    await world.clock.advance(100);
    assert.deepEqual(textsOf(given).flat().toSorted(), ['a:4', 'a:7', 'b:5', 'b:8', 'c:6', 'c:9']);
    await second.stop();
  });

  it('AT_TIMESTAMP: in every shard, also in the children of one that ended before', async () => {
    const world = new ConsumersWorld();
    putAll(world, 'a:1', 'b:2');
    await world.clock.advance(1_000);
    world.stream.split(world.stream.openShards[0].shardId);
    putAll(world, 'a:3', 'b:4');
    await world.clock.advance(1_000);
    const StartingPositionTimestamp = world.clock.nowMs() / 1_000;
    putAll(world, 'a:5', 'b:6');
    const { given, handler } = noting(world);
    const life = world.start(handler, mapping({ StartingPosition: 'AT_TIMESTAMP', StartingPositionTimestamp }));
    await world.clock.advance(100);
    assert.deepEqual(textsOf(given).flat().toSorted(), ['a:5', 'b:6']);
    await life.stop();
  });

  it('tells the iterator age: of the last record when a batch is handed over', async () => {
    const world = new ConsumersWorld();
    putAll(world, 'a:1');
    await world.clock.advance(500);
    putAll(world, 'a:2');
    await world.clock.advance(200);
    const { given, handler } = noting(world);
    const life = world.start(handler, mapping());
    await world.clock.settle();
    assert.equal(given[0].context.iteratorAgeMs, 200);
    await life.stop();
  });
});

describe('event source mapping: what it refuses', () => {
  const refused: Readonly<Record<string, ConsumerSettings>> = {
    'a batch of none': { batchRecordsMax: 0 },
    'a batch over 10,000': { batchRecordsMax: 10_001 },
    'half a record': { batchRecordsMax: 1.5 },
    'a window over five minutes': { batchWindowMs: 300_001 },
    'a window in the past': { batchWindowMs: -1 },
    'a payload over 6 MB': { batchBytesMax: consumerLimits.batchBytesMax + 1 },
    'eleven lanes': { parallelizationFactor: 11 },
    'no lane': { parallelizationFactor: 0 },
    'no attempt': { attemptsMax: 0 },
    'more retries than Lambda': { attemptsMax: 10_002 },
    'an age below a minute': { recordAgeMsMax: 59_999 },
    'an age over a week': { recordAgeMsMax: 604_800_001 },
    'a tumbling window over fifteen minutes': { tumblingWindowMs: 900_001 },
    'a tumbling window in several lanes': { tumblingWindowMs: 1_000, parallelizationFactor: 2 },
    'a tumbling window that lets keys pass each other': { tumblingWindowMs: 1_000, failureBlocks: 'key' },
    'not a number': { retryDelayMs: Number.NaN },
    'no point in time': { startingPosition: { type: 'AT_TIMESTAMP', atMs: Number.NaN } },
    'a look ahead that no batch fits into': { batchRecordsMax: 100, lookAheadRecordsMax: 99 },
  };
  for (const [what, settings] of Object.entries(refused)) {
    it(what, () => {
      assert.throws(() => new ConsumersWorld().start(async () => {}, settings), { code: 'stream.consumerNotValid' });
    });
  }

  it('a timestamp that is missing, and nothing of what Lambda takes', () => {
    const world = new ConsumersWorld();
    assert.throws(() => world.start(async () => {}, mapping({ StartingPosition: 'AT_TIMESTAMP' })), /point in time/);
    const most = mapping({
      BatchSize: 10_000,
      MaximumBatchingWindowInSeconds: 300,
      ParallelizationFactor: 10,
      MaximumRetryAttempts: 10_000,
      MaximumRecordAgeInSeconds: 604_800,
    });
    world.start(async () => {}, most).kill();
    world.start(async () => {}, mapping({ TumblingWindowInSeconds: 900, MaximumRetryAttempts: -1 })).kill();
  });
});
