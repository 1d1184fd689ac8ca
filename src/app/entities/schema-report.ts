/** What follows from the definitions, as data: questions, keys, and what each write costs. */
import type { z } from 'zod';
import type { AggregateDefinition } from '../aggregates.ts';
import { appTable, indexName } from './app-table.ts';
import type { EntityMap } from './definition.ts';
import { type EntityShape, lookupsOf, type PatternShape, recordsAtMost, shapesOf } from './shape.ts';

export interface SchemaReport {
  readonly application: string;
  readonly table: string;
  readonly index: string;
  readonly entities: readonly EntityReport[];
  readonly warnings: readonly string[];
}

export interface EntityReport {
  readonly name: string;
  readonly attributes: readonly { readonly name: string; readonly type: string; readonly isId: boolean }[];
  readonly relations: readonly RelationReport[];
  readonly within: string | undefined;
  readonly patterns: readonly PatternReport[];
  readonly records: readonly KeyReport[];
  readonly writes: WriteReport;
}

export interface RelationReport {
  readonly name: string;
  readonly entity: string;
  readonly kind: 'one by key' | 'last one, kept' | 'list';
}

export interface PatternReport {
  readonly question: string;
  readonly keyCondition: string;
  /** Undefined = the table itself. */
  readonly index: string | undefined;
  readonly order: string;
  readonly shards: number;
  readonly isUnique: boolean;
  /** Entities that take part, in words. */
  readonly scope: 'all' | 'some';
  readonly keeps: 'everything' | readonly string[];
  /** Queries for one page. */
  readonly requests: number;
}

export interface KeyReport {
  readonly record: string;
  readonly PK: string;
  readonly SK: string;
  readonly SortKey: string | undefined;
}

/** Of one entity that takes part in everything. `most`: every key of it changes. */
export interface WriteReport {
  readonly create: WriteCost;
  /** A change of an attribute in no key. `shown`: every lookup record that keeps everything is written. */
  readonly update: WriteCost;
  readonly updateMost: WriteCost;
  readonly delete: WriteCost;
}

export interface WriteCost {
  readonly records: number;
  /** Changes of the index that follow: a record whose key there changes is deleted from it and put into it. */
  readonly indexEntries: number;
  /** DynamoDB write units while every record is up to 1 KB: two per record in a transaction, one per index entry. */
  readonly writeUnits: number;
}

/** Throws `entity.definitionNotValid`. */
export function schemaReport(application: string, entities: EntityMap): SchemaReport {
  const shapes = [...shapesOf(entities).values()];
  return {
    application,
    table: appTable.tableName,
    index: indexName,
    entities: shapes.map(reportOf),
    warnings: shapes.flatMap(({ warnings }) => warnings),
  };
}

function reportOf(shape: EntityShape): EntityReport {
  const { name, definition, id } = shape;
  return {
    name,
    attributes: Object.entries(definition.attributes.shape).map(([attribute, schema]) => ({
      name: attribute,
      type: typeName(schema),
      isId: id.includes(attribute),
    })),
    relations: [...shape.relations].map(([relation, { kind, entity }]) => ({
      name: relation,
      entity,
      kind: kinds[kind],
    })),
    within: shape.parent?.name,
    patterns: [
      byId(shape),
      ...[...shape.patterns.values()].map(pattern => patternReport(shape, pattern)),
      ...Object.entries(definition.aggregates ?? {}).map(([aggregate, each]) => aggregateReport(name, aggregate, each)),
    ],
    records: keysOf(shape),
    writes: writesOf(shape),
  };
}

const kinds = { key: 'one by key', last: 'last one, kept', list: 'list' } as const;

function byId(shape: EntityShape): PatternReport {
  const { PK, SK } = baseKeyOf(shape);
  return {
    question: `${shape.name}.get(${braces(shape.id)})`,
    keyCondition: `PK = ${PK}, SK = ${SK}`,
    index: undefined,
    order: '',
    shards: 1,
    isUnique: true,
    scope: 'all',
    keeps: 'everything',
    requests: 1,
  };
}

function patternReport(shape: EntityShape, pattern: PatternShape): PatternReport {
  const { kind, by, order, shards, unique, when, projected } = pattern;
  const isLookup = kind === 'lookup';
  const sort = isLookup ? 'SortKey' : 'SK';
  const condition = isLookup
    ? `SK = ${lookupKeyOf(shape, pattern)}`
    : `PK = ${baseKeyOf(shape).PK}, SK begins with ${shape.parent?.name}#${shape.name}#`;
  return {
    question: `${shape.name}.list.${pattern.name}(${braces(by)})`,
    keyCondition: `${condition}, range or prefix of ${sort}`,
    index: isLookup ? indexName : undefined,
    order: order ?? shape.id.slice(shape.parent?.idLength ?? 0).join(', '),
    shards,
    isUnique: unique,
    scope: when ? 'some' : 'all',
    keeps: projected ? [...projected] : 'everything',
    requests: shards,
  };
}

