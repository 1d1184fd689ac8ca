import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLog } from '../../../kernel/log.ts';
import { MemoryDisk } from '../../../kernel/memory-store.ts';
import type { KeyValueStore } from '../../../kernel/store.ts';
import { storeFull } from '../../../kernel/store-errors.ts';
import { VirtualClock } from '../../../kernel/virtual-clock.ts';
import { tableOn } from '../embedded.ts';
import { tableLimits } from '../limits.ts';
import { openEngine } from './open-engine.ts';

/** An engine whose store counts how often a range is asked for. */
async function openCounting() {
  const clock = new VirtualClock();
  const inner = new MemoryDisk({ clock, syncMs: 0 }).open();
  const asked = { ranges: 0 };
  const store: KeyValueStore = {
    get: key => inner.get(key),
    range: range => {
      asked.ranges++;
      return inner.range(range);
    },
    snapshot: () => inner.snapshot(),
    write: work => inner.write(work),
    close: () => inner.close(),
  };
  const engine = await clock.until(openEngine({ store, clock }));
  const { admin } = tableOn(engine);
  const comeAndGo = async (TableName: string) => {
    const before = asked.ranges;
    const created = admin.createTable({
      TableName,
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
      StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_IMAGE' },
    });
    await clock.until(created);
    await clock.until(admin.deleteTable({ TableName }));
    await clock.until(engine.upkeep.settled());
    return asked.ranges - before;
  };
  return { clock, engine, comeAndGo };
}

describe('the upkeep of deleted tables', () => {
  it('costs no more for the many of which only the stream is left', async () => {
    const { clock, engine, comeAndGo } = await openCounting();
    await comeAndGo('first');
    const alone = await comeAndGo('second');
    for (let count = 0; count < 50; count++) await comeAndGo(`table${count}`);
    assert.equal(await comeAndGo('last'), alone);
    assert.equal(engine.catalog.deleted().length, 53);
    await clock.advance(tableLimits.streamRetentionMs + tableLimits.streamSweepMsMin);
    await comeAndGo('later');
    assert.equal(engine.catalog.deleted().length, 1);
    await clock.until(engine.close());
  });
});

describe('the upkeep of a table that cannot be kept up', () => {
  it('says once what keeps it from its work, and goes on trying', async () => {
    const clock = new VirtualClock();
    const inner = new MemoryDisk({ clock, syncMs: 0 }).open();
    const lines: string[] = [];
    const log = { ...silentLog, error: (_facts: object, message: string) => void lines.push(message) };
    let refusals = 0;
    let isFull = false;
    const store: KeyValueStore = {
      ...inner,
      get: key => inner.get(key),
      range: range => inner.range(range),
      snapshot: () => inner.snapshot(),
      write: work => {
        if (!isFull) return inner.write(work);
        refusals++;
        return Promise.reject(storeFull(new Error('no space left')));
      },
      close: () => inner.close(),
    };
    const schema = { tableName: 'notes', partitionKey: { name: 'id', type: 'S' }, ttlAttribute: 'until' } as const;
    const engine = await clock.until(openEngine({ store, clock, log, tables: [schema] }));
    const table = tableOn(engine);
    const until = Math.floor(clock.nowMs() / 1_000) + 5;
    await clock.until(table.put({ TableName: 'notes', Item: { id: 'a', until } }));
    isFull = true;
    await clock.advance(20_000);
    assert(refusals > 5, `${refusals}`);
    assert.deepEqual(lines, ['Expired items stay for now, and are tried again every second.']);
    isFull = false;
    await clock.advance(2_000);
    assert.equal((await table.get({ TableName: 'notes', Key: { id: 'a' } })).Item, undefined);
    await clock.until(engine.close());
  });
});
