/** The accounts of one consumer, shard by shard, and how far they were checked. */
import type { Clock } from '../../kernel/clock.ts';
import type { SequenceNumber, ShardId, StreamReader, StreamRecord } from '../../platform/stream/index.ts';
import type { Table } from '../../platform/table/index.ts';
import { appTable } from '../entities/index.ts';
import { Counts } from './counts.ts';
import { minuteOf, minuteText } from './minutes.ts';
import { unpackCounts } from './packing.ts';
import { PassedBy } from './passed-by.ts';
import { positionsKey } from './received-book.ts';
import { type Recount, recount } from './recount.ts';
import { accountKey, type CheckpointItem, fates, ShardAccount } from './shard-account.ts';
import { thingOf } from './thing-names.ts';

const { tableName: TableName } = appTable;

export interface ConsumerBookOptions {
  readonly table: Table;
  readonly clock: Clock;
  readonly consumer: string;
  readonly isFiltered: (record: StreamRecord) => boolean;
  readonly openReader: () => StreamReader;
  readonly namesLieInTopics: boolean;
  /** A recount came to another number of records than were counted before the kill. */
  readonly onBytes: (bytes: number) => void;
  readonly onImbalance: (found: Recount & { readonly shardId: ShardId }) => void;
}

/** How far its minutes were compared with what was received. */
export interface Checked {
  /** Minutes after it are whole. */
  readonly Since: number;
  readonly UpTo: number;
}

export class ConsumerBook {
  readonly consumer: string;
  readonly #options: ConsumerBookOptions;
  readonly #accounts = new Map<ShardId, ShardAccount>();
  readonly #opening = new Map<ShardId, Promise<ShardAccount>>();
  readonly #passedBy = new Map<ShardId, PassedBy>();
  #checked: Checked | undefined;

  constructor(options: ConsumerBookOptions) {
    this.consumer = options.consumer;
    this.#options = options;
  }

  /** Whether the consumer passes a record by. */
  isFiltered(record: StreamRecord): boolean {
    return this.#options.isFiltered(record);
  }

  get accounts(): IterableIterator<[ShardId, ShardAccount]> {
    return this.#accounts.entries();
  }

  accountOf(shardId: ShardId): ShardAccount | undefined {
    return this.#accounts.get(shardId);
  }

  /** Where a reader notes what it passes by. */
  passedBy(shardId: ShardId): PassedBy {
    let passedBy = this.#passedBy.get(shardId);
    if (passedBy === undefined) {
      passedBy = new PassedBy({ namesLieInTopics: this.#options.namesLieInTopics, after: 0n });
      this.#passedBy.set(shardId, passedBy);
    }
    return passedBy;
  }

  /** @param item  its checkpoint; undefined when it has none yet */
  open(shardId: ShardId, item: CheckpointItem | undefined): Promise<ShardAccount> {
    let opening = this.#opening.get(shardId);
    if (opening === undefined) {
      // Nobody sees an account before all of it is counted: what is stored of it would pass for the whole.
      opening = this.#open(shardId, item).then(account => {
        this.#accounts.set(shardId, account);
        return account;
      });
      this.#opening.set(shardId, opening);
    }
    return opening;
  }

