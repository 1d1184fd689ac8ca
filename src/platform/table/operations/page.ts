/** Reads one page of a range of the table or of an index: what Query and Scan do once they know where. */
import type { StoreRange } from '../../../kernel/store.ts';
import type { Consumption, Part } from '../capacity/consumed.ts';
import { type Consistency, readUnits } from '../capacity/units.ts';
import type { Door, Engine } from '../engine.ts';
import { tableLimits } from '../limits.ts';
import { encodedEntries } from '../storage/entries.ts';
import { viewOf } from '../storage/index-view.ts';
import { decodeItem, encodedItemBytes } from '../values/item-encoding.ts';
import type { Item } from '../values/value.ts';
import type { ReadPredicate, ReadProjection } from './expressions.ts';
import { lastKeyOf } from './start-key.ts';

export interface PlannedPage {
  readonly part: Part;
  readonly range: StoreRange;
  /** Items are fetched from the table for what the index does not show. */
  readonly fetches: boolean;
  readonly filter: ReadPredicate | undefined;
  readonly projection: ReadProjection | undefined;
  readonly limit: number;
  readonly countsOnly: boolean;
  readonly consistency: Consistency;
}

export interface Page {
  Items?: Record<string, unknown>[];
  Count: number;
  ScannedCount: number;
  LastEvaluatedKey?: Record<string, unknown>;
}

export function readPage(engine: Engine, plan: PlannedPage, consumption: Consumption | undefined, door: Door): Page {
  const { part, fetches, filter, projection, countsOnly, consistency } = plan;
  const { table, index } = part;
  const view = index && viewOf(table, index);
  const needsItems = !countsOnly || filter !== undefined || view?.isWhole === false;
  const items: Record<string, unknown>[] = [];
  let evaluated = 0;
  let matched = 0;
  let entryBytes = 0;
  let fetchedBytes = 0;
  let fetchedUnits = 0;
  let last: Item | undefined;
  consumption?.admit(part);
  for (const { encoded } of encodedEntries(engine, table, index, plan.range)) {
    const bytes = encodedItemBytes(encoded);
    const item = needsItems ? decodeItem(encoded) : undefined;
    const shown = item !== undefined && view !== undefined && !fetches ? view.cut(item) : item;
    evaluated++;
    entryBytes += item !== undefined && view !== undefined ? view.measure(item, bytes) : bytes;
    if (fetches) {
      fetchedBytes += bytes;
      fetchedUnits += readUnits(bytes, consistency); // each is a read of its own
    }
    if (filter === undefined || (shown !== undefined && filter.holds(shown))) {
      matched++;
      if (!countsOnly && shown !== undefined) {
        items.push(door.format.writeItem(projection === undefined ? shown : projection.project(shown)));
      }
    }
    if (evaluated >= plan.limit || Math.max(entryBytes, fetchedBytes) >= tableLimits.pageBytesMax) {
      last = item ?? decodeItem(encoded);
      break;
    }
  }
  consumption?.charge(part, readUnits(entryBytes, consistency));
  if (fetchedUnits > 0) consumption?.charge({ ...part, index: undefined }, fetchedUnits);
  return {
    ...(countsOnly ? {} : { Items: items }),
    Count: matched,
    ScannedCount: evaluated,
    ...(last === undefined ? {} : { LastEvaluatedKey: door.format.writeItem(lastKeyOf(table, index, last)) }),
  };
}
