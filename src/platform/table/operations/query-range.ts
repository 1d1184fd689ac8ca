/** The range of store keys a key condition means. */
import type { KeyCondition } from '../expressions/key-condition.ts';
import { afterKey, afterPrefix, concat, endedBytes, escapedBytes, orderedBytes } from '../storage/key-encoding.ts';
import { type IndexLayout, partitionPrefix, type TableLayout } from '../storage/layout.ts';
import type { Value } from '../values/value.ts';

export interface Bounds {
  readonly start: Uint8Array;
  readonly end: Uint8Array;
}

/** An item's sort key is the last of its store key; an index entry's is ended, as more follows. */
export function keyBounds(table: TableLayout, index: IndexLayout | undefined, key: KeyCondition): Bounds {
  const { sortKeys } = (index ?? table).keys;
  const { fixed, range } = key.sort;
  const isIndex = index !== undefined;
  const bytesOf = (at: number, value: Value) => orderedBytes(sortKeys[at].type, value);
  const elementOf = (at: number, value: Value) => (isIndex ? endedBytes(bytesOf(at, value)) : bytesOf(at, value));
  const prefix = concat([
    partitionPrefix(table, index, key.partition),
    ...fixed.map((value, at) => elementOf(at, value)),
  ]);
  if (range === undefined) {
    const isOneItem = !isIndex && fixed.length > 0;
    return { start: prefix, end: isOneItem ? afterKey(prefix) : afterPrefix(prefix) };
  }
  const at = (value: Value) => concat([prefix, elementOf(fixed.length, value)]);
  const behind = (value: Value) => (isIndex ? afterPrefix(at(value)) : afterKey(at(value)));
  const all = { start: prefix, end: afterPrefix(prefix) };
  switch (range.kind) {
    case '<':
      return { start: all.start, end: at(range.value) };
    case '<=':
      return { start: all.start, end: behind(range.value) };
    case '>':
      return { start: behind(range.value), end: all.end };
    case '>=':
      return { start: at(range.value), end: all.end };
    case 'between':
      return { start: at(range.lower), end: behind(range.upper) };
    case 'begins_with': {
      const bytes = bytesOf(fixed.length, range.value);
      const begin = concat([prefix, isIndex ? escapedBytes(bytes) : bytes]);
      return { start: begin, end: afterPrefix(begin) };
    }
  }
}
