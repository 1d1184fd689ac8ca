import type { AckTarget, Ingest } from '../rules/index.ts';
import type { ClientState, Delivery, GrantedSubscription, Message, Presence } from './client-state.ts';
import type { Will } from './packets.ts';
import type { DeliveryJournal } from './session.ts';

/** What the broker and the router write down, so that it survives the process. `journal/` has it on disk. */
export interface BrokerJournal extends DeliveryJournal {
  newClientNo(): number;
  client(state: ClientState): void;
  clientForgotten(clientNo: number): void;
  presence(
    clientNo: number,
    presence: Presence,
    will: Will | undefined,
    willDueAtMs: number | undefined,
    endsAtMs: number | undefined,
    expirySeconds: number,
  ): void;
  sessionEnded(clientNo: number): void;
  subscribed(clientNo: number, subscriptions: readonly GrantedSubscription[]): void;
  unsubscribed(clientNo: number, topicFilters: readonly string[]): void;
  published(message: Message, refs: readonly DeliveryRef[], retained: RetainedEffect, from?: ReceivedRef): void;
  retainedDeleted(topic: string): void;
}

/** A delivery and whose it is. */
export interface DeliveryRef {
  readonly clientNo: number;
  readonly delivery: Delivery;
}

/** A QoS 2 publish that was taken, and from whom. */
export interface ReceivedRef {
  readonly clientNo: number;
  readonly packetId: number;
}

/** What a publish does to the retained message of its topic. */
export type RetainedEffect = 'keep' | 'set' | 'delete';

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
