import { noBytes } from '../../../kernel/bytes.ts';
import type { Identity } from '../../access/port.ts';
import type { ClientState, Delivery, GrantedSubscription, Message, Presence, SessionState } from '../client-state.ts';
import { decode } from '../decode.ts';
import { readProperties } from '../decode-properties.ts';
import { encodePublish } from '../encode.ts';
import { propertySection } from '../encode-properties.ts';
import { PacketReader } from '../packet-reader.ts';
import { variableByteIntegerBytes, writeVariableByteInteger } from '../packet-writer.ts';
import type { ProtocolVersion, QoS, Subscription, Will, WillProperties } from '../packets.ts';
import { willOwner } from '../properties.ts';
import type { EventReader } from './event-reader.ts';
import type { EventWriter } from './event-writer.ts';

/** What events are made of: each value's writer and reader side by side. */

/** A message as it stands in a log: known by its number, and from some event on by its content. */
export interface StoredMessage {
  message: Message | undefined;
}

/** A delivery of a log. */
export interface StoredDelivery extends Omit<Delivery, 'message'> {
  readonly stored: StoredMessage;
}

export interface StoredSession extends Omit<SessionState, 'deliveries'> {
  readonly deliveries: readonly StoredDelivery[];
}

export type StoredClient = Omit<ClientState, 'session'> & { readonly session: StoredSession | undefined };

export type StoredMessages = (messageNo: number) => StoredMessage;

/** The end of an event: some fields, and a PUBLISH packet of MQTT 5 that is returned, to be put behind them. */
export function writeMessage(event: EventWriter, message: Message): Buffer {
  const { topic, payload, qos, retain, properties } = message;
  writeOptional(event, message.expiresAtMs, writeTime);
  event.varint(message.bytes);
  const packetId = qos === 0 ? 0 : 1; // It must have one; which does not matter.
  return encodePublish({ type: 'publish', topic, payload, qos, dup: false, retain, packetId, properties }, 5);
}

export function readMessage(event: EventReader, journalNo: number): Message {
  const expiresAtMs = readOptional(event, readTime);
  const bytes = event.varint();
  const encoded = event.rest();
  const context = { version: 5, packetBytesMax: encoded.length, from: 'server' } as const;
  const packet = decode(encoded, 0, encoded.length, context);
  if (packet?.type !== 'publish' || packet.byteLength !== encoded.length) {
    throw new RangeError(packet?.type === 'refusal' ? packet.message : 'a message is not one PUBLISH packet');
  }
  const { topic, payload, qos, retain, properties } = packet;
  return { topic, payload, qos, retain, properties, expiresAtMs, bytes, journalNo };
}

/** Without its message, of which the event knows. */
export function writeDelivery(event: EventWriter, delivery: Delivery): void {
  const { qos, retain, stage, subscriptionIdentifiers } = delivery;
  const flags = (qos === 2 ? 0x01 : 0) | (retain ? 0x02 : 0) | (subscriptionIdentifiers.length > 0 ? 0x04 : 0);
  event.uint8(flags | (stages.indexOf(stage) << 3));
  event.varint(delivery.deliveryNo);
  if (stage !== 'waiting') event.varint(delivery.packetId);
  if (subscriptionIdentifiers.length > 0) writeNumbers(event, subscriptionIdentifiers);
}

export function readDelivery(event: EventReader, stored: StoredMessage): StoredDelivery {
  const flags = event.uint8();
  const stage = stages[flags >> 3];
  if (stage === undefined) throw new RangeError('a delivery is at a stage that is not known');
  return {
    stored,
    qos: (flags & 0x01) !== 0 ? 2 : 1,
    retain: (flags & 0x02) !== 0,
    stage,
    deliveryNo: event.varint(),
    packetId: stage === 'waiting' ? 0 : event.varint(),
    subscriptionIdentifiers: (flags & 0x04) !== 0 ? readNumbers(event) : noIdentifiers,
  };
}

const stages = ['waiting', 'sent', 'released'] as const;
const noIdentifiers: readonly number[] = Object.freeze([]); // most deliveries have none, so they share it

/** Its messages must have their numbers. */
export function writeClient(event: EventWriter, state: ClientState): void {
  event.varint(state.clientNo);
  writeIdentity(event, state.identity);
  event.uint8(state.protocolVersion);
  writePresence(event, state.presence);
  writeOptional(event, state.will, writeWill);
  writeOptional(event, state.willDueAtMs, writeTime);
  writeOptional(event, state.session, writeSession);
}

export function readClient(event: EventReader, messages: StoredMessages): StoredClient {
  return {
    clientNo: event.varint(),
    identity: readIdentity(event),
    protocolVersion: event.uint8() as ProtocolVersion, // as it was written
    presence: readPresence(event),
    will: readOptional(event, readWill),
    willDueAtMs: readOptional(event, readTime),
    session: readOptional(event, () => readSession(event, messages)),
  };
}

function writeSession(event: EventWriter, session: SessionState): void {
  event.varint(session.expirySeconds);
  writeOptional(event, session.endsAtMs, writeTime);
  writeSubscriptions(event, session.subscriptions);
  event.varint(session.deliveries.length);
  for (const delivery of session.deliveries) {
    event.varint(delivery.message.journalNo);
    writeDelivery(event, delivery);
  }
  writeNumbers(event, session.received);
}

