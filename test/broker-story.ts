/**
 * MQTT clients that keep to the protocol across any number of connections, over real sockets, and a book of what was
 * promised to them and what they got. Their own state is never lost: what is put to the test is the broker's. Tests only.
 */
import assert from 'node:assert/strict';
import net from 'node:net';
import { decode } from '../src/iot/mqtt/decode.ts';
import { encode } from '../src/iot/mqtt/encode.ts';
import { mqttLimits } from '../src/iot/mqtt/limits.ts';
import type { ConnackPacket, Packet, ProtocolVersion, PublishPacket, QoS } from '../src/iot/mqtt/packets.ts';
import type { Random } from '../src/kernel/random.ts';

const sessionExpirySeconds = 3_600;
const inFlightMax = 20; // of a publisher: what it is not sure of when the broker dies
const backlogMax = 250; // of the slowest subscriber: with payloads of 12 KB at most three quarters of what a session may hold
const paddingBytesMax = 12 * 1024; // so that a long campaign has the journal shortened many times
const ackDelayMsMax = 8;

/** One message that was sent: its publisher and its number there, which never repeats. */
interface Sent {
  readonly topic: string;
  readonly qos: 1 | 2;
  readonly number: number;
}

/** What everybody was promised, and every promise that was broken. */
export class Book {
  readonly broken: string[] = [];
  readonly sent = new Map<string, Sent>();
  readonly acknowledged = new Set<string>();
  /** By topic: numbers of the newest retained message that was sent, and that was acknowledged. */
  readonly retained = new Map<string, { sent: number; acknowledged: number }>();
  resent = 0;

  break(what: string): void {
    if (this.broken.length < 100) this.broken.push(what);
  }

  noteSent(text: string, sent: Sent, retain: boolean): void {
    this.sent.set(text, sent);
    if (retain) this.retained.set(sent.topic, { acknowledged: 0, ...this.retained.get(sent.topic), sent: sent.number });
  }

  noteAcknowledged(text: string): void {
    this.acknowledged.add(text);
    const { topic, number } = this.sent.get(text) ?? assert.fail(text);
    const retained = this.retained.get(topic);
    if (retained) retained.acknowledged = Math.max(retained.acknowledged, number);
  }

  /** Nothing is under way any more: what was acknowledged must have arrived, and QoS 2 once. */
  settle(subscribers: readonly StorySubscriber[]): void {
    for (const { name, delivered, qos } of subscribers) {
      for (const text of this.acknowledged) if (!delivered.has(text)) this.break(`${name} never got ${text}`);
      for (const [text, times] of delivered) {
        const isOnce = qos === 2 && this.sent.get(text)?.qos === 2;
        if (isOnce && times > 1) this.break(`${name} got ${text} ${times} times at QoS 2`);
      }
    }
  }

  /** What a new subscriber found retained: between what was acknowledged last and what was sent last. */
  checkRetained(found: ReadonlyMap<string, number>): void {
    for (const [topic, { sent, acknowledged }] of this.retained) {
      const number = found.get(topic) ?? 0;
      if (number < acknowledged || number > sent)
        this.break(`${topic} retains number ${number}, acknowledged was ${acknowledged} of ${sent}`);
    }
  }
}

/** What it says, with a tail that shows whether it arrived whole. */
export function payloadOf(text: string, number: number): Buffer {
  return Buffer.from(`${text}|${'x'.repeat((number * 7_919) % paddingBytesMax)}`);
}

/** One connection. */
class Link {
  readonly #socket: net.Socket;
  readonly #version: ProtocolVersion;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(port: number, version: ProtocolVersion, onPacket: (packet: Packet) => void, onClose: () => void) {
    this.#version = version;
    this.#socket = net.connect({ host: '127.0.0.1', port, noDelay: true });
    this.#socket.on('error', () => {}); // 'close' follows.
    this.#socket.on('close', onClose);
    this.#socket.on('data', chunk => {
      this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
      const context = { version, packetBytesMax: mqttLimits.packetBytesMax, from: 'server' } as const;
      let position = 0;
      while (!this.#socket.destroyed) {
        const packet = decode(this.#bytes, position, this.#bytes.length, context);
        if (packet === undefined) break;
        assert(packet.type !== 'refusal', `The broker has sent what is not MQTT: ${JSON.stringify(packet)}`);
        position += packet.byteLength;
        onPacket(packet);
      }
      this.#bytes = this.#bytes.subarray(position);
    });
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed;
  }

  send(packet: Packet): void {
    if (this.isOpen) this.#socket.write(encode(packet, this.#version));
  }

  cut(): void {
    this.#socket.destroy();
  }
}

