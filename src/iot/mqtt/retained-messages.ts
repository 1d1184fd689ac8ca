import type { Message } from './client-state.ts';
import { isExpired, RetainedReplay } from './retained-replay.ts';
import { SortedByTopic } from './sorted-by-topic.ts';

export const retainedLimits = {
  messagesMax: 100_000, // ours
  bytesMax: 64 * 1024 * 1024, // ours: by `Message.bytes`
};

export interface RetainedMessagesOptions {
  readonly messagesMax?: number;
  readonly bytesMax?: number;
  /** As in `TopicTreeOptions`. */
  readonly hashMatchesParent?: boolean;
  /** Told of each message that was removed because it had expired. It must not throw. */
  readonly onExpired?: (message: Message) => void;
}

/**
 * The last message published with RETAIN of each topic [MQTT5 3.3.1-5] [MQTT311 3.3.1-5]. They belong to the topic and
 * to no session [MQTT311 3.1.2-7]. Only in memory: what must survive is the caller's to store.
 */
export class RetainedMessages {
  readonly #messages = new SortedByTopic<Message>();
  readonly #options: Required<RetainedMessagesOptions>;
  #bytes = 0;
  /** How many have an expiry at all. */
  #expiring = 0;
  /** Where `dropExpired` goes on: after this topic. */
  #sweptTo = '';

  constructor(options: RetainedMessagesOptions = {}) {
    const { messagesMax, bytesMax } = retainedLimits;
    this.#options = { messagesMax, bytesMax, hashMatchesParent: true, onExpired: () => {}, ...options };
  }

  get size(): number {
    return this.#messages.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** One that is refused as too much changes nothing: the one before it stays. */
  set(message: Message): 'stored' | 'replaced' | 'full' {
    const before = this.#messages.find(message.topic);
    const bytes = this.#bytes + message.bytes - (before?.bytes ?? 0);
    const { messagesMax, bytesMax } = this.#options;
    if (bytes > bytesMax || (!before && this.size >= messagesMax)) return 'full';
    this.#messages.set(message); // In place of the one before, also at QoS 0 [MQTT311 3.3.1-7].
    this.#count(message, 1);
    if (before) this.#count(before, -1);
    return before ? 'replaced' : 'stored';
  }

  /** True when there was one. */
  delete(topic: string): boolean {
    const message = this.#messages.delete(topic);
    if (message) this.#count(message, -1);
    return message !== undefined;
  }

  /** Undefined, too, when it has expired. */
  find(topic: string, nowMs: number): Message | undefined {
    const message = this.#messages.find(topic);
    return message && !isExpired(message, nowMs) ? message : undefined;
  }

  /** Each once, in the order of topics, while anything may be set and deleted; expired ones too. */
  *all(): Generator<Message> {
    for (let message = this.#messages.firstFrom(''); message; message = this.#messages.firstAfter(message.topic)) {
      yield message;
    }
  }

  /** The messages for a new subscription to `topicFilter` (valid, without a share). */
  matching(topicFilter: string): RetainedReplay {
    const { hashMatchesParent } = this.#options;
    return new RetainedReplay({
      messages: this.#messages,
      topicFilter,
      hashMatchesParent,
      expire: topic => this.#expire(topic),
    });
  }

  /**
   * Removes what has expired among the next `stepsMax` messages and remembers how far it came, so that all have their
   * turn without any of them being read (hostile D12).
   * @returns how many it removed
   */
  dropExpired(nowMs: number, stepsMax: number): number {
    let dropped = 0;
    for (let step = 0; step < stepsMax && this.#expiring > 0; step++) {
      const message = this.#messages.firstAfter(this.#sweptTo);
      this.#sweptTo = message?.topic ?? ''; // No topic is empty.
      if (!message) break;
      if (isExpired(message, nowMs)) {
        this.#expire(message.topic);
        dropped++;
      }
    }
    return dropped;
  }

  #expire(topic: string): void {
    const message = this.#messages.delete(topic);
    if (!message) return;
    this.#count(message, -1);
    this.#options.onExpired(message);
  }

  #count(message: Message, change: 1 | -1): void {
    this.#bytes += change * message.bytes;
    if (message.expiresAtMs !== undefined) this.#expiring += change;
  }
}
