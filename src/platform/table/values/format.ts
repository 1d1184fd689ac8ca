/**
 * How attribute values look outside the engine. One engine, two formats: the document API's and the wire's, the latter
 * also with bytes as bytes, for the SDK's commands in process (`typedFormat`).
 */
import type { Item } from './value.ts';

export interface MeasuredItem {
  readonly item: Item;
  /** By DynamoDB's rule: names and values. */
  readonly bytes: number;
}

export interface ValueFormat {
  /**
   * A map of attributes from outside (an item, a key, expression values): checked, measured, as values of ours. May
   * share objects with what was given, so encode or evaluate it before anybody else runs.
   * Throws `table.invalid` in DynamoDB's words.
   */
  readItem(outside: unknown): MeasuredItem;
  /** An item of ours as it goes out. May share objects with it: the engine keeps none that it has given out. */
  writeItem(item: Item): Record<string, unknown>;
}
