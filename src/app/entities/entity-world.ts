/** What the tests of entities share: a table in memory on a virtual clock, with every call counted. */
import { openMemoryStore } from '../../kernel/memory-store.ts';
import { seededRandom } from '../../kernel/random.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import { CapacityLedger, openEmbeddedTable, type Table } from '../../platform/table/index.ts';
import { appTable } from './app-table.ts';
import type { EntityMap } from './definition.ts';
import type { StoredEntity } from './records.ts';
import { makeRepositories, type RepositoryOptions } from './repository.ts';
import type { Repositories } from './repository-types.ts';

type Call = { readonly name: keyof Table; readonly input: unknown };

export interface EntityWorld<E extends EntityMap> {
  readonly entities: Repositories<E>;
  readonly clock: VirtualClock;
  readonly table: Table;
  readonly ledger: CapacityLedger;
  readonly options: RepositoryOptions;
  /** Lets time pass as far as the promise needs. */
  readonly until: <T>(promise: Promise<T>) => Promise<T>;
  /** The calls that `work` makes to the table, and what it gives. */
  readonly callsOf: <T>(work: () => Promise<T>) => Promise<{ calls: Call[]; result: T }>;
  /** Every record, in the order of its keys. */
  readonly records: () => Promise<StoredEntity[]>;
}

export async function entityWorld<const E extends EntityMap>(
  definitions: E,
  wrap: (table: Table) => Table = table => table,
): Promise<EntityWorld<E>> {
  const clock = new VirtualClock();
  const store = await openMemoryStore({ clock });
  const ledger = new CapacityLedger(clock);
  const embedded = await clock.until(openEmbeddedTable({ store, clock, tables: [appTable], meter: ledger }));
  const calls: Call[] = [];
  const table = counted(wrap(embedded), calls);
  const options = { table, clock, random: seededRandom(1), cursorKey: Buffer.alloc(32, 7) };
  const until = <T>(promise: Promise<T>) => clock.until(promise);
  return {
    entities: makeRepositories(definitions, options),
    clock,
    table,
    ledger,
    options,
    until,
    callsOf: async work => {
      calls.length = 0;
      const result = await until(work());
      return { calls: [...calls], result };
    },
    records: () => until(allRecords(embedded)),
  };
}

function counted(table: Table, calls: Call[]): Table {
  return new Proxy(table, {
    get(target, name: keyof Table) {
      return (input: never) => {
        calls.push({ name, input });
        return target[name](input);
      };
    },
  });
}

async function allRecords(table: Table): Promise<StoredEntity[]> {
  const records: StoredEntity[] = [];
  let from: Record<string, unknown> | undefined;
  do {
    const page = await table.scan({ TableName: appTable.tableName, ExclusiveStartKey: from });
    records.push(...((page.Items ?? []) as StoredEntity[])); // As the repositories put them there.
    from = page.LastEvaluatedKey;
  } while (from);
  const textOf = ({ PK, SK }: StoredEntity) => `${PK}\0${SK}`;
  return records.sort((left, right) => (textOf(left) < textOf(right) ? -1 : 1));
}
