/** Minutes as the ledger counts them: since the Unix epoch, by when the stream took a record. */
import { ledgerLimits } from './limits.ts';

export function minuteOf(atMs: number): number {
  return Math.floor(atMs / ledgerLimits.minuteMs);
}

export function startOf(minute: number): number {
  return minute * ledgerLimits.minuteMs;
}

/** Sorts as minutes do. */
export function minuteText(minute: number): string {
  return String(Math.max(0, minute)).padStart(9, '0');
}
