import assert from 'node:assert/strict';
import type { Socket } from '../../kernel/sockets.ts';
import type { AckTarget } from '../rules/index.ts';
import type { PublishVerdict } from '../things/index.ts';
import type { DisconnectReason } from './broker.ts';
import { brokerLimits } from './broker-limits.ts';
import { type ConnectOutcome, judgeConnect } from './connect.ts';
import { decode } from './decode.ts';
import { encode, writePuback } from './encode.ts';
import type { GatewayCore } from './gateway.ts';
import { mqttLimits } from './limits.ts';
import {
  type ConnectPacket,
  type DisconnectPacket,
  type Packet,
  type ProtocolVersion,
  type PublishPacket,
  type QoS,
  reasonCodes,
  type SubscribePacket,
  type UnsubscribePacket,
  type Will,
} from './packets.ts';
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
} as const satisfies Record<string, Ending>;

function clientError(reasonCode: number): Ending {
  return { reasonCode, disconnectReason: 'CLIENT_ERROR' };
}

/** One client on one socket: bytes in, packets handled in order, answers gathered and written once per turn. */
export class Connection implements SessionLink, AckTarget {
  readonly #core: GatewayCore;
  readonly #socket: Socket;
  readonly #openedAtMs: number;
  #version: ProtocolVersion | 0 = 0;
  #rest: Buffer | undefined;
  #session: Session | undefined;
  #will: Will | undefined;
  #verdicts = new Map<string, PublishVerdict>();
  #keepAliveMs = 0;
  #lastHeardMs: number;
  #closed = false;
  #overBufferSinceMs: number | undefined;
  #packetBytesToClientMax = Number.POSITIVE_INFINITY;
  /** QoS 1 publishes of the client that are not acknowledged yet. */
  #unacknowledged = 0;
  #pubacks: number[] = [];
  #out: Buffer[] = [];
  #dirty = false;
  receiveMaximum: number = brokerLimits.receiveMaximum;

  constructor(core: GatewayCore, socket: Socket) {
    this.#core = core;
    this.#socket = socket;
    this.#openedAtMs = core.clock.monotonicMs();
    this.#lastHeardMs = this.#openedAtMs;
    socket.start({
      data: bytes => this.#receive(bytes),
      drain: () => this.#drained(),
      close: () => this.#ended(this.#session ? 'CONNECTION_LOST' : 'CLIENT_ERROR'),
    });
  }

  get hasRoom(): boolean {
    return this.#socket.bufferedBytes < brokerLimits.bufferedBytesMax;
  }

  get clientId(): string | undefined {
    return this.#session?.clientId;
  }

  // --- Bytes in ---------------------------------------------------------------------------------------------------

