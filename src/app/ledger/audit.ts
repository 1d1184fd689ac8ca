/**
 * A check by hand: counts everything that the log still holds once more, and compares it with what the gateway counted;
 * then compares the two ends again, also of minutes that were compared before. It takes as long as the log is large.
 */
import type { StreamReader, StreamRecord } from '../../platform/stream/index.ts';
import type { ShownImbalance } from './alarms.ts';
import { Counts } from './counts.ts';
import { imbalancesOf } from './imbalance.ts';
import type { Ledger } from './ledger.ts';
import { ledgerLimits } from './limits.ts';
import { minuteOf, startOf } from './minutes.ts';

export interface AuditProgress {
  readonly step: 'log' | 'accounts';
  readonly minutes: number;
  readonly records: number;
}

export interface AuditResult {
  readonly isBalanced: boolean;
  readonly minutes: number;
  readonly records: number;
  readonly imbalances: readonly ShownImbalance[];
}

/** What the gateway counted and the log does not hold is told as if the log were a consumer, which handles what it keeps. */
const ofTheLog = '$stream';

/** Progress, and at last what came out. */
export async function* audit(
  ledger: Ledger,
  reader: StreamReader,
  thingOf: (record: StreamRecord) => string,
): AsyncGenerator<AuditProgress | AuditResult> {
  const imbalances: ShownImbalance[] = [];
  let minutes = 0;
  let records = 0;
  await ledger.received.catchUp();
  for await (const [minute, counted] of minutesInLog(ledger, reader, thingOf)) {
    const found = imbalancesOf(await ledger.received.countsOf(minute), asSettled(counted));
    for (const { thingName, received, settled } of found) {
      const none = { handled: settled[0], filtered: 0, deadLettered: 0, expired: 0 };
      const minuteAtMs = startOf(minute);
      if (imbalances.length >= ledgerLimits.imbalancesKept) break;
      imbalances.push({ consumer: ofTheLog, minuteAtMs, thingName: thingName ?? null, received, ...none });
    }
    minutes++;
    records += counted.totals[0];
    yield { step: 'log', minutes, records };
  }
  await ledger.recheck();
  imbalances.push(...(await ledger.alarms.list()));
  yield { isBalanced: imbalances.length === 0, minutes, records, imbalances };
}

/** Whole minutes that the log still holds and the gateway's end has counted. */
async function* minutesInLog(
  ledger: Ledger,
  reader: StreamReader,
  thingOf: (record: StreamRecord) => string,
): AsyncGenerator<[number, Counts]> {
  const { received } = ledger;
  const first = Math.max(await oldestMinute(reader), received.since) + 1;
  const last = minuteOf(ledger.nowMs()) - 1; // What comes now belongs to a later one.
  for (let from = first; from <= last; from += ledgerLimits.auditMinutes) {
    const to = Math.min(from + ledgerLimits.auditMinutes - 1, last);
    const counted = new Map<number, Counts>();
    for (const { shardId } of await reader.shards()) {
      let after = await reader.locate(shardId, { type: 'AT_TIMESTAMP', atMs: startOf(from) });
      for (let isOver = false; !isOver; ) {
        const page: StreamRecord[] = await reader.read(shardId, after, ledgerLimits.readBytesMax);
        if (page.length === 0) break;
        isOver = count(page, { from, to, counted, thingOf });
        after = page[page.length - 1].sequenceNumber;
      }
    }
    for (const minute of [...counted.keys()].sort((left, right) => left - right))
      yield [minute, counted.get(minute) ?? new Counts(1)];
  }
}

interface Counting {
  readonly from: number;
  readonly to: number;
  readonly counted: Map<number, Counts>;
  readonly thingOf: (record: StreamRecord) => string;
}

/** @returns whether the page reaches beyond the last minute */
function count(page: readonly StreamRecord[], { from, to, counted, thingOf }: Counting): boolean {
  for (const record of page) {
    const minute = minuteOf(record.arrivalAtMs);
    if (minute > to) return true;
    if (minute < from) continue;
    const counts = counted.get(minute) ?? new Counts(1);
    counted.set(minute, counts);
    counts.add(thingOf(record), 0);
  }
  return false;
}

/** Of the oldest record: its minute may have lost others. */
async function oldestMinute(reader: StreamReader): Promise<number> {
  let oldest = Number.MAX_SAFE_INTEGER;
  let isTrimmed = false;
  for (const { shardId } of await reader.shards()) {
    const [record] = await reader.read(shardId, null, 1);
    if (record === undefined) continue;
    isTrimmed ||= record.sequenceNumber > 1n;
    oldest = Math.min(oldest, minuteOf(record.arrivalAtMs));
  }
  return isTrimmed ? oldest : oldest - 1;
}

function asSettled(counted: Counts): Counts {
  const settled = new Counts(4);
  for (const [thingName, [count]] of counted.things) settled.addRow(thingName, [count, 0, 0, 0]);
  settled.addOthers([counted.others[0], 0, 0, 0]);
  return settled;
}
