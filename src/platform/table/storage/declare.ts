/** Brings stored tables up to what an app declares: made when absent, indexes added and removed, expiry, the feed. */
import { invalid, localIndexChanged, schemaChanged } from '../errors.ts';
import type { IndexSchema, TableSchema } from '../port.ts';
import { setStream } from '../streams/stream-state.ts';
import type { Catalog } from './catalog.ts';
import { keySchemaOf } from './layout.ts';
import {
  freeId,
  onDemandSettings,
  type StoredIndex,
  type StoredTable,
  type StoredTimeToLive,
  sameKeys,
} from './stored-table.ts';

export interface DeclareParts {
  readonly catalog: Catalog;
  readonly nowMs: number;
  readonly newTableId: () => string;
}

/** Work that takes long is left to the upkeep. Throws `table.schemaChanged`. */
export async function declareTables(parts: DeclareParts, schemas: readonly TableSchema[]): Promise<void> {
  const names = new Set<string>();
  for (const schema of schemas) {
    if (names.has(schema.tableName)) throw invalid(`Table ${schema.tableName} is declared twice.`);
    names.add(schema.tableName);
  }
  for (const schema of schemas) await declareTable(parts, schema);
}

async function declareTable({ catalog, nowMs, newTableId }: DeclareParts, schema: TableSchema): Promise<void> {
  const known = catalog.find(schema.tableName);
  const base = known ?? newTable(schema, catalog.freeTableId(), newTableId(), nowMs);
  if (!sameKeys(base.keys, keySchemaOf(schema))) throw schemaChanged(schema.tableName);
  const declared = withStream(withTimeToLive(withIndexes(base, schema, known === undefined), schema), schema);
  if (known !== undefined && JSON.stringify(known) === JSON.stringify(declared)) return;
  await catalog.change(change => {
    change.put(declared);
    setStream(change.transaction, declared, declared.stream, nowMs);
  });
}

function newTable(schema: TableSchema, id: number, tableId: string, nowMs: number): StoredTable {
  return {
    id,
    tableName: schema.tableName,
    tableId,
    createdAtMs: nowMs,
    keys: keySchemaOf(schema),
    indexes: [],
    settings: { ...onDemandSettings, onDemandSinceMs: nowMs },
    tags: {},
  };
}

function withIndexes(stored: StoredTable, { indexes: declared = [] }: TableSchema, isNew: boolean): StoredTable {
  const indexes: StoredIndex[] = stored.indexes.map(index => {
    if (index.kind === 'expiry' || index.status === 'dropping') return index;
    if (declared.some(each => isSameIndex(index, each))) return index;
    if (index.kind === 'local') throw localIndexChanged(stored.tableName, index.indexName);
    return { ...index, status: 'dropping' };
  });
  for (const each of declared) {
    if (indexes.some(index => index.status !== 'dropping' && isSameIndex(index, each))) continue;
    if (each.kind === 'local' && !isNew) throw localIndexChanged(stored.tableName, each.indexName);
    indexes.push({
      id: freeIndexId(indexes),
      indexName: each.indexName,
      kind: each.kind ?? 'global',
      keys: keySchemaOf(each),
      projection: projectionOf(each),
      status: isNew ? 'ready' : 'building',
    });
  }
  return { ...stored, indexes };
}

export function freeIndexId(indexes: readonly StoredIndex[]): number {
  return freeId(
    'index',
    indexes.map(({ id }) => id),
  );
}

function isSameIndex(index: StoredIndex, declared: IndexSchema): boolean {
  return (
    index.indexName === declared.indexName &&
    index.kind === (declared.kind ?? 'global') &&
    sameKeys(index.keys, keySchemaOf(declared)) &&
    JSON.stringify(index.projection) === JSON.stringify(projectionOf(declared))
  );
}

function projectionOf({ projection = 'ALL' }: IndexSchema): StoredIndex['projection'] {
  return projection === 'KEYS_ONLY' ? [] : projection;
}

function withTimeToLive(stored: StoredTable, { ttlAttribute }: TableSchema): StoredTable {
  const { timeToLive } = stored;
  if ((timeToLive?.isEnabled ? timeToLive.attributeName : undefined) === ttlAttribute) return stored;
  if (ttlAttribute !== undefined) return expiring(stored, { attributeName: ttlAttribute, isEnabled: true });
  return timeToLive === undefined ? stored : expiring(stored, { ...timeToLive, isEnabled: false });
}

/** The table with time to live as given, its index of expiries to be built or emptied. */
export function expiring(stored: StoredTable, timeToLive: StoredTimeToLive): StoredTable {
  const indexes: StoredIndex[] = stored.indexes.map(index =>
    index.kind === 'expiry' ? { ...index, status: 'dropping' } : index,
  );
  if (timeToLive.isEnabled) {
    indexes.push({
      id: freeIndexId(indexes),
      indexName: '',
      kind: 'expiry',
      keys: { partitionKeys: [{ name: timeToLive.attributeName, type: 'N' }], sortKeys: [] },
      projection: 'ALL',
      status: 'building',
    });
  }
  return { ...stored, indexes, timeToLive };
}

function withStream(stored: StoredTable, { stream }: TableSchema): StoredTable {
  const { stream: _before, ...rest } = stored;
  return stream === undefined ? rest : { ...rest, stream };
}
