/** Gives tables and indexes their ids, keeps them, and fills or empties the indexes that came or went. */
import assert from 'node:assert/strict';
import type { KeyValueStore, StoreEntry } from '../../../kernel/store.ts';
import { invalid, schemaChanged, tableNotFound } from '../errors.ts';
import { entryKeyOf } from '../operations/writes.ts';
import type { IndexSchema, KeyAttribute, TableSchema } from '../port.ts';
import { checkSchema } from '../validate.ts';
import { decodeItem } from '../values/item-encoding.ts';
import { afterKey, afterPrefix, concat, spacePrefix } from './key-encoding.ts';
import { type IndexLayout, keyAttributes, keySchemaOf, type TableLayout } from './layout.ts';

/** What is stored about a table. */
interface CatalogEntry {
  readonly id: number;
  readonly partitionKey: KeyAttribute;
  readonly sortKey?: KeyAttribute;
  readonly indexes: readonly CatalogIndex[];
}

interface CatalogIndex extends IndexSchema {
  readonly id: number;
  /** `building`: not all entries are there; `dropping`: not all are gone. Both are taken up again when opened. */
  readonly status: 'ready' | 'building' | 'dropping';
}

const catalogSpace = spacePrefix(0, 0);
const tableIdMax = 0xffff;
const indexIdMax = 0xff;
const chunkItemsMax = 1_000; // ours: one transaction of a rebuild

/** The tables of an engine by name. */
export class Catalog {
  readonly #layouts: ReadonlyMap<string, TableLayout>;

  private constructor(layouts: ReadonlyMap<string, TableLayout>) {
    this.#layouts = layouts;
  }

  /** Resolves when every index that is declared is complete. */
  static async open(store: KeyValueStore, declared: readonly TableSchema[]): Promise<Catalog> {
    return new Catalog(await openLayouts(store, declared));
  }

  /** Throws `table.notFound`. */
  table(tableName: string): TableLayout {
    const layout = this.#layouts.get(tableName);
    if (layout === undefined) throw tableNotFound();
    return layout;
  }
}

async function openLayouts(store: KeyValueStore, schemas: readonly TableSchema[]): Promise<Map<string, TableLayout>> {
  const layouts = new Map<string, TableLayout>();
  for (const schema of schemas) {
    checkSchema(schema);
    if (layouts.has(schema.tableName)) throw invalid(`Table ${schema.tableName} is declared twice.`);
    layouts.set(schema.tableName, await openLayout(store, schema));
  }
  return layouts;
}

async function openLayout(store: KeyValueStore, schema: TableSchema): Promise<TableLayout> {
  const entry = await reconcile(store, schema);
  for (const index of entry.indexes) {
    if (index.status === 'dropping') await drop(store, entry, index);
    if (index.status === 'building') await build(store, schema, entry, index);
  }
  const indexes = entry.indexes.filter(index => index.status !== 'dropping');
  const settled = { ...entry, indexes: indexes.map(index => ({ ...index, status: 'ready' as const })) };
  await save(store, schema.tableName, settled);
  return layoutOf(schema, settled);
}

function layoutOf(schema: TableSchema, { id, indexes }: CatalogEntry): TableLayout {
  const layouts = (schema.indexes ?? []).map(index => {
    const known = indexes.find(each => each.status !== 'dropping' && each.indexName === index.indexName);
    assert(known !== undefined); // `reconcile` gave every declared index an id
    return indexLayout(known.id, index);
  });
  return { id, tableName: schema.tableName, keys: keySchemaOf(schema), indexes: layouts, stream: schema.stream };
}

function indexLayout(id: number, schema: IndexSchema): IndexLayout {
  return {
    id,
    indexName: schema.indexName,
    kind: 'global',
    keys: keySchemaOf(schema),
    projection: 'ALL',
    isBuilding: false,
  };
}

