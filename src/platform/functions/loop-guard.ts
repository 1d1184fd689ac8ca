/** Stops chains of functions that do not end by themselves: each event says how many functions ran to make it. */
import type { Alarms } from '../../kernel/alarms.ts';
import { type Cause, causeLimits } from '../../kernel/causes.ts';
import { functionLoop, functionSpreads } from './errors.ts';

export const loopAlarm = 'functionLoop';

export const loopLimits = {
  /** Ours: a function that makes two events of one for itself has run 65,535 times when the sixteenth in line is stopped. */
  returnsMax: 1_000,
  originsMax: 10_000, // ours: origins that are followed at once; then those that were not seen for longest are forgotten
} as const;

export class LoopGuard {
  readonly #alarms: Alarms;
  readonly #depthMax: number;
  /** By function and origin: how often what began there has come back to the function. The one seen last is last. */
  readonly #returns = new Map<string, number>();

  constructor({ alarms, depthMax = causeLimits.depthMax }: { alarms: Alarms; depthMax?: number }) {
    this.#alarms = alarms;
    this.#depthMax = depthMax;
  }

  /**
   * Throws `function.loop` when a function is to run for an event that too many functions have led to, one because of the
   * other, or that is one of too many that it has led to itself.
   */
  check(functionName: string, cause: Cause): void {
    if (cause.depth >= this.#depthMax) this.#stop(functionName, cause, functionLoop(functionName, cause));
    if (cause.depth === 0 || !cause.path.includes(functionName)) return;
    const returns = this.#count(`${functionName} ${cause.originId}`);
    if (returns > loopLimits.returnsMax) this.#stop(functionName, cause, functionSpreads(functionName, cause));
  }

  #count(key: string): number {
    const returns = (this.#returns.get(key) ?? 0) + 1;
    this.#returns.delete(key); // Put at the end again.
    this.#returns.set(key, returns);
    if (this.#returns.size > loopLimits.originsMax) {
      for (const oldest of this.#returns.keys()) {
        this.#returns.delete(oldest);
        break;
      }
    }
    return returns;
  }

  #stop(subject: string, cause: Cause, error: ReturnType<typeof functionLoop>): never {
    const { message, fix } = error;
    this.#alarms.raise({ name: loopAlarm, subject, message, fix, facts: { ...cause } });
    throw error;
  }
}
