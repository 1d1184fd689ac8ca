import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { testScale } from '../../../test/support.ts';
import { ReceivedTally, tallyLimits } from '../../iot/rules/index.ts';
import { MimamoriError } from '../../kernel/errors.ts';
import type { Appended, StreamReader } from '../../platform/stream/index.ts';
import { countingReader } from './counting-reader.ts';
import { Counts, sumOf } from './counts.ts';
import { imbalancesOf } from './imbalance.ts';
import { LedgerWorld, type WorldConsumer } from './ledger-world.ts';
import { ledgerLimits } from './limits.ts';
import { startOf } from './minutes.ts';
import { packCounts, unpackCounts } from './packing.ts';
import { PassedBy } from './passed-by.ts';

function countsOf(columns: number, rows: Readonly<Record<string, readonly number[]>>): Counts {
  const counts = new Counts(columns);
  for (const [thing, row] of Object.entries(rows)) counts.addRow(thing, row);
  return counts;
}

describe('counts of a minute', () => {
  it('come back as they were packed, whatever things are called', () => {
    const rows = fc.dictionary(
      fc.string({ unit: 'grapheme', maxLength: 40 }),
      fc.tuple(fc.nat(), fc.nat(), fc.nat(), fc.maxSafeNat()),
    );
    fc.assert(
      fc.property(rows, fc.tuple(fc.nat(), fc.nat(), fc.nat(), fc.nat()), (things, others) => {
        const counts = countsOf(4, things);
        counts.addOthers(others);
        const back = unpackCounts(packCounts(counts));
        assert.deepEqual(new Map(back.things), new Map(counts.things));
        assert.deepEqual(back.others, counts.others);
      }),
    );
  });

  it('take few bytes for a fleet, and name no more things than they may', () => {
    const counts = new Counts(4);
    for (let thing = 0; thing < ledgerLimits.thingsMax + 500; thing++)
      counts.add(`sensor-${String(thing).padStart(6, '0')}`, 0, 6);
    assert.equal(counts.size, ledgerLimits.thingsMax);
    assert.equal(counts.others[0], 3_000);
    assert.deepEqual(counts.totals, [63_000, 0, 0, 0]);
    const packed = packCounts(counts);
    assert.ok(packed.length < 3 * ledgerLimits.thingsMax, `${packed.length} bytes`);
    assert.throws(() => unpackCounts(Uint8Array.of(9, 0)), { code: 'ledger.formatTooNew' });
  });
});

describe('two accounts of the same records', () => {
  it('agree, or say whose records are missing', () => {
    const received = countsOf(1, { lamp: [5], door: [2], bell: [1] });
    const settled = countsOf(4, { lamp: [3, 1, 1, 0], door: [0, 2, 0, 0], bell: [0, 0, 0, 1] });
    assert.deepEqual(imbalancesOf(received, settled), []);
    settled.add('lamp', 0);
    received.add('stove', 0);
    assert.deepEqual(imbalancesOf(received, settled), [
      { thingName: 'lamp', received: 5, settled: [4, 1, 1, 0] },
      { thingName: 'stove', received: 1, settled: [0, 0, 0, 0] },
    ]);
  });

  it('balance, whichever things either of them could not name', () => {
    const names = Array.from({ length: 30 }, (_, index) => `thing-${index}`);
    const split = fc.tuple(fc.nat(9), fc.nat(9), fc.nat(9), fc.nat(9));
    fc.assert(
      fc.property(
        fc.array(split, { minLength: 30, maxLength: 30 }),
        fc.subarray(names),
        fc.subarray(names),
        fc.nat(29),
        fc.boolean(),
        (rows, hiddenR, hiddenS, at, loses) => {
          const received = new Counts(1);
          const settled = new Counts(4);
          for (const [index, name] of names.entries()) {
            const row = rows[index];
            if (hiddenR.includes(name)) received.addOthers([sumOf(row)]);
            else received.addRow(name, [sumOf(row)]);
            if (hiddenS.includes(name)) settled.addOthers(row);
            else settled.addRow(name, row);
          }
          if (loses) received.add(names[at], 0);
          assert.equal(imbalancesOf(received, settled).length > 0, loses);
        },
      ),
    );
  });
});