function readSession(event: EventReader, messages: StoredMessages): StoredSession {
  return {
    expirySeconds: event.varint(),
    endsAtMs: readOptional(event, readTime),
    subscriptions: readSubscriptions(event),
    deliveries: readList(event, () => readDelivery(event, messages(event.varint()))),
    received: readNumbers(event),
  };
}

function writeIdentity(event: EventWriter, identity: Identity): void {
  event.text(identity.clientId);
  writeOptional(event, identity.thingName, writeText);
  event.text(identity.principal);
}

function readIdentity(event: EventReader): Identity {
  return { clientId: event.text(), thingName: readOptional(event, readText), principal: event.text() };
}

export function writePresence(event: EventWriter, presence: Presence): void {
  event.uint8(presence.connected ? 1 : 0);
  event.float64(presence.sinceMs);
  event.varint(presence.versionNumber);
  event.text(presence.sessionIdentifier);
}

export function readPresence(event: EventReader): Presence {
  return {
    connected: event.uint8() === 1,
    sinceMs: event.float64(),
    versionNumber: event.varint(),
    sessionIdentifier: event.text(),
  };
}

export function writeWill(event: EventWriter, will: Will): void {
  event.uint8(will.qos | (will.retain ? 0x04 : 0));
  event.text(will.topic);
  event.binary(will.payload);
  event.binary(will.properties === undefined ? noBytes : propertySection(willOwner, will.properties));
}

export function readWill(event: EventReader): Will {
  const flags = event.uint8();
  const will: Will = {
    qos: (flags & 0x03) as QoS, // as it was written
    retain: (flags & 0x04) !== 0,
    topic: event.text(),
    payload: event.binary(),
  };
  const properties = readWillProperties(event.binary());
  if (properties !== undefined) will.properties = properties;
  return will;
}

/** The section as it is in a CONNECT, where its length stands before it. */
function readWillProperties(section: Buffer): WillProperties | undefined {
  const lengthBytes = variableByteIntegerBytes(section.length);
  const bytes = Buffer.allocUnsafeSlow(lengthBytes + section.length);
  bytes.set(section, writeVariableByteInteger(bytes, 0, section.length));
  const reader = new PacketReader(bytes, 0, bytes.length, bytes.length);
  const properties = readProperties(reader, willOwner, 'client');
  if (reader.refusal !== undefined) throw new RangeError(`a will has ${reader.refusal.message}`);
  return properties;
}

export function writeSubscriptions(event: EventWriter, subscriptions: readonly GrantedSubscription[]): void {
  event.varint(subscriptions.length);
  for (const subscription of subscriptions) {
    const { topicFilter, qos, noLocal, retainAsPublished, retainHandling } = subscription;
    event.text(topicFilter);
    // The options byte of SUBSCRIBE [MQTT5 3.8.3.1].
    event.uint8(qos | (noLocal ? 0x04 : 0) | (retainAsPublished ? 0x08 : 0) | (retainHandling << 4));
    event.varint(subscription.subscriptionIdentifier ?? 0); // 0 is none [MQTT5 3.8.2.1.2]
  }
}

export function readSubscriptions(event: EventReader): GrantedSubscription[] {
  return readList(event, () => {
    const topicFilter = event.text();
    const options = event.uint8();
    const subscriptionIdentifier = event.varint();
    return {
      topicFilter,
      qos: (options & 0x03) as QoS, // both casts: as it was written
      noLocal: (options & 0x04) !== 0,
      retainAsPublished: (options & 0x08) !== 0,
      retainHandling: (options >> 4) as Subscription['retainHandling'],
      subscriptionIdentifier: subscriptionIdentifier === 0 ? undefined : subscriptionIdentifier,
    };
  });
}

export function writeTexts(event: EventWriter, texts: readonly string[]): void {
  event.varint(texts.length);
  for (const text of texts) event.text(text);
}

export function readTexts(event: EventReader): string[] {
  return readList(event, readText);
}

/** Unix epoch milliseconds. */
export function writeTime(event: EventWriter, atMs: number): void {
  event.float64(atMs);
}

export function readTime(event: EventReader): number {
  return event.float64();
}

export function writeOptional<T>(
  event: EventWriter,
  value: T | undefined,
  write: (event: EventWriter, value: T) => void,
): void {
  event.uint8(value === undefined ? 0 : 1);
  if (value !== undefined) write(event, value);
}

export function readOptional<T>(event: EventReader, read: (event: EventReader) => T): T | undefined {
  return event.uint8() === 0 ? undefined : read(event);
}

function writeNumbers(event: EventWriter, numbers: readonly number[]): void {
  event.varint(numbers.length);
  for (const number of numbers) event.varint(number);
}

function readNumbers(event: EventReader): number[] {
  return readList(event, () => event.varint());
}

/** Grows as it reads: a length costs no memory before its items are there. */
function readList<T>(event: EventReader, read: (event: EventReader) => T): T[] {
  const items: T[] = [];
  for (let left = event.varint(); left > 0; left--) items.push(read(event));
  return items;
}

function writeText(event: EventWriter, text: string): void {
  event.text(text);
}

function readText(event: EventReader): string {
  return event.text();
}
