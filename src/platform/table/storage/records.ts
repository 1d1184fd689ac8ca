/** The engine's own records in the store, under table id 0: one space each, never renumbered. */
import type { StoreReader, StoreTransaction } from '../../../kernel/store.ts';
import { afterPrefix, concat, spacePrefix } from './key-encoding.ts';

export const systemSpaces = {
  /** Tables by name. */
  catalog: 0,
  /** Tokens of transactions by their text, and by when they may be forgotten. */
  tokens: 1,
  tokenExpiries: 2,
  // 3 was the version of the format, which has a place of its own; see `upgrade.ts`.
  /** Ids of deleted tables whose data still go. */
  deleted: 4,
  /** How many items and bytes a table and its indexes hold. */
  counters: 5,
  /** Streams of changes: each stream, where a table's counting stands, and the changes. */
  streams: 16,
  streamStates: 17,
  changes: 18,
} as const;

type SystemSpace = (typeof systemSpaces)[keyof typeof systemSpaces];

export function recordKey(space: SystemSpace, name: string): Uint8Array {
  return concat([spacePrefix(0, space), Buffer.from(name, 'utf8')]);
}

/** Only the engine itself writes records, so what is read is what was written. */
export function readRecord<Held>(reader: StoreReader, key: Uint8Array): Held | undefined {
  const found = reader.get(key);
  return found && JSON.parse(Buffer.from(found).toString('utf8'));
}

export function listRecords<Held>(reader: StoreReader, space: SystemSpace): Held[] {
  const start = spacePrefix(0, space);
  return [...reader.range({ start, end: afterPrefix(start) })].map(({ value }) =>
    JSON.parse(Buffer.from(value).toString('utf8')),
  );
}

export function writeRecord(transaction: StoreTransaction, key: Uint8Array, held: object): void {
  transaction.put(key, Buffer.from(JSON.stringify(held), 'utf8'));
}