describe('what the gateway counts', () => {
  const atMs = 7 * 60_000;
  const appended = (numbers: readonly bigint[], failed: readonly number[] = []): Appended => ({
    placeOf: index => {
      assert.ok(!failed.includes(index));
      return { shardId: 's', sequenceNumber: numbers[index] };
    },
    failed: new Map(
      failed.map(index => [index, new MimamoriError({ code: 'stream.throttled', message: '', fix: '' })]),
    ),
    arrivalAtMs: atMs,
  });

  it('is what was kept, by thing and minute, with the range of the log it is all of', () => {
    let asked = 0;
    const tally = new ReceivedTally(() => asked++);
    tally.add(['lamp', 'bell', 'lamp'], appended([11n, 12n, 13n]));
    tally.add(['door', 'bell', 'bell'], appended([16n, 0n, 14n], [1])); // As shards order them, one refused.
    tally.add(['door'], appended([15n]));
    const { after, upTo, minutes } = tally.take() ?? assert.fail();
    assert.deepEqual([after, upTo], [10n, 16n]);
    const [{ minute, things, counts, others }] = minutes;
    assert.deepEqual([minute, things, counts, others], [7, ['lamp', 'bell', 'door'], [2, 2, 2], 0]);
    assert.equal(tally.take(), undefined);
    tally.add(['lamp'], appended([17n]));
    assert.equal(tally.take()?.after, 16n);
    assert.equal(asked, 2);
  });

  it('is let go where others wrote in between, nothing was kept, or the engine does not say when', () => {
    const tally = new ReceivedTally();
    tally.add(['lamp'], appended([1n]));
    tally.add(['lamp'], appended([3n]));
    assert.equal(tally.take(), undefined);
    tally.add(['lamp'], appended([4n], [0]));
    tally.add(['lamp'], { ...appended([4n]), arrivalAtMs: undefined });
    assert.equal(tally.take(), undefined);
    for (let minute = 0; minute < 100; minute++)
      tally.add(['lamp'], { ...appended([BigInt(minute + 5)]), arrivalAtMs: minute * 60_000 });
    assert.ok((tally.take()?.minutes.length ?? 0) <= tallyLimits.minutesMax);
    tally.add(
      Array.from({ length: tallyLimits.thingsMax + 5 }, (_, index) => `thing-${index}`),
      {
        ...appended([]),
        placeOf: index => ({ shardId: 's', sequenceNumber: BigInt(200 + index) }),
      },
    );
    assert.equal(tally.take()?.minutes[0].others, 5);
  });
});

describe('what a reader passes by', () => {
  const things = ['lamp', 'door', 'lamp', 'bell'].map(name => Buffer.from(name));

  it('is told of once, up to a position, whatever is read again', () => {
    const passedBy = new PassedBy({ namesLieInTopics: false, after: 10n });
    const tell = (first: bigint, atMs: number) => {
      passedBy.begin(first, atMs);
      for (const [index, name] of things.entries()) passedBy.add(index, name, 0, name.length, name.length);
    };
    const taken = (upTo: bigint) => {
      const told: unknown[] = [];
      passedBy.take(upTo, (...each) => void told.push(each));
      return told;
    };
    tell(9n, 1); // 9 and 10 were counted before.
    tell(13n, 2);
    assert.deepEqual(taken(11n), [['lamp', 11n, 1, 1]]);
    tell(9n, 1);
    tell(13n, 2);
    tell(17n, 3);
    assert.deepEqual(taken(14n), [
      ['bell', 12n, 1, 1],
      ['lamp', 14n, 2, 1],
      ['door', 14n, 2, 1],
    ]);
    assert.deepEqual(taken(20n), [
      ['lamp', 16n, 2, 1],
      ['bell', 16n, 2, 1],
      ['lamp', 20n, 3, 2],
      ['door', 20n, 3, 1],
      ['bell', 20n, 3, 1],
    ]);
    assert.deepEqual(taken(1_000n), []);
  });

  it('is counted for others when there are too many names, and again by name when there is room', () => {
    const passedBy = new PassedBy({ namesLieInTopics: false, after: 0n });
    const named: (string | undefined)[] = [];
    const take = (upTo: bigint) => passedBy.take(upTo, thingName => void named.push(thingName));
    for (let number = 0; number < 20_000; number++) {
      const name = Buffer.from(`thing-${number}`);
      passedBy.begin(BigInt(number + 1), 0);
      passedBy.add(0, name, 0, name.length, name.length);
    }
    take(20_000n);
    assert.equal(named.length, 20_000);
    assert.equal(named.filter(name => name === undefined).length, 20_000 - 16_384);
    passedBy.begin(20_001n, 0);
    passedBy.add(0, Buffer.from('thing-19999'), 0, 11, 11);
    take(20_001n);
    assert.equal(named.at(-1), 'thing-19999');
  });
});

