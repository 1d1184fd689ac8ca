import type { AckTarget, Ingest } from '../rules/index.ts';
import type { Journal } from './journal/index.ts';

/** What the broker, the router and the sessions write down, so that it survives the process. */
export type BrokerJournal = Pick<
  Journal,
  | 'newClientNo'
  | 'client'
  | 'clientForgotten'
  | 'presence'
  | 'sessionEnded'
  | 'subscribed'
  | 'unsubscribed'
  | 'published'
  | 'retainedDeleted'
  | 'sent'
  | 'released'
  | 'settled'
  | 'dropped'
  | 'completed'
>;

/** Lets what was noted be followed by something once it is stored. */
export class SafeKeeping {
  readonly #ingest: Pick<Ingest, 'answerInOrder'>;
  readonly #contain: (run: () => void) => void;

  /** `contain` runs what follows: an error of ours in it must not stop the answers of others (hostile R03). */
  constructor(ingest: Pick<Ingest, 'answerInOrder'>, contain: (run: () => void) => void) {
    this.#ingest = ingest;
    this.#contain = contain;
  }

  /** Calls `then` when everything noted before is on disk, `otherwise` when it could not be stored. */
  whenStored(then: () => void, otherwise: () => void): void {
    const target: AckTarget = { acknowledge: () => this.#contain(then), refuse: () => this.#contain(otherwise) };
    this.#ingest.answerInOrder(target, 0, 0);
  }
}
