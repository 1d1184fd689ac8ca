/** The life of an app under test: it runs, is ended in one way or another, and starts again on what is left. */
import type { App } from '../../app/index.ts';
import { messageOf } from '../../kernel/errors.ts';
import { appClosed, backendFailed, unexpected } from '../errors.ts';
import type { Kept } from './kept.ts';
import { copiesOf, type Running, startRunning } from './running.ts';
import { TestTime } from './test-time.ts';

export class Life {
  readonly kept: Kept;
  readonly time: TestTime;
  readonly #app: App | URL;
  #running: Running | undefined;

  constructor({ app, kept, running }: { app: App | URL; kept: Kept; running: Running }) {
    this.#app = app;
    this.kept = kept;
    this.#running = running;
    this.time = new TestTime({
      clock: kept.world.clock,
      activity: () => this.now.activity,
      throwProblems: () => this.#throwProblems(),
    });
  }

  /** What runs now. Throws `testing.closed`. */
  get now(): Running {
    if (!this.#running) throw appClosed();
    return this.#running;
  }

  async restart(): Promise<void> {
    await this.time.alone(() => this.now.backend.stop());
    await this.#startAgain();
  }

  async kill(): Promise<void> {
    this.now.backend.kill();
    await this.#startAgain();
  }

  async cutPower(): Promise<void> {
    this.now.backend.powerCut();
    await this.#startAgain();
  }

  /** Content when it has ended. Throws what nobody has been told yet. */
  async end(): Promise<void> {
    const running = this.#running;
    if (!running) return;
    this.kept.faults.stopAll();
    this.#running = undefined;
    await this.time.alone(() => running.backend.stop());
    this.#throwKept();
  }

  /** Why storage gave up, if it did. */
  takeFailures(): unknown[] {
    return this.now.backend.failures.splice(0);
  }

  async #startAgain(): Promise<void> {
    await this.time.alone(async () => {
      await this.kept.world.clock.settle();
      this.#running = await startRunning(await copiesOf(this.#app, this.kept), this.kept);
    });
  }

  #throwProblems(): void {
    const failures = this.takeFailures();
    if (failures.length > 0) throw backendFailed(failures[0], messageOf(failures[0]));
    this.#throwKept();
  }

  #throwKept(): void {
    const [first, ...others] = this.kept.problems.splice(0);
    if (first === undefined) return;
    if (others.length === 0) throw first;
    const messages = [first, ...others].map(messageOf).join(' ');
    throw unexpected(`Several things went wrong: ${messages}`, 'Look at each of them, the first one first.');
  }
}
