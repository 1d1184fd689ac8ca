/** Keeps the aggregates of an app: takes the changes of its table into the groups they matter to, once each. */
import assert from 'node:assert/strict';
import type { Clock } from '../kernel/clock.ts';
import type { Outcome, Selected, StreamRecord } from '../platform/stream/index.ts';
import { type ChangeFeed, type DocumentChange, type Table, tableLimits } from '../platform/table/index.ts';
import {
  type AggregateDefinition,
  type Declared,
  declaredAggregates,
  declaredKey,
  emptyGroup,
  epochPrefix,
  extremePrefix,
  groupKey,
  groupSortKey,
  groupsPrefix,
  nameOf,
  readGroup,
  type StoredGroup,
  shortHash,
} from './aggregates.ts';
import { addExactly } from './decimal-sum.ts';
import type { App } from './define-app.ts';
import { entityOfRecord } from './entities/index.ts';
import { baseRecordsOf, type ChangeConsumer, type ChangeFilter, selectChange } from './table-changes.ts';

/** The consumer that keeps aggregates; functions of the app cannot have this name. */
export const aggregatesConsumer = '$aggregates';

export const aggregateLimits = {
  transactionItemsMax: tableLimits.transactionItemsMax,
  groupsAtOnceMax: 16, // ours: groups of one batch that are written beside each other
  batchRecordsMax: 1_000, // ours: changes taken in at once; those of one group are one write
} as const;

/** What one change means to one group: an entity comes, goes, or does both with other values. */
interface Contribution {
  readonly sequenceNumber: bigint;
  readonly sign: 1 | -1;
  /** Identifies the entity within the group. */
  readonly entityKey: string;
  readonly attributes: Record<string, unknown>;
}

interface GroupWork {
  readonly definition: AggregateDefinition;
  readonly contributions: Contribution[];
}

interface RecordOfTable extends Record<string, unknown> {
  readonly PK: string;
  readonly SK: string;
}

/** What a change of a counted entity is before it is known to which groups it matters. */
export interface CountedChange {
  readonly entity: string;
  readonly change: DocumentChange;
}

export interface AggregateKeeperOptions {
  readonly table: Table;
  readonly tableName: string;
  readonly clock: Clock;
  /** The changes of the table; needed only by an app that declares aggregates. */
  readonly changes: ChangeFeed | undefined;
}

/** As an aggregate is noted in the table once it is built. */
interface StoredDeclaration {
  readonly SK: string;
  readonly Definition: string;
  readonly Epoch: string;
  /** The changes up to here are in it since it was built. */
  readonly UpTo: string;
  /** Changes were trimmed before it could take them in: it is built again at the next start. */
  readonly IsIncomplete?: boolean;
}

interface Epoch {
  readonly name: string;
  readonly upTo: bigint;
}

export class AggregateKeeper implements ChangeConsumer<CountedChange> {
  readonly settings = { batchRecordsMax: aggregateLimits.batchRecordsMax };
  readonly #declared: readonly Declared[];
  readonly #options: AggregateKeeperOptions;
  readonly #epochs = new Map<Declared, Epoch>();

  constructor(app: Pick<App, 'model'>, options: AggregateKeeperOptions) {
    this.#declared = declaredAggregates(app);
    this.#options = options;
  }

  /**
   * Builds what is declared and not there yet from the entities there are, and forgets what is declared no more. Nothing
   * else may write to the table meanwhile. Interrupted, it begins again at the next start.
   */
  async start(): Promise<void> {
    const known = await this.#knownDeclarations();
    const missing: Declared[] = [];
    for (const declared of this.#declared) {
      const found = known.get(nameOf(declared));
      if (found?.Definition === textOf(declared.definition) && found.IsIncomplete !== true) {
        this.#epochs.set(declared, { name: found.Epoch, upTo: BigInt(found.UpTo) });
        known.delete(found.SK);
      } else missing.push(declared);
    }
    const { table, tableName: TableName } = this.#options;
    for (const SK of known.keys()) await table.delete({ TableName, Key: { PK: declaredKey, SK } });
    if (missing.length > 0) await this.#build(missing);
  }

  /** Changes were trimmed before they could be taken in. */
  async noteIncomplete(): Promise<void> {
    const { table, tableName: TableName } = this.#options;
    for (const declared of this.#declared) {
      const Key = { PK: declaredKey, SK: nameOf(declared) };
      const ExpressionAttributeValues = { ':yes': true };
      await table.update({ TableName, Key, UpdateExpression: 'SET IsIncomplete = :yes', ExpressionAttributeValues });
    }
  }

  readonly wantsKey: ChangeFilter = key => this.#declared.some(({ entity }) => baseRecordsOf(entity)(key));

