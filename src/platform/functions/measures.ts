/** What is measured of a function's invocations since the start. */
import { MimamoriError } from '../../kernel/errors.ts';
import { DurationHistogram } from './histogram.ts';
import type { InvocationReport, Trigger } from './port.ts';

export class FunctionMeasures {
  /** Of the last invocation. */
  trigger: Trigger | undefined;
  readonly durations = new DurationHistogram();
  readonly coldStarts = new DurationHistogram();
  invocations = 0;
  errors = 0;
  timeouts = 0;
  /** Refused because too many were running. */
  throttles = 0;
  /** Refused because the budget was used up. */
  stops = 0;
  /** Second and further attempts. */
  retries = 0;
  /** Timed out, and at work nevertheless: nothing ends a handler on the thread of the app that does not heed its signal. */
  leftBehind = 0;
  /** Errors that nobody caught, of whatever the function left running. */
  strayErrors = 0;
  /** The most that an invocation had in use; undefined where that cannot be told. */
  memoryBytesMax: number | undefined;
  #measured = { invocations: 0, cpuMs: 0, durationMs: 0 };

  noteEnd(report: InvocationReport): void {
    const { outcome, durationMs, attempt, trigger, coldStartMs, measures, error } = report;
    const hasAnswered = trigger === 'route' && error instanceof MimamoriError; // It refuses, as it should.
    this.trigger = trigger;
    this.invocations++;
    this.durations.add(durationMs);
    if (outcome === 'failed' && !hasAnswered) this.errors++;
    else if (outcome === 'timedOut') {
      this.timeouts++;
      this.leftBehind++; // Until it settles.
    }
    if (attempt > 1) this.retries++;
    if (coldStartMs !== undefined) this.coldStarts.add(coldStartMs);
    const { cpuMs, memoryBytes } = measures;
    if (memoryBytes !== undefined) this.memoryBytesMax = Math.max(this.memoryBytesMax ?? 0, memoryBytes);
    if (cpuMs === undefined) return;
    this.#measured.invocations++;
    this.#measured.cpuMs += cpuMs;
    this.#measured.durationMs += durationMs;
  }

  /** Of the invocations whose processor time could be told: those in a worker, and those that ran alone. */
  get cpu(): { readonly invocations: number; readonly averageMs: number; readonly averageDurationMs: number } {
    const { invocations, cpuMs, durationMs } = this.#measured;
    const share = (sum: number) => (invocations === 0 ? 0 : sum / invocations);
    return { invocations, averageMs: share(cpuMs), averageDurationMs: share(durationMs) };
  }
}
