/** Tells the ledger what the gateway has counted: a few seconds after something came, and then again while more comes. */
import { type ReceivedCounts, ReceivedTally } from '../iot/rules/index.ts';
import type { Clock, Timer } from '../kernel/clock.ts';

const tellEveryMs = 5_000; // ours: seldom enough to cost nothing, and what a kill makes the ledger count again

export class ReceivedTeller {
  readonly tally: ReceivedTally;
  readonly #clock: Clock;
  readonly #tell: (received: ReceivedCounts) => void;
  #timer: Timer | undefined;

  constructor(clock: Clock, tell: (received: ReceivedCounts) => void) {
    this.#clock = clock;
    this.#tell = tell;
    this.tally = new ReceivedTally(() => this.#arm());
  }

  /** Tells what there is: nothing more comes. */
  close(): void {
    this.#timer?.cancel();
    this.tellNow();
  }

  /** Who shows the ledger asks for it. */
  tellNow(): void {
    const received = this.tally.take();
    if (received) this.#tell(received);
  }

  #arm(): void {
    this.#timer ??= this.#clock.setTimer(tellEveryMs, () => {
      this.#timer = undefined;
      this.tellNow();
    });
  }
}