describe('the ledger', () => {
  it('says of each minute what was received and what became of it', async () => {
    const world = await new LedgerWorld().start();
    await world.receive('lamp:on', 'lamp:filtered', 'door:poison', 'door:open');
    await world.minutePasses();
    await world.receive('lamp:off');
    await world.minutePasses();
    assert.deepEqual(await world.totals('lights'), { received: 5, settled: [3, 1, 1, 0] });
    assert.deepEqual(world.alarms.names, []);
    assert.ok((world.ledger.books.get('lights')?.checked?.UpTo ?? 0) > 0);
    await world.stop();
  });

  it('counts what a reader passes by without reading it, and what has expired', async () => {
    const consumers = {
      doors: { prefix: 'dt/app/doors/' },
      all: {},
      late: { recordAgeMsMax: 60_000, attemptsMax: 10_000, retryDelayMs: 1_000, batchRecordsMax: 1 },
    };
    const world = await new LedgerWorld().start(consumers);
    await world.receive('lamp:on', 'bell:rings', 'lamp:poison');
    await world.minutePasses();
    await world.minutePasses();
    await world.minutePasses();
    assert.deepEqual((await world.totals('doors')).settled, [0, 3, 0, 0]);
    assert.deepEqual((await world.totals('all')).settled, [2, 0, 1, 0]);
    assert.equal(sumOf((await world.totals('late')).settled), 3);
    assert.equal((await world.totals('late')).settled[3], 1);
    assert.deepEqual(world.alarms.names, []);
    await world.stop();
  });

  it('names the thing and the minute of a record that is lost on its way (it can fail)', async () => {
    const dropping = (reader: StreamReader): StreamReader => ({
      ...reader,
      shards: () => reader.shards(),
      locate: (...args) => reader.locate(...args),
      waitBeyond: (...args) => reader.waitBeyond(...args),
      close: () => reader.close(),
      read: async (...args) => (await reader.read(...args)).filter(({ data }) => !data.includes('vanishes')),
    });
    const world = await new LedgerWorld().start({ lights: { spoil: dropping }, doors: {} });
    await world.receive('lamp:on', 'door:open');
    await world.minutePasses();
    const atMs = world.clock.nowMs();
    await world.receive('lamp:on', 'door:vanishes', 'lamp:off');
    await world.minutePasses();
    await world.receive('lamp:on');
    await world.minutePasses();
    assert.deepEqual(world.alarms.names, ['ledgerImbalance lights']);
    const { message, facts } = [...world.alarms.active.values()][0];
    const minuteAtMs = startOf(Math.floor(atMs / 60_000));
    assert.match(message, /messages of door in the minute from .*: ?.*, 1 of 1 were received and never came to an end/);
    assert.equal(facts?.minuteAtMs, minuteAtMs);
    const found = {
      consumer: 'lights',
      minuteAtMs,
      thingName: 'door',
      received: 1,
      handled: 0,
      filtered: 0,
      deadLettered: 0,
      expired: 0,
    };
    assert.deepEqual(await world.clock.until(world.ledger.alarms.list()), [found]);
    await world.stop();
  });

  it('waits with its judgement while a consumer is behind', async () => {
    const world = await new LedgerWorld().start({
      lights: { attemptsMax: 10_000, retryDelayMs: 10_000, batchRecordsMax: 1 },
    });
    await world.receive('lamp:on', 'lamp:poison', 'lamp:off');
    for (let minute = 0; minute < 5; minute++) await world.minutePasses();
    assert.deepEqual(world.alarms.names, []);
    assert.ok((world.ledger.books.get('lights')?.checked?.UpTo ?? 0) < 0);
    world.kill();
    await world.start({ lights: { attemptsMax: 1 } });
    await world.minutePasses();
    assert.deepEqual(await world.totals('lights'), { received: 3, settled: [2, 0, 1, 0] });
    assert.deepEqual(world.alarms.names, []);
    await world.stop();
  });

  it('compares a long time that a consumer has caught up with, a part at a time, and leaves out none', async () => {
    const stuck = { lights: { attemptsMax: 10_000, retryDelayMs: 60_000, batchRecordsMax: 1 } };
    const world = await new LedgerWorld().start(stuck);
    await world.receive('lamp:poison');
    const minutes = ledgerLimits.checkedMax + 30;
    for (let minute = 0; minute < minutes; minute++) {
      await world.receive(`lamp:${minute}`);
      await world.advance(60_000);
      world.tell();
    }
    const dropping = (reader: StreamReader): StreamReader => ({
      ...countingReader(reader, () => assert.fail()),
      read: async (...args) =>
        (await reader.read(...args)).filter(({ data }) => !data.toString().endsWith(`/state${minutes - 2}`)),
    });
    world.kill();
    await world.start({ lights: { attemptsMax: 1, spoil: dropping } });
    await world.receive('lamp:last');
    for (let minute = 0; minute < 4; minute++) await world.minutePasses();
    const [{ minuteAtMs, received, handled }, ...others] = await world.clock.until(world.ledger.alarms.list());
    assert.deepEqual([received, handled, others.length], [1, 0, 0]);
    assert.ok(minuteAtMs > world.clock.nowMs() - 60_000 * 12);
    assert.ok((world.ledger.books.get('lights')?.checked?.UpTo ?? 0) * 60_000 > minuteAtMs);
    await world.stop();
  });

  it('remembers through a kill what was dead-lettered, what has expired and what was passed by', async () => {
    const late = { recordAgeMsMax: 60_000, attemptsMax: 10_000, retryDelayMs: 1_000, batchRecordsMax: 1 };
    const consumers = { lights: {}, late };
    const world = await new LedgerWorld().start(consumers);
    await world.receive('lamp:poison', 'lamp:on', 'lamp:filtered');
    await world.advance(3_000);
    world.kill();
    await world.start(consumers);
    assert.deepEqual((await world.totals('lights')).settled, [1, 1, 1, 0]);
    for (let waited = 0; sumOf((await world.totals('late')).settled) < 3; waited++) {
      assert.ok(waited < 100);
      await world.advance(1_000);
    }
    const before = (await world.totals('late')).settled;
    assert.ok(before[3] > 0);
    await world.crash(consumers);
    assert.deepEqual((await world.totals('late')).settled, before);
    await world.stop();
  });

  it('finds a checkpoint that has moved over a record that nobody had', async () => {
    const world = await new LedgerWorld().start();
    await world.receive('lamp:1', 'lamp:2', 'lamp:3');
    await world.advance(1_000);
    const Key = { PK: 'Checkpoint-lights', SK: 'shardId-000000000000' };
    const { Item } = await world.clock.until(world.table.get({ TableName: 'app', Key }));
    assert.equal(Item?.UpTo, '3');
    await world.receive('lamp:4', 'lamp:5');
    world.kill(); // Before anybody has seen them.
    await world.start({});
    await world.clock.until(world.table.put({ TableName: 'app', Item: { ...Item, UpTo: '5' } }));
    await world.crash();
    assert.deepEqual(world.alarms.names, ['ledgerImbalance lights']);
    assert.match([...world.alarms.active.values()][0].message, /had counted 3 records .* the log holds 5/);
    await world.stop();
  });

  it('counts by thing where the partition key is another', async () => {
    const world = await new LedgerWorld({ namesLieInTopics: true }).start({
      doors: { prefix: 'dt/app/doors/' },
      all: {},
    });
    await world.receive('lamp:on', 'lamp:off', 'bell:rings');
    await world.minutePasses();
    assert.deepEqual(world.alarms.names, []);
    const [minute] = await world.clock.until(
      world.ledger.checker.minutes(world.ledger.books.get('all') as never, -1, 1e9),
    );
    const counts = await world.clock.until(world.ledger.received.countsOf(minute));
    assert.deepEqual([...counts.things].sort(), [
      ['bell', [1]],
      ['lamp', [2]],
    ]);
    for (const consumer of ['doors', 'all']) assert.equal(sumOf((await world.totals(consumer)).settled), 3);
    await world.stop();
  });

  it('begins with the next minute in a stream that is older than it, or for a consumer that is new', async () => {
    const world = await new LedgerWorld().start({});
    await world.receive('lamp:1', 'lamp:2');
    await world.minutePasses();
    await world.stop();
    await world.start({ lights: {}, newest: { startingPosition: { type: 'LATEST' } } });
    await world.receive('lamp:3');
    await world.minutePasses();
    await world.receive('lamp:4');
    await world.minutePasses();
    assert.deepEqual(world.alarms.names, []);
    assert.deepEqual((await world.totals('lights')).settled, [4, 0, 0, 0]);
    assert.deepEqual((await world.totals('newest')).settled, [2, 0, 0, 0]);
    await world.stop();
  });

  it('keeps a week, and writes nothing while nothing comes', async () => {
    const world = await new LedgerWorld().start();
    await world.receive('lamp:on');
    await world.minutePasses();
    const itemsOf = async () => (await world.clock.until(world.table.scan({ TableName: 'app' }))).Items ?? [];
    const before = await itemsOf();
    await world.advance(3_600_000);
    assert.deepEqual(await itemsOf(), before);
    await world.clock.suspend(ledgerLimits.retentionMinutes * 60_000);
    const minute = Math.floor(world.clock.nowMs() / 60_000);
    await world.receive('lamp:off');
    await world.minutePasses();
    const kept = (await itemsOf()).filter(({ PK }) => PK === '$Ledger' || PK.startsWith('$Ledger-'));
    assert.deepEqual(
      kept.map(({ SK }) => Number.parseInt(SK, 10)),
      [minute, minute],
    );
    await world.stop();
  });

  it('follows a stream whose shards are split and merged', async () => {
    const world = await new LedgerWorld({ shards: 2 }).start({ all: {}, doors: { prefix: 'dt/app/doors/' } });
    const send = async (round: number) => {
      await world.receive(...Array.from({ length: 20 }, (_, index) => `thing-${index}:${round}`));
      await world.minutePasses();
    };
    await send(0);
    const [{ shardId, hashKeys }] = await world.clock.until(world.stream.shards());
    await world.clock.until(world.stream.splitShard(shardId, hashKeys.from + (hashKeys.to - hashKeys.from) / 2n));
    await send(1);
    const open = (await world.clock.until(world.stream.shards())).filter(
      ({ endingSequenceNumber }) => endingSequenceNumber === undefined,
    );
    const [left, right] = open.sort((one, other) => (one.hashKeys.from < other.hashKeys.from ? -1 : 1));
    await world.clock.until(world.stream.mergeShards(left.shardId, right.shardId));
    await send(2);
    await world.crash({ all: {}, doors: { prefix: 'dt/app/doors/' } });
    await send(3);
    assert.deepEqual(world.alarms.names, []);
    assert.deepEqual(await world.totals('all'), { received: 80, settled: [80, 0, 0, 0] });
    assert.deepEqual((await world.totals('doors')).settled, [0, 80, 0, 0]);
    for (const [, book] of world.ledger.books) assert.ok((book.checked?.UpTo ?? 0) > 0);
    await world.stop();
  });

  it('balances after kills at any moment, with whatever comes and fails', async () => {
    const message = fc.tuple(
      fc.constantFrom('lamp', 'door', 'bell'),
      fc.constantFrom('on', 'on', 'on', 'poison', 'filtered'),
    );
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.array(message, { minLength: 1, maxLength: 8 }) },
      { weight: 3, arbitrary: fc.constantFrom(0, 1, 3, 50, 1_500, 11_000, 70_000) },
      { weight: 3, arbitrary: fc.constantFrom('tell' as const, 'kill' as const, 'appDies' as const) },
      { weight: 2, arbitrary: fc.constantFrom('lose' as const, 'elsewhere' as const, 'full' as const) },
    );
    const consumers: Record<string, WorldConsumer> = { lights: { attemptsMax: 2 }, doors: { prefix: 'dt/app/doors/' } };
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async steps => {
        const world = await new LedgerWorld().start(consumers);
        const sent: string[] = [];
        for (const each of steps) {
          if (each === 'tell') world.tell();
          else if (each === 'lose')
            world.tally.take(); // It was told to an app that ended before it could store it.
          else if (each === 'kill') await world.crash(consumers);
          else if (each === 'appDies') await world.startApp(consumers);
          else if (each === 'full') {
            world.tableIsFull = true;
            await world.advance(500);
            world.tableIsFull = false;
          } else if (typeof each === 'number') await world.advance(each);
          else {
            const messages = each === 'elsewhere' ? ['lamp:on'] : each.map(([thing, text]) => `${thing}:${text}`);
            if (each === 'elsewhere') await world.receiveElsewhere(...messages);
            else await world.receive(...messages);
            sent.push(...messages.map(message => message.split(':')[1]));
          }
        }
        for (let minute = 0; minute < 3; minute++) await world.minutePasses();
        assert.deepEqual(world.alarms.names, []);
        const count = (text: string) => sent.filter(each => each === text).length;
        const settled = [count('on'), count('filtered'), count('poison'), 0];
        assert.deepEqual(await world.totals('lights'), { received: sent.length, settled });
        assert.deepEqual(await world.totals('doors'), { received: sent.length, settled: [0, sent.length, 0, 0] });
        for (const [, book] of world.ledger.books) if (sent.length > 0) assert.ok((book.checked?.UpTo ?? 0) > 0);
        await world.stop();
      }),
      { numRuns: testScale(40, 2_000) },
    );
  });
});
