/** One function as its host keeps it: its line, its breaker, and what is measured of it. */
import { type MemoryAdvice, memoryAdvice } from './advice.ts';
import type { Breaker, BreakerState } from './breaker.ts';
import type { Line } from './concurrency.ts';
import { functionLimits } from './limits.ts';
import { FunctionMeasures } from './measures.ts';
import type { FunctionSettings, Trigger } from './port.ts';

/** Since the start of the app, or its last restart. */
export interface FunctionReport {
  readonly functionName: string;
  /** What its last invocation was for. */
  readonly trigger: Trigger | undefined;
  readonly isIsolated: boolean;
  readonly running: number;
  readonly waiting: number;
  /** The most that can run at once. */
  readonly concurrencyMax: number;
  readonly isReserved: boolean;
  readonly invocations: number;
  readonly errors: number;
  readonly timeouts: number;
  /** Refused for want of room. */
  readonly throttles: number;
  /** Refused for want of budget. */
  readonly stops: number;
  /** Invocations that were not the first attempt. */
  readonly retries: number;
  /** Timed out and at work nevertheless. */
  readonly leftBehind: number;
  readonly strayErrors: number;
  readonly durationMs: { readonly average: number; readonly p50: number; readonly p99: number; readonly max: number };
  readonly coldStarts: { readonly count: number; readonly averageMs: number; readonly maxMs: number };
  /** On average, of the invocations whose share can be told; undefined: of none. */
  readonly cpuMs: number | undefined;
  /** The most that one had in use; undefined: it runs beside others, on the thread of the app. */
  readonly memoryBytesMax: number | undefined;
  /** The heap an isolated function may use; undefined: it is not isolated. */
  readonly memoryMegabytes: number | undefined;
  readonly breaker: BreakerState;
  /** Of its budget, or of what functions may cause; 0 to 1, or somewhat more. */
  readonly budgetUsedShare: number;
  readonly hasBudget: boolean;
  /** Undefined while nothing has run. */
  readonly advice: MemoryAdvice | undefined;
}

export class HostedFunction {
  readonly functionName: string;
  readonly settings: FunctionSettings;
  readonly line: Line;
  readonly breaker: Breaker;
  readonly measures = new FunctionMeasures();

  constructor(functionName: string, settings: FunctionSettings, parts: { line: Line; breaker: Breaker }) {
    this.functionName = functionName;
    this.settings = settings;
    this.line = parts.line;
    this.breaker = parts.breaker;
  }

  get waiting(): number {
    return this.line.waiting + this.breaker.waiting;
  }

  get memoryMegabytes(): number {
    return this.settings.memoryMegabytes ?? functionLimits.memoryMegabytesDefault;
  }

  /** Whether an invocation may begin now; it has its place then, and leaves it. */
  tryEnter(): boolean {
    return this.breaker.state === 'closed' && this.line.tryEnter();
  }

  report(): FunctionReport {
    const { line, breaker, measures, settings } = this;
    const { durations, coldStarts, cpu } = measures;
    return {
      functionName: this.functionName,
      trigger: measures.trigger,
      isIsolated: settings.isolated ?? false,
      running: line.running,
      waiting: this.waiting,
      concurrencyMax: line.max,
      isReserved: line.reserved !== undefined,
      invocations: measures.invocations,
      errors: measures.errors,
      timeouts: measures.timeouts,
      throttles: measures.throttles,
      stops: measures.stops,
      retries: measures.retries,
      leftBehind: measures.leftBehind,
      strayErrors: measures.strayErrors,
      durationMs: {
        average: durations.averageMs,
        p50: durations.percentileMs(0.5),
        p99: durations.percentileMs(0.99),
        max: durations.maxMs,
      },
      coldStarts: { count: coldStarts.count, averageMs: coldStarts.averageMs, maxMs: coldStarts.maxMs },
      cpuMs: cpu.invocations === 0 ? undefined : cpu.averageMs,
      memoryBytesMax: measures.memoryBytesMax,
      memoryMegabytes: settings.isolated ? this.memoryMegabytes : undefined,
      breaker: breaker.state,
      budgetUsedShare: breaker.usedShare,
      hasBudget: settings.budget !== undefined,
      advice: this.#advice(),
    };
  }

  /** What is known of the processor is known of some invocations only: of those, how long they took. */
  #advice(): MemoryAdvice | undefined {
    const { durations, cpu, memoryBytesMax: memoryBytes } = this.measures;
    if (durations.count === 0) return undefined;
    return cpu.invocations === 0
      ? memoryAdvice({ durationMs: durations.averageMs, cpuMs: undefined, memoryBytes })
      : memoryAdvice({ durationMs: cpu.averageDurationMs, cpuMs: cpu.averageMs, memoryBytes });
  }
}
