/**
 * One ordered list from several ordered sources: the shards of a pattern. Reads ahead a little from each, then takes the
 * smallest; a source that runs dry is read on before anything else is taken, so nothing is passed over.
 */
import type { Table } from '../../platform/table/index.ts';
import { compareText } from './keys.ts';
import type { RecordKey, StoredEntity } from './records.ts';

export type QueryInput = Parameters<Table['query']>[0];

export interface Source {
  readonly input: QueryInput;
  /** What was taken last. */
  last: Place | undefined;
  /** What was read last. */
  read: Place | undefined;
  /** There is nothing behind the buffer. */
  isDone: boolean;
  buffer: StoredEntity[];
}

export interface Place extends RecordKey {
  readonly SortKey?: string;
}

export interface MergeOptions {
  readonly limit: number;
  readonly newestFirst: boolean;
  readonly orderOf: (record: StoredEntity) => string;
  /** Whether a record is part of the answer. */
  readonly keep: (record: StoredEntity) => boolean;
}

export async function readMerged(
  table: Table,
  sources: readonly Source[],
  options: MergeOptions,
): Promise<{ records: StoredEntity[]; hasMore: boolean }> {
  const records: StoredEntity[] = [];
  for (;;) {
    await Promise.all(
      sources
        .filter(isDry)
        .map(source => readOn(table, source, share(options.limit - records.length, sources), options)),
    );
    while (!sources.some(isDry)) {
      const source = first(sources, options);
      if (!source) return { records, hasMore: false };
      if (records.length === options.limit) return { records, hasMore: true };
      const [record, ...rest] = source.buffer;
      source.buffer = rest;
      source.last = record;
      records.push(record);
    }
  }
}

function isDry({ isDone, buffer }: Source): boolean {
  return !isDone && buffer.length === 0;
}

/** One more than wanted tells whether there is more; of several sources each gives its share and some. */
function share(wanted: number, sources: readonly Source[]): number {
  return sources.length === 1 ? wanted + 1 : Math.min(wanted + 1, Math.ceil((wanted / sources.length) * 1.5) + 4);
}

async function readOn(table: Table, source: Source, limit: number, { keep }: MergeOptions): Promise<void> {
  const { Items = [], LastEvaluatedKey } = await table.query({
    ...source.input,
    Limit: limit,
    ExclusiveStartKey: source.read && keyOf(source.read),
  });
  const records = Items as StoredEntity[]; // As the repository put them there.
  source.buffer = records.filter(keep);
  source.isDone = LastEvaluatedKey === undefined;
  // The key of what was evaluated last, which the records of a page end with.
  source.read = (LastEvaluatedKey as Place | undefined) ?? source.read;
}

function keyOf({ PK, SK, SortKey }: Place): Record<string, string> {
  return SortKey === undefined ? { PK, SK } : { PK, SK, SortKey };
}

function first(sources: readonly Source[], { newestFirst, orderOf }: MergeOptions): Source | undefined {
  let best: Source | undefined;
  for (const source of sources) {
    if (source.buffer.length === 0) continue;
    const order = best ? compareText(orderOf(source.buffer[0]), orderOf(best.buffer[0])) : -1;
    if (!best || (newestFirst ? order > 0 : order < 0)) best = source;
  }
  return best;
}
