import { CallCounter } from '../../kernel/call-counter.ts';
import { asCaller, type Caller } from '../../kernel/callers.ts';
import { type Cause, causedBy, fromOutside } from '../../kernel/causes.ts';
import type { Clock } from '../../kernel/clock.ts';
import { functionTimedOut } from './errors.ts';
import type { Invocation, InvocationCall, InvocationOutcome, InvocationReport } from './port.ts';

export const functionLimits = {
  timeoutMsDefault: 3_000, // Lambda's default
} as const;

/**
 * Runs one invocation with a time limit; what it calls is told who it is. A handler that never settles is left behind, its
 * answer ignored; one that never returns control is the watcher's business, on the other thread. Rejects with
 * `function.timedOut` or what the handler threw.
 */
export function invoke<T>(options: InvokeOptions, work: (invocation: Invocation) => Promise<T>): Promise<T> {
  const { call, clock } = options;
  const { functionName, timeoutMs = functionLimits.timeoutMsDefault } = call;
  const cause = call.cause ?? fromOutside(options.requestId);
  const calls = new CallCounter(functionName);
  const startedAtMs = clock.nowMs();
  const startedMs = clock.monotonicMs();
  let aborting: AbortController | undefined; // Made when somebody asks for its signal: most never do.
  const invocation: Invocation = {
    requestId: options.requestId,
    functionName,
    attempt: call.attempt ?? 1,
    depth: cause.depth,
    get signal() {
      aborting ??= new AbortController();
      return aborting.signal;
    },
    remainingMs: () => Math.max(0, startedMs + timeoutMs - clock.monotonicMs()),
  };
  return new Promise((resolve, reject) => {
    let isOver = false;
    const end = (outcome: InvocationOutcome, error?: unknown) => {
      if (isOver) return;
      isOver = true;
      timer.cancel();
      const durationMs = clock.monotonicMs() - startedMs;
      options.onEnd?.(
        calls,
        reportOf(invocation, call, { outcome, error, cause, startedAtMs, durationMs, use: calls.use }),
      );
    };
    const timer = clock.setTimer(timeoutMs, () => {
      const error = functionTimedOut(functionName, timeoutMs);
      end('timedOut', error);
      aborting?.abort(error);
      reject(error);
    });
    // An async wrapper, so that a handler that throws before its first await rejects like any other.
    const run = async () => work(invocation);
    asCaller(callerOf(invocation, call, { calls, cause }), run).then(
      value => {
        end('succeeded');
        resolve(value);
      },
      error => {
        end('failed', error);
        reject(error);
      },
    );
  });
}

export interface InvokeOptions {
  readonly call: InvocationCall;
  readonly requestId: string;
  readonly clock: Clock;
  /** Told once, when the invocation has ended or its time is over, before its answer is. */
  readonly onEnd?: (calls: CallCounter, report: InvocationReport) => void;
}

/** Everything is said anew: nothing of whoever called this function is true of it. */
function callerOf(
  { requestId, functionName }: Invocation,
  call: InvocationCall,
  { calls, cause }: { calls: CallCounter; cause: Cause },
): Caller {
  return {
    functionName,
    calls,
    accessPattern: undefined,
    isCounted: false,
    requestId,
    thingName: call.thingName,
    eventId: call.eventId,
    cause: causedBy(functionName, cause),
  };
}

function reportOf(
  { requestId, functionName, attempt }: Invocation,
  { trigger, thingName, eventId, records }: InvocationCall,
  end: Pick<InvocationReport, 'outcome' | 'error' | 'cause' | 'startedAtMs' | 'durationMs' | 'use'>,
): InvocationReport {
  return { requestId, functionName, trigger, attempt, thingName, eventId, records, ...end };
}
