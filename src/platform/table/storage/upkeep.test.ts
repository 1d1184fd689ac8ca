import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MemoryDisk } from '../../../kernel/memory-store.ts';
import type { KeyValueStore } from '../../../kernel/store.ts';
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
