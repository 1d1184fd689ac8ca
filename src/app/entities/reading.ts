/** Answers a pattern: one query, or one per shard merged in order; and where it ended, as a cursor. */
import { appTable, indexName } from './app-table.ts';
import type { EntityEnvironment } from './environment.ts';
import { patternBuilding, questionNotValid } from './errors.ts';
import { type QueryInput, readMerged, type Source } from './fan-in.ts';
import { partName } from './fingerprints.ts';
import { isScalar, orderText, type Scalar } from './keys.ts';
import { entityLimits } from './limits.ts';
import { childEnd, childPrefix, lookupPartition, parentKey, type StoredEntity } from './records.ts';
import type { EntityShape, PatternShape } from './shape.ts';

/** A question before its types are known. */
export interface Question {
  readonly by: Readonly<Record<string, unknown>>;
  readonly from?: unknown;
  readonly after?: unknown;
  readonly to?: unknown;
  readonly before?: unknown;
  readonly prefix?: unknown;
  readonly limit?: number;
  readonly cursor?: string;
  readonly user?: string;
  readonly newestFirst?: boolean;
}

export interface RecordPage {
  readonly records: StoredEntity[];
  readonly next?: string;
}

/** Throws `entity.questionNotValid`, `entity.patternBuilding`, `entity.cursorNotValid`. */
export async function readPattern(
  environment: Pick<EntityEnvironment, 'table' | 'cursors' | 'buildingOf'>,
  shape: EntityShape,
  pattern: PatternShape,
  question: Question,
): Promise<RecordPage> {
  const scanned = environment.buildingOf(partName.pattern(shape.name, pattern.name));
  if (scanned !== undefined) throw patternBuilding(shape.name, pattern.name, scanned);
  const by = byValues(shape, pattern, question.by);
  const range = rangeOf(shape, pattern, question);
  const newestFirst = question.newestFirst === true;
  const { user, cursor } = question;
  const binding = [shape.name, pattern.name, pattern.shards, by, range, newestFirst, user ?? null].map(plain);
  // What was sealed for this list is what `readMerged` gave for it.
  const positions = cursor === undefined ? undefined : (environment.cursors.open(binding, cursor) as Position[]);
  const queries = queriesOf(shape, pattern, by, range, newestFirst);
  const sources = queries.map((input, index): Source => sourceOf(input, positions?.[index] ?? 'start'));
  const limit = limitOf(question.limit);
  const keep = (record: StoredEntity) => range.below === undefined || sortKeyOf(pattern, record) !== range.below;
  const orderOf = (record: StoredEntity) => sortKeyOf(pattern, record);
  const { records, hasMore } = await readMerged(environment.table, sources, { limit, newestFirst, orderOf, keep });
  if (!hasMore) return { records };
  return { records, next: environment.cursors.seal(binding, sources.map(positionOf)) };
}

/** 1–100, whatever was asked for. */
export function limitOf(limit: number | undefined): number {
  if (limit !== undefined && !Number.isFinite(limit)) return entityLimits.pageItemsDefault;
  return Math.trunc(Math.min(Math.max(limit ?? entityLimits.pageItemsDefault, 1), entityLimits.pageItemsMax));
}

// --- The question ---------------------------------------------------------------------------------------------------

function byValues(shape: EntityShape, pattern: PatternShape, by: unknown): Scalar[] {
  const given = typeof by === 'object' && by !== null ? by : {};
  const unknown = Object.keys(given).find(name => !pattern.by.includes(name));
  if (unknown !== undefined) throw questionNotValid(shape.name, pattern.name, `${unknown} is not in its by`);
  return pattern.by.map(name => {
    const value: unknown = Object.hasOwn(given, name) ? Reflect.get(given, name) : undefined;
    if (!isScalar(value)) throw questionNotValid(shape.name, pattern.name, `${name} is missing or no part of a key`);
    return value;
  });
}

/** Of the sort key. `below` is excluded; no key condition can say so, therefore it is dropped after reading. */
interface SortRange {
  readonly lowest?: string;
  readonly above?: string;
  readonly highest?: string;
  readonly below?: string;
  readonly prefix?: string;
}

