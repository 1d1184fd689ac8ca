/** The ledger as it is shown: rows by minute, thing and consumer, and what they come to. */

import type { ConsumerBook } from './consumer-book.ts';
import { type Counts, sumOf } from './counts.ts';
import type { Ledger } from './ledger.ts';
import { minuteOf, startOf } from './minutes.ts';
import { fates } from './shard-account.ts';

export interface LedgerQuestion {
  readonly thingName?: string;
  readonly consumer?: string;
  /** From this minute on; default: all that is kept. */
  readonly sinceMs?: number;
  readonly untilMs?: number;
}

/** received = handled + filtered + deadLettered + expired + inFlight + missing */
export interface LedgerSums {
  readonly received: number;
  readonly handled: number;
  readonly filtered: number;
  readonly deadLettered: number;
  readonly expired: number;
  readonly inFlight: number;
  /** Of minutes that are over and were compared: 0, or it does not balance. Negative: more than was received. */
  readonly missing: number;
}

export interface LedgerRow extends LedgerSums {
  readonly minuteAtMs: number;
  readonly consumer: string;
  /** Null: things that are not counted by name. */
  readonly thingName: string | null;
}

export interface LedgerTotals extends LedgerSums {
  readonly consumer: string;
  /** Minutes before this instant were compared; null: none yet. */
  readonly checkedUpToMs: number | null;
}

/** Oldest first; of each minute, thing by thing. */
export async function* ledgerRows(ledger: Ledger, question: LedgerQuestion): AsyncGenerator<LedgerRow> {
  for await (const { minute, book, received, settled } of minutesOf(ledger, question)) {
    const isChecked = minute <= (book.checked?.UpTo ?? -1);
    const rowOf = (thingName: string | null, count: number, row: readonly number[]): LedgerRow => {
      return { minuteAtMs: startOf(minute), consumer: book.consumer, thingName, ...sumsOf(count, row, isChecked) };
    };
    const none = fates.map(() => 0);
    const names = new Set([...received.things, ...settled.things].map(([name]) => name));
    for (const name of [...names].sort()) {
      if (question.thingName !== undefined && question.thingName !== name) continue;
      yield rowOf(name, received.get(name)?.[0] ?? 0, settled.get(name) ?? none);
    }
    const hasOthers = received.others[0] + sumOf(settled.others) > 0;
    if (hasOthers && question.thingName === undefined) yield rowOf(null, received.others[0], settled.others);
  }
}

/** One for each consumer. */
export async function ledgerTotals(ledger: Ledger, question: LedgerQuestion): Promise<LedgerTotals[]> {
  const totals = new Map<string, LedgerTotals>();
  for (const book of ledger.books.values()) {
    if (question.consumer !== undefined && question.consumer !== book.consumer) continue;
    const upTo = book.checked?.UpTo ?? -1;
    totals.set(book.consumer, {
      consumer: book.consumer,
      ...sumsOf(0, [0, 0, 0, 0], true),
      checkedUpToMs: upTo < 0 ? null : startOf(upTo + 1),
    });
  }
  for await (const { minute, book, received, settled } of minutesOf(ledger, question)) {
    const before = totals.get(book.consumer);
    if (before === undefined) continue; // It has come meanwhile.
    const isChecked = minute <= (book.checked?.UpTo ?? -1);
    const [count, row] = of(question.thingName, received, settled);
    const sums = sumsOf(count, row, isChecked);
    const added = Object.fromEntries(
      Object.entries(sums).map(([name, value]) => [name, value + before[name as keyof LedgerSums]]),
    ) as unknown as LedgerSums; // The same names.
    totals.set(book.consumer, { ...before, ...added });
  }
  return [...totals.values()];
}

interface MinuteOfBook {
  readonly minute: number;
  readonly book: ConsumerBook;
  readonly received: Counts;
  readonly settled: Counts;
}

async function* minutesOf(
  ledger: Ledger,
  { consumer, sinceMs = 0, untilMs }: LedgerQuestion,
): AsyncGenerator<MinuteOfBook> {
  const last = untilMs === undefined ? Number.MAX_SAFE_INTEGER : minuteOf(untilMs - 1);
  const books = [...ledger.books.values()].filter(book => consumer === undefined || book.consumer === consumer);
  await ledger.hearLatest(); // Of what nobody has handled yet, only the gateway knows.
  const minutes = new Set<number>();
  for (const book of books)
    for (const minute of await ledger.checker.minutes(book, minuteOf(sinceMs) - 1, last)) minutes.add(minute);
  for (const minute of [...minutes].sort((left, right) => left - right)) {
    const counted: [ConsumerBook, Counts][] = [];
    for (const book of books) {
      const isBefore = minute <= (book.checked?.Since ?? -1) || minute <= ledger.received.since;
      // What came before one of the two ends began to count cannot be set against the other.
      if (!isBefore) counted.push([book, await book.countsOf(minute)]);
    }
    if (!ledger.isOver(minute)) await ledger.hearLatest(); // After them: nothing is settled that was not received.
    const received = await ledger.received.countsOf(minute);
    for (const [book, settled] of counted) yield { minute, book, received, settled };
  }
}

function of(thingName: string | undefined, received: Counts, settled: Counts): [number, readonly number[]] {
  if (thingName === undefined) return [received.totals[0], settled.totals];
  return [received.get(thingName)?.[0] ?? 0, settled.get(thingName) ?? fates.map(() => 0)];
}

function sumsOf(received: number, settled: readonly number[], isChecked: boolean): LedgerSums {
  const [handled, filtered, deadLettered, expired] = settled;
  const rest = received - sumOf(settled);
  // Where the gateway is not asked, what it has counted comes a few seconds late.
  return {
    received,
    handled,
    filtered,
    deadLettered,
    expired,
    inFlight: isChecked ? 0 : Math.max(0, rest),
    missing: isChecked ? rest : 0,
  };
}
