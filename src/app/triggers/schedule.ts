/**
 * Functions that the clock calls: once per time, also when the app is restarted, because that a time was called for is
 * stored in one step with the call. Never two at once of the same function: times that pass while one runs, or waits to be
 * tried again, or while the app is stopped, wait, and of those that wait only the last one counts.
 */
import type { Clock, Timer } from '../../kernel/clock.ts';
import type { Counters } from '../../kernel/counters.ts';
import { codeOf } from '../../kernel/errors.ts';
import type { Log } from '../../kernel/log.ts';
import type { LaterInvocation, LaterQueue } from '../../platform/functions/index.ts';
import type { LaterTable } from '../later-store.ts';
import type { ScheduleFunction } from '../model.ts';
import { type Times, timesOf } from './schedule-times.ts';

const scheduleWaits = {
  lookMsMax: 60_000, // ours: how late a time may be after the wall clock was set forward
  setBackMs: 60_000, // ours: a clock that is set right every few minutes is not set back further
  storeFullRetryMs: 1_000, // ours: how often a full disk is tried again
} as const;

export interface SchedulesOptions {
  readonly store: Pick<LaterTable, 'lastScheduled' | 'noteScheduled'>;
  readonly queue: Pick<LaterQueue, 'putScheduled' | 'queued' | 'takeUp'>;
  readonly clock: Clock;
  readonly counters: Counters;
  readonly log: Log;
  /** Storage has failed. */
  readonly onFailure: (error: unknown) => void;
}

interface Schedule {
  readonly functionName: string;
  readonly times: Times;
  /** The last one it was called for, or that need not be called for any more. */
  lastAtMs: number;
  timer: Timer | undefined;
  isFiring: boolean;
}

export class Schedules {
  readonly #options: SchedulesOptions;
  readonly #schedules = new Map<string, Schedule>();
  #isStopped = false;

  constructor(options: SchedulesOptions) {
    this.#options = options;
  }

  /** When the calls that are stored have been taken up. */
  async start(functionName: string, { times }: ScheduleFunction): Promise<void> {
    const { store, queue, clock } = this.#options;
    const known = await store.lastScheduled(functionName);
    const lastAtMs = known ?? clock.nowMs();
    if (known === undefined)
      await store.noteScheduled(functionName, lastAtMs); // What was before it existed is not missed.
    // The list of stored calls may not show yet what was stored just before a stop; this one is known by its time.
    else queue.takeUp({ id: idOf(functionName, known), functionName, dueAtMs: known, wasBegun: false });
    this.#schedules.set(functionName, {
      functionName,
      times: timesOf(functionName, times),
      lastAtMs,
      timer: undefined,
      isFiring: false,
    });
    this.look(functionName);
  }

  /** A call has ended, or time has passed: calls for the last time that has come and was not called for. */
  look(functionName: string): void {
    const schedule = this.#schedules.get(functionName);
    if (schedule === undefined || schedule.isFiring || this.#isStopped) return;
    this.#lookAt(schedule).catch(error => {
      schedule.isFiring = false;
      if (codeOf(error) === 'store.full') this.#lookIn(schedule, scheduleWaits.storeFullRetryMs);
      else this.#options.onFailure(error);
    });
  }

  stop(): void {
    this.#isStopped = true;
    for (const { timer } of this.#schedules.values()) timer?.cancel();
  }

  async #lookAt(schedule: Schedule): Promise<void> {
    const { clock, queue } = this.#options;
    const { functionName, times } = schedule;
    const nowMs = clock.nowMs();
    if (schedule.lastAtMs - nowMs > scheduleWaits.setBackMs) await this.#startOver(schedule, nowMs);
    const dueAtMs = times.last(nowMs);
    const isDue = dueAtMs !== undefined && dueAtMs > schedule.lastAtMs;
    // While one is open nothing is to be done: its end calls this again.
    if (isDue && queue.queued(functionName) === 0) await this.#fire(schedule, dueAtMs);
    const nextAtMs = times.next(clock.nowMs());
    if (nextAtMs !== undefined) this.#lookIn(schedule, nextAtMs - clock.nowMs());
  }

  async #fire(schedule: Schedule, scheduledAtMs: number): Promise<void> {
    const { functionName, times } = schedule;
    const { queue, counters } = this.#options;
    const passed = times.next(schedule.lastAtMs);
    if (passed !== undefined && passed < scheduledAtMs) counters.add('schedules.passedOver');
    schedule.isFiring = true;
    await queue.putScheduled(invocationFor(functionName, scheduledAtMs), scheduledAtMs);
    schedule.lastAtMs = scheduledAtMs;
    schedule.isFiring = false;
  }

  /** The wall clock was wrong, or is now: waiting for it to come there again might take years. */
  async #startOver(schedule: Schedule, nowMs: number): Promise<void> {
    const { functionName, lastAtMs } = schedule;
    const facts = { functionName, lastAt: new Date(lastAtMs).toISOString() };
    this.#options.log.warn(facts, 'The clock was set back: the schedule goes on from now.');
    schedule.lastAtMs = nowMs;
    await this.#options.store.noteScheduled(functionName, nowMs);
  }

  #lookIn(schedule: Schedule, inMs: number): void {
    if (this.#isStopped) return;
    schedule.timer?.cancel();
    const delayMs = Math.min(Math.max(0, inMs), scheduleWaits.lookMsMax);
    schedule.timer = this.#options.clock.setTimer(delayMs, () => this.look(schedule.functionName));
  }
}

function invocationFor(functionName: string, scheduledAtMs: number): LaterInvocation {
  const id = idOf(functionName, scheduledAtMs);
  const input = JSON.stringify({ scheduledAtMs });
  return { id, functionName, trigger: 'schedule', input, eventId: id, dueAtMs: scheduledAtMs, attempts: 0 };
}

/** The same for the same time, so that it cannot be stored twice. */
function idOf(functionName: string, scheduledAtMs: number): string {
  return `${functionName}@${new Date(scheduledAtMs).toISOString()}`;
}
