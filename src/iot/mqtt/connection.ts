import assert from 'node:assert/strict';
import { messageOf } from '../../kernel/errors.ts';
import type { Socket } from '../../kernel/sockets.ts';
import type { Identity } from '../access/port.ts';
import type { AckTarget } from '../rules/index.ts';
import type { Delivery, Message } from './client-state.ts';
import { type ConnectOutcome, inWordsOf, judgeConnect, refusalProperties } from './connect.ts';
import { type DecodeContext, decode } from './decode.ts';
import { encode } from './encode.ts';
import { packetTypes } from './fixed-header.ts';
import type { GatewayCore } from './gateway.ts';
import { Inbound } from './inbound.ts';
import type { DisconnectReason } from './lifecycle.ts';
import { mqttLimits } from './limits.ts';
import { Outbox } from './outbox.ts';
import {
  type AckPacket,
  type ConnectPacket,
  type DisconnectPacket,
  type Packet,
  type ProtocolVersion,
  type Received,
  type Refusal,
  reasonCodes,
  type Will,
} from './packets.ts';
import { PartialPacket } from './partial-packet.ts';
import { answerOf, handlePublish, handlePubrel, type PublishAnswer } from './publishing.ts';
import { isReasonCode } from './reason-code-rules.ts';
import { reasonStringOf } from './reason-texts.ts';
import type { Session, SessionLink } from './session.ts';
import { handleSubscribe, handleUnsubscribe } from './subscribing.ts';

/** What MQTT 5 says when the server ends a connection, and what the lifecycle event calls it. */
export interface Ending {
  readonly reasonCode: number;
  readonly disconnectReason: DisconnectReason;
}

export const endings = {
  keepAlive: { reasonCode: reasonCodes.keepAliveTimeout, disconnectReason: 'MQTT_KEEP_ALIVE_TIMEOUT' },
  takenOver: { reasonCode: reasonCodes.sessionTakenOver, disconnectReason: 'DUPLICATE_CLIENTID' },
  evicted: { reasonCode: reasonCodes.administrativeAction, disconnectReason: 'SERVER_INITIATED_DISCONNECT' },
  shuttingDown: { reasonCode: reasonCodes.serverShuttingDown, disconnectReason: 'SERVER_INITIATED_DISCONNECT' },
  tooSlow: { reasonCode: reasonCodes.quotaExceeded, disconnectReason: 'SERVER_INITIATED_DISCONNECT' },
  notStored: { reasonCode: reasonCodes.quotaExceeded, disconnectReason: 'SERVER_INITIATED_DISCONNECT' },
  notAuthorized: { reasonCode: reasonCodes.notAuthorized, disconnectReason: 'FORBIDDEN_ACCESS' },
  throttled: { reasonCode: reasonCodes.messageRateTooHigh, disconnectReason: 'THROTTLED' },
  failed: { reasonCode: reasonCodes.unspecifiedError, disconnectReason: 'SERVER_ERROR' },
} as const satisfies Record<string, Ending>;

export function clientError(reasonCode: number): Ending {
  return { reasonCode, disconnectReason: 'CLIENT_ERROR' };
}

/** The same in both versions, and what a flood of PINGREQ asks for. */
const pingresp = encode({ type: 'pingresp' }, 5);
const nothing = Buffer.alloc(0);

/** Why what has arrived is not read further for now: `soon` has a wake-up under way, the others wait for theirs. */
type Hold = 'no' | 'window' | 'room' | 'soon' | 'admission' | 'forEver';

/**
 * One client on one socket: bytes in, packets handled in order, answers gathered and written once per turn. What is
 * called from outside never throws: an error of ours costs this connection, not the process (hostile R03).
 */
