/** Faults that a test has asked for: which calls or messages they meet, how often, by which chance. */
import type { Random } from '../../kernel/random.ts';
import { optionsNotValid } from '../errors.ts';

/** How often a fault strikes. Default: every time, until it is stopped. */
export interface FaultOptions {
  /** So many times, then never again. */
  readonly times?: number;
  /** Leaves the first so many alone. */
  readonly after?: number;
  /** 0 to 1: whether it strikes is left to the app's seeded chance. */
  readonly chance?: number;
}

/** A fault that is in force until it is stopped: by `stop()`, by the end of a block with `using`, or by its `times`. */
export interface Fault extends Disposable {
  /** How often it has struck. */
  readonly hits: number;
  stop(): void;
}

interface Rule<Facts, Action> extends Fault {
  readonly action: Action;
  take(facts: Facts): boolean;
}

/** The faults in force at one place. What meets several is met by the oldest. */
export class FaultRules<Facts, Action> {
  readonly #random: Random;
  readonly #rules = new Set<Rule<Facts, Action>>();

  constructor(random: Random) {
    this.#random = random;
  }

  add(action: Action, meets: (facts: Facts) => boolean, options: FaultOptions = {}): Fault {
    const { times = Number.POSITIVE_INFINITY, after = 0, chance = 1 } = options;
    checkOptions({ times, after, chance });
    let hits = 0;
    let passed = 0;
    const stop = () => void this.#rules.delete(rule);
    const rule: Rule<Facts, Action> = {
      action,
      get hits() {
        return hits;
      },
      stop,
      [Symbol.dispose]: stop,
      take: facts => {
        if (!meets(facts) || passed++ < after) return false;
        if (chance < 1 && this.#random.integer(chanceParts) >= chance * chanceParts) return false;
        hits++;
        if (hits >= times) stop();
        return true;
      },
    };
    this.#rules.add(rule);
    return rule;
  }

  /** What is to go wrong now. */
  take(facts: Facts): Action | undefined {
    for (const rule of this.#rules) if (rule.take(facts)) return rule.action;
    return undefined;
  }

  stopAll(): void {
    for (const rule of this.#rules) rule.stop();
  }
}

const chanceParts = 1_000_000;

function checkOptions({ times, after, chance }: Required<FaultOptions>): void {
  if (!(times >= 1) || !(after >= 0) || !(chance > 0 && chance <= 1)) {
    throw optionsNotValid(
      `A fault cannot strike ${times} times after ${after} with a chance of ${chance}.`,
      'Give `times` from 1, `after` from 0, and a `chance` above 0 and up to 1.',
    );
  }
}
