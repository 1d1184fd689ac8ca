/**
 * Counts, sums and extremes of entities, by group, kept up to date from the changes of the table: reading one costs a
 * few item reads, however many entities there are. Each change counts once: the record of a group holds the sequence
 * number of the last change it has taken in, and is written in one transaction with all that change moves.
 *
 *   declared   PK=$Aggregates                        SK=<entity>-<name>   Definition, Epoch, UpTo, IsIncomplete
 *   group      PK=$Aggregate-<entity>-<name>-<epoch>-<values>#   SK=Aggregate                             UpTo, Count, Sums
 *   extreme                                                      SK=<attribute>#<value in order>#<hash>   Value
 *
 * It is a few milliseconds late. Declared anew or changed, it is built from the entities there are when the app starts,
 * in an epoch of its own, so that nothing of an earlier or unfinished one can be mistaken for it.
 */
import { createHash } from 'node:crypto';
import type { Table } from '../platform/table/index.ts';
import type { App } from './define-app.ts';
import { calling } from './entities/calling.ts';
import type { EntityDefinition } from './entities/index.ts';

export interface AggregateDefinition {
  /** Attributes whose values make a group; `[]` puts all into one. Who lacks one of them takes no part. */
  readonly by: readonly string[];
  /** Number attributes to add up and to average. */
  readonly sum?: readonly string[];
  /** Number attributes of which the least and the greatest are asked; each costs a record per entity. */
  readonly minMax?: readonly string[];
  /** Entities that take part. Default: all. */
  // biome-ignore lint/suspicious/noExplicitAny: the attributes are known only where the definition is written.
  readonly when?: (attributes: any) => boolean;
}

type NamesIn<Names> = Names extends readonly string[] ? Names[number] : never;

export interface Aggregate<A extends AggregateDefinition> {
  readonly count: number;
  /** Of those that have the attribute. Exact, then rounded to the nearest double. */
  readonly sum: { readonly [Name in NamesIn<A['sum']>]: number };
  readonly average: { readonly [Name in NamesIn<A['sum']>]: number | undefined };
  readonly min: { readonly [Name in NamesIn<A['minMax']>]: number | undefined };
  readonly max: { readonly [Name in NamesIn<A['minMax']>]: number | undefined };
}

/** `entities.<Entity>.aggregate.<name>({ … })`. */
export type AggregateReaders<D extends EntityDefinition> =
  D['aggregates'] extends Readonly<Record<string, AggregateDefinition>>
    ? {
        readonly [Name in keyof D['aggregates']]: (
          by: {
            readonly [Attribute in D['aggregates'][Name]['by'][number]]: string | number | boolean;
          },
        ) => Promise<Aggregate<D['aggregates'][Name]>>;
      }
    : Readonly<Record<string, never>>;

export const groupSortKey = 'Aggregate';

export interface Declared {
  readonly entity: string;
  readonly name: string;
  readonly definition: AggregateDefinition;
}

/** The record of a group, as it lies in the table. */
export interface StoredGroup {
  readonly UpTo: string;
  readonly Count: number;
  /** By attribute: the exact sum in digits, and of how many. */
  readonly Sums: Readonly<Record<string, { readonly Sum: string; readonly Count: number }>>;
}

export const emptyGroup: StoredGroup = { UpTo: '0', Count: 0, Sums: {} };

export function declaredAggregates({ model }: Pick<App, 'model'>): Declared[] {
  return Object.entries(model.entities).flatMap(([entity, { aggregates = {} }]) =>
    Object.entries(aggregates).map(([name, definition]) => ({ entity, name, definition })),
  );
}

export async function readGroup(table: Table, TableName: string, PK: string): Promise<StoredGroup | undefined> {
  const { Item } = await table.get({ TableName, Key: { PK, SK: groupSortKey }, ConsistentRead: true });
  return Item as StoredGroup | undefined; // As `AggregateKeeper` put it there.
}

export const declaredKey = '$Aggregates';

/** What the partition keys of all groups begin with. No entity has such a name. */
export const groupsPrefix = '$Aggregate-';

export function nameOf({ entity, name }: Pick<Declared, 'entity' | 'name'>): string {
  return `${entity}-${name}`;
}

export function epochPrefix(declared: Declared, epoch: string): string {
  return `${groupsPrefix}${nameOf(declared)}-${epoch}-`;
}

export function groupKey(declared: Declared, epoch: string, values: Record<string, unknown>): string {
  const parts = declared.definition.by.map(name => escaped(String(values[name])));
  return `${epochPrefix(declared, epoch)}${parts.map(part => `${part}#`).join('')}`;
}

export function extremePrefix(attribute: string): string {
  return `${escaped(attribute)}#`;
}

/** So that no value can run into the next. */
function escaped(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('#', '%23');
}

export function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

/** The readers of one entity's aggregates, as its repository offers them. */
export function makeAggregateReaders(
  entity: string,
  aggregates: Readonly<Record<string, AggregateDefinition>> | undefined,
  { table, tableName: TableName }: { readonly table: Table; readonly tableName: string },
): Record<string, (by: Record<string, unknown>) => Promise<Aggregate<AggregateDefinition>>> {
  const readers = Object.entries(aggregates ?? {}).map(([name, definition]) => {
    const declared = { entity, name, definition };
    const read = async (by: Record<string, unknown>) => {
      const Key = { PK: declaredKey, SK: nameOf(declared) };
      const { Item: known } = await table.get({ TableName, Key });
      return readAggregate(table, TableName, definition, groupKey(declared, String(known?.Epoch), by));
    };
    const call = calling(`${entity}.${name}`, 'entities.aggregate');
    return [name, (by: Record<string, unknown>) => call(() => read(by))] as const;
  });
  return Object.fromEntries(readers);
}

async function readAggregate(
  table: Table,
  TableName: string,
  { sum: sums = [], minMax = [] }: AggregateDefinition,
  PK: string,
): Promise<Aggregate<AggregateDefinition>> {
  const { Count, Sums } = (await readGroup(table, TableName, PK)) ?? emptyGroup;
  const sumOf = (name: string) => (Object.hasOwn(Sums, name) ? Sums[name] : { Sum: '0', Count: 0 });
  const averageOf = (name: string) =>
    sumOf(name).Count === 0 ? undefined : Number(sumOf(name).Sum) / sumOf(name).Count;
  const extremes = async (ScanIndexForward: boolean) => {
    const ask = async (name: string) => {
      const ExpressionAttributeValues = { ':pk': PK, ':prefix': extremePrefix(name) };
      const KeyConditionExpression = 'PK = :pk AND begins_with(SK, :prefix)';
      const answer = await table.query({
        TableName,
        KeyConditionExpression,
        ExpressionAttributeValues,
        ScanIndexForward,
        Limit: 1,
      });
      return [name, answer.Items?.[0]?.Value as number | undefined] as const; // `AggregateKeeper` puts numbers there.
    };
    return Object.fromEntries(await Promise.all(minMax.map(ask)));
  };
  return {
    count: Count,
    sum: Object.fromEntries(sums.map(name => [name, Number(sumOf(name).Sum)])),
    average: Object.fromEntries(sums.map(name => [name, averageOf(name)])),
    min: await extremes(true),
    max: await extremes(false),
  };
}
