/** How often each function ran, how long, with what memory, and what came of it: from the reports of its invocations. */
import { codeOf, MimamoriError } from '../../kernel/errors.ts';
import type { InvocationReport } from '../../platform/functions/index.ts';
import { metricLimits } from '../limits.ts';
import { counter, gauge, Histogram, type MetricSource, type Sample, secondsBounds } from './sample.ts';

/** What is taken of a report. */
export type InvocationMeasure = Pick<
  InvocationReport,
  'functionName' | 'trigger' | 'outcome' | 'durationMs' | 'attempt' | 'error' | 'coldStartMs' | 'measures'
>;

/** A route that refuses with an error of ours has answered. */
export function hasFailed({
  outcome,
  trigger,
  error,
}: Pick<InvocationReport, 'outcome' | 'trigger' | 'error'>): boolean {
  if (outcome === 'timedOut') return true;
  return outcome === 'failed' && !(trigger === 'route' && error instanceof MimamoriError);
}

interface Measured {
  invocations: number;
  failed: number;
  timedOut: number;
  throttled: number;
  stopped: number;
  retries: number;
  coldStarts: number;
  cpuMs: number;
  memoryBytesMost: number | undefined;
  readonly trigger: string;
  readonly duration: Histogram;
}

export class FunctionMetrics implements MetricSource {
  readonly #functions = new Map<string, Measured>();

  /** An invocation has ended, or was refused. */
  note(measure: InvocationMeasure): void {
    const { functionName, trigger, outcome, durationMs, attempt, error, coldStartMs } = measure;
    const measured = this.#measured(functionName, trigger);
    if (outcome === 'refused') {
      if (codeOf(error) === 'function.throttled') measured.throttled++;
      else measured.stopped++;
      return; // It did not run.
    }
    measured.invocations++;
    if (outcome === 'failed' && hasFailed(measure)) measured.failed++;
    if (outcome === 'timedOut') measured.timedOut++;
    if (attempt > 1) measured.retries++;
    if (coldStartMs !== undefined) measured.coldStarts++;
    const { cpuMs = 0, memoryBytes } = measure.measures;
    measured.cpuMs += cpuMs;
    if (memoryBytes !== undefined) measured.memoryBytesMost = Math.max(measured.memoryBytesMost ?? 0, memoryBytes);
    measured.duration.observe(durationMs / 1_000);
  }

  *collect(): Generator<Sample> {
    for (const [functionName, measured] of this.#functions) {
      const labels = { function: functionName, trigger: measured.trigger };
      yield counter('mimamori_function_invocations_total', 'Invocations of functions.', measured.invocations, labels);
      const errors = 'Invocations that ended with an error or not in time.';
      for (const reason of ['failed', 'timedOut'] as const) {
        yield counter('mimamori_function_errors_total', errors, measured[reason], { ...labels, reason });
      }
      const throttles = 'Invocations that were refused for want of room.';
      yield counter('mimamori_function_throttles_total', throttles, measured.throttled, labels);
      const stops = 'Invocations that were refused for want of budget, or to end a loop.';
      yield counter('mimamori_function_stops_total', stops, measured.stopped, labels);
      const retries = 'Invocations for an event that had failed before.';
      yield counter('mimamori_function_retries_total', retries, measured.retries, labels);
      yield counter(
        'mimamori_function_cold_starts_total',
        'Invocations that began in a new process.',
        measured.coldStarts,
        labels,
      );
      const duration = { name: 'mimamori_function_duration_seconds', help: 'How long invocations took.' };
      yield { kind: 'histogram', ...duration, labels, value: measured.duration.value() };
      const cpu = 'Processor time of invocations, where it can be told from that of others.';
      yield counter('mimamori_function_cpu_seconds_total', cpu, measured.cpuMs / 1_000, labels);
      if (measured.memoryBytesMost === undefined) continue;
      const memory = 'Most memory an invocation was seen to use.';
      yield gauge('mimamori_function_memory_bytes', memory, measured.memoryBytesMost, labels);
    }
  }

  #measured(functionName: string, trigger: string): Measured {
    const known = this.#functions.get(functionName);
    if (known !== undefined) return known;
    const isMore = this.#functions.size >= functionsMax;
    const name = isMore ? '(others)' : functionName;
    const others = this.#functions.get(name);
    if (others !== undefined) return others;
    const counts = {
      invocations: 0,
      failed: 0,
      timedOut: 0,
      throttled: 0,
      stopped: 0,
      retries: 0,
      coldStarts: 0,
      cpuMs: 0,
    };
    const added: Measured = { ...counts, memoryBytesMost: undefined, trigger, duration: new Histogram(secondsBounds) };
    this.#functions.set(name, added);
    return added;
  }
}

const functionsMax = Math.floor(metricLimits.samplesMax / 2 / (secondsBounds.length + 12)); // half of a collection is theirs
