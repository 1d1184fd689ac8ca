/**
 * Lambda's FilterCriteria over records of a stream: patterns on the JSON of the data and on the record's own facts. Read
 * once, when a consumer is made; a record then costs one parse of its data and the predicates of the patterns.
 */
import { consumerNotValid } from '../errors.ts';
import type { StreamRecord } from '../port.ts';
import { compilePattern, isAlternatives, isObject, type Json, type Predicate } from './filter-pattern.ts';
import { consumerLimits } from './limits.ts';
import type { FilterCriteria } from './settings.ts';

/** What patterns may ask of a record beside `data`, by Lambda's names. */
const facts: Readonly<Record<string, (record: StreamRecord) => unknown>> = {
  partitionKey: ({ partitionKey }) => partitionKey,
  sequenceNumber: ({ sequenceNumber }) => String(sequenceNumber),
  approximateArrivalTimestamp: ({ arrivalAtMs }) => arrivalAtMs / 1_000,
  kinesisSchemaVersion: () => '1.0',
};

/** Whether one of the patterns matches. `dataOf` gives the JSON of a record. Throws `stream.consumerNotValid`. */
export function compileFilter(
  consumer: string,
  { filters }: FilterCriteria,
  dataOf: (record: StreamRecord) => Uint8Array | undefined = ({ data }) => data,
): (record: StreamRecord) => boolean {
  const { filterPatternsMax } = consumerLimits;
  if (filters.length > filterPatternsMax) {
    throw consumerNotValid(consumer, `it has ${filters.length} filter patterns, and may have ${filterPatternsMax}`);
  }
  const patterns = filters.map(({ pattern }, index) => {
    try {
      return readPattern(pattern);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw consumerNotValid(consumer, `filter pattern ${index + 1} ${reason}`);
    }
  });
  if (patterns.length === 0) return () => true;
  return record => {
    // Parsed at most once, and only if a pattern asks for it.
    let data: { readonly value: unknown } | undefined;
    const readData = () => {
      data ??= { value: parse(dataOf(record)) };
      return data.value;
    };
    return patterns.some(matches => matches(record, readData));
  };
}

type RecordPredicate = (record: StreamRecord, readData: () => unknown) => boolean;

function readPattern(text: string): RecordPredicate {
  if (text.length > consumerLimits.filterPatternCharactersMax) {
    throw new Error(`is longer than ${consumerLimits.filterPatternCharactersMax} characters`);
  }
  let pattern: unknown;
  try {
    pattern = JSON.parse(text);
  } catch {
    throw new Error('is not JSON');
  }
  if (!isObject(pattern)) throw new Error('is not a JSON object');
  return overRecord(compilePattern(pattern), asksForData(pattern));
}

/** Whether a pattern looks at the data of a record. Throws for a name that no record has. */
function asksForData(pattern: Json): boolean {
  let asks = false;
  for (const [name, value] of Object.entries(pattern)) {
    if (name === '$or' && isAlternatives(value)) asks = value.map(asksForData).includes(true) || asks;
    else if (name === 'data') asks = true;
    else if (!Object.hasOwn(facts, name)) {
      throw new Error(`names something else than data, ${Object.keys(facts).join(', ')}`);
    }
  }
  return asks;
}

/** A record whose data are asked for and are no JSON never matches, whatever is asked [Lambda "event filtering"]. */
function overRecord(matches: Predicate, asksForData: boolean): RecordPredicate {
  return (record, readData) => {
    const event: Record<string, unknown> = {};
    for (const key of Object.keys(facts)) event[key] = facts[key](record);
    if (asksForData) {
      const data = readData();
      if (data === notJson) return false;
      event.data = data;
    }
    return matches(event, true);
  };
}

const notJson = Symbol('not JSON');

function parse(data: Uint8Array | undefined): unknown {
  if (data === undefined) return notJson;
  try {
    return JSON.parse(decoder.decode(data));
  } catch {
    return notJson;
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true });
