import { z } from 'zod';
import type { Clock } from '../kernel/clock.ts';
import { codeOf } from '../kernel/errors.ts';
import type { Table, TableSchema } from '../platform/table/index.ts';
import { type AggregateDefinition, type AggregateReaders, makeAggregateReaders } from './aggregates.ts';
import { cursorNotValid, entityExists, entityNotFound, entityNotValid, entityVersionConflict } from './errors.ts';
import { problemsOf } from './problems.ts';

/**
 * Entities over one table (keys `PK`, `SK`; index `GSI1` on `SK`, `SortKey`). An entity has a base record, and for each
 * access pattern a lookup record that carries the whole entity, all written in one transaction:
 *   base    PK=Message-<id>  SK=Message                                      Version, CreatedAt, UpdatedAt, Data
 *   lookup  PK=Message-<id>  SK=Message-bySpeaker  SortKey=<speakerId>#<order>   the same
 */
export interface EntityDefinition {
  readonly attributes: z.ZodObject;
  /** The attribute that identifies it. */
  readonly id: string;
  /** The questions that will be asked of it, by name. There is no other way to list. */
  readonly patterns: Readonly<Record<string, AccessPattern>>;
  /** Counts, sums and extremes that are kept up to date, by name. */
  readonly aggregates?: Readonly<Record<string, AggregateDefinition>>;
}

export interface AccessPattern {
  /** String attributes that a question fixes. */
  readonly by: readonly string[];
  /** The string attribute that orders the answers. */
  readonly order: string;
  /** Entities that take part; the others have no lookup record (a sparse index). Default: all. */
  // biome-ignore lint/suspicious/noExplicitAny: the attributes are known only where the definition is written.
  readonly when?: (attributes: any) => boolean;
}

export type EntityMap = Readonly<Record<string, EntityDefinition>>;
export type AttributesOf<D extends EntityDefinition> = z.output<D['attributes']>;

export interface Page<Item> {
  readonly items: Item[];
  /** Give it as `cursor` to get the page that follows; absent on the last one. */
  readonly next?: string;
}

export interface ListOptions {
  /** 1–100; default 50. */
  readonly limit?: number;
  readonly cursor?: string;
  readonly newestFirst?: boolean;
}

export interface Repository<D extends EntityDefinition> {
  /** Throws `entity.exists`, `entity.notValid`. */
  create(attributes: z.input<D['attributes']>): Promise<AttributesOf<D>>;
  find(id: string): Promise<AttributesOf<D> | undefined>;
  /** Throws `entity.notFound`. */
  get(id: string): Promise<AttributesOf<D>>;
  /**
   * Applies `change` to the stored entity and stores the result, again on the newer one if somebody else was quicker.
   * Returning undefined from `change` leaves it as it is. Throws `entity.notFound`, `entity.versionConflict`.
   */
  update(
    id: string,
    change: (current: AttributesOf<D>) => Partial<AttributesOf<D>> | undefined,
  ): Promise<AttributesOf<D>>;
  /** Content if there was none. */
  delete(id: string): Promise<void>;
  /** One page of one access pattern. Throws `entity.cursorNotValid`. */
  readonly list: {
    readonly [Name in keyof D['patterns']]: (
      by: { readonly [Attribute in D['patterns'][Name]['by'][number]]: string },
      options?: ListOptions,
    ) => Promise<Page<AttributesOf<D>>>;
  };
  /** A group of an aggregate, a few milliseconds behind what is stored. */
  readonly aggregate: AggregateReaders<D>;
}

export type Repositories<E extends EntityMap> = { readonly [Name in keyof E]: Repository<E[Name]> };

/** The one table of an app, as every engine creates it. */
export const appTable = {
  tableName: 'app',
  partitionKey: { name: 'PK', type: 'S' },
  sortKey: { name: 'SK', type: 'S' },
  indexes: [{ indexName: 'GSI1', partitionKey: { name: 'SK', type: 'S' }, sortKey: { name: 'SortKey', type: 'S' } }],
} as const satisfies TableSchema;

/** The overloaded index. */
export const indexName = appTable.indexes[0].indexName;

const listLimits = { pageItemsDefault: 50, pageItemsMax: 100, updateAttemptsMax: 5 } as const;

interface StoredEntity {
  readonly PK: string;
  readonly SK: string;
  readonly SortKey?: string;
  readonly Version: number;
  readonly CreatedAt: string;
  readonly UpdatedAt: string;
  readonly Data: Record<string, unknown>;
}

