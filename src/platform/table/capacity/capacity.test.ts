import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CallCounter } from '../../../kernel/call-counter.ts';
import { seededRandom } from '../../../kernel/random.ts';
import { VirtualClock } from '../../../kernel/virtual-clock.ts';
import { HotKeys } from './hot-keys.ts';
import { CapacityLedger, ledgerLimits } from './ledger.ts';
import type { Meter, Use } from './meter.ts';
import { AwsThroughput, type Throughput } from './throughput.ts';

const write: Use = { kind: 'write', tableName: 'app', partition: ['hot'] };

describe('capacity ledger', () => {
  it('adds up units by table, index, access pattern and function, the most used first', async () => {
    const clock = new VirtualClock();
    const ledger = new CapacityLedger(clock);
    const read: Use = { kind: 'read', tableName: 'app', indexName: 'GSI1', caller: { accessPattern: 'byOwner' } };
    ledger.charge(read, 0.5);
    await clock.advance(65_000);
    ledger.charge(read, 1.5);
    ledger.charge({ ...read, caller: { accessPattern: 'byOwner', functionName: 'play' } }, 1);
    ledger.charge(write, 3);
    assert.deepEqual(ledger.rows(), [
      { kind: 'write', tableName: 'app', parts: 1, units: 3, lastMinuteUnits: 3 },
      {
        kind: 'read',
        tableName: 'app',
        indexName: 'GSI1',
        accessPattern: 'byOwner',
        parts: 2,
        units: 2,
        lastMinuteUnits: 1.5,
      },
      {
        kind: 'read',
        tableName: 'app',
        indexName: 'GSI1',
        accessPattern: 'byOwner',
        functionName: 'play',
        parts: 1,
        units: 1,
        lastMinuteUnits: 1,
      },
    ]);
  });

  it('keeps of the last minute what is not older, to ten seconds', async () => {
    const clock = new VirtualClock();
    const ledger = new CapacityLedger(clock);
    for (let second = 0; second < 300; second++) {
      ledger.charge(write, 1);
      await clock.advance(1_000);
    }
    const [{ units, lastMinuteUnits }] = ledger.rows();
    assert.equal(units, 300);
    assert(lastMinuteUnits >= 50 && lastMinuteUnits <= 60, `${lastMinuteUnits}`);
    await clock.advance(3_600_000);
    assert.equal(ledger.rows()[0].lastMinuteUnits, 0);
  });

  it('tells the invocation what it uses', () => {
    const calls = new CallCounter('play');
    new CapacityLedger(new VirtualClock()).charge({ ...write, caller: { functionName: 'play', calls } }, 3);
    assert.equal(calls.use.writeUnits, 3);
  });

  it('counts what comes after the last row as others, and loses no unit', () => {
    const ledger = new CapacityLedger(new VirtualClock());
    for (let table = 0; table < ledgerLimits.rowsMax + 10; table++) {
      ledger.charge({ kind: 'read', tableName: `t${table}` }, 1);
    }
    const rows = ledger.rows();
    assert.equal(rows[0].tableName, '(others)');
    assert.equal(rows[0].units, 10);
    assert.equal(
      rows.reduce((sum, { units }) => sum + units, 0),
      ledgerLimits.rowsMax + 10,
    );
  });

  it('names the hot partition first under a skewed load, and cools down (covers S2-18)', async () => {
    const clock = new VirtualClock();
    const ledger = new CapacityLedger(clock);
    const random = seededRandom(1);
    for (let count = 0; count < 20_000; count++) {
      const key = random.integer(10) === 0 ? 'hot' : `cold-${random.integer(5_000)}`;
      ledger.charge({ ...write, partition: [key] }, 1);
    }
    const [first, second] = ledger.hotPartitions(2);
    assert.equal(first.partition, 'hot');
    assert(first.share > 0.08 && first.share < 0.15, `${first.share}`);
    assert(second.units < first.units / 4);
    await clock.advance(30 * 60_000);
    assert.deepEqual(ledger.hotPartitions(2), []);
  });
});

describe('hot keys', () => {
  it('have every key above 1/keysMax of the use, their counts between the bounds given', () => {
    const keys = new HotKeys(64);
    const exact = new Map<string, number>();
    const random = seededRandom(7);
    let total = 0;
    for (let count = 0; count < 50_000; count++) {
      const key = `k${Math.floor(2 ** (random.integer(1_000) / 100))}`; // a long tail
      const units = 1 + random.integer(3);
      exact.set(key, (exact.get(key) ?? 0) + units);
      total += units;
      keys.add(key, units);
    }
    const found = new Map(keys.hottest(64).map(key => [key.key, key]));
    for (const [key, units] of exact) {
      const counted = found.get(key);
      if (units > total / 64) assert(counted !== undefined, `${key} is missing`);
      if (counted !== undefined) assert(counted.unitsMin <= units && units <= counted.units, key);
    }
  });
});

