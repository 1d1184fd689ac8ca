/**
 * The copy of its last child that a parent keeps, so that a list of parents can bring the last child of each along in one
 * request. It is written in the transaction of the child. A child that comes late, older than the copy, leaves it alone.
 */
import { appTable } from './app-table.ts';
import { type EntityEnvironment, shapeOf } from './environment.ts';
import type { Scalar } from './keys.ts';
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
import { type Action, put, type Role, remove } from './writes.ts';

interface CopyRecord extends StoredEntity {
  readonly LastOrder: string;
  /** The partition key of the child's own records. */
  readonly LastOf: string;
}

/** Where the copy lies: in the partition of the parent itself. */
export function copyKey(parent: EntityShape, parentId: readonly Scalar[], relation: string): RecordKey {
  return { PK: baseKey(parent, parentId).PK, SK: `${parent.name}#last#${relation}` };
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
  const stored = await readCopy(environment, old);
  if (stored?.LastOf !== old.LastOf) {
    const isMoved = next && !(stays && next.LastOrder === old.LastOrder);
    return isMoved ? [putIfNewer(next)] : [];
  }
  if (next && stays && next.LastOrder >= stored.LastOrder) return [putInstead(next, stored)];
  const other = await newestOther(environment, shape, copy, old);
  const winner = next && stays && (!other || next.LastOrder >= other.LastOrder) ? next : other;
  const atOldPlace = winner ? putInstead(winner, stored) : remove(old, role(false), isStill(stored));
  return next && !stays ? [atOldPlace, putIfNewer(next)] : [atOldPlace];
}

const role = (optional: boolean): Role => ({ kind: 'copy', optional });

function putIfNewer(record: CopyRecord): Action {
  return put(record, role(true), {
    ConditionExpression: 'attribute_not_exists(PK) OR LastOrder <= :order',
    ExpressionAttributeValues: { ':order': record.LastOrder },
  });
}

function putInstead(record: CopyRecord, stored: CopyRecord): Action {
  return put(record, role(false), isStill(stored));
}

function isStill({ LastOf, Version }: CopyRecord) {
  return {
    ConditionExpression: 'LastOf = :of AND Version = :seen',
    ExpressionAttributeValues: { ':of': LastOf, ':seen': Version },
  };
}

/** The child as the copy that it would be; undefined when it takes no part in the pattern. */
function placeOf(
  environment: EntityEnvironment,
  shape: EntityShape,
  { parent, relation, pattern }: KeptCopy,
  { data, meta }: NonNullable<ChildState>,
): CopyRecord | undefined {
  const place = placeIn(shape, patternOf(shape, pattern), data);
  if (!place) return undefined;
  const key = copyKey(shapeOf(environment, parent), place.by, relation);
  const LastOf = ownKey(shape, idValues(shape, data));
  return { ...baseRecord(shape, data, meta), ...key, LastOrder: place.order, LastOf };
}

async function readCopy({ table }: EntityEnvironment, { PK, SK }: RecordKey): Promise<CopyRecord | undefined> {
  const { Item } = await table.get({ TableName: appTable.tableName, Key: { PK, SK }, ConsistentRead: true });
  return Item as CopyRecord | undefined; // As `planCopies` put it there.
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
  const { records } = await readPattern(environment, shape, pattern, { by, newestFirst: true, limit: 2 });
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
