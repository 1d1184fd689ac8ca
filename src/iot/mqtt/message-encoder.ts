import type { Message } from './client-state.ts';
import type { OutgoingForm } from './connection.ts';
import { encodePublish } from './encode.ts';
import type { PublishProperties } from './packets.ts';

/**
 * Messages to bytes, once for all subscribers who get the same: in a fan-out only the packet id differs. Remembers the
 * last message in each form, which is all a fan-out needs.
 */
export class MessageEncoder {
  readonly #nowMs: () => number;
  #message: Message | undefined;
  /** By form: version, QoS, RETAIN. */
  readonly #encoded: (Buffer | undefined)[] = new Array(formsCount);

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  encode(message: Message, form: OutgoingForm): Buffer {
    const isPlain =
      form.subscriptionIdentifiers.length === 0 && form.alias === undefined && message.expiresAtMs === undefined;
    if (!isPlain) return this.#encodeAlone(message, form);
    if (this.#message !== message) {
      this.#message = message;
      this.#encoded.fill(undefined);
    }
    const index = formIndex(form);
    this.#encoded[index] ??= this.#encodeAlone(message, { ...form, packetId: form.qos === 0 ? 0 : 1, dup: false });
    const encoded = this.#encoded[index];
    if (form.qos === 0) return encoded;
    const bytes = Buffer.allocUnsafe(encoded.length);
    encoded.copy(bytes);
    if (form.dup) bytes[0] |= 0x08;
    const at = packetIdAt(bytes);
    bytes[at] = form.packetId >> 8;
    bytes[at + 1] = form.packetId & 0xff;
    return bytes;
  }

  #encodeAlone(message: Message, form: OutgoingForm): Buffer {
    const { topic, payload } = message;
    const { qos, dup, retain, packetId, version, alias, isAliasKnown } = form;
    const properties = version === 5 ? this.#propertiesOf(message, form) : undefined;
    const isShort = alias !== undefined && isAliasKnown;
    return encodePublish(
      { type: 'publish', topic: isShort ? '' : topic, payload, qos, dup, retain, packetId, properties },
      version,
    );
  }

  #propertiesOf(message: Message, { alias, subscriptionIdentifiers }: OutgoingForm): PublishProperties | undefined {
    const { properties, expiresAtMs } = message;
    if (expiresAtMs === undefined && alias === undefined && subscriptionIdentifiers.length === 0) return properties;
    const all: PublishProperties = { ...properties };
    if (expiresAtMs !== undefined) {
      // What is left of it, and never nothing: that would mean that it has none [MQTT5 3.3.2-6].
      all.messageExpiryIntervalSeconds = Math.max(Math.ceil((expiresAtMs - this.#nowMs()) / 1_000), 1);
    }
    if (alias !== undefined) all.topicAlias = alias;
    if (subscriptionIdentifiers.length > 0) all.subscriptionIdentifiers = subscriptionIdentifiers; // [MQTT5 3.3.4-3]
    return all;
  }
}

const formsCount = 16;

function formIndex({ version, qos, retain }: OutgoingForm): number {
  return (version === 5 ? 8 : 0) | (qos << 1) | (retain ? 1 : 0);
}

/** Behind the fixed header and the topic. */
function packetIdAt(bytes: Buffer): number {
  let at = 1;
  while (bytes[at++] > 0x7f);
  return at + 2 + ((bytes[at] << 8) | bytes[at + 1]);
}
