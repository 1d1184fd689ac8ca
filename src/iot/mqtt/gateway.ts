import type { Clock, Timer } from '../../kernel/clock.ts';
import type { Counters } from '../../kernel/counters.ts';
import { messageOf } from '../../kernel/errors.ts';
import { Fifo } from '../../kernel/fifo.ts';
import type { Log } from '../../kernel/log.ts';
import type { Random } from '../../kernel/random.ts';
import type { ListenAddress, Listener, Socket, Sockets, TlsCertificates } from '../../kernel/sockets.ts';
import { TokenBucket } from '../../kernel/token-bucket.ts';
import type { Stream } from '../../platform/stream/index.ts';
import type { Access, Identity } from '../access/port.ts';
import type { ConnectionState, Iot, OutgoingMessage, PublishReceipt, ThingCredentials } from '../port.ts';
import { Ingest, type ReceivedTally } from '../rules/index.ts';
import type { ThingRegistry } from '../things/index.ts';
import { AwakeClock } from './awake-clock.ts';
import { codeToSay } from './aws-reason-codes.ts';
import { Broker } from './broker.ts';
import { type BrokerLimits, brokerLimits } from './broker-limits.ts';
import type { ConnectJudge } from './connect.ts';
import { Connection } from './connection.ts';
import { messageExpiryNotValid, messageTooLarge, noThings, topicNotValid } from './errors.ts';
import { Checkpointer, Journal, type RecoveredJournal } from './journal/index.ts';
import { type LifecycleEvent, lifecyclePayload, lifecycleTopic } from './lifecycle.ts';
import { mqttLimits } from './limits.ts';
import { MessageEncoder } from './message-encoder.ts';
import { reasonCodes, type Will } from './packets.ts';
import { Router } from './router.ts';
import { type BrokerJournal, SafeKeeping } from './safe-keeping.ts';
import type { Session } from './session.ts';
import { Takeovers } from './takeovers.ts';
import { isTopicName, withoutShare } from './topics.ts';

/** What every connection works with. */
export interface GatewayCore extends ConnectJudge {
  /** Its monotonic time is the one in which clients could be heard (hostile C02). */
  readonly clock: Clock;
  readonly counts: Counters;
  readonly log: Log;
  readonly limits: BrokerLimits;
  readonly broker: Broker;
  readonly router: Router;
  readonly ingest: Ingest;
  readonly journal: BrokerJournal | undefined;
  readonly keeping: SafeKeeping;
  readonly access: Access;
  readonly takeovers: Takeovers;
  /** Publishes of all connections. */
  readonly publishes: TokenBucket;
  readonly connections: Set<Connection>;
  /** The socket of a connection is closed, which may be long after the connection has ended. */
  socketClosed(): void;
  /** Aborted when the gateway closes: what is being waited for is answered now, and nothing more is taken. */
  readonly closing: AbortSignal;
  /** Counts the turns of the event loop in which bytes arrived. */
  readonly turn: number;
  /** Unix epoch milliseconds by a clock that does not jump while the process lives (hostile C01). */
  nowMs(): number;
  /** Bytes are about to be handled: makes sure that `turn` counts on when this turn is over. */
  beginTurn(): void;
  /** The connection has something to write at the end of this turn. */
  markDirty(connection: Connection): void;
  /** Whether a CONNECT comes too soon after others; the reason to refuse it. */
  refusalOfConnect(clientId: string): number | undefined;
  /** Somebody who is known was not let in. */
  connectFailed(identity: Identity): void;
  readonly encoder: MessageEncoder;
  /** Writes what was gathered, one call per connection. */
  flush(): void;
}

