// How a figure is written in a table.
import type { Spread } from './statistics.ts';

export function formatCell(value: Spread | number, format: (value: number) => string): string {
  if (typeof value === 'number') return format(value);
  const { median, min, max } = value;
  return min === max ? format(median) : `${format(median)} (${format(min)}-${format(max)})`;
}

export const formatThousands = (perSecond: number) => (perSecond / 1_000).toFixed(1);
export const formatCount = (count: number) => Math.round(count).toLocaleString('en-US');
export const formatShare = (share: number) => `${Math.round(share * 100)} %`;
export const formatMebibytes = (bytes: number) => (bytes / 1024 ** 2).toFixed(1);
export const formatMicros = (micros: number) => micros.toFixed(1);

/** Three digits that count: a fan-out takes a hundred milliseconds, a message between two a tenth of one. */
export function formatMillis(ms: number): string {
  if (ms >= 100) return formatCount(ms);
  return ms >= 10 ? ms.toFixed(1) : ms.toFixed(2);
}
