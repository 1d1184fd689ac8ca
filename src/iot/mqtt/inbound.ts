import { TokenBucket } from '../../kernel/token-bucket.ts';
import type { Access, Identity, PublishVerdict } from '../access/port.ts';
import type { BrokerLimits } from './broker-limits.ts';

/** What a connection remembers of what its client publishes. Made with the first publish: most connections listen only. */
export class Inbound {
  readonly #limits: BrokerLimits;
  readonly #messages: TokenBucket;
  readonly #bytes: TokenBucket;
  #verdicts = new Map<string, PublishVerdict>();
  #verdictsVersion = -1;
  /** By alias; at most as many as were announced [MQTT5 3.1.2.11.5]. */
  #aliases: Map<number, string> | undefined;
  /** Messages and bytes that were taken beyond the rates because 3.1.1 cannot be refused them. */
  #owedMessages = 0;
  #owedBytes = 0;
  /** QoS 1 and 2 that are not answered yet. */
  unanswered = 0;
  /** QoS 2 taken on this connection and not released yet; some of them may have been refused since. */
  unreleased = 0;

  constructor(limits: BrokerLimits, nowMs: number) {
    this.#limits = limits;
    this.#messages = new TokenBucket(limits.publishesPerSecondMax, nowMs);
    this.#bytes = new TokenBucket(limits.publishBytesPerSecondMax, nowMs);
  }

  verdictOn(topic: string, identity: Identity, access: Access): PublishVerdict {
    if (this.#verdictsVersion !== access.version) {
      this.#verdicts = new Map();
      this.#verdictsVersion = access.version;
    }
    const remembered = this.#verdicts.get(topic);
    if (remembered) return remembered;
    const verdict = access.judgePublish(identity, topic);
    if (this.#verdicts.size >= this.#limits.publishVerdictsMax) this.#verdicts.clear();
    this.#verdicts.set(topic, verdict);
    return verdict;
  }

  /** The topic that a publish means; undefined when its alias is not valid [MQTT5 3.3.2-7 … 3.3.2-10, 3.3.2-12]. */
  topicOf(topic: string, alias: number): string | undefined {
    if (alias === 0 || alias > this.#limits.topicAliasMaximum) return undefined;
    this.#aliases ??= new Map();
    if (topic === '') return this.#aliases.get(alias);
    this.#aliases.set(alias, topic);
    return topic;
  }

  /** Whether one more message of that many bytes is within the rates. */
  isWithinRate(bytes: number, nowMs: number): boolean {
    this.#payOwed(nowMs);
    return this.#messages.waitMs(nowMs) === 0 && this.#bytes.take(nowMs, bytes) && this.#messages.take(nowMs);
  }

  /** A message was taken beyond the rates: it counts against those to come. */
  owe(bytes: number): void {
    this.#owedMessages++;
    this.#owedBytes += bytes;
  }

  /** Milliseconds until one more message is within the rates. */
  waitMs(nowMs: number): number {
    this.#payOwed(nowMs);
    const { publishesPerSecondMax, publishBytesPerSecondMax } = this.#limits;
    const messagesMs = this.#messages.waitMs(nowMs) + (this.#owedMessages * 1_000) / publishesPerSecondMax;
    const bytesMs = this.#bytes.waitMs(nowMs) + (this.#owedBytes * 1_000) / publishBytesPerSecondMax;
    return Math.max(messagesMs, bytesMs);
  }

  #payOwed(nowMs: number): void {
    while (this.#owedMessages > 0 && this.#messages.take(nowMs)) this.#owedMessages--;
    if (this.#owedBytes > 0 && this.#bytes.take(nowMs, this.#owedBytes)) this.#owedBytes = 0;
  }
}
