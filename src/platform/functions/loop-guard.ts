/** Stops chains of functions that do not end by themselves: each event says how many functions ran to make it. */
import type { Alarms } from '../../kernel/alarms.ts';
import { type Cause, causeLimits } from '../../kernel/causes.ts';
import { functionLoop } from './errors.ts';

export const loopAlarm = 'functionLoop';

export class LoopGuard {
  readonly #alarms: Alarms;
  readonly #depthMax: number;

  constructor({ alarms, depthMax = causeLimits.depthMax }: { alarms: Alarms; depthMax?: number }) {
    this.#alarms = alarms;
    this.#depthMax = depthMax;
  }

  /** Throws `function.loop` when a function is to run for an event that too many functions have led to. */
  check(functionName: string, cause: Cause): void {
    if (cause.depth < this.#depthMax) return;
    const error = functionLoop(functionName, cause);
    const { message, fix } = error;
    this.#alarms.raise({ name: loopAlarm, subject: functionName, message, fix, facts: { ...cause } });
    throw error;
  }
}
