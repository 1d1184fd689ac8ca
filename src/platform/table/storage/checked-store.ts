/**
 * The store as the table engine uses it: each value ends with a checksum of its key and itself, so that what a disk, a
 * file system or somebody's editor has changed is refused instead of served. LMDB has no checksums of its own.
 *
 *   value   content  CRC-32 of key and content, big-endian
 *
 * It does not see an entry that is gone, or one that is an older whole one: `check-tables.ts` compares entries.
 */
import type { KeyValueStore, StoreEntry, StoreRange, StoreReader, StoreTransaction } from '../../../kernel/store.ts';
import { checksumOf } from './checksum.ts';

const checksumBytes = 4;

/** Makes the error for the entry under `key`, whose bytes are not those that were written. */
export type OnDamage = (key: Uint8Array) => Error;

/** Reading throws what `onDamage` makes. */
export function checkedStore(store: KeyValueStore, onDamage: OnDamage): KeyValueStore {
  const reader = checkedReader(store, onDamage);
  let inner: StoreTransaction | undefined;
  let checked: StoreTransaction | undefined;
  const checkedTransactionOf = (transaction: StoreTransaction): StoreTransaction => {
    if (inner !== transaction || checked === undefined) {
      inner = transaction; // most stores have one for all their writes
      checked = checkedTransaction(transaction, onDamage);
    }
    return checked;
  };
  return {
    ...reader,
    write: work => store.write(transaction => work(checkedTransactionOf(transaction))),
    async snapshot() {
      const snapshot = await store.snapshot();
      return { ...checkedReader(snapshot, onDamage), close: () => snapshot.close() };
    },
    close: () => store.close(),
  };
}

export function checkedReader(reader: StoreReader, onDamage: OnDamage): StoreReader {
  return {
    get(key) {
      const sealed = reader.get(key);
      if (sealed === undefined) return undefined;
      const content = contentOf(key, sealed);
      if (content === undefined) throw onDamage(key);
      return content;
    },
    range: range => checkedRange(reader, range, onDamage),
  };
}

export function checkedTransaction(transaction: StoreTransaction, onDamage: OnDamage): StoreTransaction {
  return {
    ...checkedReader(transaction, onDamage),
    put: (key, content) => transaction.put(key, sealed(key, content)),
    delete: key => transaction.delete(key),
  };
}

function* checkedRange(reader: StoreReader, range: StoreRange, onDamage: OnDamage): Generator<StoreEntry> {
  for (const { key, value } of reader.range(range)) {
    const content = contentOf(key, value);
    if (content === undefined) throw onDamage(key);
    yield { key, value: content };
  }
}

/** What is stored for `content`. */
export function sealed(key: Uint8Array, content: Uint8Array): Uint8Array {
  const { length } = content;
  const value = new Uint8Array(length + checksumBytes);
  value.set(content);
  const checksum = checksumOf(content, checksumOf(key));
  value[length] = checksum >>> 24;
  value[length + 1] = checksum >>> 16;
  value[length + 2] = checksum >>> 8;
  value[length + 3] = checksum;
  return value;
}

/** undefined: the entry is damaged. */
export function contentOf(key: Uint8Array, value: Uint8Array): Uint8Array | undefined {
  const length = value.length - checksumBytes;
  if (length < 0) return undefined;
  const content = value.subarray(0, length);
  const kept = (value[length] << 24) | (value[length + 1] << 16) | (value[length + 2] << 8) | value[length + 3];
  return kept >>> 0 === checksumOf(content, checksumOf(key)) ? content : undefined;
}
