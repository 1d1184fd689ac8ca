// What the table benchmark asks of everything it measures, and the items it asks it with.

export const operations = ['put', 'update', 'get', 'query', 'transact', 'batch'] as const;
export type Operation = (typeof operations)[number];

/** One engine, in process or behind a server. Writes resolve once they are as durable as the engine can make them. */
export interface TableUnderLoad {
  /** A new item at a random key, with an entry in one global index. */
  put(item: BenchItem): Promise<unknown>;
  /** Adds one to the item's counter, if the item is there. */
  update(id: number): Promise<unknown>;
  get(id: number): Promise<unknown>;
  /** All 100 items of a list. */
  query(list: number): Promise<unknown>;
  /** Four items, all or none, each only if it is not there yet. */
  transact(items: readonly BenchItem[]): Promise<unknown>;
  /** 25 items. */
  batch(items: readonly BenchItem[]): Promise<unknown>;
  close(): Promise<void>;
}

/** About 220 bytes by DynamoDB's rule. */
export interface BenchItem {
  readonly PK: string;
  readonly SK: string;
  readonly City: string;
  readonly Rank: string;
  readonly count: number;
  readonly note: string;
}

export const listItems = 100;
export const listsMax = 100;
const note =
  'a note that is as long as the notes that people leave on things tend to be, which is not very long; 120 bytes of it..';

export function userItem(id: number): BenchItem {
  return { PK: `User-${id}`, SK: 'Profile', City: `city-${id % 1_000}`, Rank: String(id), count: id % 97, note };
}

export function listItem(list: number, place: number): BenchItem {
  const SK = String(place).padStart(4, '0');
  return { PK: `List-${list}`, SK, City: `list-${list}`, Rank: SK, count: place, note };
}

/** Everything a table holds before it is measured: users, and lists of 100. */
export function* fillItems(from: number, upTo: number): Generator<BenchItem> {
  for (let list = 0; from === 0 && list < listsMax; list++) {
    for (let place = 0; place < listItems; place++) yield listItem(list, place);
  }
  for (let id = from; id < upTo; id++) yield userItem(id);
}
