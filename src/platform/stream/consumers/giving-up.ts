/** Sets records aside that are given up: a letter for each, and a message about all of them for a destination. */
import type { Clock } from '../../../kernel/clock.ts';
import { idMaker } from '../../../kernel/ids.ts';
import type { Random } from '../../../kernel/random.ts';
import type { ShardId } from '../port.ts';
import type { DeadLetter, GivenUpCondition } from './batch.ts';
import { failureMessage, type GivenUp } from './failure-message.ts';
import type { Tracked } from './item.ts';
import type { ShardCounts } from './measures.ts';
import { untilThereIsRoom } from './patience.ts';

const lettersAtOnceMax = 100; // ours: a batch that is given up as a whole is written in a few commits

export interface GivingUpOptions {
  readonly consumer: string;
  readonly shardId: ShardId;
  readonly clock: Clock;
  readonly random?: Random;
  readonly deadLetter: (letter: DeadLetter) => Promise<void>;
  readonly onFailure?: (givenUp: GivenUp) => Promise<void>;
  readonly functionArn?: string;
  readonly streamArn?: string;
  readonly counts: ShardCounts;
  readonly signal: AbortSignal;
}

/** Why, and after how much. */
export interface Reason {
  readonly error: unknown;
  readonly attempts: number;
  /** Absent: trying was in vain from the start, so there is nothing to tell a destination of retries. */
  readonly condition?: GivenUpCondition;
}

export class GivingUp {
  readonly #options: GivingUpOptions;
  readonly #newId: (() => string) | undefined;

  constructor(options: GivingUpOptions) {
    this.#options = options;
    this.#newId = options.random && idMaker(options.clock, options.random);
  }

  /** Resolves when all of them are kept, so that they may count as done. Rejects when one cannot be. */
  async giveUp(given: readonly Tracked[], reason: Reason): Promise<void> {
    const { consumer, shardId, deadLetter, onFailure, counts } = this.#options;
    const letters = given.map(({ record }): DeadLetter => ({ consumer, shardId, record, ...reason }));
    for (let from = 0; from < letters.length; from += lettersAtOnceMax) {
      const some = letters.slice(from, from + lettersAtOnceMax);
      await all(some.map(letter => untilThereIsRoom(this.#options, () => deadLetter(letter))));
    }
    if (onFailure) await untilThereIsRoom(this.#options, () => onFailure(this.#withMessage(letters, reason)));
    const fate = reason.condition === 'MaximumRecordAgeExceeded' ? 'expired' : 'deadLettered';
    for (const tracked of given) tracked.fate = fate;
    counts[fate] += given.length;
  }

  /** The same for records that failed each for a reason of its own. */
  async giveUpEach(given: readonly { readonly tracked: Tracked; readonly reason: Reason }[]): Promise<void> {
    for (let from = 0; from < given.length; from += lettersAtOnceMax) {
      const some = given.slice(from, from + lettersAtOnceMax);
      await all(some.map(({ tracked, reason }) => this.giveUp([tracked], reason)));
    }
  }

  #withMessage(letters: readonly DeadLetter[], reason: Reason): GivenUp {
    const { consumer, shardId, clock, functionArn, streamArn } = this.#options;
    const records = letters.map(({ record }) => record);
    const message = failureMessage(records, {
      requestId: this.#newId?.() ?? `${shardId}-${records[0].sequenceNumber}`,
      functionArn: functionArn ?? `arn:aws:lambda:us-east-1:000000000000:function:${consumer}`,
      streamArn: streamArn ?? 'arn:aws:kinesis:us-east-1:000000000000:stream/mimamori',
      shardId,
      condition: reason.condition ?? 'RetryAttemptsExhausted',
      invocations: reason.attempts,
      nowMs: clock.nowMs(),
    });
    return { message, letters };
  }
}

/** Rejects as the first that does, when all have ended. */
async function all(running: Promise<void>[]): Promise<void> {
  const ended = await Promise.allSettled(running);
  for (const one of ended) if (one.status === 'rejected') throw one.reason;
}
