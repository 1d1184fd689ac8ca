/** Keeps the aggregates of an app: takes the changes of its table into the groups they matter to, once each. */
import type { Clock } from '../kernel/clock.ts';
import type { Selected, StreamRecord } from '../platform/stream/index.ts';
import type { DocumentChange, Table } from '../platform/table/index.ts';
import {
  type AggregateDefinition,
  type Declared,
  declaredAggregates,
  declaredKey,
  emptyGroup,
  extremePrefix,
  groupKey,
  groupSortKey,
  nameOf,
  readGroup,
  type StoredGroup,
  shortHash,
} from './aggregates.ts';
import { addExactly } from './decimal-sum.ts';
import type { App } from './define-app.ts';
import { appTable } from './entities.ts';
import { baseRecordsOf, type ChangeConsumer, type ChangeFilter, selectChange } from './table-changes.ts';

/** The consumer that keeps aggregates; functions of the app cannot have this name. */
export const aggregatesConsumer = '$aggregates';

export const aggregateLimits = {
  transactionItemsMax: 100, // DynamoDB TransactWriteItems
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

/** What a change of a counted entity is before it is known to which groups it matters. */
export interface CountedChange {
  readonly entity: string;
  readonly change: DocumentChange;
}

/** The consumer that keeps the aggregates of an app. */
export async function aggregateConsumer(
  app: Pick<App, 'model'>,
  { table, clock }: { readonly table: Table; readonly clock: Clock },
): Promise<ChangeConsumer<CountedChange>> {
  const keeper = new AggregateKeeper(app, { table, tableName: appTable.tableName, clock });
  await keeper.start();
  return {
    wants: keeper.wants,
    select: record => keeper.select(record),
    run: async batch => {
      await keeper.apply(batch);
      return { failed: new Map(), skipped: new Set() };
    },
    limits: { batchRecordsMax: aggregateLimits.batchRecordsMax },
  };
}

export class AggregateKeeper {
  readonly #declared: readonly Declared[];
  readonly #table: Table;
  readonly #tableName: string;
  readonly #clock: Clock;
  /** By aggregate: what `Since` says. */
  readonly #since = new Map<Declared, string>();

  constructor(app: Pick<App, 'model'>, { table, tableName, clock }: { table: Table; tableName: string; clock: Clock }) {
    this.#declared = declaredAggregates(app);
    this.#table = table;
    this.#tableName = tableName;
    this.#clock = clock;
  }

  /** Notes what is declared; before the first change is given to `apply`. */
  async start(): Promise<void> {
    const answer = await this.#table.query({
      TableName: this.#tableName,
      KeyConditionExpression: 'PK = :pk',
      ExpressionAttributeValues: { ':pk': declaredKey },
    });
    const known = new Map((answer.Items ?? []).map(item => [String(item.SK), item]));
    for (const declared of this.#declared) {
      const SK = nameOf(declared);
      const found = known.get(SK);
      known.delete(SK);
      const Definition = textOf(declared.definition);
      const isSame = found?.Definition === Definition;
      const Since = isSame ? String(found.Since) : new Date(this.#clock.nowMs()).toISOString();
      this.#since.set(declared, Since);
      const Item = { PK: declaredKey, SK, Definition, Since };
      if (!isSame) await this.#table.put({ TableName: this.#tableName, Item });
    }
    for (const SK of known.keys()) {
      await this.#table.delete({ TableName: this.#tableName, Key: { PK: declaredKey, SK } });
    }
  }

  readonly wants: ChangeFilter = key => this.#declared.some(({ entity }) => baseRecordsOf(entity)(key));

  select(record: StreamRecord): CountedChange | undefined {
    const change = selectChange(record, this.wants);
    return change && { entity: String(change.keys.SK), change };
  }

  /** Takes a batch in. Given again, in whole or in part, it changes nothing more. */
  async apply(batch: readonly Selected<CountedChange>[]): Promise<void> {
    const waiting = this.#groupsOf(batch).entries(); // One iterator for all: each takes the next group.
    const work = async () => {
      for (const [PK, group] of waiting) await this.#applyTo(PK, group);
    };
    await Promise.all(Array.from({ length: aggregateLimits.groupsAtOnceMax }, work));
  }

  #groupsOf(batch: readonly Selected<CountedChange>[]): Map<string, GroupWork> {
    const groups = new Map<string, GroupWork>();
    for (const { record, event } of batch) {
      for (const declared of this.#declared) {
        if (declared.entity !== event.entity) continue;
        const images = [
          [event.change.oldImage, -1],
          [event.change.newImage, 1],
        ] as const;
        for (const [image, sign] of images) {
          const counted = this.#countedIn(declared, image);
          if (counted === undefined) continue;
          const { definition } = declared;
          const group = groups.get(counted.PK) ?? { definition, contributions: [] };
          groups.set(counted.PK, group);
          const { sequenceNumber, partitionKey: entityKey } = record;
          group.contributions.push({ sequenceNumber, sign, entityKey, attributes: counted.attributes });
        }
      }
    }
    return groups;
  }

  /** The group an image counts in, if it does. */
  #countedIn(
    declared: Declared,
    image: Record<string, unknown> | undefined,
  ): { PK: string; attributes: Record<string, unknown> } | undefined {
    const since = this.#since.get(declared) ?? '';
    if (image === undefined || String(image.CreatedAt) < since) return undefined;
    const attributes = image.Data as Record<string, unknown>; // As the repository put it there.
    const { by, when } = declared.definition;
    if (by.some(name => attributes[name] === undefined) || !(when?.(attributes) ?? true)) return undefined;
    return { PK: groupKey(declared, since, attributes), attributes };
  }

  async #applyTo(PK: string, { definition, contributions }: GroupWork): Promise<void> {
    let stored = await readGroup(this.#table, this.#tableName, PK);
    const upTo = BigInt(stored?.UpTo ?? 0);
    const fresh = contributions.filter(({ sequenceNumber }) => sequenceNumber > upTo);
    for (const chunk of chunksOf(fresh, definition)) {
      const next = addAll(stored ?? emptyGroup, definition, chunk);
      const condition =
        stored === undefined
          ? { ConditionExpression: 'attribute_not_exists(PK)' }
          : { ConditionExpression: 'UpTo = :upTo', ExpressionAttributeValues: { ':upTo': stored.UpTo } };
      const TableName = this.#tableName;
      const group = { Put: { TableName, Item: { PK, SK: groupSortKey, ...next }, ...condition } };
      await this.#table.transactWrite({ TransactItems: [group, ...extremesOf(TableName, PK, definition, chunk)] });
      stored = next;
    }
  }
}

/** In pieces of one transaction each; what one change means to the group stays together. */
function chunksOf(contributions: readonly Contribution[], { minMax = [] }: AggregateDefinition): Contribution[][] {
  const most = Math.floor((aggregateLimits.transactionItemsMax - 1) / Math.max(1, minMax.length));
  const chunks: Contribution[][] = [];
  for (const together of Map.groupBy(contributions, ({ sequenceNumber }) => sequenceNumber).values()) {
    const last = chunks.at(-1);
    if (last === undefined || (minMax.length > 0 && last.length + together.length > most)) chunks.push([...together]);
    else last.push(...together);
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
