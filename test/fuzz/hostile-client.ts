import { decode } from '../../src/iot/mqtt/decode.ts';
import { testPolicy } from '../../src/iot/mqtt/gateway-world.ts';
import type {
  AckPacket,
  ConnectPacket,
  Packet,
  ProtocolVersion,
  PublishPacket,
  Received,
} from '../../src/iot/mqtt/packets.ts';
import { reasonCodes } from '../../src/iot/mqtt/packets.ts';
import { matches } from '../../src/iot/mqtt/topics.ts';
import { thingOfClient } from '../../src/iot/things/index.ts';
import type { Socket } from '../../src/kernel/sockets.ts';
import { Broken } from './packet-oracles.ts';

/** What a client may be sent of each kind: no more answers than it asked questions. */
const answersTo = { puback: 1, pubrec: 2, pubcomp: 3, suback: 4, unsuback: 5, pingresp: 6 } as const;
type Answer = keyof typeof answersTo;

/**
 * A client that sends whatever the script says, and holds the gateway to the protocol whatever that was: what comes
 * back must be MQTT of its version, in order, within the limits it named, and of topics it may see. It reads its own
 * bytes as a gateway would, to know what it asked for.
 */
export class HostileClient {
  readonly socket: Socket;
  isClosed = false;
  isPaused = false;
  /** Messages not acknowledged yet, oldest first. */
  readonly unanswered: PublishPacket[] = [];
  readonly #sent: SentBytes;
  /** Acknowledged before they came: whether the gateway still has them in flight cannot be told from here. */
  readonly #early = new Set<number>();
  #rest: Buffer = Buffer.alloc(0);
  #received = 0;
  #isOver = false;
  readonly #answers = new Map<Answer, number>();
  readonly #aliases = new Map<number, string>();

  constructor(socket: Socket) {
    this.socket = socket;
    this.#sent = new SentBytes(packet => this.#acknowledged(packet));
    socket.start({
      data: bytes => this.#receive(bytes),
      drain: () => {},
      close: () => {
        this.isClosed = true;
      },
    });
  }

  /** The gateway has been sent what it must end the connection for, and does not let it wait for a take-over. */
  get mustBeEnded(): boolean {
    return this.#sent.isMalformed && (this.#received > 0 || !this.#sent.connect);
  }

  /** Which version an acknowledgement goes in. */
  get version(): ProtocolVersion {
    return this.#sent.connect?.protocolVersion ?? 5;
  }

  send(bytes: Buffer): void {
    this.#sent.note(bytes);
    this.socket.write(bytes);
  }

