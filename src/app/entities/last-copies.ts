/**
 * The copy of its last child that a parent keeps, so that a list of parents can bring the last child of each along in one
 * request. It is written in the transaction of the child. Who computes the copy anew, because the last child goes, has
 * read other children: a stamp that every arrival raises, and checks on what was read, make that one step. Exact where the
 * index does not lag; where it does, a child that has just come may be missing after the last one went.
 */
import { appTable } from './app-table.ts';
import { type EntityEnvironment, shapeOf } from './environment.ts';
import { compareText, type Scalar } from './keys.ts';
import { readPattern } from './reading.ts';
import {
  type Attributes,
  baseKey,
  baseRecord,
  idValues,
  type Meta,
  ownKey,
  placeIn,
  type RecordKey,
  type StoredEntity,
} from './records.ts';
import type { EntityShape, KeptCopy, PatternShape } from './shape.ts';
import { type Action, type Role, versionIs } from './writes.ts';

interface CopyRecord extends StoredEntity {
  readonly LastOrder: string;
  /** The partition key of the child's own records. */
  readonly LastOf: string;
  /** The `madeFor` of the copy. */
  readonly LastBy: string;
}

/** When the last child has gone only the stamp is left. */
type StoredCopy = RecordKey & { readonly Stamp: number } & Partial<CopyRecord>;

/** Where the copy lies: in the partition of the parent itself. */
export function copyKey(parent: EntityShape, parentId: readonly Scalar[], relation: string): RecordKey {
  return { PK: baseKey(parent, parentId).PK, SK: `${parent.name}#last#${relation}` };
}

/** For a child that was there before its parent kept copies. */
export function planArrival(
  environment: Pick<EntityEnvironment, 'shapes'>,
  shape: EntityShape,
  copy: KeptCopy,
  child: NonNullable<ChildState>,
): Action[] {
  const record = placeOf(environment, shape, copy, child);
  return record ? [putIfNewer(record)] : [];
}

/** A version of a child: `undefined` before it is created and after it is deleted. */
export type ChildState = { readonly data: Attributes; readonly meta: Meta } | undefined;

/** What the write of a child does to the copies. Reads only when the child was there before. */
export async function planCopies(
  environment: EntityEnvironment,
  shape: EntityShape,
  before: ChildState,
  after: ChildState,
): Promise<Action[]> {
  const actions = await Promise.all(shape.keptCopies.map(copy => planCopy(environment, shape, copy, before, after)));
  return actions.flat();
}

async function planCopy(
  environment: EntityEnvironment,
  shape: EntityShape,
  copy: KeptCopy,
  before: ChildState,
  after: ChildState,
): Promise<Action[]> {
  const place = (state: ChildState) => state && placeOf(environment, shape, copy, state);
  const old = place(before);
  const next = place(after);
  if (!old) return next ? [putIfNewer(next)] : [];
  const stays = next?.PK === old.PK;
  const arrival = next && !stays ? [putIfNewer(next)] : [];
  const stored = await readCopy(environment, old);
  if (stored?.LastOf !== old.LastOf || stored.LastBy !== old.LastBy || stored.LastOrder === undefined) {
    const isReordered = next && stays && next.LastOrder !== old.LastOrder;
    return [isReordered ? putIfNewer(next) : checkIsOther(old), ...arrival];
  }
  if (next && stays && compareText(next.LastOrder, stored.LastOrder) >= 0) return [putInstead(next, stored)];
  const other = await newestOther(environment, shape, copy, old);
  if (next && stays && (!other || compareText(next.LastOrder, other.LastOrder) >= 0)) return [putInstead(next, stored)];
  if (!other) return [clear(stored), ...arrival];
  return [putInstead(other, stored), checkIsUnchanged(shape, other), ...arrival];
}

const { tableName: TableName } = appTable;
const required: Role = { kind: 'required' };

function putIfNewer(record: CopyRecord): Action {
  const condition = 'attribute_not_exists(LastOrder) OR LastBy <> :LastBy OR LastOrder <= :LastOrder';
  return { ...putCopy(record, condition, {}), role: { kind: 'optional' }, instead: noteLate(record) };
}

function putInstead(record: CopyRecord, { Stamp }: StoredCopy): Action {
  return putCopy(record, 'Stamp = :seen', { ':seen': Stamp });
}

function putCopy({ PK, SK, ...attributes }: CopyRecord, condition: string, values: Record<string, unknown>): Action {
  const names = Object.keys(attributes);
  return {
    role: required,
    item: {
      Update: {
        TableName,
        Key: { PK, SK },
        UpdateExpression: `SET Stamp = if_not_exists(Stamp, :none) + :one, ${names.map(name => `#${name} = :${name}`).join(', ')}`,
        ConditionExpression: condition,
        ExpressionAttributeNames: Object.fromEntries(names.map(name => [`#${name}`, name])),
        ExpressionAttributeValues: {
          ':none': 0,
          ':one': 1,
          ...Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`:${name}`, value])),
          ...values,
        },
      },
    },
  };
}

