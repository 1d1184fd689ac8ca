import { CallCounter } from '../../kernel/call-counter.ts';
import { asCaller } from '../../kernel/callers.ts';
import type { Clock } from '../../kernel/clock.ts';
import { MimamoriError } from '../../kernel/errors.ts';

export const functionLimits = {
  timeoutMsDefault: 3_000, // Lambda's default
} as const;

/**
 * Runs one invocation with a time limit; what it calls is told who it is. A handler that never settles is left behind, its
 * answer ignored; one that never returns control is the watcher's business, on the other thread. Rejects with
 * `function.timedOut` or what the handler threw.
 */
export function invoke<T>(options: InvokeOptions, work: () => Promise<T>): Promise<T> {
  const { functionName, clock, timeoutMs = functionLimits.timeoutMsDefault, onEnd } = options;
  const calls = new CallCounter(functionName);
  const caller = { functionName, calls, accessPattern: undefined, isCounted: false };
  return new Promise((resolve, reject) => {
    let isOver = false;
    const end = () => {
      if (!isOver) onEnd?.(calls);
      isOver = true;
      timer.cancel();
    };
    const timer = clock.setTimer(timeoutMs, () => {
      end();
      reject(functionTimedOut(functionName, timeoutMs));
    });
    // An async wrapper, so that a handler that throws before its first await rejects like any other.
    const run = async () => work();
    asCaller(caller, run).finally(end).then(resolve, reject);
  });
}

export interface InvokeOptions {
  readonly functionName: string;
  readonly clock: Clock;
  readonly timeoutMs?: number;
  /** Told once, when the invocation has ended or its time is over, before its answer is. */
  readonly onEnd?: (calls: CallCounter) => void;
}

export const functionTimedOut = (functionName: string, timeoutMs: number) =>
  new MimamoriError({
    code: 'function.timedOut',
    message: `${functionName} took longer than ${timeoutMs} ms.`,
    fix: 'Make it faster, or give it a longer timeoutMs; hand long work to something else.',
    retryable: true,
  });