export function makeRepositories<E extends EntityMap>(entities: E, table: Table, clock: Clock): Repositories<E> {
  const repositories = Object.entries(entities).map(([name, definition]) => [
    name,
    new TableRepository(name, definition, table, clock),
  ]);
  return Object.fromEntries(repositories); // fromEntries forgets the keys, which are E's own.
}

class TableRepository {
  readonly aggregate: ReturnType<typeof makeAggregateReaders>;
  readonly list: Record<string, (by: Record<string, string>, options?: ListOptions) => Promise<Page<unknown>>>;
  readonly #name: string;
  readonly #definition: EntityDefinition;
  readonly #table: Table;
  readonly #clock: Clock;

  constructor(name: string, definition: EntityDefinition, table: Table, clock: Clock) {
    this.#name = name;
    this.#definition = definition;
    this.#table = table;
    this.#clock = clock;
    this.aggregate = makeAggregateReaders(name, definition.aggregates, { table, tableName: appTable.tableName });
    this.list = Object.fromEntries(
      Object.entries(definition.patterns).map(([patternName, pattern]) => [
        patternName,
        (by, options) => this.#list(patternName, pattern, by, options),
      ]),
    );
  }

  async create(attributes: Record<string, unknown>): Promise<Record<string, unknown>> {
    const data = this.#validate(attributes);
    const now = this.#nowText();
    const records = this.#recordsOf(data, { Version: 1, CreatedAt: now, UpdatedAt: now });
    try {
      await this.#transact(records, [], 'attribute_not_exists(PK)');
    } catch (error) {
      throw isConditionFailure(error) ? entityExists(this.#name, this.#idOf(data)) : error;
    }
    return data;
  }

  async find(id: string): Promise<Record<string, unknown> | undefined> {
    return (await this.#load(id))?.Data;
  }

  async get(id: string): Promise<Record<string, unknown>> {
    const found = await this.find(id);
    if (!found) throw entityNotFound(this.#name, id);
    return found;
  }

  async update(
    id: string,
    change: (current: Record<string, unknown>) => Record<string, unknown> | undefined,
  ): Promise<Record<string, unknown>> {
    for (let attempt = 1; ; attempt++) {
      const stored = await this.#load(id);
      if (!stored) throw entityNotFound(this.#name, id);
      const changes = change(stored.Data);
      if (changes === undefined) return stored.Data;
      const data = this.#validate({ ...stored.Data, ...changes });
      const meta = { Version: stored.Version + 1, CreatedAt: stored.CreatedAt, UpdatedAt: this.#nowText() };
      const records = this.#recordsOf(data, meta);
      const gone = this.#recordsOf(stored.Data, meta).filter(old => !records.some(record => record.SK === old.SK));
      try {
        await this.#transact(records, gone, 'Version = :version', { ':version': stored.Version });
        return data;
      } catch (error) {
        if (!isConditionFailure(error)) throw error;
        if (attempt >= listLimits.updateAttemptsMax) throw entityVersionConflict(this.#name, id);
      }
    }
  }

  async delete(id: string): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const stored = await this.#load(id);
      if (!stored) return;
      const gone = this.#recordsOf(stored.Data, stored);
      try {
        await this.#transact([], gone, 'Version = :version', { ':version': stored.Version });
        return;
      } catch (error) {
        if (!isConditionFailure(error)) throw error;
        if (attempt >= listLimits.updateAttemptsMax) throw entityVersionConflict(this.#name, id);
      }
    }
  }

  async #list(
    patternName: string,
    pattern: AccessPattern,
    by: Record<string, string>,
    options: ListOptions = {},
  ): Promise<Page<unknown>> {
    const prefix = sortKeyPrefix(pattern.by.map(attribute => by[attribute]));
    const lookup = this.#lookupKey(patternName);
    const answer = await this.#table.query({
      TableName: appTable.tableName,
      IndexName: indexName,
      KeyConditionExpression: 'SK = :lookup AND begins_with(SortKey, :prefix)',
      ExpressionAttributeValues: { ':lookup': lookup, ':prefix': prefix },
      ScanIndexForward: !options.newestFirst,
      Limit: Math.min(Math.max(options.limit ?? listLimits.pageItemsDefault, 1), listLimits.pageItemsMax),
      ExclusiveStartKey: options.cursor === undefined ? undefined : readCursor(options.cursor, lookup, prefix),
    });
    // The table holds what `#recordsOf` put there.
    const items = ((answer.Items ?? []) as StoredEntity[]).map(item => item.Data);
    return answer.LastEvaluatedKey ? { items, next: writeCursor(answer.LastEvaluatedKey) } : { items };
  }

  async #load(id: string): Promise<StoredEntity | undefined> {
    const answer = await this.#table.get({
      TableName: appTable.tableName,
      Key: { PK: this.#partitionKeyOf(id), SK: this.#name },
      ConsistentRead: true,
    });
    return answer.Item as StoredEntity | undefined; // As `#recordsOf` put it there.
  }

