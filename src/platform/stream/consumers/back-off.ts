import type { Random } from '../../../kernel/random.ts';
import { consumerDefaults } from './limits.ts';

/**
 * How long to wait before attempt number `attempts` + 1: any time up to a bound that doubles ("full jitter"), so that
 * those that failed together do not come again together. Without `random` the bound itself.
 */
export function backOffMs(attempts: number, retryDelayMs: number, random: Random | undefined): number {
  if (retryDelayMs === 0) return 0;
  const boundMs = Math.min(retryDelayMs * 2 ** (attempts - 1), consumerDefaults.retryDelayMsMax);
  return random ? random.integer(Math.floor(boundMs) + 1) : boundMs;
}