  readonly select = (record: StreamRecord): CountedChange | undefined => {
    const change = selectChange(record, this.wantsKey);
    if (!change) return undefined;
    const entity = entityOfRecord({ PK: String(change.keys.PK), SK: String(change.keys.SK) });
    return entity === undefined ? undefined : { entity, change };
  };

  /** Takes a batch in. Given again, in whole or in part, it changes nothing more. */
  readonly run = async (batch: readonly Selected<CountedChange>[]): Promise<Outcome> => {
    const groups = new Map<string, GroupWork>();
    for (const { record, event } of batch) {
      for (const [declared, { upTo }] of this.#epochs) {
        if (declared.entity !== event.entity || record.sequenceNumber <= upTo) continue;
        const { keys, oldImage, newImage } = event.change;
        const common = { sequenceNumber: record.sequenceNumber, entityKey: `${keys.PK} ${keys.SK}` };
        this.#count(groups, declared, oldImage, { ...common, sign: -1 });
        this.#count(groups, declared, newImage, { ...common, sign: 1 });
      }
    }
    await this.#applyAll(groups);
    return { failed: new Map(), skipped: new Set() };
  };

  async #knownDeclarations(): Promise<Map<string, StoredDeclaration>> {
    const { table, tableName: TableName } = this.#options;
    const answer = await table.query({
      TableName,
      KeyConditionExpression: 'PK = :pk',
      ExpressionAttributeValues: { ':pk': declaredKey },
      ConsistentRead: true,
    });
    const found = (answer.Items ?? []) as StoredDeclaration[]; // As `#build` put them there.
    return new Map(found.map(each => [each.SK, each]));
  }

  async #build(missing: readonly Declared[]): Promise<void> {
    const { table, tableName: TableName, clock, changes } = this.#options;
    assert(changes !== undefined); // whoever starts an app with aggregates gives it the changes
    const upTo = changes.lastSequenceNumber();
    // What an interrupted attempt has written is a change, so no two have the same name.
    const epoch = { name: `${new Date(clock.nowMs()).toISOString()}.${upTo}`, upTo };
    for (const declared of missing) this.#epochs.set(declared, epoch);
    const current = [...this.#epochs].map(([declared, { name }]) => epochPrefix(declared, name));
    let ExclusiveStartKey: Record<string, unknown> | undefined;
    do {
      const page = await table.scan({ TableName, ExclusiveStartKey, ConsistentRead: true });
      const items = (page.Items ?? []) as RecordOfTable[]; // The keys of `appTable` are two strings.
      await this.#buildFrom(items, missing, upTo);
      const isLeftOver = ({ PK }: RecordOfTable) =>
        PK.startsWith(groupsPrefix) && !current.some(prefix => PK.startsWith(prefix));
      for (const { PK, SK } of items.filter(isLeftOver)) await table.delete({ TableName, Key: { PK, SK } });
      ExclusiveStartKey = page.LastEvaluatedKey;
    } while (ExclusiveStartKey !== undefined);
    for (const declared of missing) {
      const Definition = textOf(declared.definition);
      const Item = { PK: declaredKey, SK: nameOf(declared), Definition, Epoch: epoch.name, UpTo: String(upTo) };
      await table.put({ TableName, Item });
    }
  }

  async #buildFrom(items: readonly RecordOfTable[], missing: readonly Declared[], upTo: bigint): Promise<void> {
    const groups = new Map<string, GroupWork>();
    for (const item of items) {
      for (const declared of missing) {
        if (!baseRecordsOf(declared.entity)(item)) continue;
        this.#count(groups, declared, item, { sequenceNumber: upTo, entityKey: `${item.PK} ${item.SK}`, sign: 1 });
      }
    }
    await this.#applyAll(groups, upTo);
  }

  /** Adds what an image means to the group it counts in, if it does. */
  #count(
    groups: Map<string, GroupWork>,
    declared: Declared,
    image: Record<string, unknown> | undefined,
    rest: Omit<Contribution, 'attributes'>,
  ): void {
    if (image === undefined) return;
    const { definition } = declared;
    const attributes = image.Data as Record<string, unknown>; // As the repository put it there.
    const isMember = definition.by.every(name => attributes[name] !== undefined);
    if (!isMember || !(definition.when?.(attributes) ?? true)) return;
    const epoch = this.#epochs.get(declared);
    assert(epoch !== undefined); // `start` comes first
    const PK = groupKey(declared, epoch.name, attributes);
    const group = groups.get(PK) ?? { definition, contributions: [] };
    groups.set(PK, group);
    group.contributions.push({ ...rest, attributes });
  }

  async #applyAll(groups: ReadonlyMap<string, GroupWork>, builtUpTo?: bigint): Promise<void> {
    const waiting = groups.entries(); // One iterator for all: each takes the next group.
    const work = async () => {
      for (const [PK, group] of waiting) await this.#applyTo(PK, group, builtUpTo);
    };
    await Promise.all(Array.from({ length: aggregateLimits.groupsAtOnceMax }, work));
  }

  /** @param builtUpTo  while it is built: the entities are those of this change, and come once each */
  async #applyTo(PK: string, { definition, contributions }: GroupWork, builtUpTo?: bigint): Promise<void> {
    const { table, tableName: TableName } = this.#options;
    let stored = await readGroup(table, TableName, PK);
    const upTo = BigInt(stored?.UpTo ?? 0);
    const fresh =
      builtUpTo === undefined ? contributions.filter(({ sequenceNumber }) => sequenceNumber > upTo) : contributions;
    for (const chunk of chunksOf(fresh, definition, builtUpTo === undefined)) {
      const next = addAll(stored ?? emptyGroup, definition, chunk);
      const condition =
        stored === undefined
          ? { ConditionExpression: 'attribute_not_exists(PK)' }
          : { ConditionExpression: 'UpTo = :upTo', ExpressionAttributeValues: { ':upTo': stored.UpTo } };
      const group = { Put: { TableName, Item: { PK, SK: groupSortKey, ...next }, ...condition } };
      await table.transactWrite({ TransactItems: [group, ...extremesOf(TableName, PK, definition, chunk)] });
      stored = next;
    }
  }
}

