/**
 * The records of an entity. The base record holds it; for each access pattern there is a lookup record, found through
 * the index on (SK, SortKey); all are written in one transaction.
 *   base       PK=Message-<id>  SK=Message                                     Version, CreatedAt, UpdatedAt, Data
 *   in parent  PK=Device-<id>   SK=Device#Reading#<rest of the id>             the same
 *   lookup     PK=Message-<id>  SK=Message-bySpeaker#<speakerId>  SortKey=<order>    Data, or what the pattern projects
 *   sharded                     SK=Message-bySpeaker~<shard>#<speakerId>
 *   unique     PK=Unique-User-email#<value>  SK=Unique                         OfPK, OfSK: the entity's
 *   version    PK=Message-<id>  SK=v0000000001                                 as the base record was
 *   last copy  PK=Device-<id>   SK=Device#last#<relation>                      as the child's base record, LastOrder, LastOf, LastBy, Stamp
 */
import { entityNotValid } from './errors.ts';
import { isScalar, joinedKey, keyBytes, orderText, partOfKey, type Scalar, shardOf } from './keys.ts';
import { entityLimits } from './limits.ts';
import { type EntityShape, lookupsOf, type PatternShape, type UniqueShape } from './shape.ts';

export type Attributes = Record<string, unknown>;

export interface RecordKey {
  readonly PK: string;
  readonly SK: string;
}

export interface Meta {
  readonly Version: number;
  readonly CreatedAt: string;
  readonly UpdatedAt: string;
}

export interface StoredEntity extends RecordKey, Meta {
  readonly SortKey?: string;
  readonly Data: Attributes;
}

/** Of a unique value; with the key of its owner. */
export interface GuardRecord extends RecordKey {
  readonly OfPK: string;
  readonly OfSK: string;
}

/** By one value, or by an object of values. */
export type Id = Scalar | Readonly<Record<string, unknown>>;

export const guardSortKey = 'Unique';

/** The values of the id, in the order of the definition. Throws `entity.notValid`. */
export function idValues(shape: EntityShape, id: unknown): Scalar[] {
  const whole = typeof id === 'object' && id !== null ? id : undefined;
  if (!whole && shape.id.length > 1) throw entityNotValid(shape.name, `its id is ${shape.id.join(' and ')}`);
  return shape.id.map(name => {
    const value: unknown = whole ? Reflect.get(whole, name) : id;
    if (!isScalar(value)) throw entityNotValid(shape.name, `${name}: an id is text or a number`);
    return value;
  });
}

/** As messages and keys show it. One attribute stands for itself; several are joined. */
export function idText(values: readonly Scalar[]): string {
  return values.length === 1 ? String(values[0]) : joinedKey(values);
}

/** The partition of the lookup records, the versions, and of the entity itself unless it lives in its parent's. */
export function ownKey(shape: EntityShape, values: readonly Scalar[]): string {
  return checkedKey(shape, 'id', `${shape.name}-${idText(values)}`, entityLimits.partitionKeyBytesMax);
}

export function baseKey(shape: EntityShape, values: readonly Scalar[]): RecordKey {
  const { name, parent } = shape;
  if (!parent) return { PK: ownKey(shape, values), SK: name };
  const rest = values.slice(parent.idLength);
  const SK = childPrefix(shape) + [...rest.slice(0, -1).map(partOfKey), ...rest.slice(-1).map(orderText)].join('#');
  return {
    PK: parentKey(shape, values),
    SK: checkedKey(shape, 'id', SK, entityLimits.sortKeyBytesMax),
  };
}

/** The partition of the parent that an entity lives in. */
export function parentKey({ name, parent }: EntityShape, values: readonly Scalar[]): string {
  if (!parent) throw new TypeError(`${name} lives in no other entity`);
  return `${parent.name}-${idText(values.slice(0, parent.idLength))}`;
}

/** What the sort keys of an entity within another begin with; `childEnd` is behind them all. */
export function childPrefix({ name, parent }: EntityShape): string {
  return `${parent?.name}#${name}#`;
}

export function childEnd({ name, parent }: EntityShape): string {
  return `${parent?.name}#${name}$`; // `$` follows `#`, and no sort key ends so
}

