/**
 * Gives dead letters to their handlers again, one redrive at a time. A letter is in the hand of one redrive, which says so
 * before each try: one that ends the app each time is found and set aside. What is handled is deleted; what fails stays
 * with the new reason. Every outcome is stored with the redrive's count of it, so a redrive goes on after a crash where it
 * was. The handler may have run twice then, as with any redelivery.
 */
import { type Clock, delay } from '../../kernel/clock.ts';
import { codeOf } from '../../kernel/errors.ts';
import type { Log } from '../../kernel/log.ts';
import { letterInHand, redriveInterrupted, redrivenTooOften, redriveRunning } from './errors.ts';
import { eventOf } from './from-events.ts';
import { ifGone, type Letters } from './letters.ts';
import { redriveLimits } from './limits.ts';
import { Pace } from './pace.ts';
import type { RunOne } from './port.ts';
import type { RedriveRequest, RedriveState, Redrives } from './redrives.ts';
import type { StoredLetter } from './stored-letter.ts';

export interface RedriverOptions {
  readonly letters: Letters;
  readonly redrives: Redrives;
  readonly runOne: RunOne;
  readonly clock: Clock;
  readonly log: Log;
  readonly newId: () => string;
  /** Letters of this consumer were handled and are gone. */
  readonly onRemoved: (consumer: string) => Promise<void>;
  /** Storage has failed. */
  readonly onFailure: (error: unknown) => void;
}

/** The redrive that is under way. */
interface Running {
  readonly redriveId: string;
  readonly request: RedriveRequest;
  readonly startedAtMs: number;
  readonly stop: AbortController;
  readonly pace: Pace;
  failuresInARow: number;
  reason: string | undefined;
  failures: { id: string; error: unknown }[];
}

