/** How often each function ran, how long, with what memory, and what came of it: from the reports of its invocations. */

import { MimamoriError } from '../../kernel/errors.ts';
import type { InvocationReport } from '../../platform/functions/index.ts';
import { metricLimits } from '../limits.ts';
import { counter, gauge, Histogram, type MetricSource, type Sample, secondsBounds } from './sample.ts';

/** What is taken of a report. Memory and cold starts are told only where they are known. */
export interface InvocationMeasure
  extends Pick<InvocationReport, 'functionName' | 'trigger' | 'outcome' | 'durationMs' | 'attempt' | 'error'> {
  readonly memoryBytes?: number;
  readonly isColdStart?: boolean;
}

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
  refused: number;
  retries: number;
  coldStarts: number;
  memoryBytesMost: number | undefined;
  readonly trigger: string;
  readonly duration: Histogram;
}

export class FunctionMetrics implements MetricSource {
  readonly #functions = new Map<string, Measured>();

  /** An invocation has ended, or was refused. */
  note(measure: InvocationMeasure): void {
    const { functionName, trigger, outcome, durationMs, attempt, memoryBytes, isColdStart } = measure;
    const measured = this.#measured(functionName, trigger);
    if (outcome === 'refused') {
      measured.refused++;
      return; // It did not run.
    }
    measured.invocations++;
    if (outcome === 'failed' && hasFailed(measure)) measured.failed++;
    if (outcome === 'timedOut') measured.timedOut++;
    if (attempt > 1) measured.retries++;
    if (isColdStart) measured.coldStarts++;
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
      const throttles = 'Invocations that were refused: by concurrency, budget, or the loop guard.';
      yield counter('mimamori_function_throttles_total', throttles, measured.refused, labels);
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
    const counts = { invocations: 0, failed: 0, timedOut: 0, refused: 0, retries: 0, coldStarts: 0 };
    const added: Measured = { ...counts, memoryBytesMost: undefined, trigger, duration: new Histogram(secondsBounds) };
    this.#functions.set(name, added);
    return added;
  }
}

const functionsMax = Math.floor(metricLimits.samplesMax / 2 / (secondsBounds.length + 10)); // half of a collection is theirs
