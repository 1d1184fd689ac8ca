/** Deletes minutes that are older than the ledger looks back, and, when it has grown too large, the oldest ones. */
import { type Table, tableLimits } from '../../platform/table/index.ts';
import { appTable } from '../entities/index.ts';
import { ledgerLimits } from './limits.ts';
import { minuteOf, minuteText } from './minutes.ts';
import { positionsKey, receivedKey } from './received-book.ts';
import { accountKey } from './shard-account.ts';

const { tableName: TableName } = appTable;

/** PK=$LedgerPosition, SK=size: about how many bytes are kept. */
const sizeKey = { PK: positionsKey, SK: 'size' };

export class Retention {
  readonly #table: Table;
  readonly #nowMs: () => number;
  /** Undefined until it is loaded. */
  #bytes: number | undefined;
  #grownBy = 0;

  constructor({ table, nowMs }: { table: Table; nowMs: () => number }) {
    this.#table = table;
    this.#nowMs = nowMs;
  }

  noteBytes(grownBy: number): void {
    this.#grownBy += grownBy;
  }

  /** A few at a time; minutes come no faster. What a kill keeps from being noted is noticed late, not never. */
  async apply(consumers: readonly string[]): Promise<void> {
    const keys = [receivedKey, ...consumers.map(accountKey)];
    const before = this.#bytes ?? (await this.#load());
    let bytes = before + this.#grownBy;
    this.#grownBy = 0;
    const oldest = minuteOf(this.#nowMs()) - ledgerLimits.retentionMinutes;
    bytes -= await this.#deleteAll(keys, minuteText(oldest));
    while (bytes > ledgerLimits.bytesMax) {
      const limit = await this.#nextOldest();
      if (limit === undefined) break;
      bytes -= await this.#deleteAll(keys, limit);
    }
    this.#bytes = Math.max(0, bytes);
    if (this.#bytes !== before) await this.#table.put({ TableName, Item: { ...sizeKey, Bytes: this.#bytes } });
  }

  async #load(): Promise<number> {
    const { Item } = await this.#table.get({ TableName, Key: sizeKey, ConsistentRead: true });
    return Item?.Bytes ?? 0;
  }

  /** Where a hundred of the oldest minutes end; undefined when there are hardly any. */
  async #nextOldest(): Promise<string | undefined> {
    const { Items = [] } = await this.#table.query({
      TableName,
      KeyConditionExpression: 'PK = :pk',
      ExpressionAttributeValues: { ':pk': receivedKey },
      ProjectionExpression: 'SK',
      Limit: ledgerLimits.deletesMax,
    });
    return Items.length < ledgerLimits.deletesMax ? undefined : Items[Items.length - 1].SK;
  }

  /** @returns the bytes it has deleted */
  async #deleteAll(keys: readonly string[], before: string): Promise<number> {
    let bytes = 0;
    for (const PK of keys) bytes += await this.#deleteBefore(PK, before);
    return bytes;
  }

  async #deleteBefore(PK: string, before: string): Promise<number> {
    const { Items = [] } = await this.#table.query({
      TableName,
      KeyConditionExpression: 'PK = :pk AND SK < :before',
      ExpressionAttributeValues: { ':pk': PK, ':before': before },
      ProjectionExpression: 'SK, PackedBytes',
      Limit: ledgerLimits.deletesMax,
    });
    for (let from = 0; from < Items.length; from += tableLimits.batchWriteItemsMax) {
      const deletes = Items.slice(from, from + tableLimits.batchWriteItemsMax);
      const RequestItems = { [TableName]: deletes.map(({ SK }) => ({ DeleteRequest: { Key: { PK, SK } } })) };
      await this.#table.batchWrite({ RequestItems }); // What is left over is found again the next time.
    }
    return Items.reduce((sum, { PackedBytes = 0 }) => sum + PackedBytes, 0);
  }
}
