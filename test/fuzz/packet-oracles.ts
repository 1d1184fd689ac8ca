import { isDeepStrictEqual } from 'node:util';
import type { DecodeContext, decode } from '../../src/iot/mqtt/decode.ts';
import type { encode } from '../../src/iot/mqtt/encode.ts';
import { packetTypes } from '../../src/iot/mqtt/fixed-header.ts';
import { mqttLimits } from '../../src/iot/mqtt/limits.ts';
import type { Packet, ProtocolVersion, Received, Refusal, Will } from '../../src/iot/mqtt/packets.ts';
import { PartialPacket } from '../../src/iot/mqtt/partial-packet.ts';
import { isReasonCode } from '../../src/iot/mqtt/reason-code-rules.ts';
import { isTopicFilter, isTopicName } from '../../src/iot/mqtt/topics.ts';
import { isMqttString } from '../../src/iot/mqtt/utf8.ts';
import type { FuzzRandom } from './fuzz-random.ts';

/** What the codec is asked to be: handed in, so that a test can hand in a broken one and see it caught. */
export interface Codec {
  readonly decode: typeof decode;
  readonly encode: typeof encode;
}

/** What was broken, in words that do not depend on the case, and what was seen. */
export class Broken extends Error {
  readonly oracle: string;

  constructor(oracle: string, seen?: unknown) {
    super(seen === undefined ? oracle : `${oracle}: ${inspectShortly(seen)}`);
    this.oracle = oracle;
    // Until its text is asked for, V8 keeps the frames of a stack, and with them the world that was broken.
    void this.stack;
  }
}

export type Decoded = ReturnType<typeof decode>;

const headerBytesMax = 5;
const paddedBytes = mqttLimits.packetBytesMax + headerBytesMax;
const messagesMax = 200; // ours: far above the texts there are; more means that bytes of a packet are in them

/** What must hold of the codec, whatever the bytes. Each promise is a method that throws `Broken`. */
export class PacketOracles {
  readonly #codec: Codec;
  /** All zeros between two cases. */
  readonly #padded = Buffer.alloc(paddedBytes);
  readonly #messages = new Set<string>();

  constructor(codec: Codec) {
    this.#codec = codec;
  }

  /** @returns what the bytes were decoded to, after every promise was looked at. */
  check(bytes: Buffer, start: number, end: number, context: DecodeContext, random: FuzzRandom): Decoded {
    const decoded = this.#decode(bytes, start, end, context);
    if (decoded === undefined) this.#decidesWhenThereIsMore(bytes.subarray(start, end), context);
    else if (decoded.type === 'refusal') this.#refusesInWordsOfTheProtocol(decoded, bytes[start], context);
    else this.#isWhole(decoded, end - start, context);
    this.#isTheSameHoweverCut(decoded, { bytes, start, end, context }, random);
    if (decoded !== undefined && decoded.type !== 'refusal') {
      this.#hasOnlyValidFields(decoded, context);
      this.#canBeWrittenAgain(decoded, context);
    }
    return decoded;
  }

