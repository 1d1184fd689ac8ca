/** What of an app under test outlives its restarts. */

import type { ThingCredentials } from '../../iot/port.ts';
import { type Random, seededRandom } from '../../kernel/random.ts';
import type { TestWorld } from '../../local/one-thread.ts';
import { SeenInvocations } from '../evidence/invocations.ts';
import { SeenMessages } from '../evidence/messages.ts';
import { Faults } from '../faults/faults.ts';
import type { Strictness } from './strictness.ts';

/** Under this name the test itself uses the table: it is not accounted for, throttled, or met by faults. */
export const testCaller = '$test';

export class Kept {
  readonly world: TestWorld;
  readonly strictness: Strictness;
  /** Chance for what is none of the app's: its own sequence stays the same whatever the test does. */
  readonly random: Random;
  readonly faults: Faults;
  readonly messages: SeenMessages;
  readonly invocations = new SeenInvocations();
  /** By thing: what it connects with. */
  readonly credentials: Map<string, ThingCredentials>;
  /** What went wrong without anybody having been there to be told, oldest first. */
  readonly problems: Error[] = [];

  constructor(options: {
    world: TestWorld;
    strictness: Strictness;
    seed: number;
    application: string;
    credentials?: ReadonlyMap<string, ThingCredentials>;
  }) {
    const { world, seed } = options;
    this.world = world;
    this.strictness = options.strictness;
    this.random = seededRandom(seed ^ kitSalt);
    this.faults = new Faults(world, this.random);
    this.messages = new SeenMessages(options.application);
    this.credentials = new Map(options.credentials);
  }

  readonly onProblem = (problem: Error): void => {
    if (this.problems.length < problemsMax) this.problems.push(problem);
  };
}

const kitSalt = 0x6b69_7421; // any number: two sequences from one seed
const problemsMax = 100; // ours: the first ones are what matters