  /** All records of one entity: the base record first, then a lookup per pattern it takes part in. */
  #recordsOf(
    data: Record<string, unknown>,
    meta: Pick<StoredEntity, 'Version' | 'CreatedAt' | 'UpdatedAt'>,
  ): StoredEntity[] {
    const { Version, CreatedAt, UpdatedAt } = meta;
    const PK = this.#partitionKeyOf(this.#idOf(data));
    const common = { PK, Version, CreatedAt, UpdatedAt, Data: data };
    const lookups = Object.entries(this.#definition.patterns)
      .filter(([, pattern]) => pattern.when?.(data) ?? true)
      .map(([patternName, { by, order }]) => {
        const fixed = by.map(attribute => String(data[attribute]));
        return { ...common, SK: this.#lookupKey(patternName), SortKey: sortKeyPrefix(fixed) + String(data[order]) };
      });
    return [{ ...common, SK: this.#name }, ...lookups];
  }

  /** Base records carry the condition; their lookups follow them, in the same transaction. */
  async #transact(
    puts: StoredEntity[],
    deletes: StoredEntity[],
    condition: string,
    values?: Record<string, unknown>,
  ): Promise<void> {
    const conditionOf = (record: StoredEntity) =>
      record.SK === this.#name ? { ConditionExpression: condition, ExpressionAttributeValues: values } : {};
    const TableName = appTable.tableName;
    await this.#table.transactWrite({
      TransactItems: [
        ...puts.map(Item => ({ Put: { TableName, Item, ...conditionOf(Item) } })),
        ...deletes.map(gone => ({ Delete: { TableName, Key: { PK: gone.PK, SK: gone.SK }, ...conditionOf(gone) } })),
      ],
    });
  }

  #validate(attributes: Record<string, unknown>): Record<string, unknown> {
    const parsed = this.#definition.attributes.safeParse(attributes);
    if (!parsed.success) throw entityNotValid(this.#name, problemsOf(parsed.error));
    // The table refuses undefined, as the document client does; an optional attribute is simply not there.
    return Object.fromEntries(Object.entries(parsed.data).filter(([, value]) => value !== undefined));
  }

  #idOf(data: Record<string, unknown>): string {
    return String(data[this.#definition.id]);
  }

  #partitionKeyOf(id: string): string {
    return `${this.#name}-${id}`;
  }

  #lookupKey(patternName: string): string {
    return `${this.#name}-${patternName}`;
  }

  #nowText(): string {
    return new Date(this.#clock.nowMs()).toISOString();
  }
}

/** Joins fixed values so that no value can run into the next: `#` inside a value is escaped. */
function sortKeyPrefix(values: string[]): string {
  return values.map(value => `${value.replaceAll('%', '%25').replaceAll('#', '%23')}#`).join('');
}

function isConditionFailure(error: unknown): boolean {
  return codeOf(error) === 'table.transactionCanceled' || codeOf(error) === 'table.conditionFailed';
}

/** Within DynamoDB's limits for keys, so that what passes here is a key the table takes. */
const keyText = (bytesMax: number) =>
  z
    .string()
    .min(1)
    .refine(text => text.isWellFormed() && Buffer.byteLength(text) <= bytesMax);
const cursorShape = z.strictObject({ PK: keyText(2_048), SK: keyText(1_024), SortKey: keyText(1_024) });

function writeCursor(key: Record<string, unknown>): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url');
}

/** A cursor is only a place in the list it came from: one that points anywhere else is refused, so none can be forged. */
function readCursor(cursor: string, lookup: string, prefix: string): z.output<typeof cursorShape> {
  let decoded: unknown;
  try {
    decoded = JSON.parse(Buffer.from(cursor, 'base64url').toString());
  } catch {
    throw cursorNotValid();
  }
  const parsed = cursorShape.safeParse(decoded);
  if (!parsed.success || parsed.data.SK !== lookup || !parsed.data.SortKey.startsWith(prefix)) throw cursorNotValid();
  return parsed.data;
}

/** For calls that may meet what they wanted already done: `create(…).then(() => true, entityIsThere.already)`. */
export const entityIsThere = {
  /** false when the entity was there already; anything else goes on being an error. */
  already(error: unknown): false {
    if (codeOf(error) === 'entity.exists') return false;
    throw error;
  },
  /** undefined when the entity is gone; anything else goes on being an error. */
  orGone(error: unknown): undefined {
    if (codeOf(error) === 'entity.notFound') return undefined;
    throw error;
  },
};