/** A client whose session is kept, and that comes back when it is told to. */
abstract class StoryClient {
  readonly name: string;
  readonly version: ProtocolVersion;
  protected readonly book: Book;
  protected link: Link | undefined;
  /** CONNACK has come on this connection. */
  protected isIn = false;
  /** The broker has acknowledged something that its session must know. */
  protected isKnown = false;
  #whenGone: (() => void)[] = [];
  #whenAnswered: (() => void)[] = [];

  constructor(name: string, version: ProtocolVersion, book: Book) {
    this.name = name;
    this.version = version;
    this.book = book;
  }

  connect(port: number): void {
    this.link?.cut();
    this.isIn = false;
    const link: Link = new Link(
      port,
      this.version,
      packet => {
        if (this.link === link) this.#hear(packet);
      },
      () => {
        if (this.link === link) this.#gone();
      },
    );
    this.link = link;
    link.send({
      type: 'connect',
      protocolVersion: this.version,
      clientId: this.name,
      cleanStart: false,
      keepAliveSeconds: 60,
      properties:
        this.version === 5
          ? { sessionExpiryIntervalSeconds: sessionExpirySeconds, ...this.connectProperties }
          : undefined,
    });
  }

  /** Resolves when it has no connection. */
  gone(): Promise<void> {
    if (!this.link) return Promise.resolve();
    return new Promise(resolve => this.#whenGone.push(resolve));
  }

  cut(): void {
    this.link?.cut();
  }

  /** Resolves when what the broker had to say before has been heard, or nothing more can be. */
  heard(): Promise<void> {
    if (!this.link) return Promise.resolve();
    this.link.send({ type: 'pingreq' });
    return new Promise(resolve => this.#whenAnswered.push(resolve));
  }

  #gone(): void {
    this.link = undefined;
    this.isIn = false;
    for (const resolve of [...this.#whenGone.splice(0), ...this.#whenAnswered.splice(0)]) resolve();
  }

  #hear(packet: Packet): void {
    if (packet.type === 'connack') {
      if (packet.reasonCode !== 0) return this.book.break(`${this.name} was refused with ${packet.reasonCode}`);
      if (!packet.sessionPresent && this.isKnown) this.book.break(`the session of ${this.name} was lost`);
      this.isIn = true;
      this.begin(packet);
    } else if (packet.type === 'pingresp') {
      this.#whenAnswered.shift()?.();
    } else if (packet.type === 'disconnect') {
      this.book.break(`${this.name} was disconnected with ${packet.reasonCode}`);
    } else {
      this.handle(packet);
    }
  }

  protected get connectProperties(): { receiveMaximum?: number; topicAliasMaximum?: number } {
    return {};
  }

  protected abstract begin(connack: ConnackPacket): void;
  protected abstract handle(packet: Packet): void;
}

export class StoryPublisher extends StoryClient {
  readonly #random: Random;
  readonly #backlog: () => number;
  /** What it owes, in the order it was sent: until PUBACK, or PUBREC and PUBCOMP. */
  readonly #owed = new Map<number, { text: string; qos: 1 | 2; retain: boolean; released: boolean }>();
  #nextNumber = 1;
  #nextPacketId = 1;
  /** It finishes what it owes and begins nothing new. */
  isEnding = false;

  constructor(name: string, version: ProtocolVersion, book: Book, random: Random, backlog: () => number) {
    super(name, version, book);
    this.#random = random;
    this.#backlog = backlog;
  }

  get owes(): number {
    return this.#owed.size;
  }

  /** What is not acknowledged goes out again, in its old order [MQTT5 4.4.0-1, 4.6.0-1]. */
  protected begin({ sessionPresent }: ConnackPacket): void {
    this.book.resent += this.#owed.size;
    for (const [packetId, { text, released }] of this.#owed) {
      if (released) this.link?.send({ type: 'pubrel', packetId, reasonCode: 0 });
      // Of a session that is not there nothing was stored; then it is a new message.
      else this.#send(packetId, text, sessionPresent);
    }
    this.publish();
  }

  /** As much as the window and the slowest subscriber allow. */
  publish(): void {
    while (this.isIn && this.link?.isOpen && !this.isEnding) {
      if (this.#owed.size >= inFlightMax || this.#backlog() >= backlogMax) return;
      const number = this.#nextNumber++;
      const text = `${this.name}/${number}`;
      const retain = this.#random.integer(4) === 0;
      const topicNumber = this.#random.integer(3);
      const topic = `${retain ? 'state' : 'load'}/${this.name}/${topicNumber}`;
      // What is retained is the newest only among messages of one QoS: an older one that is sent again at QoS 1 counts
      // again, a newer one at QoS 2 that is known does not.
      const either = this.#random.integer(2) === 0 ? 1 : 2;
      const qos = retain ? (topicNumber === 0 ? 1 : 2) : either;
      while (this.#owed.has(this.#nextPacketId)) this.#nextPacketId = (this.#nextPacketId % 200) + 1; // They come again soon.
      const packetId = this.#nextPacketId;
      this.#nextPacketId = (packetId % 200) + 1;
      this.#owed.set(packetId, { text, qos, retain, released: false });
      this.book.noteSent(text, { topic, qos, number }, retain);
      this.#send(packetId, text, false);
    }
  }

  #send(packetId: number, text: string, dup: boolean): void {
    const { topic, number } = this.book.sent.get(text) ?? assert.fail(text);
    const { qos, retain } = this.#owed.get(packetId) ?? assert.fail(text);
    this.link?.send({ type: 'publish', topic, payload: payloadOf(text, number), qos, retain, dup, packetId });
  }

  protected handle(packet: Packet): void {
    if (packet.type !== 'puback' && packet.type !== 'pubrec' && packet.type !== 'pubcomp')
      return this.book.break(`${this.name} got ${packet.type}`);
    const owed = this.#owed.get(packet.packetId);
    const fits = owed && (packet.type === 'puback' ? owed.qos === 1 : owed.qos === 2);
    if (!fits) return this.book.break(`${this.name} got ${packet.type} for nothing`);
    if (packet.reasonCode >= 0x80 && packet.type !== 'pubcomp')
      return this.book.break(`${owed.text} was refused with ${packet.reasonCode}`);
    if (packet.type === 'pubcomp') {
      if (!owed.released) this.book.break(`${owed.text} is complete without PUBREL`);
    } else if (!owed.released) {
      this.isKnown = true;
      this.book.noteAcknowledged(owed.text);
    }
    if (packet.type === 'pubrec') {
      owed.released = true;
      this.link?.send({ type: 'pubrel', packetId: packet.packetId, reasonCode: 0 });
    } else {
      this.#owed.delete(packet.packetId);
    }
    this.publish();
  }
}

export interface SubscriberOptions {
  readonly qos: 1 | 2;
  readonly receiveMaximum?: number;
  readonly topicAliasMaximum?: number;
}

export class StorySubscriber extends StoryClient {
  readonly qos: 1 | 2;
  /** How often its application was given each message. */
  readonly delivered = new Map<string, number>();
  /** Duplicates that the protocol let it recognize. */
  recognized = 0;
  readonly #options: SubscriberOptions;
  readonly #random: Random;
  /** By topic and QoS: the newest number among first deliveries. */
  readonly #newest = new Map<string, number>();
  /** QoS 2 packet ids that are received and not released, and what they stood for. */
  readonly #held = new Map<number, string>();
  #aliases = new Map<number, string>();
  /** Answers that wait for their time, in their order [MQTT5 4.6.0-2, 4.6.0-3]. */
  #answers: Packet[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(name: string, version: ProtocolVersion, book: Book, random: Random, options: SubscriberOptions) {
    super(name, version, book);
    this.qos = options.qos;
    this.#options = options;
    this.#random = random;
  }

  protected override get connectProperties() {
    const { receiveMaximum, topicAliasMaximum } = this.#options;
    return { ...(receiveMaximum && { receiveMaximum }), ...(topicAliasMaximum && { topicAliasMaximum }) };
  }

  /** Whether its subscriptions are granted. */
  get isSubscribed(): boolean {
    return this.isKnown;
  }

  protected begin(): void {
    this.#aliases = new Map();
    this.#answers = []; // Of another connection.
    if (!this.isKnown) this.#subscribe();
  }

  #subscribe(): void {
    const how = { qos: this.qos, noLocal: false, retainAsPublished: false, retainHandling: 0 } as const;
    const subscriptions = ['load/#', 'state/#'].map(topicFilter => ({ topicFilter, ...how }));
    this.link?.send({ type: 'subscribe', packetId: 1, subscriptions });
  }

  protected handle(packet: Packet): void {
    if (packet.type === 'suback') {
      this.isKnown = true;
      return;
    }
    if (packet.type === 'pubrel') {
      const wasHeld = this.#held.delete(packet.packetId);
      const reasonCode = wasHeld || this.version === 4 ? 0 : 0x92; // [MQTT5 4.3.3-11]
      return this.#answerLater({ type: 'pubcomp', packetId: packet.packetId, reasonCode });
    }
    if (packet.type !== 'publish') return this.book.break(`${this.name} got ${packet.type}`);
    const { qos, packetId } = packet;
    const text = this.#textOf(packet);
    if (qos === 0 || text === undefined) return;
    if (qos === 1) this.#deliver(text, qos);
    else this.#receive(packetId, text);
    this.#answerLater({ type: qos === 1 ? 'puback' : 'pubrec', packetId, reasonCode: 0 });
  }

  /** QoS 2: the application is given it when it is new [MQTT5 4.3.3-10]. */
  #receive(packetId: number, text: string): void {
    const held = this.#held.get(packetId);
    if (held === undefined) this.#deliver(text, 2);
    else if (held === text) this.recognized++;
    else this.book.break(`${this.name} got ${text} under the packet id of ${held}`);
    this.#held.set(packetId, text);
  }

