/** Reading one item by its key, alone, in a batch or in a transaction. */
import type { StoreReader } from '../../../kernel/store.ts';
import type { Part } from '../capacity/consumed.ts';
import type { Door } from '../engine.ts';
import { itemKey, type TableLayout } from '../storage/layout.ts';
import { checkKey } from '../validate.ts';
import { decodeItem, encodedItemBytes } from '../values/item-encoding.ts';
import {
  type AliasParameters,
  type ReadProjection,
  readAliases,
  readProjection,
  refusePathsIntoKeys,
} from './expressions.ts';
import { partitionOf } from './write-costs.ts';

export interface ReadParameters extends AliasParameters {
  readonly ProjectionExpression?: string;
}

/** The projection of a request, read before its table is known. */
export function readLoneProjection(parameters: ReadParameters, door: Door): ReadProjection | undefined {
  const { ProjectionExpression: text, ExpressionAttributeNames: names } = parameters;
  if (text === undefined && names === undefined) return undefined;
  const { aliases } = readAliases(parameters, door);
  const projection = readProjection(text, aliases);
  aliases.checkAllUsed();
  return projection;
}

export interface ReadGet {
  /** Throws what the table's schema forbids. */
  bind(table: TableLayout): PlannedGet;
}

export interface PlannedGet {
  readonly part: Part;
  readonly itemKey: Uint8Array;
  readonly projection: ReadProjection | undefined;
}

export function readGet(input: unknown, projection: ReadProjection | undefined, door: Door): ReadGet {
  const { item: key } = door.format.readItem(input);
  return {
    bind(table) {
      checkKey(table.keys, key);
      if (projection !== undefined) refusePathsIntoKeys(table, projection.paths);
      const part: Part = { kind: 'read', table, partition: partitionOf(table.keys, key) };
      return { part, itemKey: itemKey(table, key), projection };
    },
  };
}

export interface GotItem {
  /** As it goes out; undefined when there is none. */
  readonly item: Record<string, unknown> | undefined;
  /** What was read, before the projection. */
  readonly bytes: number;
}

const nothing: GotItem = { item: undefined, bytes: 0 };

export function getPlanned(reader: StoreReader, plan: PlannedGet, { format }: Door): GotItem {
  const encoded = reader.get(plan.itemKey);
  if (encoded === undefined) return nothing;
  const item = decodeItem(encoded);
  const shown = plan.projection === undefined ? item : plan.projection.project(item);
  return { item: format.writeItem(shown), bytes: encodedItemBytes(encoded) };
}
