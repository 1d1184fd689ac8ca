/** Puts the records that belong to one entity right, as long as the entity is as it was read. */
import { isDeepStrictEqual } from 'node:util';
import { appTable } from './app-table.ts';
import { backOff, type EntityEnvironment } from './environment.ts';
import { entityContended } from './errors.ts';
import { partName } from './fingerprints.ts';
import { planArrival } from './last-copies.ts';
import { entityLimits } from './limits.ts';
import {
  type GuardRecord,
  guardRecords,
  idValues,
  lookupPrefix,
  lookupRecords,
  ownKey,
  type RecordKey,
  type StoredEntity,
} from './records.ts';
import { nameOf } from './related.ts';
import type { EntityShape } from './shape.ts';
import { type Action, changeLookups, isAbsent, isOwn, type Outcome, put, remove, send, versionIs } from './writes.ts';

export type RepairEnvironment = Pick<EntityEnvironment, 'table' | 'clock' | 'random' | 'shapes'>;

export interface Repair {
  readonly isRepaired: boolean;
  /** Unique values that somebody else has. */
  readonly notUnique: number;
}

const { tableName: TableName } = appTable;
const attemptsMax = 50; // ours: with the delays between them several seconds

/** @param building  parts whose records may be missing, by `partName` */
export async function repairEntity(
  environment: RepairEnvironment,
  shape: EntityShape,
  read: StoredEntity,
  building: ReadonlySet<string>,
): Promise<Repair> {
  let base: StoredEntity | undefined = read;
  for (let attempt = 1; base; attempt++) {
    const done = await tryRepair(environment, shape, base, building);
    if (done) return done;
    if (attempt >= attemptsMax) throw entityContended(shape.name, nameOf(shape, base.Data), base.Version);
    await backOff(environment, entityLimits.conflictDelayMs, attempt); // The app has written: it goes first.
    base = await load(environment, base);
  }
  return { isRepaired: false, notUnique: 0 }; // It was deleted, with all that belongs to it.
}

/** Undefined when the entity has changed since it was read. */
async function tryRepair(
  environment: RepairEnvironment,
  shape: EntityShape,
  base: StoredEntity,
  building: ReadonlySet<string>,
): Promise<Repair | undefined> {
  const { table } = environment;
  const unchanged = checkUnchanged(base);
  const lookups = changeLookups(await readLookups(environment, shape, base), lookupRecords(shape, base.Data, base));
  let isRepaired = false;
  for (let from = 0; from < lookups.length; from += entityLimits.transactionItemsMax - 1) {
    const some = lookups.slice(from, from + entityLimits.transactionItemsMax - 1);
    const outcome = await send(table, shape, base.Data, [unchanged, ...some]);
    if (outcome.kind !== 'done') return undefined;
    isRepaired = true;
  }
  let notUnique = 0;
  for (const { record, unique } of guardRecords(shape, base.Data)) {
    if (!building.has(partName.unique(shape.name, unique.name))) continue;
    const guard = put(record, { kind: 'unique', unique }, isFreeOrOwn(record));
    const outcome = await send(table, shape, base.Data, [unchanged, guard]);
    if (isChanged(outcome)) return undefined;
    if (outcome.kind === 'refused') notUnique++;
    else isRepaired = true;
  }
  for (const copy of shape.keptCopies) {
    if (!building.has(partName.lastCopy(copy.parent, copy.relation))) continue;
    for (const arrival of planArrival(environment, shape, copy, { data: base.Data, meta: base })) {
      let outcome = await send(table, shape, base.Data, [unchanged, arrival]);
      isRepaired ||= outcome.kind === 'done';
      // A later one is there already.
      if (outcome.kind === 'refused' && !isChanged(outcome) && arrival.instead)
        outcome = await send(table, shape, base.Data, [unchanged, arrival.instead]);
      if (outcome.kind !== 'done') return undefined;
    }
  }
  return { isRepaired, notUnique };
}

/** The entity is not as it was read, or is being written. */
function isChanged(outcome: Outcome): boolean {
  return outcome.kind === 'busy' || (outcome.kind === 'refused' && outcome.roles.some(({ kind }) => kind === 'base'));
}

/** A guard of an attribute that is unique no more, or whose owner has another value or is gone. */
export async function deleteStaleGuard(environment: RepairEnvironment, guard: GuardRecord): Promise<void> {
  const [, name] = guard.PK.split('-', 2);
  const shape = environment.shapes.get(name);
  const ownerKey = { PK: guard.OfPK, SK: guard.OfSK };
  for (let attempt = 1; ; attempt++) {
    const owner = await load(environment, ownerKey);
    const held = shape && owner ? guardRecords(shape, owner.Data) : [];
    if (held.some(({ record }) => isDeepStrictEqual(record, { ...guard }))) return;
    const actions = [owner ? checkUnchanged(owner) : checkAbsent(ownerKey), remove(guard, undefined, isOwn(guard))];
    const isDone = await environment.table.transactWrite({ TransactItems: actions.map(({ item }) => item) }).then(
      () => true,
      error => {
        if (error instanceof Error && error.name === 'TransactionCanceledException') return false;
        throw error;
      },
    );
    if (isDone || attempt >= attemptsMax || !(await isStill(environment, guard))) return;
    await backOff(environment, entityLimits.conflictDelayMs, attempt); // Its owner is being written.
  }
}

/** There, and of the same owner. */
async function isStill(environment: RepairEnvironment, guard: GuardRecord): Promise<boolean> {
  return isDeepStrictEqual({ ...(await load(environment, guard)) }, { ...guard });
}

/** Those that are there, whatever definition they were made for. */
export async function readLookups(
  { table }: Pick<EntityEnvironment, 'table'>,
  shape: EntityShape,
  base: StoredEntity,
): Promise<StoredEntity[]> {
  const records: StoredEntity[] = [];
  let from: Record<string, unknown> | undefined;
  do {
    const page = await table.query({
      TableName,
      KeyConditionExpression: 'PK = :partition AND begins_with(SK, :lookups)',
      ExpressionAttributeValues: {
        ':partition': ownKey(shape, idValues(shape, base.Data)),
        ':lookups': lookupPrefix(shape),
      },
      ConsistentRead: true,
      ExclusiveStartKey: from,
    });
    records.push(...((page.Items ?? []) as StoredEntity[])); // As the repository put them there.
    from = page.LastEvaluatedKey;
  } while (from);
  return records;
}

async function load(
  { table }: Pick<RepairEnvironment, 'table'>,
  { PK, SK }: RecordKey,
): Promise<StoredEntity | undefined> {
  const { Item } = await table.get({ TableName, Key: { PK, SK }, ConsistentRead: true });
  return Item as StoredEntity | undefined; // As the repository put it there.
}

function checkUnchanged({ PK, SK, Version }: StoredEntity): Action {
  return { role: { kind: 'base' }, item: { ConditionCheck: { TableName, Key: { PK, SK }, ...versionIs(Version) } } };
}

function checkAbsent({ PK, SK }: RecordKey): Action {
  return { role: { kind: 'base' }, item: { ConditionCheck: { TableName, Key: { PK, SK }, ...isAbsent } } };
}

function isFreeOrOwn(guard: GuardRecord) {
  const { ConditionExpression, ...values } = isOwn(guard);
  return { ConditionExpression: `attribute_not_exists(PK) OR (${ConditionExpression})`, ...values };
}