/** Whose record it is, when it is the entity itself and not one that belongs to it. */
export function entityOfRecord({ PK, SK }: RecordKey): string | undefined {
  const match = /^([A-Z][A-Za-z0-9]*)(?:#([A-Z][A-Za-z0-9]*)#.*)?$/s.exec(SK);
  return match && PK.startsWith(`${match[1]}-`) ? (match[2] ?? match[1]) : undefined;
}

export function versionKey(shape: EntityShape, values: readonly Scalar[], version: number): RecordKey {
  return { PK: ownKey(shape, values), SK: `v${String(version).padStart(10, '0')}` };
}

/** The values of some attributes, or undefined when one is missing. Throws `entity.notValid` for what no key can hold. */
export function scalarsOf(shape: EntityShape, attributes: readonly string[], data: Attributes): Scalar[] | undefined {
  const values: Scalar[] = [];
  for (const name of attributes) {
    const value = data[name];
    if (value === undefined || value === null) return undefined;
    if (!isScalar(value))
      throw entityNotValid(shape.name, `${name}: it is part of a key, so text, a number or a boolean`);
    values.push(value);
  }
  return values;
}

/** Where an entity stands in a pattern, or undefined when it takes no part. */
export function placeIn(
  shape: EntityShape,
  pattern: PatternShape,
  data: Attributes,
): { by: Scalar[]; order: string } | undefined {
  // A definition's function takes the attributes of its own entity, which these are.
  const takesPart = pattern.when as ((attributes: Attributes) => boolean) | undefined;
  if (takesPart && !takesPart(data)) return undefined;
  const by = scalarsOf(shape, pattern.by, data);
  const order = scalarsOf(shape, pattern.order === undefined ? shape.id : [pattern.order], data);
  if (!by || !order) return undefined;
  return { by, order: pattern.order === undefined && order.length > 1 ? joinedKey(order) : orderText(order[0]) };
}

/** The partition of the index that holds a pattern's lookups for these values. */
export function lookupPartition(
  shape: EntityShape,
  pattern: PatternShape,
  by: readonly Scalar[],
  shard: number,
): string {
  const spread = pattern.shards > 1 ? `~${shard}` : '';
  const values = by.length > 0 ? `#${joinedKey(by)}` : '';
  const SK = `${shape.name}-${pattern.name}${spread}${values}`;
  return checkedKey(shape, pattern.name, SK, entityLimits.sortKeyBytesMax);
}

/** What the sort keys of all lookup records of an entity begin with. */
export function lookupPrefix(shape: EntityShape): string {
  return `${shape.name}-`;
}

export function baseRecord(
  shape: EntityShape,
  data: Attributes,
  { Version, CreatedAt, UpdatedAt }: Meta,
): StoredEntity {
  return { ...baseKey(shape, idValues(shape, data)), Version, CreatedAt, UpdatedAt, Data: data };
}

/** One for each pattern that it takes part in and that is not answered by the base records themselves. */
export function lookupRecords(shape: EntityShape, data: Attributes, meta: Meta): StoredEntity[] {
  const { Version, CreatedAt, UpdatedAt } = meta;
  const values = idValues(shape, data);
  const PK = ownKey(shape, values);
  return lookupsOf(shape).flatMap(pattern => {
    const place = placeIn(shape, pattern, data);
    if (!place) return [];
    const shard = shardOf(idText(values), pattern.shards);
    const SK = lookupPartition(shape, pattern, place.by, shard);
    const SortKey = checkedKey(shape, pattern.name, place.order, entityLimits.sortKeyBytesMax);
    return [{ PK, SK, SortKey, Version, CreatedAt, UpdatedAt, Data: project(data, pattern.projected) }];
  });
}

/** One for each set of unique attributes that it has. */
export function guardRecords(shape: EntityShape, data: Attributes): { record: GuardRecord; unique: UniqueShape }[] {
  const { PK: OfPK, SK: OfSK } = baseKey(shape, idValues(shape, data));
  return shape.unique.flatMap(unique => {
    const takesPart = unique.when as ((attributes: Attributes) => boolean) | undefined; // As in `placeIn`.
    const values = takesPart && !takesPart(data) ? undefined : scalarsOf(shape, unique.attributes, data);
    if (!values) return [];
    const PK = `Unique-${shape.name}-${unique.name}#${joinedKey(values)}`;
    const checked = checkedKey(shape, unique.name, PK, entityLimits.partitionKeyBytesMax);
    return [{ record: { PK: checked, SK: guardSortKey, OfPK, OfSK }, unique }];
  });
}

function project(data: Attributes, names: ReadonlySet<string> | undefined): Attributes {
  return names ? Object.fromEntries(Object.entries(data).filter(([name]) => names.has(name))) : data;
}

function checkedKey(shape: EntityShape, what: string, key: string, bytesMax: number): string {
  if (keyBytes(key) > bytesMax) throw entityNotValid(shape.name, `${what}: its key is longer than ${bytesMax} bytes`);
  if (!key.isWellFormed()) throw entityNotValid(shape.name, `${what}: its key is not well-formed Unicode`);
  return key;
}