export class Redriver {
  readonly #options: RedriverOptions;
  #running: Running | undefined;
  #work: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: RedriverOptions) {
    this.#options = options;
  }

  /** Resolves when it is stored and under way. Throws `redrive.running`. */
  async start(request: RedriveRequest): Promise<RedriveState> {
    const { clock, newId, redrives } = this.#options;
    if (this.#running) throw redriveRunning(this.#running.redriveId);
    const running = this.#take(newId(), request, clock.nowMs()); // Before the first await: nobody comes between.
    try {
      const state = await redrives.create(running.redriveId, request, running.startedAtMs);
      this.#begin(running, undefined);
      return state;
    } catch (error) {
      this.#running = undefined;
      throw error;
    }
  }

  /** Takes up the redrive that the app was in when it ended. */
  async resume(): Promise<void> {
    const [open] = (await this.#options.redrives.list()).filter(({ state }) => state === 'running');
    if (open === undefined || this.#running) return;
    this.#begin(this.#take(open.redriveId, open.request, open.startedAtMs), open.expected);
  }

  /** Letters in hand are finished first. Content when it is over already. */
  async stop(redriveId: string): Promise<RedriveState> {
    const running = this.#running;
    if (running?.redriveId === redriveId) {
      running.reason ??= 'It was told to stop.';
      running.stop.abort();
      await this.#work;
    }
    return this.#options.redrives.get(redriveId);
  }

  /** Finishes the letters in hand. What is under way goes on when the app starts again. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#running?.stop.abort();
    await this.#work;
  }

  #take(redriveId: string, request: RedriveRequest, startedAtMs: number): Running {
    const { clock } = this.#options;
    const perSecond = request.perSecond ?? redriveLimits.perSecondDefault;
    const pace = new Pace(clock, Math.min(Math.max(perSecond, 1), redriveLimits.perSecondMax));
    const stop = new AbortController();
    const facts = { failuresInARow: 0, reason: undefined, failures: [] };
    this.#running = { redriveId, request, startedAtMs, stop, pace, ...facts };
    return this.#running;
  }

  #begin(running: Running, expected: number | undefined): void {
    this.#work = this.#run(running, expected)
      .catch(error => this.#options.onFailure(error))
      .finally(() => {
        this.#running = undefined;
      });
  }

  async #run(running: Running, expected: number | undefined): Promise<void> {
    const { redrives, clock, log } = this.#options;
    const { redriveId, stop } = running;
    if (expected === undefined) await redrives.noteExpected(redriveId, await this.#count(running));
    let page: StoredLetter[] = [];
    for await (const letter of this.#chosen(running)) {
      if (page.push(letter) >= redriveLimits.pageLetters) await this.#runPage(running, page.splice(0));
      if (stop.signal.aborted) break;
    }
    if (!stop.signal.aborted) await this.#runPage(running, page);
    page = [];
    if (this.#closed && running.reason === undefined) return; // It goes on at the next start.
    await redrives.end(redriveId, running.reason === undefined ? 'done' : 'stopped', running.reason, clock.nowMs());
    log.info({ redriveId, reason: running.reason }, 'A redrive is over.');
  }

  async #count(running: Running): Promise<number> {
    let count = 0;
    for await (const _ of this.#chosen(running)) {
      count++;
      if (running.stop.signal.aborted) break;
    }
    return count;
  }

  /** Oldest first, consumer after consumer; none that has come since, or that this redrive is done with. */
  async *#chosen({ redriveId, request, startedAtMs }: Running): AsyncGenerator<StoredLetter> {
    const { letters } = this.#options;
    const { filter = {}, ids } = request;
    const isLeft = ({ LastRedriveId, StoredAtMs }: StoredLetter) =>
      LastRedriveId !== redriveId && StoredAtMs <= startedAtMs;
    if (ids !== undefined) {
      for (const id of ids.toSorted()) {
        const letter = await letters.find(id).catch(ifGone);
        if (letter && isLeft(letter) && (await letters.fits(letter, filter))) yield letter;
      }
      return;
    }
    const consumers = filter.consumer === undefined ? (await letters.consumers()).toSorted() : [filter.consumer];
    for (const consumer of consumers) {
      for await (const letter of letters.oldest(consumer, filter))
        if (isLeft(letter) && (await letters.fits(letter, filter))) yield letter;
    }
  }

  /**
   * Letters of one partition key one after the other, of different ones beside each other. Those that were in hand when
   * the app ended come first, which they did before, and each alone: if it ends again, one of them is why.
   */
  async #runPage(running: Running, page: readonly StoredLetter[]): Promise<void> {
    const isSuspect = ({ RedriveId }: StoredLetter) => RedriveId === running.redriveId;
    for (const letter of page.filter(isSuspect)) await this.#runOne(running, letter, (letter.RedriveTries ?? 0) + 1);
    const others = page.filter(letter => !isSuspect(letter));
    const lanes = Map.groupBy(others, ({ Consumer, PartitionKey, SK }) =>
      JSON.stringify([Consumer, PartitionKey ?? SK]),
    );
    const waiting = lanes.values(); // One iterator for all runners: each takes the next lane.
    const runLanes = async () => {
      for (const lane of waiting) for (const letter of lane) await this.#runOne(running, letter, 0);
    };
    await Promise.all(Array.from({ length: Math.min(redriveLimits.lanesMax, lanes.size) }, runLanes));
    await this.#options.redrives.noteFailures(running.redriveId, running.failures.splice(0));
    for (const consumer of new Set(page.map(({ Consumer }) => Consumer))) await this.#options.onRemoved(consumer);
  }

  /** @param triesAlone  this one included; 0: it runs beside others */
  async #runOne(running: Running, letter: StoredLetter, triesAlone: number): Promise<void> {
    const { letters } = this.#options;
    const { redriveId, request, pace, stop } = running;
    await pace.next(stop.signal);
    if (stop.signal.aborted) return;
    if (letter.Redrives >= (request.redrivesMax ?? redriveLimits.redrivesMax))
      return this.#passBy(running, letter, redrivenTooOften(letter.Redrives), false);
    if (triesAlone > redriveLimits.triesAloneMax)
      return this.#fail(running, letter, redriveInterrupted(redriveLimits.triesAloneMax));
    if (!(await letters.claim(letter, redriveId, triesAlone)))
      return this.#passBy(running, letter, letterInHand(letter.SK), false);
    await this.#handle(running, letter);
  }

  async #handle(running: Running, letter: StoredLetter): Promise<void> {
    const { letters, runOne, clock } = this.#options;
    const { redriveId, request, stop } = running;
    for (;;) {
      try {
        await runOne(request.to ?? letter.Consumer, eventOf(letter, await letters.payloadOf(letter)));
        running.failuresInARow = 0;
        return await letters.settle(letter, redriveId, { outcome: 'handled' });
      } catch (error) {
        if (notTried.has(codeOf(error))) return this.#passBy(running, letter, error, true);
        if (codeOf(error) !== 'store.full') return this.#fail(running, letter, error);
        // Not the letter's fault, so it costs it nothing.
        await delay(clock, redriveLimits.storeFullRetryMs, stop.signal);
        if (stop.signal.aborted) return letters.release(letter);
      }
    }
  }

  async #fail(running: Running, letter: StoredLetter, error: unknown): Promise<void> {
    await this.#options.letters.settle(letter, running.redriveId, { outcome: 'failed', error });
    running.failures.push({ id: letter.SK, error });
    if (++running.failuresInARow < redriveLimits.failuresInARowMax || running.reason !== undefined) return;
    running.reason = `${redriveLimits.failuresInARowMax} letters failed one after the other.`;
    running.stop.abort();
  }

  /** Nothing was tried: it costs the letter nothing. */
  async #passBy(running: Running, letter: StoredLetter, error: unknown, isInHand: boolean): Promise<void> {
    await this.#options.letters.settle(letter, running.redriveId, { outcome: 'refused', isInHand });
    running.failures.push({ id: letter.SK, error });
  }
}

/** Why a handler was not run at all. */
const notTried = new Set(['letter.notTaken', 'letter.notWhole', 'letter.noHandler']);