function rangeOf(shape: EntityShape, pattern: PatternShape, question: Question): SortRange {
  const refuse = (problem: string): never => {
    throw questionNotValid(shape.name, pattern.name, problem);
  };
  const textOf = (name: 'from' | 'after' | 'to' | 'before' | 'prefix'): string | undefined => {
    const value = question[name] instanceof Date ? question[name].toISOString() : question[name];
    if (value === undefined) return undefined;
    if (!isScalar(value)) return refuse(`${name} is no text and no number`);
    if (name === 'prefix' && typeof value !== 'string') return refuse('a prefix is text');
    return name === 'prefix' && value === '' ? '' : orderText(value);
  };
  const [lowest, above, highest, below, prefix] = [
    textOf('from'),
    textOf('after'),
    textOf('to'),
    textOf('before'),
    textOf('prefix'),
  ];
  if (lowest !== undefined && above !== undefined) refuse('it has both from and after');
  if (highest !== undefined && below !== undefined) refuse('it has both to and before');
  const isBounded = [lowest, above, highest, below].some(bound => bound !== undefined);
  if (prefix !== undefined && isBounded) refuse('it has a prefix and a range');
  return { lowest, above, highest, below, prefix };
}

/** Bindings are compared as JSON, which has neither undefined nor bigint. */
function plain(part: unknown): unknown {
  return JSON.parse(JSON.stringify(part, (_, value) => (typeof value === 'bigint' ? `${value}n` : value)));
}

// --- The queries ----------------------------------------------------------------------------------------------------

function queriesOf(
  shape: EntityShape,
  pattern: PatternShape,
  by: readonly Scalar[],
  range: SortRange,
  newestFirst: boolean,
): QueryInput[] {
  const common = { TableName: appTable.tableName, ScanIndexForward: !newestFirst };
  if (pattern.kind === 'collection') {
    const start = childPrefix(shape);
    const condition = sortCondition('SK', start, childEnd(shape), range);
    const values = { ':partition': parentKey(shape, by), ...condition.values };
    const KeyConditionExpression = `PK = :partition${condition.text}`;
    return [{ ...common, KeyConditionExpression, ExpressionAttributeValues: values, ConsistentRead: true }];
  }
  const condition = sortCondition('SortKey', '', undefined, range);
  return Array.from({ length: pattern.shards }, (_, shard) => ({
    ...common,
    IndexName: indexName,
    KeyConditionExpression: `SK = :partition${condition.text}`,
    ExpressionAttributeValues: {
      ':partition': lookupPartition(shape, pattern, by, shard),
      ...condition.values,
    },
  }));
}

/** @param start  what all sort keys in question begin with; @param end  behind all of them; undefined = nothing else is there */
function sortCondition(
  name: string,
  start: string,
  end: string | undefined,
  { lowest, above, highest, below, prefix }: SortRange,
): { text: string; values: Record<string, string> } {
  const begins = start + (prefix ?? '');
  const upper = highest ?? below;
  const isOpen = lowest === undefined && above === undefined && upper === undefined;
  if (isOpen && begins === '') return { text: '', values: {} };
  if (isOpen) return { text: ` AND begins_with(${name}, :prefix)`, values: { ':prefix': begins } };
  const exactLower = above === undefined ? lowest : `${above}\0`; // the first text behind it
  const lower = exactLower === undefined && end !== undefined ? start : exactLower && start + exactLower;
  const last = upper === undefined ? end : start + upper;
  if (lower === undefined) return { text: ` AND ${name} <= :last`, values: { ':last': String(last) } };
  if (last === undefined) return { text: ` AND ${name} >= :first`, values: { ':first': lower } };
  // A range that ends before it begins holds nothing, and DynamoDB refuses to be asked for it.
  const isEmpty = Buffer.compare(Buffer.from(lower), Buffer.from(last)) > 0;
  return isEmpty
    ? { text: ` AND ${name} = :nothing`, values: { ':nothing': `${start}\0nothing` } }
    : { text: ` AND ${name} BETWEEN :first AND :last`, values: { ':first': lower, ':last': last } };
}

function sortKeyOf({ kind }: PatternShape, record: StoredEntity): string {
  return kind === 'collection'
    ? record.SK.slice(record.SK.indexOf('#', record.SK.indexOf('#') + 1) + 1)
    : String(record.SortKey);
}

// --- Positions ------------------------------------------------------------------------------------------------------

/** 0 = nothing taken from it yet, 1 = at its end, else the key of what was taken last. */
type Position = 0 | 1 | readonly [PK: string, SK: string, SortKey?: string];

function positionOf({ last, isDone, buffer }: Source): Position {
  if (isDone && buffer.length === 0) return 1;
  if (!last) return 0;
  return last.SortKey === undefined ? [last.PK, last.SK] : [last.PK, last.SK, last.SortKey];
}

function sourceOf(input: QueryInput, position: Position | 'start'): Source {
  const isPlace = typeof position === 'object';
  const [PK, SK, SortKey] = isPlace ? position : [];
  const last = PK !== undefined && SK !== undefined ? { PK, SK, ...(SortKey !== undefined && { SortKey }) } : undefined;
  return { input, last, read: last, isDone: position === 1, buffer: [] };
}
