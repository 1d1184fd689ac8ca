import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Counters } from '../../kernel/counters.ts';
import { openMemoryStore } from '../../kernel/memory-store.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import type { InvocationReport } from '../../platform/functions/index.ts';
import { openEmbeddedTable } from '../../platform/table/index.ts';
import { appTable } from '../entities/index.ts';
import { Traces, traceLimits } from './index.ts';

const shardId = 'shardId-000000000000';

async function start(bytesMax?: number) {
  const clock = new VirtualClock();
  const store = await openMemoryStore({ clock });
  const table = await clock.until(openEmbeddedTable({ store, clock, tables: [appTable] }));
  const counters = new Counters();
  const traces = new Traces({ table, clock, counters, bytesMax });
  const report = (number: number, rest: Partial<InvocationReport> = {}): InvocationReport => ({
    requestId: `r-${number}`,
    functionName: 'onLight',
    trigger: 'telemetry',
    outcome: 'succeeded',
    startedAtMs: clock.nowMs(),
    durationMs: 1.23456,
    attempt: 1,
    cause: { depth: 0, originId: 'o', path: [] },
    eventId: `${shardId}:${number}`,
    use: { calls: 0, readUnits: 0, writeUnits: 0 },
    measures: {},
    ...rest,
  });
  const find = (number: bigint) => clock.until(traces.find('onLight', shardId, number));
  const chunks = async () => (await clock.until(table.scan({ TableName: appTable.tableName }))).Items ?? [];
  return { clock, table, counters, traces, report, find, chunks };
}

describe('traces of invocations', () => {
  it('are found by the record they were for, before and after they are stored, each attempt of it', async () => {
    const { clock, traces, report, find } = await start();
    for (let number = 1; number <= 1_200; number++)
      traces.note(report(number, { attempt: 1, outcome: 'failed', error: new Error('no') }));
    await clock.advance(2_000);
    traces.note(report(700, { attempt: 2 }));
    traces.note(report(2_000, { eventId: undefined, records: { shardId, first: 690n, last: 720n, count: 20 } }));
    for (let round = 0; round < 2; round++) {
      const found = await find(700n);
      assert.deepEqual(
        found.map(({ attempt, outcome, count }) => [attempt, outcome, count]),
        [
          [1, 'failed', 1],
          [1, 'succeeded', 20],
          [2, 'succeeded', 1],
        ],
      );
      assert.deepEqual(found[0].error, { code: 'internal', message: 'no' });
      await clock.advance(2_000);
    }
    assert.deepEqual(await find(9_999n), []);
  });

  it('say in words what was written, and hold on to nothing of it', async () => {
    const { traces, report, find } = await start();
    const items = Array.from({ length: 30 }, (_, index) => ({
      Put: { TableName: 'app', Item: { PK: `Note-${index}`, SK: 'Note' } },
    }));
    const first = [
      { kind: 'write', of: { TableName: 'app', Key: { PK: 'Light-1', SK: 'Light' } } },
      { kind: 'write', of: { TableName: 'app', Item: { PK: 'Command-s', SK: 'Command' } } },
      { kind: 'command', of: 'blink s' },
      { kind: 'write', of: { RequestItems: { other: [{ DeleteRequest: { Key: { id: 7 } } }] } } },
      { kind: 'write', of: { TransactItems: [{ ConditionCheck: { Key: { PK: 'x' } } }, ...items] } },
      { kind: 'write', of: undefined },
    ] as const;
    traces.note(report(1, { effects: { counts: { write: 5, command: 1 }, first } }));
    const [{ effects = [], made }] = await find(1n);
    assert.deepEqual(made, { write: 5, command: 1 });
    assert.deepEqual(effects.slice(0, 4), ['write Light-1 Light', 'command blink s', 'write 7', 'write Note-0 Note']);
    assert.equal(effects.length, traceLimits.effectsShown);
  });

  it('are left out above a rate, but for some that failed, and that is counted', async () => {
    const { clock, traces, report, counters, find } = await start();
    for (let number = 1; number <= traceLimits.perSecondMax + 100; number++) traces.note(report(number));
    assert.equal(counters.get('traces.leftOut'), 100);
    traces.note(report(5_000, { outcome: 'failed', error: new Error('no') }));
    assert.equal((await find(5_000n)).length, 1);
    await clock.advance(1_000);
    traces.note(report(6_000));
    assert.equal((await find(6_000n)).length, 1);
  });

  it('of records that expired are ranges, and others than of records of a stream are none', async () => {
    const { traces, report, find, clock, chunks } = await start();
    traces.noteExpired('onLight', shardId, [3n, 4n, 5n, 9n]);
    for (const [number, count] of [
      [3n, 1],
      [5n, 1],
      [6n, 0],
      [9n, 1],
    ] as const)
      assert.equal((await find(number)).length, count);
    await clock.advance(2_000);
    const before = (await chunks()).length;
    traces.note(report(1, { eventId: 'play:session', trigger: 'commandResult' }));
    traces.note(report(2, { eventId: undefined, trigger: 'route' }));
    traces.note(report(3, { eventId: 'table-changes:3', trigger: 'entityChange' }));
    await clock.advance(2_000);
    assert.equal((await chunks()).length, before);
  });

  it('go after a day, and before that when there are too many', async () => {
    const bytesMax = 50_000;
    const { clock, traces, report, find, chunks } = await start(bytesMax);
    const noisy = (number: number) =>
      report(number, { requestId: Buffer.alloc(300, `${number * 7919}`).toString('base64') });
    traces.note(report(1));
    await clock.advance(traceLimits.retentionMs + 1_000);
    assert.equal((await find(1n)).length, 1); // Nothing has come since.
    traces.note(report(2));
    await clock.advance(2_000);
    traces.note(report(3));
    await clock.advance(traceLimits.retainEveryMs + 2_000);
    traces.note(report(4));
    await clock.advance(2_000);
    assert.equal((await find(1n)).length, 0);
    assert.equal((await find(2n)).length, 1);
    for (let second = 0; second < 130; second++) {
      for (let each = 0; each < 20; each++) traces.note(noisy(10 + second * 20 + each));
      await clock.advance(1_100);
    }
    const stored = await chunks();
    const bytes = stored.reduce((sum, { PackedBytes = 0 }) => sum + PackedBytes, 0);
    const perMinute = (60 * bytes) / stored.length;
    assert.ok(bytes > bytesMax / 2 && bytes < bytesMax + perMinute, `${bytes} bytes`);
    assert.equal((await find(10n)).length, 0);
    assert.equal((await find(2_609n)).length, 1);
  });
});