/** In pieces of one transaction each; while changes are taken in, what one of them means to the group stays together. */
function chunksOf(
  contributions: readonly Contribution[],
  { minMax = [] }: AggregateDefinition,
  keepsTogether: boolean,
): Contribution[][] {
  const most = Math.floor((aggregateLimits.transactionItemsMax - 1) / Math.max(1, minMax.length));
  const wholes = keepsTogether
    ? Map.groupBy(contributions, ({ sequenceNumber }) => sequenceNumber).values()
    : contributions.map(each => [each]);
  const chunks: Contribution[][] = [];
  for (const whole of wholes) {
    const last = chunks.at(-1);
    if (last === undefined || (minMax.length > 0 && last.length + whole.length > most)) chunks.push([...whole]);
    else last.push(...whole);
  }
  return chunks;
}

function addAll(group: StoredGroup, { sum = [] }: AggregateDefinition, chunk: readonly Contribution[]): StoredGroup {
  let count = group.Count;
  const sums = { ...group.Sums };
  for (const { sign, attributes } of chunk) {
    count += sign;
    for (const name of sum) {
      const value = attributes[name];
      if (typeof value !== 'number') continue;
      const before = Object.hasOwn(sums, name) ? sums[name] : { Sum: '0', Count: 0 };
      sums[name] = { Sum: addExactly(before.Sum, value, sign), Count: before.Count + sign };
    }
  }
  return { UpTo: String(chunk[chunk.length - 1].sequenceNumber), Count: count, Sums: sums };
}

type ExtremeAction =
  | { readonly Put: { readonly TableName: string; readonly Item: Record<string, unknown> } }
  | { readonly Delete: { readonly TableName: string; readonly Key: Record<string, unknown> } };

/** The records of extremes that come and go. An entity that stays as it was is written once more, at most. */
function extremesOf(
  TableName: string,
  PK: string,
  { minMax = [] }: AggregateDefinition,
  chunk: readonly Contribution[],
) {
  const actions = new Map<string, ExtremeAction>();
  for (const { sign, attributes, entityKey } of chunk) {
    for (const name of minMax) {
      const value = attributes[name];
      if (typeof value !== 'number') continue;
      const SK = `${extremePrefix(name)}${orderedNumber(value)}#${shortHash(entityKey)}`;
      const Key = { PK, SK };
      actions.set(
        SK,
        sign > 0 ? { Put: { TableName, Item: { ...Key, Value: value } } } : { Delete: { TableName, Key } },
      );
    }
  }
  return [...actions.values()];
}

/** Equal for equal definitions; of a function its text is all that can be compared. */
function textOf({ by, sum = [], minMax = [], when }: AggregateDefinition): string {
  return JSON.stringify({ by, sum, minMax, when: when === undefined ? null : shortHash(String(when)) });
}

/** 16 digits in the order of the numbers: IEEE 754 doubles, negative ones inverted. */
function orderedNumber(value: number): string {
  const bits = Buffer.alloc(8);
  bits.writeDoubleBE(value === 0 ? 0 : value); // -0 is 0
  const isNegative = bits[0] >= 0x80;
  for (let index = 0; index < 8; index++) bits[index] ^= isNegative ? 0xff : index === 0 ? 0x80 : 0;
  return bits.toString('hex');
}