export interface GatewayOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly counters: Counters;
  readonly log: Log;
  readonly sockets: Sockets;
  /** Who may come in and do what. */
  readonly access: Access;
  /** The registered things; without it the gateway is a broker for clients that are no things. */
  readonly things?: ThingRegistry;
  /** Takes telemetry and lifecycle events; without it there is no app to take them. */
  readonly stream?: Stream;
  /** Counts what has come into the stream. Default: nobody does. */
  readonly tally?: ReceivedTally;
  /** Sessions survive the process; without it they live in memory. */
  readonly sessions?: RecoveredJournal;
  readonly limits?: BrokerLimits;
  /** Of all doors together: further ones are closed at once, so that those who are there stay served. Default: no limit. */
  readonly connectionsMax?: number;
  /** How full memory is, 0 to 1. Near the end nobody new is let in (hostile R02). Default: never full. */
  readonly memoryPressure?: () => number;
  /** Nothing can be made durable any more: the process should end and start again. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * The MQTT side of the IoT half: listeners, connections, sessions, and the way into the stream. Never runs app code,
 * and asks nothing of a client that is not in the standard [MQTT311 7.0.0-2].
 */
export class Gateway implements GatewayCore, Iot {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly limits: BrokerLimits;
  readonly broker: Broker;
  readonly router: Router;
  readonly ingest: Ingest;
  readonly journal: BrokerJournal | undefined;
  readonly keeping: SafeKeeping;
  readonly access: Access;
  readonly takeovers: Takeovers;
  readonly publishes: TokenBucket;
  readonly connections = new Set<Connection>();
  readonly counts: Counters;
  readonly #close = new AbortController();
  readonly closing = this.#close.signal;
  turn = 0;
  readonly #things: ThingRegistry | undefined;
  readonly #sockets: Sockets;
  readonly #checkpointer: Checkpointer | undefined;
  readonly encoder: MessageEncoder;
  readonly #connectionsMax: number;
  readonly #memoryPressure: () => number;
  isShortOfMemory = false;
  readonly #connects: TokenBucket;
  readonly #connectsOfClients = new Map<string, number>();
  readonly #failedConnects: TokenBucket;
  readonly #steadyClock: Clock;
  readonly #startedAtMs: number;
  #listeners: Listener[] = [];
  #deadlines: Timer;
  readonly #dirty = new Fifo<Connection>();
  #flushIsDue = false;
  #openSockets = 0;
  #onSocketsClosed = () => {};
  #turnHasBegun = false;