  async #open(shardId: ShardId, item: CheckpointItem | undefined): Promise<ShardAccount> {
    const { table, clock, consumer, isFiltered, openReader, namesLieInTopics, onImbalance, onBytes } = this.#options;
    const upTo = BigInt(item?.UpTo ?? 0);
    const tail = item?.Ledger;
    const storedUpTo = tail === undefined ? upTo : BigInt(tail.UpTo);
    const settledUpTo = storedUpTo > upTo ? storedUpTo : upTo;
    const passedBy = new PassedBy({ namesLieInTopics, after: settledUpTo });
    const of = (record: StreamRecord) => thingOf(record, namesLieInTopics);
    const account = new ShardAccount({
      table,
      clock,
      consumer,
      shardId,
      thingOf: of,
      passedBy,
      settledUpTo,
      storedUpTo,
      onBytes,
    });
    this.#passedBy.set(shardId, passedBy);
    if (item !== undefined) account.noteItem(item);
    const reader = openReader();
    try {
      await this.#begin(reader, shardId, settledUpTo);
      if (tail === undefined || storedUpTo >= upTo) return account;
      const range = { shardId, after: storedUpTo, upTo, tail };
      const found = await recount(account, reader, range, isFiltered);
      if (!found.isPartly && found.counted !== found.expected) onImbalance({ ...found, shardId });
    } finally {
      await reader.close();
    }
    return account;
  }

  /**
   * Fixes from where on its minutes are whole. A consumer that is new begins with the next minute or, in a stream that is
   * new, with the first; one that was away so long that records went before it had seen them, behind those.
   */
  async #begin(reader: StreamReader, shardId: ShardId, settledUpTo: SequenceNumber): Promise<void> {
    const known = await this.#loadChecked();
    if (known === undefined) {
      const isNewStream = (await reader.locate(shardId, { type: 'LATEST' })) === 0n;
      const minute = isNewStream ? -1 : minuteOf(this.#options.clock.nowMs());
      return this.noteChecked({ Since: minute, UpTo: minute });
    }
    if (settledUpTo === 0n) return;
    const [oldest] = await reader.read(shardId, null, 1);
    if (oldest === undefined || oldest.sequenceNumber <= settledUpTo + 1n) return;
    const minute = Math.max(known.UpTo, minuteOf(oldest.arrivalAtMs));
    await this.noteChecked({ Since: minute, UpTo: minute });
  }

  async forget(shardId: ShardId): Promise<void> {
    await this.#accounts.get(shardId)?.flush();
    this.#accounts.delete(shardId);
    this.#opening.delete(shardId);
    this.#passedBy.delete(shardId);
  }

  /** Nothing up to now is compared any more: it will be counted again. */
  async startOver(): Promise<void> {
    const minute = minuteOf(this.#options.clock.nowMs());
    await this.noteChecked({ Since: minute, UpTo: minute });
  }

  /** Of accounts that have something to store; undefined: none has. */
  get storedUpTo(): SequenceNumber | undefined {
    let least: SequenceNumber | undefined;
    for (const { storedUpTo, unstoredMinutes } of this.#accounts.values())
      if (unstoredMinutes.length > 0 && (least === undefined || storedUpTo < least)) least = storedUpTo;
    return least;
  }

  async flush(): Promise<void> {
    for (const account of this.#accounts.values()) await account.flush();
  }

  /** What became of a minute's records, in all shards, stored or not. */
  async countsOf(minute: number): Promise<Counts> {
    const counts = new Counts(fates.length);
    const stored = await this.#bucketsOf(minute);
    for (const [shardId, account] of this.#accounts) {
      counts.addAll(await account.countsOf(minute));
      stored.delete(shardId);
    }
    for (const packed of stored.values()) counts.addAll(unpackCounts(packed)); // Of shards that are gone.
    return counts;
  }

  async #bucketsOf(minute: number): Promise<Map<ShardId, Uint8Array>> {
    const { Items = [] } = await this.#options.table.query({
      TableName,
      KeyConditionExpression: 'PK = :pk AND begins_with(SK, :minute)',
      ExpressionAttributeValues: { ':pk': accountKey(this.consumer), ':minute': `${minuteText(minute)}#` },
      ConsistentRead: true,
    });
    return new Map(Items.map(({ SK, Counts: packed }) => [String(SK).slice(minuteText(minute).length + 1), packed]));
  }

  /** Undefined until one of its shards is open. */
  get checked(): Checked | undefined {
    return this.#checked;
  }

  async #loadChecked(): Promise<Checked | undefined> {
    if (this.#checked !== undefined) return this.#checked;
    const Key = { PK: positionsKey, SK: `consumer-${this.consumer}` };
    const { Item } = await this.#options.table.get({ TableName, Key, ConsistentRead: true });
    this.#checked = Item && { Since: Item.Since, UpTo: Item.UpTo };
    return this.#checked;
  }

  async noteChecked(checked: Checked): Promise<void> {
    const Item = { PK: positionsKey, SK: `consumer-${this.consumer}`, ...checked };
    await this.#options.table.put({ TableName, Item });
    this.#checked = checked;
  }
}
