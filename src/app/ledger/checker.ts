/** Compares the two ends of the ledger, minute by minute, once nothing of a minute is in flight any more. */
import type { ShardId, StreamReader } from '../../platform/stream/index.ts';
import type { Table } from '../../platform/table/index.ts';
import { appTable } from '../entities/index.ts';
import type { LedgerAlarms } from './alarms.ts';
import type { ConsumerBook } from './consumer-book.ts';
import { imbalancesOf } from './imbalance.ts';
import { ledgerLimits } from './limits.ts';
import { minuteOf, minuteText, startOf } from './minutes.ts';
import { type ReceivedBook, receivedKey } from './received-book.ts';
import { accountKey, type ShardAccount } from './shard-account.ts';

const { tableName: TableName } = appTable;

export interface CheckerOptions {
  readonly table: Table;
  readonly openReader: () => StreamReader;
  readonly received: ReceivedBook;
  readonly alarms: LedgerAlarms;
}

interface ListedMinutes {
  readonly minutes: number[];
  readonly isAll: boolean;
}

export class Checker {
  readonly #options: CheckerOptions;

  constructor(options: CheckerOptions) {
    this.#options = options;
  }

  /**
   * Compares what was not compared yet, up to `lastMinute`, as far as the consumer has come.
   * @returns whether that is all there is
   */
  async check(book: ConsumerBook, lastMinute: number): Promise<boolean> {
    const { received, alarms } = this.#options;
    if (book.checked === undefined) return true; // It has not begun.
    const { Since, UpTo } = book.checked;
    const from = Math.max(UpTo, received.since);
    const reader = this.#options.openReader();
    try {
      const last = Math.min(lastMinute, await this.#lastReceived(reader));
      let checkedUpTo = UpTo;
      const { minutes, isAll } = await this.#list(book, from, Number.MAX_SAFE_INTEGER, ledgerLimits.checkedMax);
      for (const minute of minutes) {
        if (minute > last || !(await this.#isPassed(book, reader, minute))) break;
        const found = imbalancesOf(await received.countsOf(minute), await book.countsOf(minute));
        if (found.length > 0) await alarms.noteMinute(book.consumer, minute, found);
        checkedUpTo = minute;
      }
      if (checkedUpTo > UpTo) await book.noteChecked({ Since, UpTo: checkedUpTo });
      return isAll && (minutes.length === 0 || minutes[minutes.length - 1] <= checkedUpTo);
    } finally {
      await reader.close();
    }
  }

  /** Compares again what was compared; what was found then and balances now is no imbalance any more. */
  async recheck(book: ConsumerBook): Promise<void> {
    const { received, alarms } = this.#options;
    if (book.checked === undefined) return;
    const { Since, UpTo } = book.checked;
    const known = new Set(
      (await alarms.list()).flatMap(each => (each.consumer === book.consumer ? [each.minuteAtMs] : [])),
    );
    for (const minute of await this.minutes(book, Math.max(Since, received.since), UpTo)) {
      const found = imbalancesOf(await received.countsOf(minute), await book.countsOf(minute));
      if (found.length > 0) await alarms.noteMinute(book.consumer, minute, found);
      else if (known.has(startOf(minute))) await alarms.clear(book.consumer, minute);
    }
  }

  /** Minutes of which one of the two ends says something, oldest first: behind `after`, up to `last`. */
  async minutes(book: ConsumerBook, after: number, last: number): Promise<number[]> {
    return (await this.#list(book, after, last, Number.MAX_SAFE_INTEGER)).minutes;
  }

  /** Of many, the oldest; then `isAll` is false. */
  async #list(book: ConsumerBook, after: number, last: number, most: number): Promise<ListedMinutes> {
    if (last <= after) return { minutes: [], isAll: true };
    const found = new Set<number>(this.#options.received.unstoredMinutes);
    for (const [, account] of book.accounts) for (const minute of account.unstoredMinutes) found.add(minute);
    let listedUpTo = last;
    for (const PK of [receivedKey, accountKey(book.consumer)]) {
      const stored = await this.#storedMinutes(PK, { after, last, most });
      for (const minute of stored) found.add(minute);
      // What one of them has not told of yet may lie behind this.
      if (stored.length >= most) listedUpTo = Math.min(listedUpTo, stored[stored.length - 1]);
    }
    const minutes = [...found].filter(minute => minute > after && minute <= listedUpTo);
    return { minutes: minutes.sort((left, right) => left - right), isAll: listedUpTo === last };
  }

  async #storedMinutes(
    PK: string,
    { after, last, most }: { readonly after: number; readonly last: number; readonly most: number },
  ): Promise<number[]> {
    const minutes: number[] = [];
    let ExclusiveStartKey: Record<string, unknown> | undefined;
    do {
      const page = await this.#options.table.query({
        TableName,
        KeyConditionExpression: 'PK = :pk AND SK BETWEEN :from AND :to',
        ExpressionAttributeValues: { ':pk': PK, ':from': minuteText(after + 1), ':to': `${minuteText(last)}#~` },
        ProjectionExpression: 'SK',
        ConsistentRead: true,
        ExclusiveStartKey,
        Limit: ledgerLimits.checkedMax,
      });
      for (const { SK } of page.Items ?? []) minutes.push(Number.parseInt(SK, 10));
      ExclusiveStartKey = page.LastEvaluatedKey;
    } while (ExclusiveStartKey !== undefined && minutes.length < most);
    return minutes;
  }

  /** The last minute of which everything that was received is counted. */
  async #lastReceived(reader: StreamReader): Promise<number> {
    const { received } = this.#options;
    const [{ shardId }] = await reader.shards();
    const last = (await reader.locate(shardId, { type: 'LATEST' })) ?? 0n;
    return received.upTo >= last ? Number.MAX_SAFE_INTEGER : received.lastMinute - 1;
  }

  /** Whether the consumer has nothing of the minute in flight, in any shard. */
  async #isPassed(book: ConsumerBook, reader: StreamReader, minute: number): Promise<boolean> {
    const farthest = [...book.accounts].reduce(
      (most, [, { settledUpTo }]) => (settledUpTo > most ? settledUpTo : most),
      0n,
    );
    for (const { shardId, endingSequenceNumber: end } of await reader.shards()) {
      // Whoever is beyond the end of a shard has read it to its end; it may have forgotten how far it was in there.
      if (end !== undefined && farthest > end) continue;
      if (!(await isPassed(book.accountOf(shardId), reader, shardId, minute))) return false;
    }
    return true;
  }
}

/** Nothing is left behind its position, or only what came in later. */
async function isPassed(
  account: ShardAccount | undefined,
  reader: StreamReader,
  shardId: ShardId,
  minute: number,
): Promise<boolean> {
  if (account !== undefined && minuteOf(account.lastArrivalAtMs) > minute) return true;
  const after = account?.settledUpTo ?? 0n;
  const [next] = await reader.read(shardId, after === 0n ? null : after, 1);
  return next === undefined || minuteOf(next.arrivalAtMs) > minute;
}