  constructor(options: GatewayOptions) {
    const { clock, random, counters, log, sockets, access, stream, sessions, onFailure } = options;
    this.clock = new AwakeClock(clock);
    this.#steadyClock = clock;
    this.random = random;
    this.counts = counters;
    this.log = log;
    this.limits = options.limits ?? brokerLimits;
    this.access = access;
    this.#things = options.things;
    this.#sockets = sockets;
    this.#connectionsMax = options.connectionsMax ?? Number.POSITIVE_INFINITY;
    this.#memoryPressure = options.memoryPressure ?? (() => 0);
    const monotonicMs = clock.monotonicMs();
    this.#startedAtMs = clock.nowMs() - monotonicMs;
    this.encoder = new MessageEncoder(() => this.nowMs());
    this.#connects = new TokenBucket(this.limits.connectsPerSecondMax, monotonicMs);
    this.#failedConnects = new TokenBucket(failedConnectsPerSecondMax, monotonicMs);
    this.publishes = new TokenBucket(this.limits.totalPublishesPerSecondMax, monotonicMs);
    this.takeovers = new Takeovers(this.limits, (identity, remoteAddress) => this.#alarmFight(identity, remoteAddress));
    this.ingest = new Ingest({
      stream,
      journal: sessions?.stream,
      clock,
      counters,
      random,
      tally: options.tally,
      afterAcks: () => this.flush(),
      onFailure,
    });
    const journal = sessions && new Journal({ ...sessions, batch: () => this.ingest.journalBatch() });
    this.journal = journal;
    this.keeping = new SafeKeeping(this.ingest, run => this.#contain('An answer was lost by an error of ours.', run));
    const common = { limits: this.limits, counters, journal: this.journal, keeping: this.keeping };
    this.router = new Router({ ...common, rights: access, nowMs: () => this.nowMs() });
    this.broker = new Broker({
      ...common,
      clock,
      random,
      router: this.router,
      onLifecycle: event => this.#tellLifecycle(event),
      publishWill: (identity, will, from) => this.#publishWill(identity, will, from),
      nowMs: () => this.nowMs(),
    });
    if (sessions) this.#restore(sessions);
    this.#checkpointer = journal && sessions && this.#checkpoints(journal, sessions);
    this.#deadlines = this.#checkDeadlinesLater();
  }

  /**
   * Starts taking connections; resolves with the port. Call it again for another door. TCP, and whatever runs over it,
   * carries bytes in order and without loss, both ways [MQTT311 7.1.1-1] [MQTT5 4.2.0-1].
   */
  async listen(address: ListenAddress): Promise<number> {
    const listener = await this.#sockets.listen(address, socket => this.accept(socket));
    this.#listeners.push(listener);
    return listener.port;
  }

  accept(socket: Socket): void {
    if (this.connections.size >= this.#connectionsMax) {
      this.counts.add('mqtt.refused.tooManyConnections');
      return socket.destroy();
    }
    this.#openSockets++;
    this.connections.add(new Connection(this, socket));
  }

  /** New connections over TLS see these; the ones there are stay. Throws `tls.*`, and the old ones stay in force. */
  async replaceCertificates(certificates: TlsCertificates): Promise<void> {
    for (const listener of this.#listeners) await listener.replaceCertificates?.(certificates);
  }

  /** Takes nothing more, acknowledges what was received once it is durable, tells every client, and stops. */
  async close(): Promise<void> {
    this.#close.abort();
    await Promise.all(this.#listeners.map(listener => listener.close()));
    for (const connection of this.connections) connection.stopReading();
    await this.#received();
    for (const connection of [...this.connections]) connection.shutDown();
    await this.#received(); // What the ends of connections left: their lifecycle events and wills,
    await this.#received(); // and what followed from those.
    await this.#lastWordsSent();
    this.halt();
  }

  /** Resolves when every socket is closed, or soon: what a connection was told last must leave before the process does. */
  #lastWordsSent(): Promise<void> {
    if (this.#openSockets === 0) return Promise.resolve();
    return new Promise(resolve => {
      const timer = this.clock.setTimer(lastWordsMsMax, resolve);
      this.#onSocketsClosed = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  socketClosed(): void {
    this.#openSockets--;
    if (this.#openSockets === 0) this.#onSocketsClosed();
  }

  /** Resolves when everything offered to the ingest so far was made durable or refused. */
  #received(): Promise<void> {
    return new Promise(resolve => this.keeping.whenStored(resolve, resolve));
  }

  /** Frees the timers, and nothing else: what a process that dies leaves behind. */
  halt(): void {
    this.#deadlines.cancel();
    this.#checkpointer?.stop();
  }

  /** The rules have changed: what is not allowed any more ends now. */
  revise(): void {
    this.broker.revise(
      identity => this.access.isStillAllowed(identity),
      (identity, topicFilter) => this.access.maySubscribe(identity, withoutShare(topicFilter)),
      (identity, topic) => this.access.mayReceive(identity, topic),
    );
    this.flush();
  }

  // --- For connections --------------------------------------------------------------------------------------------

  nowMs(): number {
    return this.#startedAtMs + this.#steadyClock.monotonicMs();
  }

  beginTurn(): void {
    if (this.#turnHasBegun) return;
    this.#turnHasBegun = true;
    this.clock.soon(() => {
      this.#turnHasBegun = false;
      this.turn++;
    });
  }

  markDirty(connection: Connection): void {
    this.#dirty.push(connection);
  }

  refusalOfConnect(clientId: string): number | undefined {
    const nowMs = this.clock.monotonicMs();
    const { connectsPerClientPerSecondMax } = this.limits;
    if (!this.#connects.take(nowMs)) return codeToSay(reasonCodes.serverBusy, this.limits);
    if (connectsPerClientPerSecondMax === Number.POSITIVE_INFINITY || clientId === '') return undefined;
    const count = (this.#connectsOfClients.get(clientId) ?? 0) + 1;
    this.#connectsOfClients.set(clientId, count); // Cleared every second, and so bounded by the rate of all.
    return count > connectsPerClientPerSecondMax ? reasonCodes.quotaExceeded : undefined;
  }

  connectFailed(identity: Identity): void {
    if (!this.#failedConnects.take(this.clock.monotonicMs())) return;
    this.#tellLifecycle({
      clientId: identity.clientId,
      thingName: identity.thingName,
      principalIdentifier: identity.principal,
      sessionIdentifier: Buffer.from(this.random.bytes(16)).toString('hex'),
      versionNumber: 0,
      eventType: 'connect_failed',
      connectFailureReason: 'AUTHORIZATION_FAILED',
    });
  }

  /** At most so many in one go, so that one message to very many leaves turns to everybody else (hostile D04). */
  flush(): void {
    for (let written = 0; written < flushesPerTurnMax; written++) {
      const connection = this.#dirty.shift();
      if (!connection) return;
      connection.flush();
    }
    if (this.#flushIsDue || this.#dirty.length === 0) return;
    this.#flushIsDue = true;
    this.clock.soon(() => {
      this.#flushIsDue = false;
      this.flush();
    });
  }

  // --- The Iot port -----------------------------------------------------------------------------------------------

  /** Throws `mqtt.topicNotValid`, `mqtt.messageTooLarge`, `mqtt.messageExpiryNotValid`, `ingest.refused`. */
  async publish({
    topic,
    payload,
    qos,
    messageExpirySeconds,
    retain = false,
    cause,
  }: OutgoingMessage): Promise<PublishReceipt> {
    if (!isTopicName(topic)) throw topicNotValid();
    const byteLength = payload.length + Buffer.byteLength(topic) + outgoingOverheadBytes;
    if (byteLength > mqttLimits.packetBytesMax) throw messageTooLarge(payload.length);
    if (messageExpirySeconds !== undefined && !isExpiry(messageExpirySeconds)) throw messageExpiryNotValid();
    const properties =
      messageExpirySeconds === undefined ? undefined : { messageExpiryIntervalSeconds: messageExpirySeconds };
    const target = this.ingest.hasStream ? this.access.telemetryOn?.(topic) : undefined;
    const durable = target && this.ingest.offerOwn(target, topic, payload, cause);
    const { connected } = this.router.publish({ topic, payload, qos, retain, properties, byteLength });
    this.flush();
    await durable;
    return { subscribers: connected };
  }

  /** Throws `thing.exists`, `thing.nameNotValid`. */
  async createThing(thingName: string): Promise<ThingCredentials> {
    if (!this.#things) throw noThings();
    return this.#things.create(thingName);
  }

  async deleteThing(thingName: string): Promise<void> {
    const deleted = this.#things?.delete(thingName); // Who connects from here on is refused.
    this.broker.evict(thingName);
    this.flush();
    await deleted;
  }

  async listConnections(thingNames: readonly string[]): Promise<ConnectionState[]> {
    return thingNames.map(thingName => this.broker.connectionState(thingName));
  }

  async counters(): Promise<Record<string, number>> {
    return {
      ...this.counts.all(),
      'mqtt.connections': this.connections.size,
      'mqtt.subscriptions': this.router.size,
      'mqtt.retained': this.router.retained.size,
    };
  }

  // --- Inside -----------------------------------------------------------------------------------------------------

  #restore({ clients, retained }: RecoveredJournal): void {
    for (const message of retained) this.router.retained.set(message);
    this.broker.restore(clients);
    this.broker.settleRestored();
    this.flush();
  }

  #checkpoints(journal: Journal, { log }: RecoveredJournal): Checkpointer {
    return new Checkpointer({
      journal,
      log,
      clock: this.clock,
      source: { clients: () => this.broker.clients(), retained: () => this.router.retained.all() },
      onFailure: error => {
        this.counts.add('mqtt.failed.checkpoint');
        this.log.error({ error: messageOf(error) }, 'The journal of the sessions is not shortened any more.');
      },
    });
  }

  /**
   * As any other message: retained if its client said so [MQTT311 3.1.2-16, 3.1.2-17] [MQTT5 3.1.2-14, 3.1.2-15], and
   * with its properties [MQTT5 3.1.3-10]. Checked again when it happens: the rules may have changed since CONNECT.
   */
  #publishWill(identity: Identity, { topic, payload, qos, retain, properties }: Will, from: Session | undefined): void {
    this.#contain('A will was lost by an error of ours.', () => {
      const verdict = this.access.judgePublish(identity, topic);
      if (!verdict.allowed) return this.counts.add('mqtt.refused.will');
      const thingName = identity.thingName ?? identity.clientId;
      if (verdict.ingest) this.ingest.offer(thingName, topic, payload, undefined, 0, 0, verdict.partitionKey);
      const { willDelayIntervalSeconds: _, ...forwarded } = properties ?? {};
      const byteLength = payload.length + Buffer.byteLength(topic) + mqttLimits.userPropertyBytesMax;
      this.router.publish({ topic, payload, qos, retain, properties: forwarded, byteLength }, from);
      this.flush(); // A will may be due when nothing else happens.
    });
  }

  /** To the functions by the stream, and to whoever subscribes to the topic of the event. */
  #tellLifecycle(event: LifecycleEvent): void {
    this.#contain('A lifecycle event was lost by an error of ours.', () => {
      const topic = lifecycleTopic(event);
      if (topic === undefined) return;
      const isForFunctions = this.ingest.hasStream && event.eventType !== 'connect_failed';
      if (!isForFunctions && !this.router.isWanted(topic)) return;
      const payload = lifecyclePayload(event, this.clock.nowMs());
      if (isForFunctions) this.ingest.offer(event.thingName ?? event.clientId, topic, payload);
      const byteLength = payload.length + topic.length + outgoingOverheadBytes;
      this.router.publish({ topic, payload, qos: 1, retain: false, byteLength });
    });
  }

  #alarmFight({ clientId }: Identity, remoteAddress: string): void {
    this.counts.add('mqtt.slowed.takeover');
    const facts = { clientId: clientId.slice(0, loggedCharactersMax), remoteAddress };
    this.log.warn(facts, 'Several connections keep taking one client id from each other.');
  }

  #lookAtMemory(): void {
    const wasShort = this.isShortOfMemory;
    this.isShortOfMemory = this.#memoryPressure() > memoryPressureMax;
    if (this.isShortOfMemory && !wasShort) this.log.warn({}, 'Memory is nearly full: nobody new is let in for now.');
  }

