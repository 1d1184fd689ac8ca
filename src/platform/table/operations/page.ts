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
  const { part, filter, countsOnly } = plan;
  const { table, index } = part;
  const view = index === undefined || plan.fetches ? undefined : viewOf(table, index);
  const isShownWhole = view === undefined || view.isWhole;
  const items: Record<string, unknown>[] = [];
  let evaluated = 0;
  let matched = 0;
  let entryBytes = 0;
  let pageBytes = 0;
  let fetchedUnits = 0;
  let last: Item | undefined;
  consumption?.admit(part);
  for (const { encoded } of encodedEntries(engine, table, index, plan.range)) {
    const bytes = encodedItemBytes(encoded);
    const whole = countsOnly && filter === undefined && isShownWhole && !plan.fetches ? undefined : decodeItem(encoded);
    const seen = whole !== undefined && view !== undefined ? view.cut(whole) : whole;
    evaluated++;
    if (index === undefined || whole === undefined) entryBytes += bytes;
    else entryBytes += viewOf(table, index).measure(whole, bytes);
    if (plan.fetches) fetchedUnits += readUnits(bytes, plan.consistency);
    pageBytes = plan.fetches ? pageBytes + bytes : entryBytes;
    if (seen === undefined || filter === undefined || filter.holds(seen)) {
      matched++;
      if (!countsOnly && seen !== undefined) {
        items.push(door.format.writeItem(plan.projection === undefined ? seen : plan.projection.project(seen)));
      }
    }
    if (evaluated >= plan.limit || pageBytes >= tableLimits.pageBytesMax) {
      last = whole ?? decodeItem(encoded);
      break;
    }
  }
  if (index !== undefined) consumption?.charge({ ...part, index: undefined }, fetchedUnits);
  consumption?.charge(part, readUnits(entryBytes, plan.consistency));
  return {
    ...(countsOnly ? {} : { Items: items }),
    Count: matched,
    ScannedCount: evaluated,
    ...(last === undefined ? {} : { LastEvaluatedKey: door.format.writeItem(lastKeyOf(table, index, last)) }),
  };
}
