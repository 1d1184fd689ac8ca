/** What is refused of a table as an app declares it: what AWS would refuse when the table is created there. */
import { invalid } from '../errors.ts';
import { tableLimits } from '../limits.ts';
import type { IndexSchema, TableSchema } from '../port.ts';
import { type KeySchema, keyAttributes, keySchemaOf } from './layout.ts';

const namePattern = /^[A-Za-z0-9_.-]{3,255}$/;

/** Throws `table.invalid`. */
export function checkSchema(schema: TableSchema): void {
  const { tableName, indexes = [] } = schema;
  checkName('table', tableName);
  const keys = keySchemaOf(schema);
  checkKeys(`Table ${tableName}`, keys, 1);
  checkCounts(tableName, indexes);
  const names = new Set<string>();
  for (const index of indexes) {
    checkName('index', index.indexName);
    if (names.has(index.indexName)) throw invalid(`Index ${index.indexName} is declared twice.`);
    names.add(index.indexName);
    if (index.kind === 'local') checkLocal(index, keys);
    else checkKeys(`Index ${index.indexName}`, keySchemaOf(index), tableLimits.indexKeyAttributesMax);
  }
  checkOneTypePerAttribute(schema);
}

function checkName(what: string, name: string): void {
  if (namePattern.test(name)) return;
  throw invalid(`The ${what} name "${name}" must have 3 to 255 of the characters a-z, A-Z, 0-9, _, . and -.`);
}

function checkKeys(whose: string, { partitionKeys, sortKeys }: KeySchema, attributesMax: number): void {
  if (partitionKeys.length === 0) throw invalid(`${whose} needs a partition key.`);
  if (Math.max(partitionKeys.length, sortKeys.length) > attributesMax) {
    throw invalid(`${whose} may have ${attributesMax} partition and ${attributesMax} sort attributes at most.`);
  }
  const names = [...partitionKeys, ...sortKeys].map(({ name }) => name);
  if (names.some(name => name.length === 0 || name.length > tableLimits.keyNameCharactersMax)) {
    throw invalid(`A key attribute's name must have 1 to ${tableLimits.keyNameCharactersMax} characters.`);
  }
  if (new Set(names).size < names.length) {
    throw invalid('Both the Hash Key and the Range Key element in the KeySchema have the same name');
  }
}

function checkCounts(tableName: string, indexes: readonly IndexSchema[]): void {
  const local = indexes.filter(({ kind }) => kind === 'local').length;
  const limits = [
    ['global', indexes.length - local, tableLimits.indexesMax],
    ['local', local, tableLimits.localIndexesMax],
  ] as const;
  for (const [kind, count, max] of limits) {
    if (count > max) throw invalid(`Table ${tableName} has ${count} ${kind} indexes; ${max} are allowed.`);
  }
  const projected = indexes.reduce(
    (sum, { projection }) => sum + (Array.isArray(projection) ? projection.length : 0),
    0,
  );
  if (projected > tableLimits.projectedNamesMax) {
    throw invalid(
      `The indexes of table ${tableName} name ${projected} attributes to project; ${tableLimits.projectedNamesMax} are allowed.`,
    );
  }
}

/** The table's own partition key with another sort key. */
function checkLocal(index: IndexSchema, table: KeySchema): void {
  const keys = keySchemaOf(index);
  checkKeys(`Index ${index.indexName}`, keys, 1);
  if (table.sortKeys.length === 0 || keys.sortKeys.length === 0) {
    throw invalid(`Local index ${index.indexName} needs a sort key, and so does its table.`);
  }
  if (keys.partitionKeys[0].name === table.partitionKeys[0].name) return;
  throw invalid(`Local index ${index.indexName} must have the partition key of its table.`);
}

/** An attribute that is a key in several places has one definition. */
function checkOneTypePerAttribute(schema: TableSchema): void {
  const types = new Map<string, string>();
  for (const declared of [schema, ...(schema.indexes ?? [])]) {
    for (const { name, type } of keyAttributes(keySchemaOf(declared))) {
      if ((types.get(name) ?? type) !== type) throw invalid(`Key attribute ${name} is declared with two types.`);
      types.set(name, type);
    }
  }
}
