import { type Clock, delay } from '../../../kernel/clock.ts';
import { codeOf, MimamoriError } from '../../../kernel/errors.ts';
import { consumerDefaults } from './limits.ts';

/**
 * Does `work` again and again while the disk is full: nothing is skipped, and nothing else of the app is disturbed.
 * Rejects as `work` does for any other reason, and when `signal` aborts.
 */
export async function untilThereIsRoom(
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
  work: () => Promise<void>,
): Promise<void> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (codeOf(error) !== 'store.full' || signal.aborted) throw error;
      await delay(clock, consumerDefaults.throttledRetryMsMax, signal);
    }
  }
}

/**
 * Asks a reader again and again while it refuses for reasons that pass (the network, another machine): a consumer that
 * gave up would begin anew, and meet the same. `onRefused` hears of each. Undefined once `signal` aborts.
 */
export async function untilAnswered<T>(
  options: {
    readonly clock: Clock;
    readonly signal: AbortSignal;
    readonly onRefused?: (error: unknown) => void;
  },
  ask: () => Promise<T>,
): Promise<T | undefined> {
  const { clock, signal, onRefused } = options;
  const { retryDelayMs, readRetryMsMax } = consumerDefaults;
  for (let attempts = 1; !signal.aborted; attempts++) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof MimamoriError && error.retryable)) throw error;
      onRefused?.(error);
      await delay(clock, Math.min(retryDelayMs * 2 ** (attempts - 1), readRetryMsMax), signal);
    }
  }
  return undefined;
}