/** Compares what is declared with what is stored, and stores what has to be done. */
function reconcile(store: KeyValueStore, schema: TableSchema): Promise<CatalogEntry> {
  return store.write(transaction => {
    const found = transaction.get(catalogKey(schema.tableName));
    const known = found && entryFrom(found);
    if (known !== undefined && !sameKeys(known, schema)) throw schemaChanged(schema.tableName);
    const ids = [...transaction.range({ start: catalogSpace, end: afterPrefix(catalogSpace) })].map(
      ({ value }) => entryFrom(value).id,
    );
    const id = known?.id ?? Math.max(0, ...ids) + 1;
    assert(id <= tableIdMax);
    const { partitionKey, sortKey } = schema;
    const entry = { id, partitionKey, sortKey, indexes: reconcileIndexes(known?.indexes ?? [], schema.indexes ?? []) };
    const stored = JSON.stringify(entry);
    if (found === undefined || Buffer.from(found).toString('utf8') !== stored) {
      transaction.put(catalogKey(schema.tableName), Buffer.from(stored, 'utf8'));
    }
    return entry;
  });
}

function reconcileIndexes(known: readonly CatalogIndex[], declared: readonly IndexSchema[]): CatalogIndex[] {
  const kept = known.map(index => {
    const isDeclared = declared.some(each => each.indexName === index.indexName && sameKeys(each, index));
    return isDeclared && index.status !== 'dropping' ? index : { ...index, status: 'dropping' as const };
  });
  const all: CatalogIndex[] = [...kept];
  for (const { indexName, partitionKey, sortKey } of declared) {
    if (kept.some(index => index.indexName === indexName && index.status !== 'dropping')) continue;
    let id = 1;
    while (all.some(index => index.id === id)) id++;
    assert(id <= indexIdMax);
    all.push({ id, indexName, partitionKey, sortKey, status: 'building' });
  }
  return all;
}

function sameKeys(
  left: IndexSchema | CatalogEntry | TableSchema,
  right: IndexSchema | CatalogEntry | TableSchema,
): boolean {
  const textOf = (schema: IndexSchema | CatalogEntry | TableSchema) =>
    keyAttributes(keySchemaOf(schema as TableSchema)) // a cast: only the keys are read
      .map(({ name, type }) => `${type} ${name}`)
      .join();
  return textOf(left) === textOf(right);
}

async function build(
  store: KeyValueStore,
  schema: TableSchema,
  entry: CatalogEntry,
  index: CatalogIndex,
): Promise<void> {
  const layout = { id: entry.id, tableName: schema.tableName, keys: keySchemaOf(schema), indexes: [] };
  const end = afterPrefix(spacePrefix(entry.id, 0));
  for (let start: Uint8Array | undefined = spacePrefix(entry.id, 0); start !== undefined; ) {
    const chunk: StoreEntry[] = [];
    for (const item of store.range({ start, end })) {
      chunk.push(item);
      if (chunk.length >= chunkItemsMax) break;
    }
    await store.write(transaction => {
      for (const { key, value } of chunk) {
        const entryKey = entryKeyOf(layout, indexLayout(index.id, index), decodeItem(value));
        if (entryKey !== undefined) transaction.put(entryKey, key);
      }
    });
    const last = chunk.at(-1);
    start = last === undefined ? undefined : afterKey(last.key);
  }
}

async function drop(store: KeyValueStore, entry: CatalogEntry, index: CatalogIndex): Promise<void> {
  const start = spacePrefix(entry.id, index.id);
  const end = afterPrefix(start);
  for (;;) {
    const keys: Uint8Array[] = [];
    for (const { key } of store.range({ start, end })) {
      keys.push(key);
      if (keys.length >= chunkItemsMax) break;
    }
    if (keys.length === 0) return;
    await store.write(transaction => {
      for (const key of keys) transaction.delete(key);
    });
  }
}

async function save(store: KeyValueStore, tableName: string, entry: CatalogEntry): Promise<void> {
  const stored = Buffer.from(JSON.stringify(entry), 'utf8');
  const found = store.get(catalogKey(tableName));
  if (found !== undefined && stored.equals(found)) return;
  await store.write(transaction => transaction.put(catalogKey(tableName), stored));
}

function catalogKey(tableName: string): Uint8Array {
  return concat([catalogSpace, Buffer.from(tableName, 'utf8')]);
}

function entryFrom(stored: Uint8Array): CatalogEntry {
  return JSON.parse(Buffer.from(stored).toString('utf8')); // only this file writes it
}
