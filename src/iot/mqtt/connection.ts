import assert from 'node:assert/strict';
import { messageOf } from '../../kernel/errors.ts';
import type { Socket } from '../../kernel/sockets.ts';
import type { AckTarget } from '../rules/index.ts';
import type { PublishVerdict } from '../things/index.ts';
import type { DisconnectReason } from './broker.ts';
import { brokerLimits } from './broker-limits.ts';
import { type ConnectOutcome, judgeConnect } from './connect.ts';
import { type DecodeContext, decode } from './decode.ts';
import { encode, writePuback } from './encode.ts';
import { packetTypes } from './fixed-header.ts';
import type { GatewayCore } from './gateway.ts';
import { mqttLimits } from './limits.ts';
import {
  type ConnectPacket,
  type DisconnectPacket,
  type Packet,
  type ProtocolVersion,
  type PublishPacket,
  type QoS,
  type Received,
  type Refusal,
  reasonCodes,
  type SubscribePacket,
  type Subscription,
  type UnsubscribePacket,
  type Will,
} from './packets.ts';
import { PartialPacket } from './partial-packet.ts';
import { isReasonCode } from './reason-code-rules.ts';
import type { Message, Session, SessionLink } from './session.ts';

/** What MQTT 5 says when the server ends a connection, and what the lifecycle event calls it. */
interface Ending {
  readonly reasonCode: number;
  readonly disconnectReason: DisconnectReason;
}

const endings = {
  keepAlive: { reasonCode: reasonCodes.keepAliveTimeout, disconnectReason: 'MQTT_KEEP_ALIVE_TIMEOUT' },
  takenOver: { reasonCode: reasonCodes.sessionTakenOver, disconnectReason: 'DUPLICATE_CLIENTID' },
  evicted: { reasonCode: reasonCodes.administrativeAction, disconnectReason: 'SERVER_INITIATED_DISCONNECT' },
  shuttingDown: { reasonCode: reasonCodes.serverShuttingDown, disconnectReason: 'SERVER_INITIATED_DISCONNECT' },
  tooSlow: { reasonCode: reasonCodes.quotaExceeded, disconnectReason: 'SERVER_INITIATED_DISCONNECT' },
  notStored: { reasonCode: reasonCodes.quotaExceeded, disconnectReason: 'SERVER_INITIATED_DISCONNECT' },
  notAuthorized: { reasonCode: reasonCodes.notAuthorized, disconnectReason: 'FORBIDDEN_ACCESS' },
  failed: { reasonCode: reasonCodes.unspecifiedError, disconnectReason: 'SERVER_ERROR' },
} as const satisfies Record<string, Ending>;

function clientError(reasonCode: number): Ending {
  return { reasonCode, disconnectReason: 'CLIENT_ERROR' };
}

/** The same in both versions, and what a flood of PINGREQ asks for. */
const pingresp = encode({ type: 'pingresp' }, 5);
const nothing = Buffer.alloc(0);

/**
 * One client on one socket: bytes in, packets handled in order, answers gathered and written once per turn. What is
 * called from outside never throws: an error of ours costs this connection, not the process (hostile R03).
 */
export class Connection implements SessionLink, AckTarget {
  readonly #core: GatewayCore;
  readonly #socket: Socket;
  readonly #openedAtMs: number;
  #version: ProtocolVersion | 0 = 0;
  #partial: PartialPacket | undefined;
  /** Why what has arrived is not read further for now: `soon` has a wake-up under way, the others wait for theirs. */
  #held: 'no' | 'window' | 'room' | 'soon' | 'forEver' = 'no';
  #turn = 0;
  #packetsThisTurn = 0;
  #session: Session | undefined;
  #will: Will | undefined;
  /** Made with the first publish: most connections listen only. */
  #verdicts: Map<string, PublishVerdict> | undefined;
  #verdictsVersion = 0;
  #keepAliveMs = 0;
  #lastHeardMs: number;
  #closed = false;
  #packetBytesToClientMax = Number.POSITIVE_INFINITY;
  /** QoS 1 publishes of the client that are not acknowledged yet. */
  #unacknowledged = 0;
  #pubacks: number[] | undefined;
  #out: Buffer[] | undefined;
  #outBytes = 0;
  #dirty = false;
  #writtenBytes = 0;
  /** Since when the peer has taken next to nothing, and what it had taken then. */
  #slowSinceMs: number | undefined;
  #takenBytes = 0;
  receiveMaximum: number = brokerLimits.receiveMaximum;