export class Connection implements SessionLink, AckTarget {
  readonly core: GatewayCore;
  readonly #socket: Socket;
  readonly #outbox: Outbox;
  readonly #openedAtMs: number;
  #version: ProtocolVersion | 0 = 0;
  #partial: PartialPacket | undefined;
  #held: Hold = 'no';
  #turn = 0;
  #packetsThisTurn = 0;
  #session: Session | undefined;
  #inbound: Inbound | undefined;
  #keepAliveMs = 0;
  #lastHeardMs: number;
  #closed = false;
  #dirty = false;
  #packetBytesToClientMax = Number.POSITIVE_INFINITY;
  /** Whether the client wants to be told why in packets other than CONNACK and DISCONNECT [MQTT5 3.1.2-29]. */
  #wantsReasons = true;
  /** Topics that have an alias towards the client, and how many it takes. */
  #aliases: Map<string, number> | undefined;
  #aliasesMax = 0;
  receiveMaximum = 0;

  constructor(core: GatewayCore, socket: Socket) {
    this.core = core;
    this.#socket = socket;
    this.#outbox = new Outbox(socket, core.limits);
    this.#lastHeardMs = core.clock.monotonicMs();
    this.#openedAtMs = this.#lastHeardMs - (socket.handshakeMs ?? 0); // TLS and HTTP count as connecting (hostile S12).
    socket.start(this);
  }

  get hasRoom(): boolean {
    return this.#outbox.waitingBytes < this.core.limits.bufferedBytesMax;
  }

  get clientId(): string | undefined {
    return this.#session?.clientId;
  }

  get version(): ProtocolVersion {
    return this.#version === 4 ? 4 : 5;
  }

