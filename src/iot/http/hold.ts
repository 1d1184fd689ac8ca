import type { Timer } from '../../kernel/clock.ts';
import type { Delivery, Message } from '../mqtt/client-state.ts';
import type { GatewayCore } from '../mqtt/gateway.ts';
import type { Session, SessionLink } from '../mqtt/session.ts';
import { dataPlaneLimits } from './limits.ts';

/** A message on its way into an answer. */
export interface PendingMessage {
  /** To acknowledge it by; 0 for QoS 0, which needs none. */
  readonly id: number;
  readonly message: Message;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly duplicate: boolean;
}

export interface Pending {
  readonly messages: readonly PendingMessage[];
  /** More waits than was wanted at once. */
  readonly more: boolean;
}

type HoldCore = Pick<GatewayCore, 'broker' | 'clock' | 'nowMs'>;

export interface HoldOptions {
  readonly messagesMax: number;
  /** How long what is not there yet is waited for. */
  readonly waitMs: number;
  /** All answers that wait now, this one among them while it does: whoever has the set may end them. */
  readonly waiting: Set<Hold>;
  /** The client has left. */
  readonly gone: AbortSignal | undefined;
}

/** Gathers for one answer what is owed to a session and what comes while it waits, as a connection would. */
export class Hold implements SessionLink {
  readonly receiveMaximum: number;
  readonly #core: HoldCore;
  readonly #session: Session;
  readonly #options: HoldOptions;
  readonly #endsAtMs: number;
  readonly #done = Promise.withResolvers<Pending | undefined>();
  readonly #messages: PendingMessage[] = [];
  #bytes = 0;
  #timer: Timer | undefined;
  #isOver = false;

  /**
   * What the session's client gets, which is in flight from here on. Undefined when a connection or a later request of
   * the client came in between, which gets the same and more, and when the session has ended.
   */
  static gather(core: HoldCore, session: Session, options: HoldOptions): Promise<Pending | undefined> {
    const before = session.link;
    const hold = new Hold(core, session, options);
    session.link = hold;
    if (before instanceof Hold) before.end(); // The newest counts, as with connections.
    session.resume(core.nowMs());
    hold.#waitOrEnd();
    return hold.#done.promise;
  }

  private constructor(core: HoldCore, session: Session, options: HoldOptions) {
    this.#core = core;
    this.#session = session;
    this.#options = options;
    this.receiveMaximum = options.messagesMax;
    this.#endsAtMs = core.clock.monotonicMs() + options.waitMs;
  }

  // --- As a session sees a connection -----------------------------------------------------------------------------

  get hasRoom(): boolean {
    return this.#messages.length < this.receiveMaximum && this.#bytes < dataPlaneLimits.pendingBytesMax;
  }

  sendNow(message: Message, retain: boolean): boolean {
    return this.#take({ id: 0, message, qos: 0, retain, duplicate: false });
  }

  sendDelivery({ packetId, message, qos, retain }: Delivery, duplicate: boolean): boolean {
    return this.#take({ id: packetId, message, qos, retain, duplicate });
  }

  /** QoS 2 that is that far was settled before. */
  sendRelease(): void {}

  pumpLater(): void {
    this.#core.clock.soon(() => {
      if (!this.#isOver) this.#session.pump(this.#core.nowMs());
    });
  }

  /** It stays in flight, and the next request brings it. */
  notStored(): void {}

  // --- The end ----------------------------------------------------------------------------------------------------

  /** What has come by now is the answer. Content when it has ended. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#options.waiting.delete(this);
    this.#timer?.cancel();
    const session = this.#session;
    if (session.link !== this) return this.#done.resolve(undefined);
    session.link = undefined;
    const isCurrent = this.#core.broker.sessionOf(session.identity) === session;
    this.#done.resolve(isCurrent ? { messages: this.#messages, more: session.waitingMessages > 0 } : undefined);
  }

  // --- Inside -----------------------------------------------------------------------------------------------------

  #waitOrEnd(): void {
    const { waitMs, waiting, gone } = this.#options;
    if (waitMs === 0 || waiting.size >= dataPlaneLimits.heldMax || gone?.aborted) return this.end();
    waiting.add(this);
    if (!this.#timer) this.#endAt(this.#endsAtMs);
    gone?.addEventListener('abort', () => this.end());
  }

  #take(pending: PendingMessage): boolean {
    this.#messages.push(pending);
    this.#bytes += pending.message.payload.length;
    const lingerMs = this.hasRoom ? dataPlaneLimits.lingerMs : 0;
    this.#endAt(Math.min(this.#core.clock.monotonicMs() + lingerMs, this.#endsAtMs));
    return true;
  }

  /** By a timer even when it is now: whoever hands it a message is in the middle of something. */
  #endAt(atMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#core.clock.setTimer(Math.max(atMs - this.#core.clock.monotonicMs(), 0), () => this.end());
  }
}
