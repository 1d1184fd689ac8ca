/** Says of a damaged entry which table and which key it is of. */
import type { StoreReader } from '../../../kernel/store.ts';
import { tableCorrupt } from '../errors.ts';
import type { KeyAttribute } from '../port.ts';
import type { Catalog } from './catalog.ts';
import { contentOf } from './checked-store.ts';
import { partsOfItemKey, placeOf } from './key-encoding.ts';
import { recordKey, systemSpaces } from './records.ts';
import type { StoredTable } from './stored-table.ts';

/** The error for the entry under `key`. @param catalogOf  undefined while the tables are not known yet */
export function damageOf(key: Uint8Array, catalogOf: () => Catalog | undefined): Error {
  const { tableId } = placeOf(key);
  const stored = catalogOf()
    ?.list()
    .find(({ id }) => id === tableId);
  return tableCorrupt(describeEntry(key, stored));
}

/** In words, for whoever looks for it: the item, entry or record that lies under `key`. */
export function describeEntry(key: Uint8Array, stored: StoredTable | undefined): string {
  const { tableId, space } = placeOf(key);
  if (tableId === 0) return describeRecord(key, space);
  const table = stored === undefined ? `a table that is not there (id ${tableId})` : `table ${stored.tableName}`;
  if (space !== 0) {
    const index = stored?.indexes.find(({ id }) => id === space);
    const name = index === undefined ? `an index that is not there (id ${space})` : nameOf(index);
    return `an entry of ${name} of ${table} (store key ${hex(key)})`;
  }
  if (stored === undefined) return `an item of ${table} (store key ${hex(key)})`;
  const { partition, sort } = partsOfItemKey(key);
  const [partitionKey] = stored.keys.partitionKeys;
  const [sortKey] = stored.keys.sortKeys;
  const values = [`${partitionKey.name} = ${valueText(partitionKey, partition)}`];
  if (sortKey !== undefined) values.push(`${sortKey.name} = ${valueText(sortKey, sort)}`);
  return `the item ${values.join(', ')} of ${table}`;
}

const recordNames = new Map<number, string>([
  [systemSpaces.catalog, 'the description of a table'],
  [systemSpaces.tokens, 'the token of a transaction'],
  [systemSpaces.tokenExpiries, 'the end of a token'],
  [systemSpaces.deleted, 'the note of a deleted table'],
  [systemSpaces.counters, 'the counts of a table'],
  [systemSpaces.streams, 'the description of a stream'],
  [systemSpaces.streamStates, 'the state of a stream'],
  [systemSpaces.changes, 'a change of a stream'],
]);

function describeRecord(key: Uint8Array, space: number): string {
  const what = recordNames.get(space) ?? `a record of space ${space}`;
  return `${what} (store key ${hex(key)})`;
}

function nameOf({ indexName, kind }: StoredTable['indexes'][number]): string {
  return kind === 'expiry' ? 'the index of expiries' : `index ${indexName}`;
}

/** Long partition keys are stored as their digest, and damage may be in the key itself. */
function valueText({ type }: KeyAttribute, bytes: Uint8Array | undefined): string {
  if (bytes === undefined) return '(too long to be stored in a key)';
  const text = Buffer.from(bytes).toString('utf8');
  const isPlain = type === 'S' && !/[\p{C}\ufffd]/u.test(text) && text.length <= 100;
  return isPlain ? JSON.stringify(text) : `0x${hex(bytes)}`;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** The tables whose descriptions are whole. */
export function readableTables(reader: StoreReader): StoredTable[] {
  const start = recordKey(systemSpaces.catalog, '');
  const end = recordKey(systemSpaces.tokens, '');
  const tables: StoredTable[] = [];
  for (const { key, value } of reader.range({ start, end })) {
    const content = contentOf(key, value);
    if (content !== undefined) tables.push(JSON.parse(Buffer.from(content).toString('utf8')));
  }
  return tables;
}
