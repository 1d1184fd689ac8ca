import { describe, it } from 'node:test';
import { systemClock } from '../src/kernel/clock.ts';
import { MemoryDisk } from '../src/kernel/memory-store.ts';
import { callOperation, openEngine, wireFormat } from '../src/platform/table/index.ts';
import { testScale } from './support.ts';
import { runCampaign } from './table-model/campaign.ts';
import { modelIndex, modelTable } from './table-model/drive.ts';

const schema = {
  tableName: modelTable,
  partitionKey: { name: 'PK', type: 'S' },
  sortKey: { name: 'SK', type: 'N' },
  indexes: [
    { indexName: modelIndex, partitionKey: { name: 'Owner', type: 'S' }, sortKey: { name: 'Rank', type: 'N' } },
  ],
} as const;

describe('random operations on the table', () => {
  it('come to what a simple model says, errors included', async t => {
    const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31);
    const operations = testScale(5_000, 1_000_000);
    t.diagnostic(`seed ${seed}, ${operations} operations`);
    await runCampaign({
      seed,
      operations,
      open: async () => {
        const disk = new MemoryDisk({ clock: systemClock, syncMs: 0 });
        const engine = await openEngine({ store: disk.open(), clock: systemClock, tables: [schema] });
        const call = async (name: string, input: Record<string, unknown>) =>
          // Casts: the model calls only what exists, and looks at answers as what they are.
          (await callOperation(engine, name as 'PutItem', input, { format: wireFormat })) as Record<string, unknown>;
        return { call, close: () => engine.close() };
      },
    });
  });
});
