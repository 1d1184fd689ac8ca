import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MemoryDisk } from '../../../kernel/memory-store.ts';
import { VirtualClock } from '../../../kernel/virtual-clock.ts';
import { openEmbeddedTable } from '../embedded.ts';
import { tableLimits } from '../limits.ts';

describe('the token of a transaction', () => {
  it('is good for ten minutes also when it was used before, and many others with it', async () => {
    const clock = new VirtualClock();
    const table = await clock.until(
      openEmbeddedTable({
        store: new MemoryDisk({ clock, syncMs: 0 }).open(),
        clock,
        tables: [{ tableName: 'things', partitionKey: { name: 'PK', type: 'S' } }],
      }),
    );
    const add = (token: string) =>
      clock.until(
        table.transactWrite({
          ClientRequestToken: token,
          TransactItems: [
            {
              Update: {
                TableName: 'things',
                Key: { PK: token },
                UpdateExpression: 'ADD hits :one',
                ExpressionAttributeValues: { ':one': 1 },
              },
            },
          ],
        }),
      );
    const burst = tableLimits.expiredTokensPerWriteMax * 3;
    for (let number = 0; number < burst; number++) await add(`t${String(number).padStart(2, '0')}`);
    await clock.advance(tableLimits.tokenKeptMs + 1);
    const last = `t${burst - 1}`;
    await add(last); // anew, while its first use is still to be forgotten
    for (const other of ['a', 'b', 'c', 'd']) await add(other);
    await add(last);
    const { Item } = await table.get({ TableName: 'things', Key: { PK: last } });
    assert.equal(Item?.hits, 2);
    await clock.until(table.close());
  });
});
