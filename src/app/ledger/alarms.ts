/** What does not balance: told, logged, and kept for whoever looks later: PK=$LedgerImbalance, SK=<minute>#<consumer>. */
import type { Alarms } from '../../kernel/alarms.ts';
import { codeOf, messageOf } from '../../kernel/errors.ts';
import type { Log } from '../../kernel/log.ts';
import type { Table } from '../../platform/table/index.ts';
import { appTable } from '../entities/index.ts';
import { sumOf } from './counts.ts';
import type { Imbalance } from './imbalance.ts';
import { ledgerLimits } from './limits.ts';
import { minuteText, startOf } from './minutes.ts';
import type { Recount } from './recount.ts';
import { fates } from './shard-account.ts';

const { tableName: TableName } = appTable;
const imbalancesKey = '$LedgerImbalance';

export const ledgerAlarm = 'ledgerImbalance';
const failureAlarm = 'ledgerNotKept';

/** As it is shown. */
export interface ShownImbalance {
  readonly consumer: string;
  readonly minuteAtMs: number;
  /** Null: things that are not counted by name. */
  readonly thingName: string | null;
  readonly received: number;
  readonly handled: number;
  readonly filtered: number;
  readonly deadLettered: number;
  readonly expired: number;
}

export interface LedgerAlarmsOptions {
  readonly table: Table;
  readonly alarms: Alarms;
  readonly log: Log;
  readonly nowMs: () => number;
}

export class LedgerAlarms {
  readonly #options: LedgerAlarmsOptions;
  #hasFailed = false;

  constructor(options: LedgerAlarmsOptions) {
    this.#options = options;
  }

  /** A minute that is over does not balance. */
  async noteMinute(consumer: string, minute: number, found: readonly Imbalance[]): Promise<void> {
    const shown = found.slice(0, ledgerLimits.imbalancesShown).map(each => shownImbalance(consumer, minute, each));
    const Item = { PK: imbalancesKey, SK: `${minuteText(minute)}#${consumer}`, Things: found.length, Shown: shown };
    await this.#options.table.put({ TableName, Item });
    await this.#forgetOld();
    const [{ thingName, received }] = shown;
    const settled = sumOf(found[0].settled);
    const difference = received - settled;
    const what =
      difference > 0
        ? `${difference} of ${received} were received and never came to an end`
        : `${-difference} more came to an end than the ${received} that were received`;
    const more = found.length > 1 ? ` (and ${found.length - 1} other things)` : '';
    this.#raise(
      consumer,
      `The ledger does not balance for ${consumer}: of the messages of ${thingName ?? 'things not counted by name'}${more} in the minute from ${new Date(startOf(minute)).toISOString()}, ${what}.`,
      { consumer, minuteAtMs: startOf(minute), things: found.length, shown },
    );
  }

  /** After a kill, another number of records is in the log than was counted. */
  noteRecount(consumer: string, { shardId, counted, expected }: Recount & { readonly shardId: string }): void {
    this.#raise(
      consumer,
      `${consumer} had counted ${expected} records of ${shardId} before the last end of the app, and the log holds ${counted}.`,
      { consumer, shardId, counted, expected },
    );
  }

  /** Its own work could not be done, this time. */
  noteFailure(error: unknown): void {
    const facts = { code: codeOf(error), reason: messageOf(error) };
    this.#options.log.error(facts, 'The ledger could not be kept; it is tried again.');
    this.#hasFailed = true;
    this.#options.alarms.raise({
      name: failureAlarm,
      subject: 'ledger',
      message: `The ledger could not be kept: ${facts.reason} [${facts.code}]`,
      fix: 'It is tried again every minute, and counts what it has missed. If it stays, see the log.',
      facts,
    });
  }

  noteSuccess(): void {
    if (this.#hasFailed) this.#options.alarms.clear(failureAlarm, 'ledger');
    this.#hasFailed = false;
  }

  /** What was acknowledged is gone from the log. */
  noteMissing(records: bigint): void {
    this.#raise('$stream', `${records} records that were received are not in the log any more.`, {
      records: String(records),
    });
  }

  /** Newest first. */
  async list(): Promise<ShownImbalance[]> {
    const { Items = [] } = await this.#options.table.query({
      TableName,
      KeyConditionExpression: 'PK = :pk',
      ExpressionAttributeValues: { ':pk': imbalancesKey },
      ScanIndexForward: false,
      ConsistentRead: true,
    });
    return Items.flatMap(({ Shown }) => Shown as ShownImbalance[]); // As `noteMinute` put them there.
  }

  /** It balances after all, as a check by hand has found. */
  async clear(consumer: string, minute: number): Promise<void> {
    const Key = { PK: imbalancesKey, SK: `${minuteText(minute)}#${consumer}` };
    await this.#options.table.delete({ TableName, Key });
    if (!(await this.list()).some(each => each.consumer === consumer))
      this.#options.alarms.clear(ledgerAlarm, consumer);
  }

  #raise(subject: string, message: string, facts: Record<string, unknown>): void {
    this.#options.log.error(facts, message);
    const fix =
      '`mimamori ledger --check` counts again; `mimamori explain <thing> <time>` says what became of a message.';
    this.#options.alarms.raise({ name: ledgerAlarm, subject, message, fix, facts });
  }

  async #forgetOld(): Promise<void> {
    const { Items = [] } = await this.#options.table.query({
      TableName,
      KeyConditionExpression: 'PK = :pk',
      ExpressionAttributeValues: { ':pk': imbalancesKey },
      ProjectionExpression: 'PK, SK',
      ScanIndexForward: false,
      ConsistentRead: true,
    });
    for (const { PK, SK } of Items.slice(ledgerLimits.imbalancesKept))
      await this.#options.table.delete({ TableName, Key: { PK, SK } });
  }
}

function shownImbalance(consumer: string, minute: number, { thingName, received, settled }: Imbalance): ShownImbalance {
  const byFate = Object.fromEntries(fates.map((fate, column) => [fate, settled[column]])) as Record<
    (typeof fates)[number],
    number
  >; // One for each fate.
  return { consumer, minuteAtMs: startOf(minute), thingName: thingName ?? null, received, ...byFate };
}