  #checkDeadlinesLater(): Timer {
    return this.clock.setTimer(1_000, () => {
      const nowMs = this.clock.monotonicMs();
      this.#connectsOfClients.clear();
      this.#lookAtMemory();
      for (const connection of this.connections) connection.checkDeadlines(nowMs);
      this.#contain('Something that was due failed by an error of ours.', () => {
        this.broker.tick();
        this.router.retained.dropExpired(this.nowMs(), retainedSweptPerSecondMax);
      });
      this.flush();
      this.#deadlines = this.#checkDeadlinesLater();
    });
  }

  /** What happens on the way must not keep a session from ending (hostile R03). */
  #contain(complaint: string, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.counts.add('mqtt.failed.broker');
      this.log.warn({ error: messageOf(error) }, complaint);
    }
  }
}

const outgoingOverheadBytes = 32; // ours: fixed header, packet id and message expiry take 18 at most
const retainedSweptPerSecondMax = 10_000; // ours: retained messages looked at for having expired
const lastWordsMsMax = 1_000; // ours: for the last bytes to leave when the process ends
const memoryPressureMax = 0.9; // ours: the rest is for those who are there
const flushesPerTurnMax = 1_024; // ours: connections written to, some 5 ms of system calls
const failedConnectsPerSecondMax = 100; // ours: events of refused connections; strangers cause them
const loggedCharactersMax = 128; // ours: of a text that a client chose

/** A whole number that fits the property's four bytes [MQTT5 3.3.2.3.3]. */
function isExpiry(seconds: number): boolean {
  return Number.isInteger(seconds) && seconds >= 1 && seconds <= 0xffff_ffff;
}