  #receive(chunk: Buffer): void {
    if (this.#closed) return;
    this.#lastHeardMs = this.#core.clock.monotonicMs();
    const bytes = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk;
    this.#rest = undefined;
    let position = 0;
    while (position < bytes.length && !this.#closed) {
      const packet = decode(bytes, position, bytes.length, {
        version: this.#version,
        packetBytesMax: this.#session ? mqttLimits.packetBytesMax : mqttLimits.packetBytesBeforeConnectMax,
        from: 'client',
      });
      if (packet === undefined) break;
      if (packet.type === 'refusal') {
        this.#core.counts.add('mqtt.refused.packet');
        this.#core.log.warn({ clientId: this.clientId, reasonCode: packet.reasonCode }, packet.message);
        this.#refuseBytes(packet.reasonCode);
        break;
      }
      position += packet.byteLength;
      this.#handle(packet);
    }
    if (position < bytes.length && !this.#closed) this.#rest = bytes.subarray(position);
    if (this.#core.ingest.isSaturated && !this.#closed) this.#slowDown();
    this.#core.flush();
  }

  /** The disk is behind: stop reading this sender until the next group has gone out. */
  #slowDown(): void {
    this.#socket.pause();
    this.#core.ingest.onceDrained(() => this.#socket.resume());
  }

  #handle(packet: Packet): void {
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
        return this.send({ type: 'pingresp' });
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
  #refuseBytes(reasonCode: number): void {
    if (this.#session) return this.#end(clientError(reasonCode));
    if (reasonCode === reasonCodes.unsupportedProtocolVersion) {
      this.#out.push(encode({ type: 'connack', sessionPresent: false, reasonCode: 1 }, 4)); // [MQTT311 3.1.2-2]
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
    this.#will = packet.will;
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

  #publish(packet: PublishPacket): void {
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
    if (packet.qos === 1 && this.#unacknowledged >= brokerLimits.receiveMaximum) {
      return reasonCodes.receiveMaximumExceeded; // [MQTT5 3.3.4-9]
    }
    if (packet.retain) {
      if (this.#version === 5) return reasonCodes.retainNotSupported; // Announced as Retain Available 0 [MQTT5 3.2.2-14].
      this.#core.counts.add('mqtt.ignored.retain'); // 3.1.1 cannot say so: the message itself is delivered.
    }
    return undefined;
  }

  #verdictOn(thingName: string, topic: string): PublishVerdict {
    const remembered = this.#verdicts.get(topic);
    if (remembered) return remembered;
    const verdict = this.#core.policy.judgePublish(thingName, topic);
    if (this.#verdicts.size >= brokerLimits.publishVerdictsMax) this.#verdicts.clear();
    this.#verdicts.set(topic, verdict);
    return verdict;
  }

  /** 5 is told so [MQTT5 3.3.5-2]; 3.1.1 has no word for it, so the connection ends, as AWS IoT Core does. */
  #refusePublish(packet: PublishPacket): void {
    this.#core.counts.add('mqtt.refused.publish');
    this.#core.log.warn({ clientId: this.clientId, topic: packet.topic }, 'A publish was not allowed by the policy.');
    if (this.#version === 4) return this.#end(endings.notAuthorized);
    if (packet.qos === 1) this.#core.ingest.answerInOrder(this, packet.packetId, reasonCodes.notAuthorized);
  }

  acknowledge(packetId: number, reasonCode: number): void {
    this.#unacknowledged--;
    if (this.#closed) return;
    if (reasonCode === reasonCodes.success) {
      this.#pubacks.push(packetId);
      this.#markDirty();
    } else {
      this.send({ type: 'puback', packetId, reasonCode });
    }
  }

  refuse(packetId: number): void {
    this.#unacknowledged--;
    if (this.#closed) return;
    if (this.#version === 5) this.send({ type: 'puback', packetId, reasonCode: reasonCodes.quotaExceeded });
    else this.#end(endings.notStored); // Without a PUBACK the client sends it again.
  }

  // --- SUBSCRIBE, UNSUBSCRIBE, DISCONNECT -------------------------------------------------------------------------

  #subscribe(packet: SubscribePacket): void {
    const session = this.#session;
    assert(session);
    if (packet.properties?.subscriptionIdentifier !== undefined) {
      return this.#end(clientError(reasonCodes.subscriptionIdentifiersNotSupported)); // Announced as not available.
    }
    const granted: SubscribePacket['subscriptions'] = [];
    const answers = packet.subscriptions.map((subscription, index) => {
      const refusal = this.#subscribeRefusal(session, subscription.topicFilter, index);
      if (refusal !== undefined) return refusal;
      const qos: QoS = subscription.qos === 0 ? 0 : 1; // QoS 2 is granted as 1 [MQTT5 3.8.4-7].
      granted.push({ ...subscription, qos });
      return qos;
    });
    this.#core.broker.subscribe(session, granted);
    if (this.#version === 4 && answers.includes(reasonCodes.notAuthorized)) return this.#end(endings.notAuthorized);
    const codes = this.#version === 4 ? answers.map(code => (code > 2 ? 0x80 : code)) : answers; // [MQTT311 3.9.3-2]
    this.send({ type: 'suback', packetId: packet.packetId, reasonCodes: codes });
  }

  #subscribeRefusal(session: Session, topicFilter: string, index: number): number | undefined {
    if (topicFilter.startsWith('$share/')) return reasonCodes.sharedSubscriptionsNotSupported;
    if (index >= brokerLimits.filtersPerSubscribeMax) return reasonCodes.quotaExceeded;
    const isNew = !session.subscriptions.has(topicFilter);
    if (isNew && session.subscriptions.size >= brokerLimits.subscriptionsPerSessionMax)
      return reasonCodes.quotaExceeded;
    if (this.#core.policy.maySubscribe(session.thingName, topicFilter)) return undefined;
    this.#core.counts.add('mqtt.refused.subscribe');
    this.#core.log.warn({ clientId: session.clientId, topicFilter }, 'A subscription was not allowed by the policy.');
    return reasonCodes.notAuthorized;
  }

  #unsubscribe(packet: UnsubscribePacket): void {
    const session = this.#session;
    assert(session);
    const codes = packet.topicFilters.map(topicFilter =>
      this.#core.broker.unsubscribe(session, topicFilter) ? reasonCodes.success : reasonCodes.noSubscriptionExisted,
    );
    this.send({ type: 'unsuback', packetId: packet.packetId, reasonCodes: this.#version === 5 ? codes : [] });
  }

  #disconnect(packet: DisconnectPacket): void {
    const session = this.#session;
    assert(session);
    const expirySeconds = packet.properties?.sessionExpiryIntervalSeconds;
    if (expirySeconds !== undefined) {
      if (session.expirySeconds === 0 && expirySeconds > 0) return this.#end(clientError(reasonCodes.protocolError)); // [MQTT5 3.14.2-2]
      session.expirySeconds = Math.min(expirySeconds, brokerLimits.sessionExpirySecondsMax);
    }
    if (packet.reasonCode !== reasonCodes.disconnectWithWill) this.#will = undefined; // [MQTT5 3.1.2-10]
    this.#ended('CLIENT_INITIATED_DISCONNECT');
    this.#socket.end();
  }

  // --- Out --------------------------------------------------------------------------------------------------------

  send(packet: Packet): void {
    if (this.#closed) return;
    assert(this.#version !== 0);
    this.#writePubacks(); // What was said before goes out before.
    this.#out.push(encode(packet, this.#version));
    this.#markDirty();
  }

  sendMessage(message: Message, qos: QoS, packetId: number, dup: boolean): void {
    const bytes = this.#core.encodeMessage(message, { qos, packetId, dup, version: this.#version === 4 ? 4 : 5 });
    if (bytes.length > this.#packetBytesToClientMax) {
      this.#core.counts.add('mqtt.dropped.tooLargeForClient'); // [MQTT5 3.1.2-25]: dropped, and settled as if sent.
      if (qos === 1) queueMicrotask(() => this.#session?.acknowledge(packetId, this.#core.clock.nowMs()));
      return;
    }
    this.#writePubacks();
    this.#out.push(bytes);
    this.#markDirty();
  }

  #markDirty(): void {
    if (this.#dirty) return;
    this.#dirty = true;
    this.#core.dirty.push(this);
  }

  /** Writes everything gathered since the last time with one call. */
  flush(): void {
    this.#dirty = false;
    this.#writePubacks();
    if (this.#out.length === 0) return;
    const bytes = this.#out.length === 1 ? this.#out[0] : Buffer.concat(this.#out);
    this.#out = [];
    this.#socket.write(bytes);
    if (!this.hasRoom) this.#overBufferSinceMs ??= this.#core.clock.monotonicMs();
  }

  #writePubacks(): void {
    const packetIds = this.#pubacks;
    if (packetIds.length === 0) return;
    const bytes = Buffer.allocUnsafe(packetIds.length * 4);
    for (let index = 0; index < packetIds.length; index++) writePuback(bytes, index * 4, packetIds[index]);
    this.#out.push(bytes);
    this.#pubacks = [];
  }

  #drained(): void {
    this.#overBufferSinceMs = undefined;
    this.#session?.pump(this.#core.clock.nowMs());
    this.#core.flush();
  }

  // --- The end ----------------------------------------------------------------------------------------------------

  /** Called once a second: closes what is silent, never connected, or too slow. */
  checkDeadlines(nowMs: number): void {
    if (!this.#session) {
      if (nowMs - this.#openedAtMs > brokerLimits.connectDeadlineMs) this.#close();
    } else if (nowMs - this.#lastHeardMs > this.#keepAliveMs * 1.5) {
      this.#end(endings.keepAlive); // [MQTT5 3.1.2-22]
    } else if (this.#overBufferSinceMs !== undefined) {
      if (nowMs - this.#overBufferSinceMs > brokerLimits.writeDeadlineMs) this.#end(endings.tooSlow);
    }
  }

  takenOver(): void {
    this.#end(endings.takenOver);
  }

  evicted(): void {
    this.#will = undefined; // Its thing is gone, and with it the right to publish.
    this.#end(endings.evicted);
  }

  shutDown(): void {
    this.#end(endings.shuttingDown);
  }

  /** Ends an open session: 5 is told why [MQTT5 4.13.2-1]. */
  #end({ reasonCode, disconnectReason }: Ending): void {
    if (this.#closed) return;
    if (this.#version === 5 && this.#session) this.send({ type: 'disconnect', reasonCode });
    this.flush();
    this.#ended(disconnectReason);
    if (disconnectReason === 'MQTT_KEEP_ALIVE_TIMEOUT' || !this.hasRoom) this.#socket.destroy();
    else this.#socket.end();
  }

  /** Ends a connection that never became a session. */
  #close(): void {
    if (this.#closed) return;
    this.flush();
    this.#ended('CLIENT_ERROR');
    this.#socket.end();
  }

  #ended(reason: DisconnectReason): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#rest = undefined;
    this.#core.connections.delete(this);
    if (this.#session) this.#core.broker.detach(this, this.#session, reason, this.#will);
  }
}