  /** What the message says, when it is the one that was sent. */
  #textOf({ topic, payload, properties, qos }: PublishPacket): string | undefined {
    const alias = properties?.topicAlias;
    if (alias !== undefined && topic !== '') this.#aliases.set(alias, topic);
    const actual = topic === '' && alias !== undefined ? this.#aliases.get(alias) : topic;
    const said = Buffer.from(payload).toString();
    const text = said.slice(0, said.indexOf('|'));
    const sent = this.book.sent.get(text);
    const expectedQoS: QoS | undefined = sent && (sent.qos < this.qos ? sent.qos : this.qos);
    if (sent && sent.topic === actual && payloadOf(text, sent.number).equals(payload) && qos === expectedQoS)
      return text;
    this.book.break(`${this.name} got what was never sent: ${text.slice(0, 50)} on ${actual} at ${qos}`);
    return undefined;
  }

  #deliver(text: string, qos: QoS): void {
    const times = this.delivered.get(text) ?? 0;
    this.delivered.set(text, times + 1);
    if (times > 0) return;
    const { topic, number, qos: sentQoS } = this.book.sent.get(text) ?? assert.fail(text);
    const key = `${sentQoS} ${qos} ${topic}`;
    const newest = this.#newest.get(key) ?? 0;
    if (number < newest) this.book.break(`${this.name} got number ${number} of ${topic} behind ${newest}`);
    this.#newest.set(key, Math.max(newest, number));
  }

  #answerLater(packet: Packet): void {
    this.#answers.push(packet);
    this.#timer ??= setTimeout(() => this.#answer(), this.#random.integer(ackDelayMsMax));
  }

  #answer(): void {
    this.#timer = undefined;
    const count = 1 + this.#random.integer(this.#answers.length);
    for (const packet of this.#answers.splice(0, count)) this.link?.send(packet);
    if (this.#answers.length > 0) this.#timer = setTimeout(() => this.#answer(), this.#random.integer(ackDelayMsMax));
  }
}

/** What a new client finds retained: by topic, the number of the message. */
export function readRetained(port: number): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  return new Promise((resolve, reject) => {
    const link: Link = new Link(
      port,
      5,
      packet => {
        if (packet.type === 'connack') {
          const how = { qos: 0, noLocal: false, retainAsPublished: false, retainHandling: 0 } as const;
          link.send({ type: 'subscribe', packetId: 1, subscriptions: [{ topicFilter: 'state/#', ...how }] });
        } else if (packet.type === 'suback') {
          link.send({ type: 'pingreq' }); // Answered behind them, for they are few enough to go out at once.
        } else if (packet.type === 'publish' && packet.retain) {
          const said = Buffer.from(packet.payload).toString();
          found.set(packet.topic, Number(said.slice(said.indexOf('/') + 1, said.indexOf('|'))));
        } else if (packet.type === 'pingresp') {
          resolve(found);
          link.cut();
        }
      },
      () => reject(new Error('The broker was gone before everything retained was read.')),
    );
    link.send({
      type: 'connect',
      protocolVersion: 5,
      clientId: 'retained-reader',
      cleanStart: true,
      keepAliveSeconds: 60,
    });
  });
}