  #receive(chunk: Buffer): void {
    const bytes = Buffer.concat([this.#rest, chunk]);
    let position = 0;
    for (;;) {
      const context = { version: this.#sent.answerVersion, packetBytesMax: 10_000_000, from: 'server' } as const;
      const packet = decode(bytes, position, bytes.length, context);
      if (packet === undefined) break;
      if (packet.type === 'refusal') throw new Broken('the gateway speaks MQTT', packet);
      position += packet.byteLength;
      this.#judge(packet);
      this.#received++;
    }
    this.#rest = bytes.subarray(position);
  }

  #judge(packet: Packet & Received): void {
    if (this.#isOver) throw new Broken('nothing comes behind a refusal or DISCONNECT', packet);
    const isFirst = this.#received === 0;
    if (isFirst !== (packet.type === 'connack')) throw new Broken('CONNACK comes first, and once', packet);
    const { maximumPacketSizeBytes = Number.POSITIVE_INFINITY } = this.#sent.connect?.properties ?? {};
    if (packet.byteLength > maximumPacketSizeBytes) throw new Broken('no packet is over the maximum of 5', packet);
    if (packet.type === 'disconnect' || (packet.type === 'connack' && packet.reasonCode !== 0)) this.#isOver = true;
    if (packet.type === 'publish') this.#judgeMessage(packet);
    if (packet.type in answersTo) this.#judgeAnswer(packet.type as Answer); // Looked up in the line itself.
  }

  #judgeAnswer(type: Answer): void {
    const count = (this.#answers.get(type) ?? 0) + 1;
    this.#answers.set(type, count);
    if (count > this.#sent.asked(type)) throw new Broken('there is no answer without a question', type);
  }

  #judgeMessage(packet: PublishPacket): void {
    const { connect } = this.#sent;
    if (!connect) throw new Broken('nobody is sent messages before CONNECT', packet);
    const thingName = thingOfClient(connect.clientId);
    const topic = this.#topicOf(packet, connect);
    const allowed = testPolicy.subscribe.map(filter => filter.replace('{thing}', thingName));
    if (!allowed.some(filter => matches(filter, topic))) throw new Broken('nobody sees topics of others', topic);
    if (packet.qos === 0 || this.#early.delete(packet.packetId)) return;
    if (this.unanswered.some(({ packetId }) => packetId === packet.packetId)) {
      throw new Broken('no packet id is used twice at once', packet.packetId);
    }
    this.unanswered.push(packet);
    const receiveMaximum = connect.properties?.receiveMaximum ?? 0xffff;
    if (this.unanswered.length > receiveMaximum) throw new Broken('the Receive Maximum is kept', receiveMaximum);
  }

  #topicOf({ topic, properties }: PublishPacket, connect: ConnectPacket): string {
    const alias = properties?.topicAlias;
    if (alias === undefined) return topic;
    if (alias > (connect.properties?.topicAliasMaximum ?? 0)) throw new Broken('aliases are within the maximum', alias);
    if (topic !== '') this.#aliases.set(alias, topic);
    const known = this.#aliases.get(alias);
    if (known === undefined) throw new Broken('an alias has a topic', alias);
    return known;
  }

  #acknowledged(packet: Packet): void {
    if (!isAck(packet)) return;
    const { type, packetId } = packet;
    const at = this.unanswered.findIndex(message => message.packetId === packetId);
    if (at < 0) {
      this.#early.add(packetId);
      return;
    }
    const isRefusal = type === 'pubrec' && packet.reasonCode >= 0x80;
    const settles = type === 'puback' ? 1 : type === 'pubcomp' || isRefusal ? 2 : undefined;
    if (this.unanswered[at].qos === settles) this.unanswered.splice(at, 1);
  }
}

function isAck(packet: Packet): packet is AckPacket {
  return packet.type === 'puback' || packet.type === 'pubrec' || packet.type === 'pubcomp';
}

/** What a client has sent, as a gateway that takes everything would read it. */
class SentBytes {
  connect: ConnectPacket | undefined;
  isMalformed = false;
  /** Of what the gateway says. */
  answerVersion: ProtocolVersion = 5;
  readonly #onPacket: (packet: Packet) => void;
  readonly #counts = new Map<string, number>();
  #rest: Buffer = Buffer.alloc(0);

  constructor(onPacket: (packet: Packet) => void) {
    this.#onPacket = onPacket;
  }

  /** How many questions there were that this answers. */
  asked(answer: Answer): number {
    const question = {
      puback: 'qos1',
      pubrec: 'qos2',
      pubcomp: 'pubrel',
      suback: 'subscribe',
      unsuback: 'unsubscribe',
    };
    return this.#counts.get(answer === 'pingresp' ? 'pingreq' : question[answer]) ?? 0;
  }

  note(chunk: Buffer): void {
    if (this.isMalformed) return;
    const bytes = Buffer.concat([this.#rest, chunk]);
    let position = 0;
    while (!this.isMalformed) {
      const version = this.connect?.protocolVersion ?? 0;
      const packetBytesMax = 256 * 1024;
      const packet = decode(bytes, position, bytes.length, { version, packetBytesMax, from: 'client' });
      if (packet === undefined) break;
      if (packet.type === 'refusal') {
        this.isMalformed = true;
        const isOlder = packet.reasonCode === reasonCodes.unsupportedProtocolVersion;
        if (!this.connect) this.answerVersion = packet.protocolVersion ?? (isOlder ? 4 : 5);
        break;
      }
      position += packet.byteLength;
      this.#take(packet);
    }
    this.#rest = bytes.subarray(position);
  }

  #take(packet: Packet): void {
    if (packet.type === 'connect') {
      if (this.connect)
        this.isMalformed = true; // [MQTT5 3.1.0-2]
      else this.answerVersion = packet.protocolVersion;
      this.connect ??= packet;
    }
    const kind = packet.type === 'publish' ? `qos${packet.qos}` : packet.type;
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
    this.#onPacket(packet);
  }
}
