/** The times of a schedule, reckoned from the times alone: nothing here knows what time it is. */
import { Cron } from 'croner';
import { messageOf } from '../../kernel/errors.ts';
import { appNotValid } from '../errors.ts';
import type { ScheduleTimes } from '../model.ts';

export const scheduleLimits = {
  everyMsMin: 1_000, // ours: a second, as finely as a cron expression can say it
  everyMsMax: 366 * 24 * 3_600_000, // ours: a year
  cronCharactersMax: 256, // ours
} as const;

/** Unix epoch milliseconds. */
export interface Times {
  /** The first one behind `afterMs`; undefined: there is none. */
  next(afterMs: number): number | undefined;
  /** The last one up to `upToMs`. */
  last(upToMs: number): number | undefined;
}

/** Throws `app.notValid`. */
export function timesOf(functionName: string, times: ScheduleTimes): Times {
  return 'cron' in times ? cronTimes(functionName, times) : everyTimes(functionName, times.everyMs);
}

/** The multiples of the interval since 1970, UTC: the same whenever the app is started. */
function everyTimes(functionName: string, everyMs: number): Times {
  const { everyMsMin, everyMsMax } = scheduleLimits;
  if (!Number.isInteger(everyMs) || everyMs < everyMsMin || everyMs > everyMsMax) {
    const fix = `Give whole milliseconds from ${everyMsMin} to ${everyMsMax}.`;
    throw appNotValid(`The schedule of ${functionName} is for every ${everyMs} ms.`, fix);
  }
  return {
    next: afterMs => (Math.floor(afterMs / everyMs) + 1) * everyMs,
    last: upToMs => Math.floor(upToMs / everyMs) * everyMs,
  };
}

/**
 * By the clocks of the time zone. When they are set forward, a time that is left out is called at the moment they are; when
 * they are set back, a time that comes twice is called once, while what comes every hour or more often is called in both.
 */
function cronTimes(functionName: string, { cron, timeZone = 'UTC' }: { cron: string; timeZone?: string }): Times {
  const pattern = parseCron(functionName, cron, timeZone);
  const msOf = (date: Date | null | undefined) => date?.getTime();
  return {
    next: afterMs => msOf(pattern.nextRun(new Date(afterMs))),
    // Given a moment it tells those before that moment, which is one too early by a millisecond.
    last: upToMs => msOf(pattern.previousRuns(1, new Date(upToMs + 1))[0]),
  };
}

function parseCron(functionName: string, cron: string, timeZone: string): Cron {
  const refuse = (reason: string) =>
    appNotValid(
      `The schedule of ${functionName} cannot be read: ${reason}.`,
      'Write five fields (minute, hour, day, month, weekday), or six with the second before them, and an IANA time zone.',
    );
  const fields = cron.trim().split(/\s+/).length;
  // Otherwise a date, a year or a word would do as well, and mean what nobody expects.
  if (fields < 5 || fields > 6 || cron.length > scheduleLimits.cronCharactersMax)
    throw refuse(`"${cron.slice(0, 100)}"`);
  try {
    const pattern = new Cron(cron, { paused: true, timezone: timeZone });
    if (pattern.nextRun(new Date(0)) !== null) return pattern;
  } catch (error) {
    throw refuse(messageOf(error).slice(0, 200));
  }
  throw refuse(`there is no such time as "${cron}"`);
}