  /** Of an open connection. */
  get session(): Session {
    assert(this.#session); // Nothing is handled for a client that was not let in.
    return this.#session;
  }

  get identity(): Identity {
    return this.session.identity;
  }

  get inbound(): Inbound {
    this.#inbound ??= new Inbound(this.core.limits, this.core.clock.monotonicMs());
    return this.#inbound;
  }

  // --- Bytes in ---------------------------------------------------------------------------------------------------

  /** Called by the socket. */
  data(chunk: Buffer): void {
    if (this.#closed) return;
    try {
      this.#lastHeardMs = this.core.clock.monotonicMs();
      this.core.beginTurn();
      const bytes = this.#partial ? this.#partial.join(chunk) : chunk;
      if (this.#held === 'no') this.#handleAll(bytes);
      else this.#partial ??= new PartialPacket(bytes, 0); // Arrived before the socket knew that it is paused.
    } catch (error) {
      this.#fail(error);
    }
    this.core.flush();
  }

  #handleAll(bytes: Buffer): void {
    let position = 0;
    let context = this.#decodeContext();
    // Nothing behind a refused CONNECT is handled, nor behind any other end [MQTT311 3.1.4-5] [MQTT5 3.1.4-6].
    while (position < bytes.length && !this.#closed && !this.#mustHold()) {
      const packet = decode(bytes, position, bytes.length, context);
      if (packet === undefined) break;
      if (packet.type === 'refusal') {
        this.#refuseBytes(packet);
        break;
      }
      position += packet.byteLength;
      this.#packetsThisTurn++;
      this.#handle(packet);
      if (packet.type === 'connect') context = this.#decodeContext();
    }
    if (this.#closed || position === bytes.length) this.#partial = undefined;
    else if (position > 0 || !this.#partial) this.#partial = new PartialPacket(bytes, position);
  }

  #decodeContext(): DecodeContext {
    const { packetBytesMax, packetBytesBeforeConnectMax } = mqttLimits;
    return {
      version: this.#version,
      packetBytesMax: this.#session ? packetBytesMax : packetBytesBeforeConnectMax,
      from: 'client',
    };
  }

  /** Asked before each packet: whether the next one must wait, and if so sees to it that it is taken up again. */
  #mustHold(): boolean {
    if (this.#held !== 'no') return true;
    const { clock, ingest, turn, limits } = this.core;
    if (this.#turn !== turn) {
      this.#turn = turn;
      this.#packetsThisTurn = 0;
    }
    if (ingest.isSaturated) {
      this.#hold('soon'); // The disk is behind: this sender waits until the next group has gone out.
      ingest.onceDrained(() => clock.soon(() => this.#proceed()));
    } else if (this.#packetsThisTurn >= limits.packetsPerTurnMax) {
      this.#hold('soon');
      clock.soon(() => this.#proceed());
    } else if (this.#inbound && this.#inbound.unanswered >= limits.unacknowledgedMax) {
      // Slowing down does for both versions what a small Receive Maximum does for those clients of 5 that heed it.
      this.#hold('window');
    } else if (this.#outbox.waitingBytes >= limits.bufferedAnswersBytesMax) {
      this.#hold('room');
    }
    return this.#held !== 'no';
  }

  #hold(why: Exclude<Hold, 'no'>): void {
    this.#held = why;
    this.#socket.pause();
  }

  /** Reads no further for so long: the client is faster than it may be. */
  slowDown(ms: number): void {
    if (this.#held !== 'no') return;
    this.#hold('soon');
    this.core.clock.setTimer(ms, () => this.#proceed());
  }

  #proceed(): void {
    if (this.#closed || this.#held === 'no' || this.#held === 'forEver') return;
    try {
      this.#held = 'no';
      this.#lastHeardMs = this.core.clock.monotonicMs(); // The silence was ours.
      this.core.beginTurn();
      this.#handleAll(this.#partial?.bytes ?? nothing);
      // The assignment above is what the type remembers; handling may have changed it.
      if ((this.#held as Hold) === 'no' && !this.#closed) this.#socket.resume();
    } catch (error) {
      this.#fail(error);
    }
    this.core.flush();
  }

  /** A flat switch. */
  #handle(packet: Packet & Received): void {
    if (!this.#session) {
      // Only here, so that no connection gets a second CONNACK [MQTT5 3.2.0-2].
      if (packet.type === 'connect') this.#connect(packet);
      else this.#close(); // [MQTT311 3.1.0-1] [MQTT5 3.1.0-1] The decoder lets nothing else through before CONNECT.
      return;
    }
    switch (packet.type) {
      case 'publish':
        return handlePublish(this, packet);
      case 'puback':
        return this.#acknowledged(packet);
      case 'pubrec':
        return this.#received(packet);
      case 'pubrel':
        return handlePubrel(this, packet.packetId);
      case 'pubcomp':
        return this.#completed(packet);
      case 'pingreq':
        return this.say(pingresp); // [MQTT311 3.12.4-1] [MQTT5 3.12.4-1]
      case 'subscribe':
        return handleSubscribe(this, packet);
      case 'unsubscribe':
        return handleUnsubscribe(this, packet);
      case 'disconnect':
        return this.#disconnect(packet);
      default:
        // A second CONNECT [MQTT311 3.1.0-2, 4.8.0-1] [MQTT5 3.1.0-2], AUTH without a method [MQTT5 4.12.0-6].
        return this.end(clientError(reasonCodes.protocolError));
    }
  }

  /**
   * Bytes that break the rules end the connection [MQTT311 4.8.0-1] [MQTT5 4.13.1-1]. Before the session is open a
   * refusal is a CONNACK where one can say it, else silence [MQTT311 3.1.4-1, 3.2.2-6].
   */
  #refuseBytes({ reasonCode, message, protocolVersion }: Refusal): void {
    this.core.counts.add('mqtt.refused.packet');
    this.core.log.warn({ clientId: this.clientId, reasonCode }, message);
    // What only a CONNACK can say is a second CONNECT here, and that a protocol error [MQTT5 3.1.0-2].
    const isSayable = isReasonCode(reasonCode, packetTypes.disconnect, 5, 'server');
    if (this.#session) return this.end(clientError(isSayable ? reasonCode : reasonCodes.protocolError));
    if (reasonCode === reasonCodes.unsupportedProtocolVersion) {
      this.say(encode({ type: 'connack', sessionPresent: false, reasonCode: 1 }, 4)); // [MQTT311 3.1.2-2]
    } else if (protocolVersion === 5 && isReasonCode(reasonCode, packetTypes.connack, 5)) {
      const properties = refusalProperties(5, reasonCode);
      this.say(encode({ type: 'connack', sessionPresent: false, reasonCode, properties }, 5)); // [MQTT5 3.1.4-1]
    } else if (protocolVersion === 4 && reasonCode === reasonCodes.clientIdentifierNotValid) {
      this.say(encode({ type: 'connack', sessionPresent: false, reasonCode: 2 }, 4)); // [MQTT311 3.1.3-9]
    }
    this.#close();
  }

  // --- CONNECT ----------------------------------------------------------------------------------------------------

  #connect(packet: ConnectPacket): void {
    this.#version = packet.protocolVersion;
    this.#packetBytesToClientMax = packet.properties?.maximumPacketSizeBytes ?? Number.POSITIVE_INFINITY;
    const busy = this.core.refusalOfConnect(packet.clientId);
    if (busy !== undefined) return this.#refuseConnect(packet, { accepted: false, reasonCode: busy });
    const owned = { ...packet, will: packet.will && ownWill(packet.will), password: ownBytes(packet.password) };
    this.#judgeConnect(owned, outcome => this.#settleConnect(owned, outcome));
  }

  #judgeConnect(packet: ConnectPacket, settle: (outcome: ConnectOutcome) => void): void {
    const { remoteAddress, certificate } = this.#socket;
    const outcome = judgeConnect(packet, { remoteAddress, certificate }, this.core);
    if (!(outcome instanceof Promise)) return settle(outcome);
    // What the client sends meanwhile waits, within the bytes the socket takes (hostile W05).
    this.#hold('admission');
    outcome.then(
      settled => this.#resumeConnect(settled, settle),
      error => this.#fail(error),
    );
  }

  #resumeConnect(outcome: ConnectOutcome, settle: (outcome: ConnectOutcome) => void): void {
    if (this.#closed) return;
    try {
      settle(outcome);
    } catch (error) {
      this.#fail(error);
    }
    // Whoever was let in and has to wait for a take-over is taken up by that wait.
    if (this.#held === 'admission') this.#proceed();
    this.core.flush();
  }

  #settleConnect(packet: ConnectPacket, outcome: ConnectOutcome): void {
    if (!outcome.accepted) return this.#refuseConnect(packet, outcome);
    const { clock, takeovers, broker } = this.core;
    const waitMs = takeovers.waitMs(outcome.identity, this.#socket.remoteAddress, clock.monotonicMs());
    if (waitMs === 0 || !broker.connectionOf(outcome.identity.clientId)) return this.#accept(packet, outcome);
    if (this.#held === 'no') this.#socket.pause();
    this.#held = 'soon';
    takeovers.wait(outcome.identity, this.#socket.remoteAddress, this);
    clock.setTimer(waitMs, () => {
      takeovers.stopWaiting(outcome.identity, this.#socket.remoteAddress, this);
      this.#judgeAgain(packet);
    });
  }

  /** A newer connection waits for the same session: this one need not (hostile S01). */
  overtaken(): void {
    this.#close();
  }

  /** The rules may have changed while it waited (hostile A08). */
  #judgeAgain(packet: ConnectPacket): void {
    if (this.#closed) return;
    try {
      this.#judgeConnect(packet, outcome => {
        if (outcome.accepted) this.#accept(packet, outcome);
        else this.#refuseConnect(packet, outcome);
      });
    } catch (error) {
      this.#fail(error);
    }
    if (this.#held === 'soon') this.#proceed();
    this.core.flush();
  }

  #refuseConnect(packet: ConnectPacket, { reasonCode, identity }: Extract<ConnectOutcome, { accepted: false }>): void {
    this.core.counts.add('mqtt.refused.connect');
    this.core.log.warn(
      { clientId: packet.clientId.slice(0, loggedCharactersMax), reasonCode },
      'A connection was refused.',
    );
    if (identity) this.core.connectFailed(identity);
    this.send({
      type: 'connack',
      sessionPresent: false, // [MQTT311 3.2.2-4] [MQTT5 3.2.2-6]
      reasonCode: inWordsOf(packet.protocolVersion, reasonCode),
      properties: refusalProperties(packet.protocolVersion, reasonCode),
    });
    this.#close(); // [MQTT311 3.2.2-5] [MQTT5 3.1.3-8, 3.1.4-2, 3.2.2-7]
  }

  #accept(packet: ConnectPacket, outcome: Extract<ConnectOutcome, { accepted: true }>): void {
    const { core } = this;
    const { identity, expirySeconds } = outcome;
    const { properties } = packet;
    this.#keepAliveMs = outcome.keepAliveSeconds * 1_000;
    this.receiveMaximum = Math.min(properties?.receiveMaximum ?? core.limits.inflightMax, core.limits.inflightMax);
    this.#wantsReasons = properties?.requestProblemInformation !== 0;
    this.#aliasesMax = Math.min(properties?.topicAliasMaximum ?? 0, core.limits.topicAliasesToClientMax);
    const { remoteAddress } = this.#socket;
    const takesOver = core.broker.connectionOf(identity.clientId) !== undefined;
    if (takesOver) core.takeovers.note(identity, remoteAddress, core.clock.monotonicMs());
    const { session, sessionPresent } = core.broker.attach(this, {
      identity,
      protocolVersion: packet.protocolVersion,
      cleanStart: packet.cleanStart,
      expirySeconds,
      will: packet.will,
      remoteAddress,
    });
    this.#session = session;
    core.counts.add('mqtt.connected');
    // [MQTT311 3.1.4-4] [MQTT5 3.1.4-5]; what waits for the client comes behind it [MQTT311 3.2.0-1] [MQTT5 3.2.0-1].
    this.send({ type: 'connack', sessionPresent, reasonCode: 0, properties: outcome.properties });
    if (sessionPresent) session.resume(core.nowMs());
  }

  // --- What the client says of what it was sent -------------------------------------------------------------------

  #acknowledged({ packetId }: AckPacket): void {
    if (!this.session.acknowledge(packetId, this.core.nowMs())) this.core.counts.add('mqtt.ignored.unknownPuback');
  }

  /**
   * PUBREC: PUBREL follows once it is stored that the client has the message [MQTT311 4.3.3-1] [MQTT5 4.3.3-4], in the
   * order of the PUBRECs [MQTT311 4.6.0-6] and with the packet id they came with [MQTT311 2.3.1-6] [MQTT5 2.2.1-5].
   */
  #received({ packetId, reasonCode }: AckPacket): void {
    const fate = this.session.receipt(packetId, reasonCode >= 0x80, this.core.nowMs());
    if (fate === 'settled') return;
    if (fate === 'unknown') this.core.counts.add('mqtt.ignored.unknownPubrec');
    const code = fate === 'unknown' && this.#version === 5 ? reasonCodes.packetIdentifierNotFound : reasonCodes.success;
    this.core.ingest.answerInOrder(this, packetId, answerOf('pubrel', code));
  }

  #completed({ packetId }: AckPacket): void {
    if (!this.session.complete(packetId, this.core.nowMs())) this.core.counts.add('mqtt.ignored.unknownPubcomp');
  }

  // --- What the client is told of what it has sent ----------------------------------------------------------------

  /**
   * What was waited for is stored, or never had to be. The answer has the packet id of what it answers
   * [MQTT311 2.3.1-6, 4.3.2-2] [MQTT5 2.2.1-5, 4.3.2-4, 4.3.3-8].
   */
  acknowledge(packetId: number, answer: PublishAnswer): void {
    if (this.#closed) return; // Nobody is left to tell; the client sends it again [MQTT5 4.4.0-1].
    try {
      const type = ackTypes[answer >>> 8];
      let reasonCode = answer & 0xff;
      if (type === 'puback' || type === 'pubrec') this.#answered();
      if (type === 'pubrec' && reasonCode === reasonCodes.success && !this.session.received?.has(packetId)) {
        // Sent again while the first one was on its way to the disk, which has refused it since.
        if (this.#version === 4) return this.end(endings.notStored);
        reasonCode = reasonCodes.quotaExceeded;
      }
      if (reasonCode === reasonCodes.success) {
        this.#outbox.pushAck(type, packetId);
        this.#markDirty();
      } else {
        this.send({ type, packetId, reasonCode, properties: this.reasonFor(reasonCode) });
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  refuse(packetId: number, _code: string, answer: PublishAnswer): void {
    if (ackTypes[answer >>> 8] === 'pubrec') this.#session?.forgetReceived(packetId); // Also for the next connection.
    if (this.#closed) return; // Nobody is left to tell; the client sends it again [MQTT5 4.4.0-1].
    try {
      const type = ackTypes[answer >>> 8];
      if (type === 'puback' || type === 'pubrec') this.#answered();
      const canSay = this.#version === 5 && (type === 'puback' || type === 'pubrec');
      // Without an acknowledgement the client sends it again, and 3.1.1 has no word for a refusal [MQTT311 4.8.0-2].
      if (!canSay) return this.end(endings.notStored);
      const reasonCode = reasonCodes.quotaExceeded;
      this.send({ type, packetId, reasonCode, properties: this.reasonFor(reasonCode) });
    } catch (error) {
      this.#fail(error);
    }
  }

  #answered(): void {
    const { inbound } = this;
    inbound.unanswered--;
    assert(inbound.unanswered >= 0); // Each publish is answered once.
    if (this.#held !== 'window') return;
    this.#held = 'soon'; // Not from here: more answers of the same group follow.
    this.core.clock.soon(() => this.#proceed());
  }

  #disconnect(packet: DisconnectPacket): void {
    const { session } = this;
    const expirySeconds = packet.properties?.sessionExpiryIntervalSeconds;
    if (expirySeconds !== undefined) {
      // What CONNECT said, since nothing else changes it before this [MQTT5 3.14.2-2].
      if (session.expirySeconds === 0 && expirySeconds > 0) return this.end(clientError(reasonCodes.protocolError));
      this.core.broker.setExpiry(session, Math.min(expirySeconds, this.core.limits.sessionExpirySecondsMax));
    }
    this.flush();
    // Any reason but success publishes the will [MQTT311 3.14.4-3] [MQTT5 3.1.2-10, 3.14.4-3].
    this.#ended('CLIENT_INITIATED_DISCONNECT', packet.reasonCode !== reasonCodes.success);
    this.#socket.end();
  }

  // --- Out --------------------------------------------------------------------------------------------------------

  /** A reason to go with a negative answer, where the client wants one. */
  reasonFor(reasonCode: number): { reasonString: string } | undefined {
    return this.#version === 5 && this.#wantsReasons ? reasonStringOf(reasonCode) : undefined;
  }

  /**
   * What is said here has no user properties, so that none of it is too large by them
   * [MQTT5 3.2.2-20, 3.4.2-3, 3.5.2-3, 3.6.2-3, 3.7.2-3, 3.9.2-2, 3.11.2-2, 3.14.2-4].
   */
  send(packet: Packet): void {
    if (this.#closed) return;
    assert(this.#version !== 0);
    const bytes = encode(packet, this.#version);
    const isTooLarge = bytes.length > this.#packetBytesToClientMax;
    // A text that does not fit is left out
    // [MQTT5 3.2.2-19, 3.4.2-2, 3.5.2-2, 3.6.2-2, 3.7.2-2, 3.9.2-1, 3.11.2-1, 3.14.2-3].
    if (isTooLarge && 'properties' in packet && packet.properties && 'reasonString' in packet.properties) {
      const { reasonString: _, ...properties } = packet.properties;
      this.say(encode({ ...packet, properties } as Packet, this.#version)); // The same packet with one property less.
    } else {
      this.say(bytes);
    }
  }

  say(bytes: Buffer): void {
    if (this.#closed) return;
    if (bytes.length > this.#packetBytesToClientMax) return this.#cannotSay();
    this.#outbox.push(bytes);
    this.#markDirty();
  }

  /** An answer that the client is not willing to take must not be sent, and it cannot go on without [MQTT5 3.1.2-24]. */
  #cannotSay(): void {
    this.core.counts.add('mqtt.refused.answerTooLargeForClient');
    this.#packetBytesToClientMax = 0; // Nor is it told so.
    this.#ended('CLIENT_ERROR');
    this.#socket.end();
  }

  /** QoS 0 goes once, with DUP 0 [MQTT311 4.3.1-1] [MQTT5 4.3.1-1]. */
  sendNow(message: Message, retain: boolean, subscriptionIdentifiers: readonly number[]): boolean {
    if (this.#closed) return false;
    const { encoder } = this.core;
    if (this.#aliasesMax === 0 && subscriptionIdentifiers.length === 0 && encoder.isPlain(message)) {
      return this.#push(encoder.encodePlain(message, this.version, retain));
    }
    return this.#sendOwn(message, { qos: 0, packetId: 0, dup: false, retain, subscriptionIdentifiers });
  }

  sendDelivery(delivery: Delivery, dup: boolean): boolean {
    if (this.#closed) return false;
    const { encoder } = this.core;
    const { message, qos, packetId, retain, subscriptionIdentifiers } = delivery;
    if (this.#aliasesMax === 0 && subscriptionIdentifiers.length === 0 && encoder.isPlain(message)) {
      return this.#push(encoder.encodePlainDelivery(delivery, this.version, dup));
    }
    return this.#sendOwn(message, { qos, packetId, dup, retain, subscriptionIdentifiers });
  }

  /** With what only this client gets: aliases, identifiers, the time that is left. */
  #sendOwn(message: Message, how: Omit<OutgoingForm, 'version' | 'alias' | 'isAliasKnown'>): boolean {
    const known = this.#aliasesMax > 0 ? this.#aliases?.get(message.topic) : undefined;
    const alias = known ?? this.#newAlias(message.topic);
    const isAliasKnown = known !== undefined;
    const bytes = this.core.encoder.encode(message, { ...how, version: this.version, alias, isAliasKnown });
    if (this.#push(bytes)) return true;
    if (alias !== undefined && !isAliasKnown) this.#aliases?.delete(message.topic);
    return false;
  }

  #push(bytes: Buffer): boolean {
    if (bytes.length > this.#packetBytesToClientMax) {
      this.core.counts.add('mqtt.dropped.tooLargeForClient'); // [MQTT5 3.1.2-25]: dropped, and settled as if sent.
      return false;
    }
    this.#outbox.push(bytes);
    this.#markDirty();
    return true;
  }

  /** The first topics of a connection get the aliases its client takes [MQTT5 3.1.2-26, 3.1.2-27, 3.3.2-11]. */
  #newAlias(topic: string): number | undefined {
    if (this.#aliasesMax === 0) return undefined;
    this.#aliases ??= new Map();
    if (this.#aliases.size >= this.#aliasesMax) return undefined;
    const alias = this.#aliases.size + 1;
    this.#aliases.set(topic, alias);
    return alias;
  }

  sendRelease(packetId: number): void {
    if (this.#closed) return;
    this.#outbox.pushAck('pubrel', packetId);
    this.#markDirty();
  }

  pumpLater(): void {
    this.core.clock.soon(() => {
      try {
        if (!this.#closed) this.#session?.pump(this.core.nowMs());
      } catch (error) {
        this.#fail(error);
      }
      this.core.flush();
    });
  }

  #markDirty(): void {
    if (this.#dirty) return;
    this.#dirty = true;
    this.core.markDirty(this);
  }

  /** Writes everything gathered since the last time with one call. */
  flush(): void {
    this.#dirty = false;
    if (this.#closed) return;
    try {
      this.#outbox.flush();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Called by the socket: everything buffered has gone out. */
  drain(): void {
    if (this.#closed) return;
    try {
      this.#outbox.drained();
      this.#session?.pump(this.core.nowMs());
    } catch (error) {
      this.#fail(error);
    }
    if (this.#held === 'room') this.#proceed();
    this.core.flush();
  }

  // --- The end ----------------------------------------------------------------------------------------------------

  /** Called once a second: closes what is silent, never connected, or too slow. */
  checkDeadlines(nowMs: number): void {
    try {
      if (!this.#session) {
        if (nowMs - this.#openedAtMs > this.core.limits.connectDeadlineMs) this.#close();
        return;
      }
      if (this.#outbox.isTooSlow(nowMs)) return this.end(endings.tooSlow);
      // Who is not read cannot be heard.
      if (this.#held === 'no' && nowMs - this.#lastHeardMs > this.#keepAliveMs * 1.5) {
        return this.end(endings.keepAlive); // [MQTT311 3.1.2-24] [MQTT5 3.1.2-22]
      }
      // There may be room again long before everything has gone out, which is when the socket tells.
      if (this.#session.waitingMessages > 0) this.#session.pump(this.core.nowMs());
      if (this.#held === 'room' && this.#outbox.waitingBytes < this.core.limits.bufferedAnswersBytesMax) {
        this.#proceed();
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The process is about to end: what is unread is for the next one. */
  stopReading(): void {
    this.#held = 'forEver';
    this.#socket.pause();
  }

  takenOver(): void {
    this.#endSafely(endings.takenOver);
  }

  evicted(): void {
    this.#endSafely(endings.evicted, false); // Its right to be here is gone, and with it the right to publish a will.
  }

  notStored(): void {
    this.#endSafely(endings.notStored);
  }

  /** Something of ours went wrong on its behalf (hostile R03). */
  failed(error: unknown): void {
    this.#fail(error);
  }

  shutDown(): void {
    if (this.#session) this.#endSafely(endings.shuttingDown);
    else this.#close();
  }

  /** For callers that must find it ended afterwards, come what may. */
  #endSafely(ending: Ending, keepsWill = true): void {
    try {
      this.end(ending, keepsWill);
    } catch (error) {
      this.#fail(error);
    }
  }

  /**
   * Ends an open session: 5 is told why [MQTT5 4.13.2-1], and who has had no CONNACK is not [MQTT5 3.14.0-1]. Behind
   * it nothing is sent, and the socket closes [MQTT5 3.14.4-1, 3.14.4-2].
   */
  end({ reasonCode, disconnectReason }: Ending, keepsWill = true): void {
    if (this.#closed) return;
    const isStuck = !this.hasRoom;
    if (this.#version === 5 && this.#session) {
      this.send({ type: 'disconnect', reasonCode, properties: reasonStringOf(reasonCode) });
    }
    this.flush();
    this.#ended(disconnectReason, keepsWill);
    if (isStuck || disconnectReason === 'MQTT_KEEP_ALIVE_TIMEOUT') this.#socket.destroy();
    else this.#socket.end();
  }

  /** Ends a connection that never became a session. */
  #close(): void {
    if (this.#closed) return;
    this.flush();
    this.#ended('CLIENT_ERROR');
    this.#socket.end();
  }

  /** Called by the socket, once: the connection is gone. */
  close(): void {
    this.core.socketClosed();
    try {
      this.#ended('CONNECTION_LOST');
    } catch (error) {
      this.#fail(error);
    }
    this.core.flush();
  }

  /** An error of ours (hostile R03): counted, told, and paid for with this connection only. */
  #fail(error: unknown): void {
    this.core.counts.add('mqtt.failed.connection');
    // A warning, since these are rate-limited: whoever found the error can repeat it.
    const facts = { clientId: this.clientId, error: messageOf(error), stack: error instanceof Error && error.stack };
    this.core.log.warn(facts, 'A connection was ended by an error of ours.');
    try {
      this.end(endings.failed);
    } catch {
      // It fails again on the way out: then without a word.
      this.#ended('SERVER_ERROR');
      this.#socket.destroy();
    }
  }

  #ended(reason: DisconnectReason, keepsWill = true): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#partial = undefined;
    this.#inbound = undefined;
    this.#aliases = undefined;
    this.#outbox.clear();
    this.core.connections.delete(this);
    if (this.#session) this.core.broker.detach(this, reason, keepsWill);
  }
}

/** How a message leaves on one connection. */
export interface OutgoingForm {
  readonly version: ProtocolVersion;
  readonly qos: 0 | 1 | 2;
  readonly packetId: number;
  readonly dup: boolean;
  readonly retain: boolean;
  readonly subscriptionIdentifiers: readonly number[];
  readonly alias: number | undefined;
  /** The client was told before which topic the alias stands for. */
  readonly isAliasKnown: boolean;
}

const ackTypes = ['puback', 'pubrec', 'pubrel', 'pubcomp'] as const;

export const loggedCharactersMax = 128; // ours: of a text that a client chose

function ownBytes(bytes: Uint8Array | undefined): Uint8Array | undefined {
  return bytes && Buffer.from(bytes);
}

/** A will outlives the bytes it came in. */
function ownWill(will: Will): Will {
  const { payload, properties } = will;
  const correlationData = properties?.correlationData;
  return {
    ...will,
    payload: Buffer.from(payload),
    properties: correlationData ? { ...properties, correlationData: Buffer.from(correlationData) } : properties,
  };
}
