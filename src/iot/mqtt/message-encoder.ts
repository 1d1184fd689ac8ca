import type { Delivery, Message } from './client-state.ts';
import type { OutgoingForm } from './connection.ts';
import { encodePublish } from './encode.ts';
import { packetTypes } from './fixed-header.ts';
import type { ProtocolVersion, PublishProperties, QoS } from './packets.ts';

/**
 * Messages to bytes, once for all subscribers who get the same: in a fan-out only the packet id differs. Remembers the
 * last message in each form, which is all a fan-out needs; a message that goes out as it came in is not encoded at all.
 */
export class MessageEncoder {
  readonly #nowMs: () => number;
  #message: Message | undefined;
  /** By form: version, QoS, RETAIN. */
  readonly #templates: (Buffer | undefined)[] = new Array(formsCount);

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** QoS 0 to a subscriber who gets what most get: shared, so never changed. */
  encodePlain(message: Message, version: ProtocolVersion, retain: boolean): Buffer {
    return this.#template(message, version, 0, retain);
  }

  /** The same with QoS 1 and 2, for one subscriber. */
  encodePlainDelivery({ message, qos, packetId, retain }: Delivery, version: ProtocolVersion, dup: boolean): Buffer {
    const template = this.#template(message, version, qos, retain);
    const bytes = Buffer.allocUnsafe(template.length);
    template.copy(bytes);
    if (dup) bytes[0] |= 0x08;
    const at = packetIdAt(bytes);
    bytes[at] = packetId >> 8;
    bytes[at + 1] = packetId & 0xff;
    return bytes;
  }

  /** Whether nothing in it depends on who gets it and when. */
  isPlain(message: Message): boolean {
    return message.expiresAtMs === undefined;
  }

  #template(message: Message, version: ProtocolVersion, qos: QoS, retain: boolean): Buffer {
    if (this.#message !== message) {
      this.#message = message;
      this.#templates.fill(undefined);
    }
    const index = (version === 5 ? 8 : 0) | (qos << 1) | (retain ? 1 : 0);
    const known = this.#templates[index];
    if (known) return known;
    const made = fromWire(message, version, qos, retain) ?? this.#encodeNew(message, version, qos, retain);
    this.#templates[index] = made;
    return made;
  }

  #encodeNew({ topic, payload, properties }: Message, version: ProtocolVersion, qos: QoS, retain: boolean): Buffer {
    const packetId = qos === 0 ? 0 : 1;
    return encodePublish({ type: 'publish', topic, payload, qos, dup: false, retain, packetId, properties }, version);
  }

  /** With what only this subscriber gets: an alias, identifiers, the time that is left. */
  encode(message: Message, form: OutgoingForm): Buffer {
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

/** The packet as its publisher sent it, where the subscriber gets the same. */
function fromWire({ wire, qos: sentQos }: Message, version: ProtocolVersion, qos: QoS, retain: boolean) {
  if (wire?.version !== version || sentQos !== qos) return undefined;
  // DUP 0, whatever its publisher said: it tells of our own repetitions [MQTT311 3.3.1-3] [MQTT5 3.3.1-3].
  const first = (packetTypes.publish << 4) | (qos << 1) | (retain ? 1 : 0);
  if (wire.bytes[0] === first) return wire.bytes;
  const bytes = Buffer.from(wire.bytes); // With another DUP or RETAIN.
  bytes[0] = first;
  return bytes;
}

/** Behind the fixed header and the topic. */
function packetIdAt(bytes: Buffer): number {
  let at = 1;
  while (bytes[at++] > 0x7f);
  return at + 2 + ((bytes[at] << 8) | bytes[at + 1]);
}
