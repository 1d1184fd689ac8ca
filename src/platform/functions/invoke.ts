import type { Clock } from '../../kernel/clock.ts';
import { MimamoriError } from '../../kernel/errors.ts';

export const functionLimits = {
  timeoutMsDefault: 3_000, // Lambda's default
} as const;

/**
 * Runs one invocation with a time limit. A handler that never settles is left behind, its answer ignored; one that
 * never returns control is the watcher's business, on the other thread. Rejects with `function.timedOut` or what the
 * handler threw.
 */
export function invoke<T>(options: InvokeOptions, work: () => Promise<T>): Promise<T> {
  const { functionName, clock, timeoutMs = functionLimits.timeoutMsDefault } = options;
  return new Promise((resolve, reject) => {
    const timer = clock.setTimer(timeoutMs, () => reject(functionTimedOut(functionName, timeoutMs)));
    // An async wrapper, so that a handler that throws before its first await rejects like any other.
    const run = async () => work();
    run()
      .then(resolve, reject)
      .finally(() => timer.cancel());
  });
}

export interface InvokeOptions {
  readonly functionName: string;
  readonly clock: Clock;
  readonly timeoutMs?: number;
}

export const functionTimedOut = (functionName: string, timeoutMs: number) =>
  new MimamoriError({
    code: 'function.timedOut',
    message: `${functionName} took longer than ${timeoutMs} ms.`,
    fix: 'Make it faster, or give it a longer timeoutMs; hand long work to something else.',
    retryable: true,
  });
