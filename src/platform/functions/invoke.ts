import { CallCounter } from '../../kernel/call-counter.ts';
import { asCaller, type Caller } from '../../kernel/callers.ts';
import { type Cause, causedBy, fromOutside } from '../../kernel/causes.ts';
import type { Clock, Timer } from '../../kernel/clock.ts';
import { functionStopping, functionTimedOut } from './errors.ts';
import { functionLimits } from './limits.ts';
import type { Invocation, InvocationCall, InvocationMeasures, InvocationOutcome, InvocationReport } from './port.ts';

export interface InvokeOptions {
  readonly call: InvocationCall;
  readonly requestId: string;
  readonly clock: Clock;
  readonly coldStartMs?: number;
  /** What is known of it by now; asked when it ends. */
  readonly measures?: () => InvocationMeasures;
  /** Told once, when the invocation has ended or its time is over, before its answer is. */
  readonly onEnd?: (calls: CallCounter, report: InvocationReport) => void;
  /** It is here while it runs. */
  readonly running?: Set<RunningInvocation>;
  /** Its time was over, and its handler has settled nevertheless. */
  readonly onSettledLate?: () => void;
}

/**
 * Runs one invocation with a time limit; what it calls is told who it is. A handler that never settles is left behind, its
 * answer ignored; one that never returns control is the watcher's business, on the other thread. Rejects with
 * `function.timedOut` or what the handler threw.
 */
export function invoke<T>(options: InvokeOptions, work: (invocation: Invocation) => Promise<T>): Promise<T> {
  return new RunningInvocation(options).run(work);
}

export class RunningInvocation {
  readonly #options: InvokeOptions;
  readonly #invocation: Invocation;
  readonly #cause: Cause;
  readonly #calls: CallCounter;
  readonly #signal = new LazySignal();
  readonly #timeoutMs: number;
  readonly #startedAtMs: number;
  readonly #startedMs: number;
  #timer: Timer | undefined;
  #reject: (error: unknown) => void = () => {};
  #isOver = false;
  #isStopped = false;

  constructor(options: InvokeOptions) {
    const { call, clock, requestId } = options;
    const { functionName, attempt = 1, cause = fromOutside(requestId) } = call;
    const timeoutMs = call.timeoutMs ?? functionLimits.timeoutMsDefault;
    const startedMs = clock.monotonicMs();
    const lazy = this.#signal;
    this.#options = options;
    this.#cause = cause;
    this.#calls = new CallCounter(functionName);
    this.#timeoutMs = timeoutMs;
    this.#startedAtMs = clock.nowMs();
    this.#startedMs = startedMs;
    this.#invocation = {
      requestId,
      functionName,
      attempt,
      depth: cause.depth,
      get signal() {
        return lazy.signal;
      },
      remainingMs: () => Math.max(0, startedMs + timeoutMs - clock.monotonicMs()),
    };
  }

  get requestId(): string {
    return this.#invocation.requestId;
  }

  run<T>(work: (invocation: Invocation) => Promise<T>): Promise<T> {
    const { clock, running, onSettledLate } = this.#options;
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      this.#timer = clock.setTimer(this.#timeoutMs, () => this.#timeOut());
      running?.add(this);
      // An async wrapper, so that a handler that throws before its first await rejects like any other.
      const handle = async () => work(this.#invocation);
      asCaller(this.#caller(), handle).then(
        value => {
          if (this.#end('succeeded')) resolve(value);
          else onSettledLate?.();
        },
        error => {
          if (!this.fail(error)) onSettledLate?.();
        },
      );
    });
  }

  /** Its signal aborts. It may still end as it likes; what it fails with from now on is that it was stopped. */
  stop(): void {
    this.#isStopped = true;
    this.#signal.abort(functionStopping(this.#invocation.functionName));
  }

  /** It ends now, whatever its handler does. False when it was over. */
  fail(thrown: unknown): boolean {
    const { functionName } = this.#invocation;
    return this.#end('failed', this.#isStopped ? functionStopping(functionName) : thrown);
  }

  #timeOut(): void {
    const { call, measures } = this.#options;
    const { functionName, eventId } = call;
    const { memoryBytes } = measures?.() ?? {};
    const error = functionTimedOut(this.#timeoutMs, { functionName, eventId, memoryBytes });
    this.#end('timedOut', error);
    this.#signal.abort(error);
  }

  #end(outcome: InvocationOutcome, error?: unknown): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#timer?.cancel();
    this.#options.running?.delete(this);
    this.#options.onEnd?.(this.#calls, this.#report(outcome, error));
    if (outcome !== 'succeeded') this.#reject(error);
    return true;
  }

  /** Everything is said anew: nothing of whoever called this function is true of it. */
  #caller(): Caller {
    const { requestId, functionName } = this.#invocation;
    const { thingName, eventId } = this.#options.call;
    return {
      functionName,
      calls: this.#calls,
      accessPattern: undefined,
      isCounted: false,
      requestId,
      thingName,
      eventId,
      cause: causedBy(functionName, this.#cause),
    };
  }

  #report(outcome: InvocationOutcome, error: unknown): InvocationReport {
    const { call, clock, coldStartMs, measures } = this.#options;
    const { requestId, functionName, attempt } = this.#invocation;
    const { trigger, thingName, eventId, records } = call;
    return {
      requestId,
      functionName,
      trigger,
      outcome,
      error,
      startedAtMs: this.#startedAtMs,
      durationMs: clock.monotonicMs() - this.#startedMs,
      attempt,
      cause: this.#cause,
      thingName,
      eventId,
      records,
      use: this.#calls.use,
      effects: this.#calls.effects,
      coldStartMs,
      measures: measures?.() ?? {},
    };
  }
}

/** An abort signal that is made when somebody asks for it: most invocations never do. */
class LazySignal {
  #controller: AbortController | undefined;
  #reason: Error | undefined;

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    return this.#controller.signal;
  }

  /** The first reason stays. */
  abort(reason: Error): void {
    this.#reason ??= reason;
    this.#controller?.abort(this.#reason);
  }
}
