/**
 * Errors that nobody caught, on the thread of the app: of promises that were not awaited, of timers and listeners. Who left
 * them behind is known by the asynchronous context. They are a function's failure, not the end of the thread, where that
 * is safe: a rejected promise always is; a thrown error is when none of our own code was cut short by it.
 */
import { fileURLToPath } from 'node:url';
import { currentCaller } from '../kernel/callers.ts';
import { codeOf, messageOf } from '../kernel/errors.ts';
import type { Log } from '../kernel/log.ts';

export interface StrayErrorsOptions {
  /** What a function has left behind has failed. */
  readonly onStray: (functionName: string, requestId: string | undefined, error: unknown) => void;
  readonly log: Log;
}

/** From now on, on this thread. What is no function's, or not safe, ends the thread as it would have. */
export function watchStrayErrors({ onStray, log }: StrayErrorsOptions): void {
  const take = (error: unknown, isSafe: boolean) => {
    const { functionName, requestId, eventId, thingName } = currentCaller() ?? {};
    if (functionName === undefined || !isSafe) throw error;
    const facts = { functionName, requestId, eventId, thingName, code: codeOf(error), reason: messageOf(error) };
    log.error({ ...facts, stack: stackOf(error) }, 'A function has left an error that nobody caught.');
    onStray(functionName, requestId, error);
  };
  process.on('unhandledRejection', error => take(error, true));
  process.on('uncaughtException', error => take(error, !isThroughOurs(error)));
}

const ownRoot = fileURLToPath(new URL('../', import.meta.url));

/** Whether our own code is among what the error has unwound; unknown is yes. */
function isThroughOurs(error: unknown): boolean {
  const stack = stackOf(error);
  return stack === undefined || !stack.includes('\n') || stack.includes(ownRoot);
}

function stackOf(error: unknown): string | undefined {
  return error instanceof Error ? error.stack : undefined;
}
