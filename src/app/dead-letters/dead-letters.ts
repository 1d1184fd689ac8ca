/** Dead letters as the rest of an app sees them: whoever gives up on an event keeps it here; whoever looks after the app asks here. */
import type { Alarms } from '../../kernel/alarms.ts';
import { type Clock, delay } from '../../kernel/clock.ts';
import type { Counters } from '../../kernel/counters.ts';
import { codeOf, MimamoriError } from '../../kernel/errors.ts';
import type { Log } from '../../kernel/log.ts';
import type { Table } from '../../platform/table/index.ts';
import { LetterAlarms } from './alarms.ts';
import { migrateLetters } from './legacy.ts';
import type { LetterBounds } from './letter-writes.ts';
import { Letters, type PutOutcome } from './letters.ts';
import { deadLetterLimits } from './limits.ts';
import type { LetterFilter, NewLetter, RunOne } from './port.ts';
import { Redriver } from './redriver.ts';
import { Redrives } from './redrives.ts';
import type { StoredLetter } from './stored-letter.ts';

export interface DeadLettersOptions {
  readonly table: Table;
  readonly clock: Clock;
  readonly counters: Counters;
  readonly log: Log;
  readonly alarms: Alarms;
  readonly newId: () => string;
  readonly runOne: RunOne;
  /** Storage has failed. */
  readonly onFailure: (error: unknown) => void;
  readonly bounds?: LetterBounds;
}

export class DeadLetters {
  readonly letters: Letters;
  readonly redrives: Redrives;
  readonly redriver: Redriver;
  readonly #options: DeadLettersOptions;
  readonly #alarms: LetterAlarms;
  readonly #stop = new AbortController();

  constructor(options: DeadLettersOptions) {
    const { table, clock, alarms, bounds } = options;
    this.#options = options;
    this.letters = new Letters({ table, clock, bounds });
    this.redrives = new Redrives(table);
    this.#alarms = new LetterAlarms({ alarms, clock, bounds: this.letters.bounds });
    this.redriver = new Redriver({
      ...options,
      letters: this.letters,
      redrives: this.redrives,
      onRemoved: consumer => this.#recount(consumer),
    });
  }

  get bounds(): LetterBounds {
    const { lettersMax, bytesMax } = this.letters.bounds;
    return { lettersMax, bytesMax };
  }

  /** Letters of an earlier release become ours; alarms say what is there; a redrive that was interrupted goes on. */
  async start(consumers: readonly string[]): Promise<void> {
    for (const consumer of consumers) await migrateLetters(this.#options.table, this.letters, consumer);
    for (const count of await this.letters.counts()) this.#alarms.noteCount(count);
    await this.redriver.resume();
  }

  /**
   * Resolves once it would survive a crash. Without room it waits, and whoever gives up on the event with it: nothing is
   * dropped for want of somebody who looks. Throws `letter.full` when it is closed meanwhile.
   */
  async keep(letter: NewLetter): Promise<void> {
    const { consumer, thingName = '', attempts, eventId } = letter;
    const code = codeOf(letter.error);
    const outcome = await this.#put(letter);
    if (outcome === 'known') return;
    this.#options.counters.add('functions.deadLettered');
    this.#options.log.warn({ consumer, code, attempts, thingName, eventId }, 'An event was dead-lettered.');
    this.#alarms.noteGrowth(consumer, code);
    if (outcome === 'notKept') this.#alarms.noteNotKept(consumer, thingName);
    else this.#alarms.noteCount(await this.letters.countOf(consumer));
  }

  async #put(letter: NewLetter): Promise<PutOutcome> {
    for (let waited = false; ; waited = true) {
      try {
        const outcome = await this.letters.put(letter);
        if (waited) this.#alarms.noteRoom(letter.consumer);
        return outcome;
      } catch (error) {
        if (!(error instanceof MimamoriError) || error.code !== 'letter.full') throw error;
        this.#alarms.noteFull(letter.consumer, error);
        await delay(this.#options.clock, deadLetterLimits.fullRetryMs, this.#stop.signal);
        if (this.#stop.signal.aborted) throw error;
      }
    }
  }

  /** Throws `letter.notFound` and `letter.inHand`. */
  async delete(id: string): Promise<void> {
    const letter = await this.letters.find(id);
    await this.letters.remove(letter);
    await this.#recount(letter.Consumer);
  }

  /** Deletes up to `bulkMax` of those that fit, newest first, but for what is being redriven; says whether there are more. */
  async deleteAll(filter: LetterFilter): Promise<{ deleted: number; isMore: boolean }> {
    const consumers = new Set<string>();
    let deleted = 0;
    let isMore = false;
    for await (const letter of this.letters.newest(filter)) {
      if (!(await this.letters.fits(letter, filter))) continue;
      isMore = deleted >= deadLetterLimits.bulkMax;
      if (isMore) break;
      if (!(await this.#removeIfFree(letter))) continue;
      consumers.add(letter.Consumer);
      deleted++;
    }
    for (const consumer of consumers) await this.#recount(consumer);
    return { deleted, isMore };
  }

  async #removeIfFree(letter: StoredLetter): Promise<boolean> {
    try {
      await this.letters.remove(letter);
      return true;
    } catch (error) {
      if (codeOf(error) !== 'letter.inHand') throw error;
      return false;
    }
  }

  /** Lets go of whoever waits for room, and finishes the letters that are being redriven. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.redriver.close();
  }

  async #recount(consumer: string): Promise<void> {
    this.#alarms.noteCount(await this.letters.countOf(consumer));
  }
}