  constructor(core: GatewayCore, socket: Socket) {
    this.#core = core;
    this.#socket = socket;
    this.#openedAtMs = core.clock.monotonicMs();
    this.#lastHeardMs = this.#openedAtMs;
    socket.start({
      data: bytes => this.#receive(bytes),
      drain: () => this.#drained(),
      close: () => this.#lost(),
    });
  }

  get hasRoom(): boolean {
    return this.#waitingBytes < brokerLimits.bufferedBytesMax;
  }

  get #waitingBytes(): number {
    return this.#outBytes + this.#socket.bufferedBytes;
  }

  get clientId(): string | undefined {
    return this.#session?.clientId;
  }

  // --- Bytes in ---------------------------------------------------------------------------------------------------

  #receive(chunk: Buffer): void {
    if (this.#closed) return;
    try {
      this.#lastHeardMs = this.#core.clock.monotonicMs();
      this.#core.beginTurn();
      const bytes = this.#partial ? this.#partial.join(chunk) : chunk;
      if (this.#held === 'no') this.#handleAll(bytes);
      else this.#partial ??= new PartialPacket(bytes, 0); // Arrived before the socket knew that it is paused.
    } catch (error) {
      this.#fail(error);
    }
    this.#core.flush();
  }

  #handleAll(bytes: Buffer): void {
    let position = 0;
    let context = this.#decodeContext();
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
    const { clock, ingest, turn } = this.#core;
    if (this.#turn !== turn) {
      this.#turn = turn;
      this.#packetsThisTurn = 0;
    }
    if (ingest.isSaturated) {
      this.#hold('soon'); // The disk is behind: this sender waits until the next group has gone out.
      ingest.onceDrained(() => clock.soon(() => this.#proceed()));
    } else if (this.#packetsThisTurn >= brokerLimits.packetsPerTurnMax) {
      this.#hold('soon');
      clock.soon(() => this.#proceed());
    } else if (this.#unacknowledged >= brokerLimits.unacknowledgedMax) {
      // Slowing down does for both versions what a small Receive Maximum does for those clients of 5 that heed it.
      this.#hold('window');
    } else if (this.#waitingBytes >= brokerLimits.bufferedAnswersBytesMax) {
      this.#hold('room');
    }
    return this.#held !== 'no';
  }

  #hold(why: 'window' | 'room' | 'soon'): void {
    this.#held = why;
    this.#socket.pause();
  }

  #proceed(): void {
    if (this.#closed || this.#held === 'no' || this.#held === 'forEver') return;
    try {
      this.#held = 'no';
      this.#lastHeardMs = this.#core.clock.monotonicMs(); // The silence was ours.
      this.#core.beginTurn();
      this.#handleAll(this.#partial?.bytes ?? nothing);
      // The assignment above is what the type remembers; handling may have changed it.
      if ((this.#held as string) === 'no' && !this.#closed) this.#socket.resume();
    } catch (error) {
      this.#fail(error);
    }
    this.#core.flush();
  }

  #handle(packet: Packet & Received): void {
    if (!this.#session) {
      if (packet.type === 'connect') this.#connect(packet);
      else this.#close(); // [MQTT5 3.1.0-1] The decoder lets nothing else through before CONNECT.
      return;
    }
    switch (packet.type) {
      case 'publish':
        return this.#publish(packet);
      case 'puback':
        if (!this.#session.acknowledge(packet.packetId, this.#core.clock.nowMs())) {
          this.#core.counts.add('mqtt.ignored.unknownPuback');
        }
        return;
      case 'pingreq':
        return this.#say(pingresp);
      case 'subscribe':
        return this.#subscribe(packet);
      case 'unsubscribe':
        return this.#unsubscribe(packet);
      case 'disconnect':
        return this.#disconnect(packet);
      default:
        // A second CONNECT [MQTT5 3.1.0-2], AUTH without a method [MQTT5 4.12.0-6], acknowledgements of QoS 2.
        return this.#end(clientError(reasonCodes.protocolError));
    }
  }

  /** Before the session is open a refusal is a CONNACK where the version is known, else silence. */
  #refuseBytes({ reasonCode, message, protocolVersion }: Refusal): void {
    this.#core.counts.add('mqtt.refused.packet');
    this.#core.log.warn({ clientId: this.clientId, reasonCode }, message);
    if (this.#session) return this.#end(clientError(reasonCode));
    if (reasonCode === reasonCodes.unsupportedProtocolVersion) {
      this.#say(encode({ type: 'connack', sessionPresent: false, reasonCode: 1 }, 4)); // [MQTT311 3.1.2-2]
    } else if (protocolVersion === 5 && isReasonCode(reasonCode, packetTypes.connack, 5)) {
      this.#say(encode({ type: 'connack', sessionPresent: false, reasonCode }, 5)); // [MQTT5 3.1.4-1]
    } else if (protocolVersion === 4 && reasonCode === reasonCodes.clientIdentifierNotValid) {
      this.#say(encode({ type: 'connack', sessionPresent: false, reasonCode: 2 }, 4)); // [MQTT311 3.1.3-9]
    }
    this.#close();
  }

  // --- CONNECT ----------------------------------------------------------------------------------------------------

  #connect(packet: ConnectPacket): void {
    const outcome = judgeConnect(packet, this.#core);
    this.#version = packet.protocolVersion;
    if (!outcome.accepted) return this.#refuseConnect(packet, outcome.reasonCode);
    this.#accept(packet, outcome);
  }

  #refuseConnect(packet: ConnectPacket, reasonCode: number): void {
    this.#core.counts.add('mqtt.refused.connect');
    this.#core.log.warn({ clientId: packet.clientId.slice(0, 128), reasonCode }, 'A connection was refused.');
    this.send({ type: 'connack', sessionPresent: false, reasonCode });
    this.#close();
  }

  #accept(packet: ConnectPacket, outcome: Extract<ConnectOutcome, { accepted: true }>): void {
    this.#will = packet.will && ownWill(packet.will);
    if (packet.will?.retain) this.#core.counts.add('mqtt.ignored.retain');
    this.#keepAliveMs = outcome.keepAliveSeconds * 1_000;
    this.receiveMaximum = Math.min(
      packet.properties?.receiveMaximum ?? brokerLimits.receiveMaximum,
      brokerLimits.receiveMaximum,
    );
    this.#packetBytesToClientMax = packet.properties?.maximumPacketSizeBytes ?? Number.POSITIVE_INFINITY;
    const { session, sessionPresent } = this.#core.broker.attach(this, {
      clientId: packet.clientId,
      cleanStart: packet.cleanStart,
      expirySeconds: outcome.expirySeconds,
      remoteAddress: this.#socket.remoteAddress,
    });
    this.#session = session;
    this.#core.counts.add('mqtt.connected');
    this.send({ type: 'connack', sessionPresent, reasonCode: 0, properties: outcome.properties });
    if (sessionPresent) session.resume(this.#core.clock.nowMs());
  }

  // --- PUBLISH ----------------------------------------------------------------------------------------------------

  #publish(packet: PublishPacket & Received): void {
    const session = this.#session;
    assert(session); // #handle routes nothing here before CONNECT.
    const refusal = this.#refusalOf(packet);
    if (refusal !== undefined) return this.#end(clientError(refusal));
    if (packet.qos === 1) this.#unacknowledged++;
    const verdict = this.#verdictOn(session.thingName, packet.topic);
    if (!verdict.allowed) return this.#refusePublish(packet);
    this.#core.counts.add('mqtt.published');
    if (verdict.ingest) {
      const target = packet.qos === 1 ? this : undefined;
      this.#core.ingest.offer(session.thingName, packet.topic, packet.payload, target, packet.packetId);
    } else if (packet.qos === 1) {
      this.#core.ingest.answerInOrder(this, packet.packetId, reasonCodes.success);
    }
    this.#core.route(packet, session);
  }

  /** The reason to end the connection over this PUBLISH, if there is one. */
  #refusalOf(packet: PublishPacket): number | undefined {
    if (packet.qos === 2) return reasonCodes.qosNotSupported; // Announced as Maximum QoS 1 [MQTT5 3.2.2-11].
    if (packet.properties?.topicAlias !== undefined) return reasonCodes.topicAliasInvalid; // Maximum is 0 [MQTT5 3.1.2-26].
    if (packet.retain) {
      if (this.#version === 5) return reasonCodes.retainNotSupported; // Announced as Retain Available 0 [MQTT5 3.2.2-14].
      this.#core.counts.add('mqtt.ignored.retain'); // 3.1.1 cannot say so: the message itself is delivered.
    }
    return undefined;
  }

  #verdictOn(thingName: string, topic: string): PublishVerdict {
    const { policy } = this.#core;
    if (!this.#verdicts || this.#verdictsVersion !== policy.version) {
      this.#verdicts = new Map();
      this.#verdictsVersion = policy.version;
    }
    const remembered = this.#verdicts.get(topic);
    if (remembered) return remembered;
    const verdict = policy.judgePublish(thingName, topic);
    if (this.#verdicts.size >= brokerLimits.publishVerdictsMax) this.#verdicts.clear();
    this.#verdicts.set(topic, verdict);
    return verdict;
  }

  /** 5 is told so [MQTT5 3.3.5-2]; 3.1.1 has no word for it, so the connection ends, as AWS IoT Core does. */
  #refusePublish(packet: PublishPacket): void {
    this.#core.counts.add('mqtt.refused.publish');
    const facts = { clientId: this.clientId, topic: packet.topic.slice(0, loggedCharactersMax) };
    this.#core.log.warn(facts, 'A publish was not allowed by the policy.');
    if (this.#version === 4) return this.#end(endings.notAuthorized);
    if (packet.qos === 1) this.#core.ingest.answerInOrder(this, packet.packetId, reasonCodes.notAuthorized);
  }

  acknowledge(packetId: number, reasonCode: number): void {
    if (this.#closed) return; // Nobody is left to tell; the client sends it again [MQTT5 4.4.0-1].
    try {
      this.#windowOpens();
      if (reasonCode === reasonCodes.success) {
        this.#pubacks ??= [];
        this.#pubacks.push(packetId);
        this.#markDirty();
      } else {
        this.send({ type: 'puback', packetId, reasonCode });
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  refuse(packetId: number): void {
    if (this.#closed) return; // Nobody is left to tell; the client sends it again [MQTT5 4.4.0-1].
    try {
      this.#windowOpens();
      if (this.#version === 5) this.send({ type: 'puback', packetId, reasonCode: reasonCodes.quotaExceeded });
      else this.#end(endings.notStored); // Without a PUBACK the client sends it again.
    } catch (error) {
      this.#fail(error);
    }
  }

  #windowOpens(): void {
    this.#unacknowledged--;
    assert(this.#unacknowledged >= 0); // Each publish is answered once.
    if (this.#held !== 'window') return;
    this.#held = 'soon'; // Not from here: more answers of the same group follow.
    this.#core.clock.soon(() => this.#proceed());
  }

  // --- SUBSCRIBE, UNSUBSCRIBE, DISCONNECT -------------------------------------------------------------------------

  #subscribe(packet: SubscribePacket): void {
    const session = this.#session;
    assert(session);
    if (packet.properties?.subscriptionIdentifier !== undefined) {
      return this.#end(clientError(reasonCodes.subscriptionIdentifiersNotSupported)); // Announced as not available.
    }
    const granted = new Map<string, Subscription>();
    const answers = packet.subscriptions.map((subscription, index) => {
      const refusal = this.#subscribeRefusal(session, subscription.topicFilter, index, granted);
      if (refusal !== undefined) return refusal;
      const qos: QoS = subscription.qos === 0 ? 0 : 1; // QoS 2 is granted as 1 [MQTT5 3.8.4-7].
      granted.set(subscription.topicFilter, { ...subscription, qos });
      return qos;
    });
    // AWS IoT Core closes a 3.1.1 connection over it, and then none of the filters counts.
    if (this.#version === 4 && answers.includes(reasonCodes.notAuthorized)) return this.#end(endings.notAuthorized);
    this.#core.broker.subscribe(session, [...granted.values()]);
    const codes = this.#version === 4 ? answers.map(code => (code > 2 ? 0x80 : code)) : answers; // [MQTT311 3.9.3-2]
    this.send({ type: 'suback', packetId: packet.packetId, reasonCodes: codes });
  }

  #subscribeRefusal(
    session: Session,
    topicFilter: string,
    index: number,
    granted: ReadonlyMap<string, Subscription>,
  ): number | undefined {
    if (topicFilter.startsWith('$share/')) return reasonCodes.sharedSubscriptionsNotSupported;
    if (index >= brokerLimits.filtersPerSubscribeMax) return reasonCodes.quotaExceeded;
    if (!this.#core.policy.maySubscribe(session.thingName, topicFilter)) {
      this.#core.counts.add('mqtt.refused.subscribe');
      const facts = { clientId: session.clientId, topicFilter: topicFilter.slice(0, loggedCharactersMax) };
      this.#core.log.warn(facts, 'A subscription was not allowed by the policy.');
      return reasonCodes.notAuthorized;
    }
    if (session.subscriptions.has(topicFilter) || granted.has(topicFilter)) return undefined;
    let more = 0;
    for (const filter of granted.keys()) if (!session.subscriptions.has(filter)) more++;
    const isFull = session.subscriptions.size + more >= brokerLimits.subscriptionsPerSessionMax;
    return isFull ? reasonCodes.quotaExceeded : undefined;
  }

  #unsubscribe(packet: UnsubscribePacket): void {
    const session = this.#session;
    assert(session);
    const were = this.#core.broker.unsubscribe(session, packet.topicFilters);
    const codes = were.map(was => (was ? reasonCodes.success : reasonCodes.noSubscriptionExisted));
    this.send({ type: 'unsuback', packetId: packet.packetId, reasonCodes: this.#version === 5 ? codes : [] });
  }

  #disconnect(packet: DisconnectPacket): void {
    const session = this.#session;
    assert(session);
    const expirySeconds = packet.properties?.sessionExpiryIntervalSeconds;
    if (expirySeconds !== undefined) {
      // What CONNECT said, since nothing else changes it before this [MQTT5 3.14.2.2.2].
      if (session.expirySeconds === 0 && expirySeconds > 0) return this.#end(clientError(reasonCodes.protocolError));
      session.expirySeconds = Math.min(expirySeconds, brokerLimits.sessionExpirySecondsMax);
    }
    if (packet.reasonCode === reasonCodes.success) this.#will = undefined; // Any other publishes it [MQTT5 3.1.2-10].
    this.flush();
    this.#ended('CLIENT_INITIATED_DISCONNECT');
    this.#socket.end();
  }

  // --- Out --------------------------------------------------------------------------------------------------------

  send(packet: Packet): void {
    if (this.#closed) return;
    assert(this.#version !== 0);
    this.#say(encode(packet, this.#version));
  }

  #say(bytes: Buffer): void {
    if (bytes.length > this.#packetBytesToClientMax) return this.#cannotSay();
    this.#writePubacks(); // What was said before goes out before.
    this.#push(bytes);
  }

  /** An answer that the client is not willing to take must not be sent, and it cannot go on without [MQTT5 3.1.2-24]. */
  #cannotSay(): void {
    this.#core.counts.add('mqtt.refused.answerTooLargeForClient');
    this.#packetBytesToClientMax = 0; // Nor is it told so.
    this.#ended('CLIENT_ERROR');
    this.#socket.end();
  }

  sendMessage(message: Message, qos: QoS, packetId: number, dup: boolean): boolean {
    if (this.#closed) return false;
    try {
      const bytes = this.#core.encodeMessage(message, { qos, packetId, dup, version: this.#version === 4 ? 4 : 5 });
      if (bytes.length > this.#packetBytesToClientMax) {
        this.#core.counts.add('mqtt.dropped.tooLargeForClient'); // [MQTT5 3.1.2-25]: dropped, and settled as if sent.
        return false;
      }
      this.#writePubacks();
      this.#push(bytes);
    } catch (error) {
      this.#fail(error);
    }
    return true;
  }

  #push(bytes: Buffer): void {
    this.#out ??= [];
    this.#out.push(bytes);
    this.#outBytes += bytes.length;
    this.#markDirty();
  }

  #markDirty(): void {
    if (this.#dirty) return;
    this.#dirty = true;
    this.#core.markDirty(this);
  }

  /** Writes everything gathered since the last time with one call. */
  flush(): void {
    this.#dirty = false;
    if (this.#closed) return;
    try {
      this.#writePubacks();
      const out = this.#out;
      if (!out || out.length === 0) return;
      const bytes = out.length === 1 ? out[0] : Buffer.concat(out, this.#outBytes);
      this.#out = undefined;
      this.#outBytes = 0;
      this.#writtenBytes += bytes.length;
      this.#socket.write(bytes);
    } catch (error) {
      this.#fail(error);
    }
  }

  #writePubacks(): void {
    const packetIds = this.#pubacks;
    if (!packetIds || packetIds.length === 0) return;
    this.#pubacks = undefined;
    const bytes = Buffer.allocUnsafe(packetIds.length * 4);
    for (let index = 0; index < packetIds.length; index++) writePuback(bytes, index * 4, packetIds[index]);
    this.#push(bytes);
  }

  #drained(): void {
    if (this.#closed) return;
    try {
      this.#slowSinceMs = undefined;
      this.#session?.pump(this.#core.clock.nowMs());
    } catch (error) {
      this.#fail(error);
    }
    if (this.#held === 'room') this.#proceed();
    this.#core.flush();
  }

  // --- The end ----------------------------------------------------------------------------------------------------

  /** Called once a second: closes what is silent, never connected, or too slow. */
  checkDeadlines(nowMs: number): void {
    try {
      if (!this.#session) {
        if (nowMs - this.#openedAtMs > brokerLimits.connectDeadlineMs) this.#close();
        return;
      }
      if (this.#isTooSlow(nowMs)) return this.#end(endings.tooSlow);
      // Who is not read cannot be heard.
      if (this.#held === 'no' && nowMs - this.#lastHeardMs > this.#keepAliveMs * 1.5) {
        return this.#end(endings.keepAlive); // [MQTT5 3.1.2-22]
      }
      // There may be room again long before everything has gone out, which is when the socket tells.
      if (this.#session.waitingMessages > 0) this.#session.pump(this.#core.clock.nowMs());
      if (this.#held === 'room' && this.#waitingBytes < brokerLimits.bufferedAnswersBytesMax) this.#proceed();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** A peer that takes less than a trickle of what waits for it, for as long as the write deadline (hostile D01, D02). */
  #isTooSlow(nowMs: number): boolean {
    const buffered = this.#socket.bufferedBytes;
    const takenBytes = this.#writtenBytes - buffered;
    const trickleBytes = (brokerLimits.drainedBytesPerSecondMin * brokerLimits.writeDeadlineMs) / 1_000;
    if (buffered === 0) {
      this.#slowSinceMs = undefined;
    } else if (this.#slowSinceMs === undefined || takenBytes - this.#takenBytes >= trickleBytes) {
      this.#slowSinceMs = nowMs;
      this.#takenBytes = takenBytes;
    }
    return this.#slowSinceMs !== undefined && nowMs - this.#slowSinceMs > brokerLimits.writeDeadlineMs;
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
    this.#will = undefined; // Its thing is gone, and with it the right to publish.
    this.#endSafely(endings.evicted);
  }

  shutDown(): void {
    if (this.#session) this.#endSafely(endings.shuttingDown);
    else this.#close();
  }

  /** For callers that must find it ended afterwards, come what may. */
  #endSafely(ending: Ending): void {
    try {
      this.#end(ending);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Ends an open session: 5 is told why [MQTT5 4.13.2-1]. */
  #end({ reasonCode, disconnectReason }: Ending): void {
    if (this.#closed) return;
    const isStuck = !this.hasRoom;
    if (this.#version === 5 && this.#session) this.send({ type: 'disconnect', reasonCode });
    this.flush();
    this.#ended(disconnectReason);
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

  #lost(): void {
    try {
      this.#ended('CONNECTION_LOST');
    } catch (error) {
      this.#fail(error);
    }
    this.#core.flush();
  }

  /** An error of ours (hostile R03): counted, told, and paid for with this connection only. */
  #fail(error: unknown): void {
    this.#core.counts.add('mqtt.failed.connection');
    // A warning, since these are rate-limited: whoever found the error can repeat it.
    const facts = { clientId: this.clientId, error: messageOf(error), stack: error instanceof Error && error.stack };
    this.#core.log.warn(facts, 'A connection was ended by an error of ours.');
    try {
      this.#end(endings.failed);
    } catch {
      // It fails again on the way out: then without a word.
      this.#ended('SERVER_ERROR');
      this.#socket.destroy();
    }
  }

  #ended(reason: DisconnectReason): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#partial = undefined;
    this.#verdicts = undefined;
    this.#out = undefined;
    this.#pubacks = undefined;
    this.#core.connections.delete(this);
    if (this.#session) this.#core.broker.detach(this, this.#session, reason, this.#will);
  }
}

const loggedCharactersMax = 128; // ours: of a text that a device chose

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
