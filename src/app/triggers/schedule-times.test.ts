import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ScheduleTimes } from '../model.ts';
import { timesOf } from './schedule-times.ts';

const atOf = (text: string) => Date.parse(`2026-${text}:00Z`);
const textOf = (ms: number | undefined) => ms && new Date(ms).toISOString().slice(5, 16);

/** The next few times, and whether each is the last one when it has come, and not before. */
function next(times: ScheduleTimes, from: string, count: number) {
  const { next, last } = timesOf('tick', times);
  const found: (string | undefined | 0)[] = [];
  for (let at = next(atOf(from)); at !== undefined && found.length < count; at = next(at)) {
    found.push(textOf(at));
    assert.equal(last(at), at);
    assert.equal(last(at + 59_000), at);
    assert.notEqual(last(at - 1), at);
  }
  return found;
}

describe('the times of a schedule', () => {
  it('are the multiples of an interval, whenever it is asked', () => {
    assert.deepEqual(next({ everyMs: 900_000 }, '01-01T00:07', 3), ['01-01T00:15', '01-01T00:30', '01-01T00:45']);
    assert.deepEqual(next({ everyMs: 60_000 }, '01-01T00:00', 1), ['01-01T00:01']);
  });

  it('are those of a cron expression, in UTC unless it says otherwise', () => {
    assert.deepEqual(next({ cron: '0 9 * * 1' }, '01-01T00:00', 2), ['01-05T09:00', '01-12T09:00']);
    const tokyo = { cron: '0 9 1 * *', timeZone: 'Asia/Tokyo' };
    assert.deepEqual(next(tokyo, '01-01T00:30', 2), ['02-01T00:00', '03-01T00:00']);
  });

  it('are there once when the clocks are set forward over them, or back (hostile C03)', () => {
    const daily = { cron: '30 2 * * *', timeZone: 'Europe/Berlin' };
    assert.deepEqual(next(daily, '03-28T00:00', 3), ['03-28T01:30', '03-29T01:00', '03-30T00:30']);
    assert.deepEqual(next(daily, '10-24T00:00', 3), ['10-24T00:30', '10-25T00:30', '10-26T01:30']);
    const halfHourly = { cron: '*/30 * * * *', timeZone: 'Europe/Berlin' };
    assert.equal(next(halfHourly, '10-24T23:00', 8).length, 8); // All of them, an hour twice.
    assert.equal(next(halfHourly, '10-24T23:00', 8).at(-1), '10-25T03:00');
  });

  it('are refused when there are none, or they do not say what they seem to', () => {
    const wrong: ScheduleTimes[] = [
      { everyMs: 999 },
      { everyMs: 1_000.5 },
      { everyMs: Number.NaN },
      { everyMs: Number.POSITIVE_INFINITY },
      { cron: '' },
      { cron: '@daily' },
      { cron: '61 * * * *' },
      { cron: '0 0 30 2 *' },
      { cron: '2026-01-01T00:00:00' },
      { cron: '* * * * * * 2026' },
      { cron: `${'1,'.repeat(200)}1 * * * *` },
      { cron: '* * * * *', timeZone: 'Europe/Berlln' },
    ];
    for (const times of wrong)
      assert.throws(() => timesOf('tick', times), { code: 'app.notValid' }, JSON.stringify(times));
  });
});
