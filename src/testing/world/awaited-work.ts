/**
 * The context of one invocation, which notices what its handler does not wait for: calls that are still under way when
 * it has ended, and calls made afterwards. These are lost, as on an instance of Lambda that stands still.
 */
import type { Clock } from '../../kernel/clock.ts';
import type { Invocation } from '../../platform/functions/index.ts';
import { workNotAwaited } from '../errors.ts';
import type { RunningHandler } from './activity.ts';
import { watchedCalls } from './watched-calls.ts';

/** What handlers are given, as far as it matters here. */
export interface HandlerContext {
  readonly invocation: Invocation;
  readonly clock: Clock;
  readonly [part: string]: unknown;
}

export interface AwaitedWorkOptions {
  readonly running: RunningHandler;
  /** Whether it is an error. */
  readonly isStrict: boolean;
  readonly onProblem: (error: Error) => void;
}

/** The parts of a context that reach out of the instance. */
const reachingOut = ['entities', 'commands', 'functions', 'iot', 'table', 'once', 'inParallel', 'announce'];

export class AwaitedWork {
  readonly #options: AwaitedWorkOptions;
  /** Calls under way, the oldest first. */
  readonly #underWay = new Set<{ readonly name: string }>();
  #outcome: 'succeeded' | 'failed' | undefined;

  constructor(options: AwaitedWorkOptions) {
    this.#options = options;
  }

  contextFrom(context: HandlerContext): HandlerContext {
    const parts: Record<string, unknown> = {};
    for (const part of reachingOut) {
      const value = context[part];
      if (typeof value === 'function' || (typeof value === 'object' && value !== null)) {
        parts[part] = watchedCalls(value, part, (name, call) => this.#call(name, call));
      }
    }
    return { ...context, ...parts, clock: this.#watchedClock(context.clock) };
  }

  /** The handler has answered, thrown, or used up its time. What a failed one left behind is tried again with it. */
  end(outcome: 'succeeded' | 'failed'): void {
    if (this.#outcome !== undefined) return;
    this.#outcome = outcome;
    const [first] = this.#underWay;
    if (first !== undefined) this.#complain(first.name, 'it was still under way when the invocation ended');
  }

  #call(name: string, call: () => unknown): unknown {
    if (this.#outcome !== undefined && this.#options.isStrict) {
      this.#complain(name, 'it was called when the invocation had ended');
      return lost();
    }
    const result = call();
    if (!isThenable(result)) return result;
    const entry = { name };
    this.#underWay.add(entry);
    this.#options.running.waitingFor++;
    const over = () => {
      this.#underWay.delete(entry);
      this.#options.running.waitingFor--;
    };
    // What nobody handles stays unhandled: only who awaits this has handled it.
    return result.finally(over);
  }

  #complain(call: string, how: string): void {
    if (this.#outcome === 'succeeded' && this.#options.isStrict) {
      this.#options.onProblem(workNotAwaited(this.#options.running.functionName, call, how));
    }
  }

  /** A handler that waits for a timer of ours does not wait for the world outside. */
  #watchedClock(clock: Clock): Clock {
    const { running } = this.#options;
    return {
      nowMs: () => clock.nowMs(),
      monotonicMs: () => clock.monotonicMs(),
      soon: run => clock.soon(run),
      setTimer: (delayMs, run) => {
        let isOver = false;
        const over = () => {
          if (!isOver) running.waitingFor--;
          isOver = true;
        };
        running.waitingFor++;
        const timer = clock.setTimer(delayMs, () => {
          over();
          run();
        });
        return {
          cancel: () => {
            over();
            timer.cancel();
          },
        };
      },
    };
  }
}

function isThenable(value: unknown): value is Promise<unknown> {
  return value instanceof Promise;
}

/** The answer of a call that is never made: it never comes, whether one awaits it or walks through it. */
function lost(): unknown {
  const never = new Promise<never>(() => {});
  return Object.assign(never, { next: () => never, [Symbol.asyncIterator]: () => ({ next: () => never }) });
}
