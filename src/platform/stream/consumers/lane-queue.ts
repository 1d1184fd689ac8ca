/** The records of a lane that were not handed out yet, and when there are enough of them for a batch. */
import { Fifo } from '../../../kernel/fifo.ts';
import type { StreamRecord } from '../port.ts';
import type { Item } from './item.ts';

export interface BatchLimits {
  readonly batchRecordsMax: number;
  readonly batchBytesMax: number;
  readonly batchWindowMs: number;
}

export class LaneQueue<Event> {
  readonly #limits: BatchLimits;
  readonly #items = new Fifo<Item<Event>>();
  #last: Item<Event> | undefined;
  #bytes = 0;

  constructor(limits: BatchLimits) {
    this.#limits = limits;
  }

  get length(): number {
    return this.#items.length;
  }

  get first(): Item<Event> | undefined {
    return this.#items.peek();
  }

  get last(): Item<Event> | undefined {
    return this.#items.length > 0 ? this.#last : undefined;
  }

  push(item: Item<Event>): void {
    this.#last = item;
    this.#items.push(item);
    this.#bytes += payloadBytes(item.record);
  }

  /** Whether a batch is as large as it may be. */
  get isFull(): boolean {
    const { batchRecordsMax, batchBytesMax } = this.#limits;
    return this.#items.length >= batchRecordsMax || this.#bytes >= batchBytesMax;
  }

  /** When the window of the oldest is over; Infinity when there is none. */
  get dueAtMs(): number {
    return (this.first?.arrival.atMs ?? Number.POSITIVE_INFINITY) + this.#limits.batchWindowMs;
  }

  /** The next batch: what `belongs` to it, up to the first that does not. What `divert` takes is not in it. */
  take(belongs?: (item: Item<Event>) => boolean, divert?: (item: Item<Event>) => boolean): Item<Event>[] {
    const { batchRecordsMax, batchBytesMax } = this.#limits;
    const batch: Item<Event>[] = [];
    let bytes = 0;
    for (let item = this.#items.peek(); item && batch.length < batchRecordsMax; item = this.#items.peek()) {
      if (belongs && !belongs(item)) break;
      const itemBytes = payloadBytes(item.record);
      if (divert?.(item) !== true) {
        if (batch.length > 0 && bytes + itemBytes > batchBytesMax) break;
        batch.push(item);
        bytes += itemBytes;
      }
      this.#items.shift();
      this.#bytes -= itemBytes;
    }
    return batch;
  }
}

/** What a record takes of Lambda's payload: its data as base64, and its key. */
export function payloadBytes({ data, partitionKey }: StreamRecord): number {
  return Math.ceil(data.length / 3) * 4 + partitionKey.length;
}

/** As many of the first items as a batch may hold. */
export function withinLimits<Event>(items: readonly Item<Event>[], limits: BatchLimits): Item<Event>[] {
  let bytes = 0;
  let count = 0;
  while (count < items.length && count < limits.batchRecordsMax) {
    bytes += payloadBytes(items[count].record);
    if (count > 0 && bytes > limits.batchBytesMax) break;
    count++;
  }
  return items.slice(0, count);
}

/** Which lane the records of a key go through. FNV-1a: even, and cheap for short keys. */
export function laneOf(partitionKey: string, lanes: number): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < partitionKey.length; at++) hash = Math.imul(hash ^ partitionKey.charCodeAt(at), 0x01000193);
  return (hash >>> 0) % lanes;
}