  #decode(bytes: Buffer, start: number, end: number, context: DecodeContext): Decoded {
    try {
      return this.#codec.decode(bytes, start, end, context);
    } catch (error) {
      throw new Broken('decode never throws', error);
    }
  }

  /** "Need more" is a promise that more can help: with everything announced there, it must say yes or no. */
  #decidesWhenThereIsMore(bytes: Buffer, context: DecodeContext): void {
    const padded = this.#padded;
    bytes.copy(padded, 0, 0, Math.min(bytes.length, paddedBytes));
    try {
      let lengthEnd = 1;
      while (lengthEnd < headerBytesMax - 1 && padded[lengthEnd] > 0x7f) lengthEnd++;
      let announced = 0;
      for (let at = lengthEnd; at >= 1; at--) announced = announced * 128 + (padded[at] & 0x7f);
      const hasLength = lengthEnd < bytes.length; // Else the zeros end it, and nothing follows.
      const needed = hasLength ? lengthEnd + 1 + announced : headerBytesMax;
      if (needed > paddedBytes) throw new Broken('asks for no more than the cap', { announced, context });
      if (this.#decode(padded, 0, needed, context) === undefined) {
        throw new Broken('asks for more only when more could help', { announced });
      }
    } finally {
      padded.fill(0, 0, Math.min(bytes.length, paddedBytes));
    }
  }

  /** A CONNECT is refused in the words of CONNACK, also one that comes again: what to make of that is the caller's. */
  #refusesInWordsOfTheProtocol(refusal: Refusal, first: number, { version, from }: DecodeContext): void {
    const { reasonCode, message } = refusal;
    const isConnect = version === 0 || first >> 4 === packetTypes.connect;
    const isSayable =
      (isConnect && isReasonCode(reasonCode, packetTypes.connack, 5)) ||
      (version !== 0 && isReasonCode(reasonCode, packetTypes.disconnect, 5, from === 'client' ? 'server' : 'client'));
    if (!isSayable) throw new Broken('refuses with a code that may be sent', refusal);
    this.#messages.add(message);
    if (this.#messages.size > messagesMax) throw new Broken('has a fixed set of messages', message);
  }

  #isWhole(packet: Packet & Received, length: number, { packetBytesMax }: DecodeContext): void {
    const { byteLength } = packet;
    if (byteLength < 2 || byteLength > length) throw new Broken('returns no packet longer than its bytes', byteLength);
    if (byteLength > packetBytesMax) throw new Broken('returns no packet over the cap', byteLength);
  }

  /** A prefix is undecided or decided alike, and the same bytes elsewhere in memory are the same packet. */
  #isTheSameHoweverCut(decoded: Decoded, input: CaseInput, random: FuzzRandom): void {
    const { start, end } = input;
    const whole = decoded === undefined || decoded.type === 'refusal' ? undefined : decoded;
    if (random.onceIn(64)) {
      for (let cut = start; cut < end; cut++) this.#prefixAgrees(cut, whole, decoded, input);
      this.#arrivesInPieces(decoded, input, random);
      return;
    }
    this.#prefixAgrees(start + random.integer(end - start), whole, decoded, input);
    if (whole) {
      this.#prefixAgrees(start + whole.byteLength - 1, whole, decoded, input);
      this.#prefixAgrees(start + whole.byteLength, whole, decoded, input);
    }
  }

  #prefixAgrees(cut: number, whole: (Packet & Received) | undefined, decoded: Decoded, input: CaseInput): void {
    const { bytes, start, context } = input;
    const early = this.#decode(bytes, start, cut, context);
    const isEnough = whole !== undefined && cut - start >= whole.byteLength;
    if (early === undefined && !isEnough) return;
    if (whole !== undefined && !isEnough) throw new Broken('gives no packet before its last byte', early);
    if (!isDeepStrictEqual(early, decoded)) throw new Broken('decides alike however the bytes are cut', early);
  }

  /** As a connection gathers them. */
  #arrivesInPieces(decoded: Decoded, { bytes, start, end, context }: CaseInput, random: FuzzRandom): void {
    const [first, second] = [random.integer(end - start + 1), random.integer(end - start + 1)].sort((a, b) => a - b);
    const cuts = [start, start + first, start + second, end];
    const partial = new PartialPacket(Buffer.from(bytes.subarray(cuts[0], cuts[1])), 0);
    partial.join(bytes.subarray(cuts[1], cuts[2]));
    const joined = partial.join(bytes.subarray(cuts[2], cuts[3]));
    if (!isDeepStrictEqual(this.#decode(joined, 0, joined.length, context), decoded)) {
      throw new Broken('decides alike when the bytes arrive in pieces', cuts);
    }
  }

  #canBeWrittenAgain(packet: Packet & Received, context: DecodeContext): void {
    const { byteLength } = packet;
    const version = packet.type === 'connect' ? packet.protocolVersion : (context.version as ProtocolVersion); // not 0
    let again: Buffer;
    try {
      again = this.#codec.encode(packet, version);
    } catch (error) {
      throw new Broken('whatever was decoded can be encoded', error);
    }
    if (again.length > byteLength) throw new Broken('encodes no longer than it was', again.toString('hex'));
    const decoded = this.#decode(again, 0, again.length, context);
    // The shortest form may be shorter than what came.
    if (!isDeepStrictEqual(decoded, { ...packet, byteLength: again.length }))
      throw new Broken('encoded and decoded again it is the same packet', { packet, decoded });
  }

  /** Said once more in other words than the codec's own. */
  #hasOnlyValidFields(packet: Packet, context: DecodeContext): void {
    const { type } = packet;
    if ('packetId' in packet) {
      const hasNone = type === 'publish' && packet.qos === 0;
      if (hasNone !== (packet.packetId === 0) || packet.packetId > 0xffff) throw new Broken('packet ids', packet);
    }
    if ('properties' in packet && packet.properties !== undefined) this.#hasValidProperties(packet.properties, packet);
    if (type === 'publish') {
      const isAlias = packet.topic === '' && context.version === 5 && packet.properties?.topicAlias !== undefined;
      if (!isAlias && !isTopicName(packet.topic)) throw new Broken('publishes go to topic names', packet.topic);
      if (packet.qos === 0 && packet.dup) throw new Broken('QoS 0 is no duplicate', packet);
    } else if (type === 'subscribe' || type === 'unsubscribe') {
      const filters = type === 'subscribe' ? packet.subscriptions.map(one => one.topicFilter) : packet.topicFilters;
      if (filters.length === 0) throw new Broken('requests have at least one filter', packet);
      for (const filter of filters) if (!isTopicFilter(filter)) throw new Broken('filters are topic filters', filter);
    } else if (type === 'connect') {
      if (Buffer.byteLength(packet.clientId) > mqttLimits.clientIdBytesMax) throw new Broken('client ids fit', packet);
      if (!isMqttString(packet.clientId + (packet.username ?? ''))) throw new Broken('texts are UTF-8', packet);
      if (packet.will) this.#hasValidWill(packet.will);
    }
  }

  #hasValidWill(will: Will): void {
    if (!isTopicName(will.topic)) throw new Broken('wills go to topic names', will.topic);
    if (will.properties) this.#hasValidProperties(will.properties, will);
  }

  #hasValidProperties(properties: object, owner: object): void {
    let pairs = 0;
    for (const [name, value] of Object.entries(properties)) {
      if (typeof value === 'string' && !isMqttString(value)) throw new Broken('texts are UTF-8', value);
      if (name === 'responseTopic' && !isTopicName(value)) throw new Broken('answers go to topic names', value);
      if (name === 'userProperties') pairs += value.length;
      const isFromOne = name === 'topicAlias' || name === 'receiveMaximum' || name === 'maximumPacketSizeBytes';
      if (isFromOne && value === 0) throw new Broken('what counts from one is not 0', owner);
    }
    if (pairs > mqttLimits.userPropertiesMax) throw new Broken('user properties are few', pairs);
    if (Object.getPrototypeOf(properties) !== Object.prototype) throw new Broken('properties are plain', owner);
  }
}

interface CaseInput {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
  readonly context: DecodeContext;
}

function inspectShortly(seen: unknown): string {
  if (seen instanceof Error) return seen.stack ?? seen.message;
  return JSON.stringify(seen, (_, value) =>
    value?.type === 'Buffer' ? Buffer.from(value.data).toString('hex') : value,
  ).slice(0, 1_000);
}
