import { type Clock, delay } from '../../../kernel/clock.ts';
import { codeOf } from '../../../kernel/errors.ts';
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
