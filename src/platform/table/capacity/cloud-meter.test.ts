import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { VirtualClock } from '../../../kernel/virtual-clock.ts';
import { onDemandSettings, type StoredIndex, type StoredTable } from '../storage/stored-table.ts';
import { CloudMeter } from './cloud-meter.ts';
import type { Use } from './meter.ts';

const throughput = (write: number) => ({ read: 1, write, decreasesToday: 0 });
const provisioned = (write: number) => ({
  ...onDemandSettings,
  billingMode: 'PROVISIONED' as const,
  throughput: throughput(write),
});
const keys = { partitionKeys: [{ name: 'id', type: 'S' as const }], sortKeys: [] };
const index = (indexName: string, kind: 'global' | 'local', write: number): StoredIndex => ({
  id: 1,
  indexName,
  kind,
  keys,
  projection: 'ALL',
  status: 'ready',
  throughput: throughput(write),
});

function openMeter(settings: StoredTable['settings'], indexes: readonly StoredIndex[] = []) {
  const clock = new VirtualClock();
  const first: StoredTable = {
    id: 1,
    tableName: 'app',
    tableId: 'a',
    createdAtMs: 0,
    keys,
    indexes,
    settings,
    tags: {},
  };
  const tables = new Map([['app', first]]);
  const meter = new CloudMeter(clock);
  meter.follow({ catalog: { find: name => tables.get(name) } });
  const change = (changes: Partial<StoredTable>) => tables.set('app', { ...first, ...changes });
  return { clock, meter, change };
}

/** Units of writes that are taken at once before one is refused. */
function roomOf(meter: CloudMeter, use: Partial<Use> = {}): number {
  const write = { kind: 'write', tableName: 'app', ...use } as const;
  for (let units = 0; ; units++) {
    assert(units < 100_000);
    try {
      meter.admit(write);
    } catch (error) {
      assert.equal((error as Error).name, 'ProvisionedThroughputExceededException');
      return units;
    }
    meter.charge(write, 1);
  }
}

const burst = 300; // seconds of unused capacity

describe('the throughput of the cloud', () => {
  it('is what a table is set to, and for an index of its own what that is set to', () => {
    const { meter } = openMeter(provisioned(2), [index('global', 'global', 1), index('local', 'local', 50)]);
    assert.equal(roomOf(meter, { indexName: 'global' }), burst);
    assert.equal(roomOf(meter), 2 * burst);
    assert.equal(roomOf(meter, { indexName: 'local' }), 0); // The table's has just been used up.
  });

  it('changes with the settings, and with nothing else', () => {
    const { meter, change } = openMeter(provisioned(2));
    assert.equal(roomOf(meter), 2 * burst);
    change({ tags: { team: 'a' } });
    assert.equal(roomOf(meter), 0);
    change({ settings: provisioned(3) });
    assert.equal(roomOf(meter), 3 * burst);
    change({ settings: provisioned(3), tableId: 'another of the same name' });
    assert.equal(roomOf(meter), 3 * burst);
  });

  it('is that of a new on-demand table where nothing is provisioned', () => {
    assert.equal(roomOf(openMeter(onDemandSettings).meter), 4_000);
  });
});