/** A child that is not the last one tells whoever is about to compute the copy anew that there is one more. */
function noteLate({ PK, SK, LastOrder, LastOf, LastBy }: CopyRecord): Action {
  return {
    role: required,
    item: {
      Update: {
        TableName,
        Key: { PK, SK },
        UpdateExpression: 'SET Stamp = Stamp + :one',
        ConditionExpression: 'LastOrder > :order AND LastOf <> :of AND LastBy = :by',
        ExpressionAttributeValues: { ':one': 1, ':order': LastOrder, ':of': LastOf, ':by': LastBy },
      },
    },
  };
}

function clear({ PK, SK, Stamp }: StoredCopy): Action {
  return {
    role: required,
    item: {
      Update: {
        TableName,
        Key: { PK, SK },
        UpdateExpression: 'SET Stamp = Stamp + :one REMOVE LastOrder, LastOf, LastBy, #data',
        ConditionExpression: 'Stamp = :seen',
        ExpressionAttributeNames: { '#data': 'Data' },
        ExpressionAttributeValues: { ':one': 1, ':seen': Stamp },
      },
    },
  };
}

/** The child has not become the last one since the copy was read. */
function checkIsOther({ PK, SK, LastOf, LastBy }: CopyRecord): Action {
  const condition = {
    ConditionExpression: 'LastOf <> :of OR LastBy <> :by',
    ExpressionAttributeValues: { ':of': LastOf, ':by': LastBy },
  };
  return { role: required, item: { ConditionCheck: { TableName, Key: { PK, SK }, ...condition } } };
}

/** The child that becomes the last one is still as it was read. */
function checkIsUnchanged(shape: EntityShape, { Data, Version }: CopyRecord): Action {
  const Key = { ...baseKey(shape, idValues(shape, Data)) };
  return { role: required, item: { ConditionCheck: { TableName, Key, ...versionIs(Version) } } };
}

/** The child as the copy that it would be; undefined when it takes no part in the pattern. */
function placeOf(
  environment: Pick<EntityEnvironment, 'shapes'>,
  shape: EntityShape,
  { parent, relation, pattern, madeFor }: KeptCopy,
  { data, meta }: NonNullable<ChildState>,
): CopyRecord | undefined {
  const place = placeIn(shape, patternOf(shape, pattern), data);
  if (!place) return undefined;
  const key = copyKey(shapeOf(environment, parent), place.by, relation);
  const LastOf = ownKey(shape, idValues(shape, data));
  return { ...baseRecord(shape, data, meta), ...key, LastOrder: place.order, LastOf, LastBy: madeFor };
}

async function readCopy({ table }: EntityEnvironment, { PK, SK }: RecordKey): Promise<StoredCopy | undefined> {
  const { Item } = await table.get({ TableName: appTable.tableName, Key: { PK, SK }, ConsistentRead: true });
  return Item as StoredCopy | undefined; // As `planCopies` put it there.
}

/** The child that is last when `old` is not counted. */
async function newestOther(
  environment: EntityEnvironment,
  shape: EntityShape,
  copy: KeptCopy,
  old: CopyRecord,
): Promise<CopyRecord | undefined> {
  const pattern = patternOf(shape, copy.pattern);
  const by = Object.fromEntries(pattern.by.map(name => [name, old.Data[name]]));
  // While the pattern is being filled, so is the copy: what is not found now arrives with the backfill.
  const reading = { ...environment, buildingOf: () => undefined };
  const { records } = await readPattern(reading, shape, pattern, { by, newestFirst: true, limit: 2 });
  const other = records.find(({ Data }) => ownKey(shape, idValues(shape, Data)) !== old.LastOf);
  if (!other) return undefined;
  // The lookup may project, and lag: what counts is the record itself.
  const Key = baseKey(shape, idValues(shape, other.Data));
  const { Item } = await environment.table.get({
    TableName: appTable.tableName,
    Key: { ...Key },
    ConsistentRead: true,
  });
  const stored = Item as StoredEntity | undefined; // As the repository put it there.
  const found = stored && placeOf(environment, shape, copy, { data: stored.Data, meta: stored });
  return found?.PK === old.PK ? found : undefined;
}

function patternOf(shape: EntityShape, name: string): PatternShape {
  const pattern = shape.patterns.get(name);
  if (!pattern) throw new TypeError(`${shape.name} has no pattern ${name}.`); // Definitions are checked for that.
  return pattern;
}
