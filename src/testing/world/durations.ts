/** Lengths of time as tests say them: milliseconds, or a text such as '90s' or '1h 30m'. */
import { optionsNotValid } from '../errors.ts';

export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}` | (string & {});

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Throws `testing.optionsNotValid`. */
export function durationMs(duration: Duration): number {
  if (typeof duration === 'number') {
    if (Number.isFinite(duration) && duration >= 0) return duration;
    throw notValid(duration);
  }
  let sum = 0;
  const rest = duration.replaceAll(/(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)/g, (_, count: string, unit: string) => {
    sum += Number(count) * unitMs[unit];
    return '';
  });
  if (duration.trim() === '' || rest.trim() !== '') throw notValid(duration);
  return sum;
}

const notValid = (duration: unknown) =>
  optionsNotValid(
    `${JSON.stringify(duration)} is no length of time.`,
    "Give milliseconds, or a text such as '90s' or '1h 30m'.",
  );
