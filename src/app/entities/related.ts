/** Brings related entities along: those by key and the last ones in one batch, lists of children with their parent. */
import { appTable } from './app-table.ts';
import { readAll } from './batches.ts';
import { type EntityEnvironment, shapeOf } from './environment.ts';
import { patternBuilding, patternNotDeclared, relationNotDeclared } from './errors.ts';
import { partName } from './fingerprints.ts';
import { isScalar } from './keys.ts';
import { copyKey } from './last-copies.ts';
import { entityLimits } from './limits.ts';
import { readPattern } from './reading.ts';
import {
  type Attributes,
  baseKey,
  childEnd,
  childPrefix,
  idText,
  idValues,
  type RecordKey,
  type StoredEntity,
} from './records.ts';
import type { EntityShape, RelationShape } from './shape.ts';

/** Checks the names before anything is read. Throws `entity.relationNotDeclared`. */
export function relationsOf(shape: EntityShape, names: readonly string[]): [string, RelationShape][] {
  return names.map(name => {
    const relation = shape.relations.get(name);
    if (!relation) throw relationNotDeclared(shape.name, name, 'there is no such relation');
    return [name, relation];
  });
}

/** Adds relations to the entities of a page: at most one request for each 100 of them. */
export async function addToPage(
  environment: EntityEnvironment,
  shape: EntityShape,
  items: readonly Attributes[],
  names: readonly string[],
): Promise<Attributes[]> {
  const relations = relationsOf(shape, names);
  const list = relations.find(([, { kind }]) => kind === 'list');
  if (list) throw relationNotDeclared(shape.name, list[0], 'a list of each of a list would be one request for each');
  for (const [name, { kind }] of relations) {
    const scanned = kind === 'last' ? environment.buildingOf(partName.lastCopy(shape.name, name)) : undefined;
    if (scanned !== undefined) throw patternBuilding(shape.name, name, scanned);
  }
  const keysOf = (item: Attributes) =>
    relations.map(([name, relation]): [string, RecordKey | undefined] => [
      name,
      keyOf(environment, shape, item, name, relation),
    ]);
  const wanted = items.map(item => ({ item, keys: keysOf(item) }));
  const keys = wanted.flatMap(({ keys }) => keys.flatMap(([, key]) => (key ? [key] : [])));
  const recordAt = keys.length > 0 ? await readAll(environment, keys) : () => undefined;
  return wanted.map(({ item, keys }) => ({
    ...item,
    ...Object.fromEntries(keys.map(([name, key]) => [name, key && recordAt(key)?.Data])),
  }));
}

function keyOf(
  environment: EntityEnvironment,
  shape: EntityShape,
  item: Attributes,
  name: string,
  relation: RelationShape,
): RecordKey | undefined {
  if (relation.kind === 'last') return copyKey(shape, idValues(shape, item), name);
  if (relation.kind !== 'key') return undefined;
  const id = item[relation.key];
  if (!isScalar(id)) return undefined; // An optional attribute that is not there.
  const other = shapeOf(environment, relation.entity);
  return baseKey(other, idValues(other, id));
}

/** One entity with its relations; undefined when it is not there. */
export async function findWith(
  environment: EntityEnvironment,
  shape: EntityShape,
  id: unknown,
  names: readonly string[],
): Promise<Attributes | undefined> {
  const relations = relationsOf(shape, names);
  const lists = relations.filter(([, { kind }]) => kind === 'list');
  const others = relations.filter(([, { kind }]) => kind !== 'list').map(([name]) => name);
  const together = lists.find(([, relation]) => isReadTogether(environment, shape, relation));
  const rest = lists.filter(list => list !== together);
  const [{ stored, values }, ...children] = await Promise.all([
    together ? readTogether(environment, shape, id, together) : readAlone(environment, shape, id),
    ...rest.map(([name, relation]) => readChildren(environment, shape, id, name, relation)),
  ]);
  if (!stored) return undefined;
  const [found] = await addToPage(environment, shape, [stored.Data], others);
  return Object.assign({}, found, values, ...children);
}

/** Parent and children are neighbours in one partition when nothing else lies between them. */
function isReadTogether(environment: EntityEnvironment, shape: EntityShape, relation: RelationShape): boolean {
  if (relation.kind !== 'list' || relation.latest !== undefined) return false;
  const pattern = shapeOf(environment, relation.entity).patterns.get(relation.pattern);
  return pattern?.kind === 'collection' && shape.children[0] === relation.entity;
}

type Found = { readonly stored: StoredEntity | undefined; readonly values: Attributes };

async function readAlone({ table }: EntityEnvironment, shape: EntityShape, id: unknown): Promise<Found> {
  const Key = { ...baseKey(shape, idValues(shape, id)) };
  const { Item } = await table.get({ TableName: appTable.tableName, Key, ConsistentRead: true });
  return { stored: Item as StoredEntity | undefined, values: {} }; // As the repository put it there.
}

async function readTogether(
  environment: EntityEnvironment,
  shape: EntityShape,
  id: unknown,
  [name, { entity }]: [string, RelationShape],
): Promise<Found> {
  const child = shapeOf(environment, entity);
  const { PK, SK } = baseKey(shape, idValues(shape, id));
  const { Items = [] } = await environment.table.query({
    TableName: appTable.tableName,
    KeyConditionExpression: 'PK = :partition AND SK BETWEEN :parent AND :end',
    ExpressionAttributeValues: { ':partition': PK, ':parent': SK, ':end': childEnd(child) },
    ConsistentRead: true,
    Limit: 1 + entityLimits.childrenMax,
  });
  const records = Items as StoredEntity[]; // As the repository put them there.
  const prefix = childPrefix(child);
  const children = records.filter(record => record.SK.startsWith(prefix)).slice(0, entityLimits.childrenMax);
  return {
    stored: records.find(record => record.SK === SK),
    values: { [name]: children.map(({ Data }) => Data) },
  };
}

async function readChildren(
  environment: EntityEnvironment,
  shape: EntityShape,
  id: unknown,
  name: string,
  relation: RelationShape,
): Promise<Attributes> {
  if (relation.kind !== 'list') throw new TypeError(`${name} is no list.`); // The caller has looked.
  const child = shapeOf(environment, relation.entity);
  const pattern = child.patterns.get(relation.pattern);
  if (!pattern) throw patternNotDeclared(child.name, relation.pattern, [...child.patterns.keys()]);
  const values = idValues(shape, id);
  const by = Object.fromEntries(pattern.by.map((attribute, index) => [attribute, values[index]]));
  const page = await readPattern(environment, child, pattern, {
    by,
    newestFirst: relation.latest !== undefined,
    limit: relation.latest ?? entityLimits.childrenMax,
  });
  if (!pattern.projected) return { [name]: page.records.map(({ Data }) => Data) };
  return { [name]: await wholeOf(environment, child, page.records) };
}

/** The whole entities of lookup records that hold only some attributes; one that was deleted meanwhile is left out. */
export async function wholeOf(
  environment: EntityEnvironment,
  shape: EntityShape,
  records: readonly StoredEntity[],
): Promise<Attributes[]> {
  const keys = records.map(({ Data }) => baseKey(shape, idValues(shape, Data)));
  if (keys.length === 0) return [];
  const recordAt = await readAll(environment, keys);
  return keys.flatMap(key => {
    const record = recordAt(key) as StoredEntity | undefined; // As the repository put it there.
    return record ? [record.Data] : [];
  });
}

/** For messages. */
export function nameOf(shape: EntityShape, id: unknown): string {
  return idText(idValues(shape, id));
}