function aggregateReport(entity: string, name: string, aggregate: AggregateDefinition): PatternReport {
  const { by, when, sum = [], minMax = [] } = aggregate;
  const values = by.map(attribute => `<${attribute}>#`).join('');
  return {
    question: `${entity}.aggregate.${name}(${braces(by)})`,
    keyCondition: `PK = $Aggregate-${entity}-${name}-<epoch>-${values}, SK = Aggregate`,
    index: undefined,
    order: '',
    shards: 1,
    isUnique: false,
    scope: when ? 'some' : 'all',
    keeps: [
      'count',
      ...sum.map(attribute => `sum of ${attribute}`),
      ...minMax.map(attribute => `extremes of ${attribute}`),
    ],
    requests: 2 + 2 * minMax.length, // the epoch, the group, and both ends
  };
}

// --- Keys -----------------------------------------------------------------------------------------------------------

function keysOf(shape: EntityShape): KeyReport[] {
  const own = `${shape.name}-${placeholders(shape.id)}`;
  const lookups = lookupsOf(shape).map(pattern => ({
    record: `lookup ${pattern.name}`,
    PK: own,
    SK: lookupKeyOf(shape, pattern),
    SortKey: placeholders(pattern.order ? [pattern.order] : shape.id),
  }));
  const guards = shape.unique.map(({ name, attributes }) => ({
    record: `unique ${name}`,
    PK: `Unique-${shape.name}-${name}#${placeholders(attributes)}`,
    SK: 'Unique',
    SortKey: undefined,
  }));
  const versions = { record: 'older versions', PK: own, SK: 'v<version>', SortKey: undefined };
  const copies = [...shape.relations].flatMap(([relation, { kind }]) => {
    const key = { PK: baseKeyOf(shape).PK, SK: `${shape.name}#last#${relation}`, SortKey: undefined };
    return kind === 'last' ? [{ record: `last ${relation}`, ...key }] : [];
  });
  return [
    { record: 'the entity', ...baseKeyOf(shape), SortKey: undefined },
    ...lookups,
    ...guards,
    ...(shape.historyKeep === undefined ? [] : [versions]),
    ...copies,
  ];
}

function baseKeyOf({ name, id, parent }: EntityShape): { PK: string; SK: string } {
  if (!parent) return { PK: `${name}-${placeholders(id)}`, SK: name };
  const rest = placeholders(id.slice(parent.idLength));
  return { PK: `${parent.name}-${placeholders(id.slice(0, parent.idLength))}`, SK: `${parent.name}#${name}#${rest}` };
}

function lookupKeyOf({ name }: EntityShape, { name: pattern, by, shards }: PatternShape): string {
  return `${name}-${pattern}${shards > 1 ? '~<shard>' : ''}${by.length > 0 ? `#${placeholders(by)}` : ''}`;
}

function placeholders(names: readonly string[]): string {
  return names.map(name => `<${name}>`).join('#');
}

function braces(names: readonly string[]): string {
  return names.length === 0 ? '{}' : `{ ${names.join(', ')} }`;
}

// --- Costs ----------------------------------------------------------------------------------------------------------

function writesOf(shape: EntityShape): WriteReport {
  const lookups = lookupsOf(shape);
  const shown = lookups.filter(({ projected }) => !projected).length;
  const history = shape.historyKeep === undefined ? 0 : shape.historyKeep === Number.POSITIVE_INFINITY ? 1 : 2;
  const most = recordsAtMost(shape);
  return {
    create: cost(most.create, lookups.length),
    update: cost(1 + shown + history + shape.keptCopies.length, shown),
    updateMost: cost(most.update, 2 * lookups.length),
    delete: cost(most.delete, lookups.length),
  };
}

function cost(records: number, indexEntries: number): WriteCost {
  return { records, indexEntries, writeUnits: (records === 1 ? 1 : 2 * records) + indexEntries };
}

// --- Types ----------------------------------------------------------------------------------------------------------

/** In one word: `string`, `number?`, `enum`. */
function typeName(schema: unknown): string {
  const { def } = schema as z.core.$ZodType['_zod'] & { def: { type: string; innerType?: unknown } }; // Of every Zod schema.
  if (def.type === 'optional') return `${typeName(def.innerType).replace(/\?$/, '')}?`;
  return def.innerType === undefined ? def.type : typeName(def.innerType);
}