describe('throughput as AWS has it', () => {
  const arn = 'arn:aws:dynamodb:us-east-1:000000000000:table/app';
  const make = (throughput: Partial<Throughput> = {}) => {
    const clock = new VirtualClock();
    return { clock, meter: new AwsThroughput(clock, () => ({ arn, ...throughput })) };
  };
  /** How many units a second gets through, one call of `units` after the other. */
  const push = (meter: Meter, use: (call: number) => Use, calls: number, units = 1) => {
    let done = 0;
    for (let call = 0; call < calls; call++) {
      try {
        meter.admit(use(call));
      } catch {
        continue;
      }
      meter.charge(use(call), units);
      done += units;
    }
    return done;
  };

  it('gives one partition key 1,000 writes and 3,000 reads a second, whatever the table has (covers S0-20)', async () => {
    const { clock, meter } = make({ provisioned: { read: 40_000, write: 40_000 } });
    assert.equal(
      push(meter, () => write, 5_000),
      1_000,
    );
    await clock.advance(1_000);
    assert.equal(
      push(meter, () => write, 5_000),
      1_000,
    );
    assert.equal(
      push(meter, () => ({ ...write, kind: 'read' }), 5_000),
      3_000,
    );
    assert.throws(() => meter.admit(write), {
      name: 'ProvisionedThroughputExceededException',
      code: 'table.throttled',
      ThrottlingReasons: [{ reason: 'TableWriteKeyRangeThroughputExceeded', resource: arn }],
    });
  });

  it('lets a provisioned table save 300 seconds for a burst, then holds it to its units', async () => {
    const { clock, meter } = make({ provisioned: { read: 10, write: 10 } });
    const spread = (call: number): Use => ({ ...write, partition: [`key-${call}`] });
    assert.equal(push(meter, spread, 10_000), 1_000); // one partition is all it has
    let burst = 1_000;
    for (let second = 0; second < 4; second++) {
      await clock.advance(1_000);
      burst += push(meter, spread, 10_000);
    }
    assert(burst >= 3_000 && burst <= 3_050, `${burst}`);
    await clock.advance(10_000);
    assert.equal(push(meter, spread, 10_000), 100);
    assert.throws(() => meter.admit(spread(1)), {
      ThrottlingReasons: [{ reason: 'TableWriteProvisionedThroughputExceeded', resource: arn }],
    });
  });

  it('starts on demand with 4,000 writes a second over all keys, and follows twice the previous peak', async () => {
    const { clock, meter } = make();
    const spread = (call: number): Use => ({ ...write, partition: [`key-${call}`] });
    const perSecond = async () => {
      await clock.advance(1_000);
      return push(meter, spread, 6_000);
    };
    assert.equal(await perSecond(), 4_000);
    await clock.advance(29 * 60_000);
    assert.equal(await perSecond(), 4_000);
    await clock.advance(60_000);
    await perSecond();
    assert.equal(await perSecond(), 6_000);
  });

  it('splits a partition that stays throttled, until a hot key is alone in it', async () => {
    const { clock, meter } = make({ provisioned: { read: 1_000, write: 1_000 } });
    const two = (call: number): Use => ({ ...write, partition: [call % 2 === 0 ? 'left' : 'right'] });
    const second = async () => {
      await clock.advance(1_000);
      return push(meter, two, 1_200);
    };
    await clock.advance(300_000);
    assert.equal(await second(), 1_000);
    let most = 0;
    for (let count = 0; count < 299; count++) most = Math.max(most, await second());
    assert(most > 1_150, `${most}`);
  });

  it('loses no debt: a large read is paid off before the next is admitted', async () => {
    const { clock, meter } = make({ provisioned: { read: 100, write: 1 } });
    const read: Use = { kind: 'read', tableName: 'app', partition: ['one'] };
    meter.admit(read);
    meter.charge(read, 9_000);
    assert.throws(() => meter.admit(read), { code: 'table.throttled' });
    await clock.advance(2_000);
    assert.throws(() => meter.admit(read), { code: 'table.throttled' });
    await clock.advance(1_100);
    meter.admit(read);
  });
});
