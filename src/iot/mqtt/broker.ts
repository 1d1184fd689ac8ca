import type { Clock } from '../../kernel/clock.ts';
import type { Counters } from '../../kernel/counters.ts';
import { DueQueue } from '../../kernel/due-queue.ts';
import type { Random } from '../../kernel/random.ts';
import type { Identity } from '../access/port.ts';
import type { ConnectionState } from '../port.ts';
import type { BrokerLimits } from './broker-limits.ts';
import type { ClientState, Delivery, GrantedSubscription, Presence } from './client-state.ts';
import type { Connection } from './connection.ts';
import type { CheckpointClient } from './journal/index.ts';
import type { DisconnectReason, LifecycleEvent } from './lifecycle.ts';
import type { ProtocolVersion, Subscription, Will } from './packets.ts';
import type { Router } from './router.ts';
import type { BrokerJournal, SafeKeeping } from './safe-keeping.ts';
import { type QueueBudget, Session, type SessionKeeping } from './session.ts';

/** Everything remembered of one client id. One connection owns it at any instant (hostile S02). */
class Client implements CheckpointClient {
  identity: Identity;
  readonly clientNo: number;
  protocolVersion: ProtocolVersion;
  presence: Presence;
  connection: Connection | undefined;
  session: Session | undefined;
  will: Will | undefined;
  /** On the wall clock, for whoever reads the journal; undefined while connected. */
  willDueAtMs: number | undefined;
  sessionEndsAtMs: number | undefined;
  isForgotten = false;

  constructor(clientNo: number, options: Pick<AttachOptions, 'identity' | 'protocolVersion'>, presence: Presence) {
    this.clientNo = clientNo;
    this.identity = options.identity;
    this.protocolVersion = options.protocolVersion;
    this.presence = presence;
  }

  /** As it is now, for the journal. */
  state(): ClientState | undefined {
    return this.isForgotten ? undefined : stateOf(this);
  }
}

/** What a client finds that comes without a connection; otherwise why there is nothing for it. */
export type MailboxOutcome =
  | { readonly session: Session; readonly added: readonly GrantedSubscription[] }
  | 'connected' // It has a connection, which gets everything.
  | 'notYours' // Somebody else has that client id.
  | 'noRoom'
  | 'tooExpensive'; // One of the filters (hostile D08).

export interface AttachOptions {
  readonly identity: Identity;
  readonly protocolVersion: ProtocolVersion;
  readonly cleanStart: boolean;
  readonly expirySeconds: number;
  readonly will: Will | undefined;
  readonly remoteAddress: string;
}

/** MQTT 5's word for a session that never expires [MQTT5 3.1.2.11.2]. */
export const neverExpires = 0xffff_ffff;

/**
 * Who is there and who was: clients, their sessions, wills and presence, and when each of these ends. A newer connection
 * takes the session over and the older can no longer touch it. Sessions that outlive their connection are noted in the
 * journal, and so is everybody's presence: a restart forgets nobody who was there.
 */
export class Broker {
  readonly #clock: Clock;
  readonly #identifierBase: string;
  #identifiers = 0;
  readonly #limits: BrokerLimits;
  readonly #counters: Counters;
  readonly #router: Router;
  readonly #journal: BrokerJournal | undefined;
  readonly #keeping: SafeKeeping;
  /** The same for every session that is kept. */
  readonly #sessionKeeping: SessionKeeping | undefined;
  readonly #onLifecycle: (event: LifecycleEvent) => void;
  readonly #publishWill: (identity: Identity, will: Will, from: Session | undefined) => void;
  readonly #nowMs: () => number;
  /** By client id, which names the session and all else that is remembered [MQTT311 3.1.3-2] [MQTT5 3.1.3-2]. */
  readonly #clients = new Map<string, Client>();
  /** Which client ids each thing was seen with. */
  readonly #clientsOfThing = new Map<string, Set<Client>>();
  readonly #sessionEnds: DueQueue<Client>;
  readonly #wills: DueQueue<Client>;
  readonly #forgets: DueQueue<Client>;
  #revision = 0;
  readonly #budget: QueueBudget = { bytes: 0 };
  /** Of those connected and of those away. */
  #sessions = 0;

  constructor(options: {
    clock: Clock;
    random: Random;
    limits: BrokerLimits;
    counters: Counters;
    router: Router;
    journal: BrokerJournal | undefined;
    keeping: SafeKeeping;
    onLifecycle: (event: LifecycleEvent) => void;
    /** A will is published as its client would have done it, rights included. */
    publishWill: (identity: Identity, will: Will, from: Session | undefined) => void;
    /** Unix epoch milliseconds by a clock that does not jump (hostile C01). */
    nowMs: () => number;
  }) {
    this.#clock = options.clock;
    this.#identifierBase = Buffer.from(options.random.bytes(10)).toString('hex');
    this.#limits = options.limits;
    this.#counters = options.counters;
    this.#router = options.router;
    this.#journal = options.journal;
    this.#keeping = options.keeping;
    const { journal, keeping } = options;
    this.#sessionKeeping = journal && {
      journal,
      whenStored: (then, otherwise) => keeping.whenStored(then, otherwise),
    };
    this.#onLifecycle = options.onLifecycle;
    this.#publishWill = options.publishWill;
    this.#nowMs = options.nowMs;
    const nowMs = options.clock.monotonicMs();
    this.#sessionEnds = new DueQueue(nowMs);
    this.#wills = new DueQueue(nowMs);
    this.#forgets = new DueQueue(nowMs);
  }

  // --- Coming and going -------------------------------------------------------------------------------------------

  /** Whether this client may have a session: its own from before, or one more. */
  hasRoomFor({ clientId, thingName }: Identity): boolean {
    if (this.#clients.get(clientId)?.session) return true;
    if (this.#sessions >= this.#limits.sessionsMax && !this.#sessionEnds.next()) return false;
    if (thingName === undefined || clientId === thingName) return true;
    return (this.#clientsOfThing.get(thingName)?.size ?? 0) < this.#limits.sessionsPerThingMax;
  }

  /** Whether so much waits for clients that are away or slow that nobody new should come (hostile R02). */
  get isOverloaded(): boolean {
    return this.#budget.bytes >= this.#limits.queuedBytesTotalMax * overloadShare;
  }

  /** What is kept for one user, or in use by one, is not another's to take, whoever knows the client id. */
  belongsToAnother(identity: Identity): boolean {
    const client = this.#clients.get(identity.clientId);
    return client?.session !== undefined && !isSameUser(client.identity, identity);
  }

  /** Who is connected with this client id now. */
  connectionOf(clientId: string): Connection | undefined {
    return this.#clients.get(clientId)?.connection;
  }

  /**
   * Gives the client's session to `connection`: the one before is ended first [MQTT311 3.1.4-2] [MQTT5 3.1.4-3], a
   * clean start discards what was remembered [MQTT311 3.1.2-6, 3.1.4-3] [MQTT5 3.1.2-4, 3.1.4-4], and any other goes on
   * with it, or begins a session where there is none [MQTT311 3.1.2-4] [MQTT5 3.1.2-5, 3.1.2-6].
   */
  attach(connection: Connection, options: AttachOptions): { session: Session; sessionPresent: boolean } {
    const { identity, expirySeconds, protocolVersion } = options;
    const { clientId } = identity;
    this.#clients.get(clientId)?.connection?.takenOver();
    const known = this.#clients.get(clientId);
    // What was kept for one user is not handed to another who chose the same client id.
    const isOther =
      known !== undefined &&
      (!isSameUser(known.identity, identity) ||
        (!this.#limits.resumesAcrossVersions && known.protocolVersion !== protocolVersion));
    const isClean = options.cleanStart || isOther;
    if (known?.session && isClean) this.#endSession(known);
    if (known) this.#settleWill(known, isClean);
    const client = this.#clients.get(clientId) ?? this.#newClient(options);
    // Behind a clean start there is none any more [MQTT311 3.2.2-1 … 3.2.2-3] [MQTT5 3.2.2-2, 3.2.2-3].
    const sessionPresent = client.session !== undefined;
    const isChanged = client.protocolVersion !== protocolVersion || client.identity.principal !== identity.principal;
    this.#sessionEnds.delete(client);
    this.#forgets.delete(client);
    if (known && known.identity.thingName !== identity.thingName) this.#linkThing(client, identity.thingName);
    client.identity = identity;
    client.protocolVersion = protocolVersion;
    client.sessionEndsAtMs = undefined;
    this.#setWill(client, options.will); // Kept until it is published or called off [MQTT311 3.1.2-8] [MQTT5 3.1.2-7].
    client.connection = connection;
    client.presence = {
      connected: true,
      sinceMs: this.#nowMs(),
      versionNumber: client.presence.versionNumber + 1,
      sessionIdentifier: this.#newSessionIdentifier(),
    };
    if (!client.session) this.#makeRoom();
    const session = client.session ?? this.#newSession(client, expirySeconds);
    client.session = session;
    session.protocolVersion = protocolVersion;
    this.#setExpiry(client, session, expirySeconds);
    session.link = connection;
    if (sessionPresent && !isChanged) this.#notePresence(client);
    else this.#journal?.client(stateOf(client));
    this.#tellWhenStored(connection, client, options.remoteAddress);
    return { session, sessionPresent };
  }

  /**
   * The connection has ended, and only now may its session [MQTT311 4.1.0-1, 4.1.0-2] [MQTT5 4.1.0-1]: at once, or when
   * its expiry interval has passed [MQTT311 3.1.2-4, 3.1.2-6] [MQTT5 3.1.2-23, 4.1.0-2]. Content when it does not own
   * the session any more.
   */
  detach(connection: Connection, reason: DisconnectReason, keepsWill: boolean): void {
    const clientId = connection.clientId;
    const client = clientId === undefined ? undefined : this.#clients.get(clientId);
    if (client?.connection !== connection || !client.session) return;
    const { session } = client;
    client.connection = undefined;
    session.link = undefined;
    const nowMs = this.#nowMs();
    client.presence = { ...client.presence, connected: false, sinceMs: nowMs };
    if (!keepsWill) this.#setWill(client, undefined); // [MQTT311 3.1.2-10]
    const delaySeconds = delayOf(client.will, session);
    client.willDueAtMs = client.will && nowMs + delaySeconds * 1_000;
    client.sessionEndsAtMs = endOf(session, nowMs);
    this.#notePresence(client);
    this.#tellLifecycle(client, {
      eventType: 'disconnected',
      clientInitiatedDisconnect: reason === 'CLIENT_INITIATED_DISCONNECT',
      disconnectReason: reason,
    });
    if (client.will && delaySeconds === 0) this.#settleWill(client, true);
    else if (client.will) this.#wills.set(client, this.#clock.monotonicMs() + delaySeconds * 1_000);
    if (session.expirySeconds === 0) this.#endSession(client);
    else if (session.expirySeconds !== neverExpires) {
      this.#sessionEnds.set(client, this.#clock.monotonicMs() + session.expirySeconds * 1_000);
    }
    this.#forgetLater(client);
  }

  /** The session of a client, if it is this user's. */
  sessionOf(identity: Identity): Session | undefined {
    const client = this.#clients.get(identity.clientId);
    return client && isSameUser(client.identity, identity) ? client.session : undefined;
  }

  /**
   * The session of a client that comes for its messages without a connection (HTTP): made when there is none, kept for
   * `expirySeconds` from now on. `subscriptions` are all it shall have; undefined leaves them as they are. Nobody is
   * told of a presence, but each time of the subscriptions, since that is what an app waits for that has something to
   * send. Changes nothing when it does not give a session.
   */
  mailbox(
    identity: Identity,
    subscriptions: readonly GrantedSubscription[] | undefined,
    expirySeconds: number,
  ): MailboxOutcome {
    const known = this.#clients.get(identity.clientId);
    if (known && !isSameUser(known.identity, identity)) return 'notYours';
    if (known?.connection) return 'connected';
    if (!this.hasRoomFor(identity) || (!known?.session && this.isOverloaded)) return 'noRoom';
    const client = known ?? this.#newClient({ identity, protocolVersion: 5 });
    const isNew = client.session === undefined;
    if (isNew) {
      this.#makeRoom();
      client.protocolVersion = 5; // A request has all that 5 has, whatever the client spoke before.
    }
    const session = client.session ?? this.#newSession(client, expirySeconds);
    client.session = session;
    this.#forgets.delete(client);
    if (subscriptions && !this.#acceptsAll(session, subscriptions)) {
      if (isNew) this.#endSession(client);
      return 'tooExpensive';
    }
    // What it asked for over MQTT may be longer.
    this.#setExpiry(client, session, Math.max(session.expirySeconds, expirySeconds));
    client.sessionEndsAtMs = endOf(session, this.#nowMs());
    if (session.expirySeconds !== neverExpires) {
      this.#sessionEnds.set(client, this.#clock.monotonicMs() + session.expirySeconds * 1_000);
    }
    if (!known) {
      client.presence = { ...client.presence, versionNumber: 0, sessionIdentifier: this.#newSessionIdentifier() };
    }
    if (isNew) this.#journal?.client(stateOf(client));
    else this.#notePresence(client);
    return { session, added: this.#setSubscriptions(session, subscriptions ?? [...session.subscriptions.values()]) };
  }

  /** Wills wait as messages do, and count as much. */
  #setWill(client: Client, will: Will | undefined): void {
    this.#budget.bytes += costOfWill(will) - costOfWill(client.will);
    client.will = will;
  }

  /** The client has said with DISCONNECT how long its session shall be kept [MQTT5 3.14.2.2.2]. */
  setExpiry(session: Session, expirySeconds: number): void {
    const client = this.#clients.get(session.clientId);
    if (client?.session === session) this.#setExpiry(client, session, expirySeconds);
  }

  /** Called every second: ends what is due. */
  tick(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const client of this.#wills.take(nowMs)) this.#settleWill(client, true);
    for (const client of this.#sessionEnds.take(nowMs)) this.#endSession(client); // [MQTT5 4.1.0-2]
    for (const client of this.#forgets.take(nowMs)) this.#forget(client);
    this.#dropExpiredSome();
  }

  // --- Subscriptions ----------------------------------------------------------------------------------------------

  /**
   * Says for each whether there was none of that filter before. One that was there is replaced in its place, so that no
   * message falls between the two [MQTT311 3.8.4-3] [MQTT5 3.8.4-4].
   */
  subscribe(session: Session, subscriptions: readonly GrantedSubscription[]): boolean[] {
    const areNew = subscriptions.map(subscription => {
      const isNew = !session.subscriptions.has(subscription.topicFilter);
      session.subscriptions.set(subscription.topicFilter, subscription);
      this.#router.add(session, subscription);
      return isNew;
    });
    if (session.keeping) this.#journal?.subscribed(session.clientNo, subscriptions);
    this.#tellSubscriptions(session, 'subscribed', subscriptions.map(filterOf));
    return areNew;
  }

  /** Tried out together: each may fit by itself and the last one not beside the others. */
  #acceptsAll(session: Session, subscriptions: readonly GrantedSubscription[]): boolean {
    const tried: GrantedSubscription[] = [];
    const isAccepted = subscriptions.every(subscription => {
      const { topicFilter } = subscription;
      if (session.subscriptions.has(topicFilter)) return true;
      if (!this.#router.accepts(session, topicFilter)) return false;
      this.#router.add(session, subscription);
      tried.push(subscription);
      return true;
    });
    for (const { topicFilter } of tried) this.#router.delete(session, topicFilter);
    return isAccepted;
  }

  /** Ends what is not named, and tells of what is, new or not. Gives what is new. */
  #setSubscriptions(session: Session, subscriptions: readonly GrantedSubscription[]): GrantedSubscription[] {
    const before = [...session.subscriptions.keys()];
    const wanted = new Set(subscriptions.map(filterOf));
    const unwanted = before.filter(topicFilter => !wanted.has(topicFilter));
    const kept = before.filter(topicFilter => wanted.has(topicFilter));
    const added = subscriptions.filter(({ topicFilter }) => !session.subscriptions.has(topicFilter));
    if (unwanted.length > 0) this.unsubscribe(session, unwanted);
    if (added.length > 0) this.subscribe(session, added);
    this.#tellSubscriptions(session, 'subscribed', kept.slice(0, this.#limits.filtersPerSubscribeMax));
    return added;
  }

  /**
   * Ends those of exactly these filters [MQTT311 3.10.4-1] [MQTT5 3.10.4-1]; what they have brought into the session
   * stays and is delivered [MQTT311 3.10.4-3] [MQTT5 3.10.4-3]. Says for each whether there was such a subscription.
   */
  unsubscribe(session: Session, topicFilters: readonly string[]): boolean[] {
    const were = topicFilters.map(topicFilter => {
      const was = session.subscriptions.delete(topicFilter);
      if (was) this.#router.delete(session, topicFilter);
      return was;
    });
    const ended = topicFilters.filter((_, index) => were[index]);
    if (session.keeping && ended.length > 0) this.#journal?.unsubscribed(session.clientNo, ended);
    this.#tellSubscriptions(session, 'unsubscribed', ended);
    return were;
  }

  /** The rules have changed: ends connections, subscriptions and deliveries that are not allowed any more (hostile S09). */
  revise(isStillAllowed: (identity: Identity) => boolean, maySubscribe: MayHear, mayReceive: MayHear): void {
    const clients = this.#clients.values();
    this.#revision++;
    this.#reviseSome(clients, this.#revision, ({ connection, session, identity }) => {
      if (connection && !isStillAllowed(identity)) connection.evicted();
      if (!session) return;
      const filters = [...session.subscriptions.keys()];
      this.unsubscribe(
        session,
        filters.filter(topicFilter => !maySubscribe(identity, topicFilter)),
      );
      session.dropForbidden(topic => mayReceive(identity, topic));
    });
  }

  /** A part of the clients now and the rest in later turns; a newer revision takes over from an older one. */
  #reviseSome(clients: Iterator<Client>, revision: number, revise: (client: Client) => void): void {
    for (let n = 0; n < revisedPerTurnMax; n++) {
      const { value, done } = clients.next();
      if (done) return;
      revise(value);
    }
    this.#clock.soon(() => {
      if (revision === this.#revision) this.#reviseSome(clients, revision, revise);
    });
  }

  // --- Things -----------------------------------------------------------------------------------------------------

  /** A thing is connected when any of its clients is. */
  connectionState(thingName: string): ConnectionState {
    let state: ConnectionState = { thingName, connected: false };
    for (const { presence } of this.#clientsOfThing.get(thingName) ?? []) {
      if (state.connected && !presence.connected) continue;
      const isBetter = presence.connected !== state.connected || presence.sinceMs > (state.sinceMs ?? 0);
      if (isBetter) state = { thingName, connected: presence.connected, sinceMs: presence.sinceMs };
    }
    return state;
  }

  /** Ends the connections of a thing and forgets its sessions, because the thing was deleted. */
  evict(thingName: string): void {
    for (const client of [...(this.#clientsOfThing.get(thingName) ?? [])]) {
      client.connection?.evicted();
      this.#setWill(client, undefined); // With the thing goes its right to publish.
      this.#wills.delete(client);
      this.#endSession(client);
      this.#forget(client);
    }
  }

  // --- Keeping and getting back -----------------------------------------------------------------------------------

  /** Everybody who is remembered, for a checkpoint of the journal; clients may come and go meanwhile. */
  clients(): Iterable<CheckpointClient> {
    return this.#clients.values();
  }

  /**
   * Takes back what the journal has kept. Whoever was connected is not any more: told as an event, and as the will that
   * was left for this. Call `settleRestored` afterwards, when wills can be published.
   */
  restore(states: readonly ClientState[]): void {
    for (const state of states) {
      const client = new Client(state.clientNo, state, state.presence);
      this.#clients.set(state.identity.clientId, client);
      this.#linkThing(client, state.identity.thingName);
      this.#setWill(client, state.will);
      client.willDueAtMs = state.willDueAtMs;
      if (state.session) this.#restoreSession(client, state.session);
    }
  }

  /** The second half of `restore`: what ended with the process, and what fell due while it was not there. */
  settleRestored(): void {
    const nowMs = this.#nowMs();
    const monotonicMs = this.#clock.monotonicMs();
    for (const client of [...this.#clients.values()]) {
      const { session } = client;
      const delayMs = delayOf(client.will, session) * 1_000;
      if (client.presence.connected) {
        client.presence = { ...client.presence, connected: false, sinceMs: nowMs };
        client.willDueAtMs = client.will && nowMs + delayMs;
        client.sessionEndsAtMs = session && endOf(session, nowMs);
        this.#notePresence(client);
        this.#tellLifecycle(client, {
          eventType: 'disconnected',
          clientInitiatedDisconnect: false,
          disconnectReason: 'SERVER_ERROR',
        });
      }
      // Never longer than was promised, though the wall clock went back meanwhile (hostile C01).
      const wait = (dueAtMs: number, atMostMs: number) => Math.min(Math.max(dueAtMs - nowMs, 0), atMostMs);
      if (client.will) this.#wills.set(client, monotonicMs + wait(client.willDueAtMs ?? 0, delayMs));
      if (session && client.sessionEndsAtMs !== undefined) {
        const atMostMs = session.expirySeconds * 1_000;
        this.#sessionEnds.set(client, monotonicMs + wait(client.sessionEndsAtMs, atMostMs));
      }
      this.#forgetLater(client);
    }
    this.tick();
  }

  #restoreSession(client: Client, state: NonNullable<ClientState['session']>): void {
    const session = this.#newSession(client, state.expirySeconds);
    client.session = session;
    client.sessionEndsAtMs = state.endsAtMs;
    session.keeping = this.#sessionKeeping;
    for (const subscription of state.subscriptions) {
      session.subscriptions.set(subscription.topicFilter, subscription);
      this.#router.add(session, subscription);
    }
    if (state.received.length > 0) session.received = new Set(state.received);
    session.restore(state.deliveries);
  }

  // --- Inside -----------------------------------------------------------------------------------------------------

  #newClient(options: Pick<AttachOptions, 'identity' | 'protocolVersion'>): Client {
    const presence = { connected: false, sinceMs: 0, versionNumber: -1, sessionIdentifier: '' };
    const client = new Client(this.#journal?.newClientNo() ?? 0, options, presence);
    this.#clients.set(options.identity.clientId, client);
    this.#linkThing(client, options.identity.thingName);
    return client;
  }

  /** Full: of those who are away, the one whose session would end first makes room (hostile S04). */
  #makeRoom(): void {
    const next = this.#sessions >= this.#limits.sessionsMax ? this.#sessionEnds.next() : undefined;
    if (!next) return;
    this.#counters.add('mqtt.dropped.session');
    this.#endSession(next);
  }

  #newSession(client: Client, expirySeconds: number): Session {
    this.#sessions++;
    return new Session({
      identity: client.identity,
      clientNo: client.clientNo,
      protocolVersion: client.protocolVersion,
      expirySeconds,
      limits: this.#limits,
      budget: this.#budget,
      counters: this.#counters,
      nowMs: this.#nowMs,
    });
  }

  /** Unique among all processes by chance, within this one by counting: no call for chance with each connection. */
  #newSessionIdentifier(): string {
    return this.#identifierBase + (++this.#identifiers).toString(16).padStart(12, '0');
  }

  #linkThing(client: Client, thingName: string | undefined): void {
    const before = client.identity.thingName;
    if (before !== undefined) this.#clientsOfThing.get(before)?.delete(client);
    if (thingName === undefined) return;
    const clients = this.#clientsOfThing.get(thingName);
    if (clients) clients.add(client);
    else this.#clientsOfThing.set(thingName, new Set([client]));
  }

  #setExpiry(client: Client, session: Session, expirySeconds: number): void {
    session.expirySeconds = expirySeconds;
    const isKept = expirySeconds > 0;
    if (isKept && !session.keeping) session.keeping = this.#sessionKeeping;
    if (!isKept && session.keeping) {
      session.keeping = undefined;
      this.#journal?.sessionEnded(client.clientNo);
    }
  }

  /** Lifecycle events follow what is stored, so that no restart leaves a thing shown as connected that is not. */
  #tellWhenStored(connection: Connection, client: Client, ipAddress: string): void {
    const { presence, identity } = client;
    const tell = () => this.#onLifecycle({ ...factsOf(identity, presence), eventType: 'connected', ipAddress });
    this.#keeping.whenStored(tell, () => {
      tell();
      connection.notStored();
    });
  }

  #tellLifecycle(client: Client, facts: EndFacts): void {
    const { presence, identity } = client;
    const tell = () => this.#onLifecycle({ ...factsOf(identity, presence), ...facts });
    this.#keeping.whenStored(tell, tell);
  }

  #tellSubscriptions(session: Session, eventType: 'subscribed' | 'unsubscribed', topics: readonly string[]): void {
    const client = this.#clients.get(session.clientId);
    if (!client || topics.length === 0) return;
    const { identity, presence } = client;
    const tell = () => this.#onLifecycle({ ...factsOf(identity, presence), eventType, topics });
    this.#keeping.whenStored(tell, tell);
  }

  #notePresence(client: Client): void {
    this.#journal?.presence(
      client.clientNo,
      client.presence,
      client.will,
      client.willDueAtMs,
      client.sessionEndsAtMs,
      client.session?.expirySeconds ?? 0,
    );
  }

  /** A will that waits is published when its session ends, and cancelled when the session goes on [MQTT5 3.1.3-9]. */
  #settleWill(client: Client, isDue: boolean, from = client.session): void {
    const { will, identity } = client;
    this.#wills.delete(client);
    if (!will) return; // [MQTT311 3.1.2-12]
    this.#setWill(client, undefined); // Once published it is not published again [MQTT311 3.1.2-10].
    client.willDueAtMs = undefined;
    // First the message, then that it is done: a crash between the two must not lose it.
    if (isDue) this.#publishWill(identity, will, from);
    this.#notePresence(client);
    if (!client.connection && !client.session) this.#forgetLater(client);
  }

  #endSession(client: Client): void {
    const { session } = client;
    this.#sessionEnds.delete(client);
    if (!session) return;
    client.session = undefined;
    this.#sessions--;
    client.sessionEndsAtMs = undefined;
    if (session.keeping) this.#journal?.sessionEnded(client.clientNo);
    for (const topicFilter of session.subscriptions.keys()) this.#router.delete(session, topicFilter);
    session.subscriptions.clear();
    const owed = session.clear();
    if (owed.length > 0) this.#giveBack(owed);
    this.#settleWill(client, true, session); // The will is due when the session ends [MQTT311 3.1.2-8] [MQTT5 3.1.2-8].
    this.#forgetLater(client);
  }

  /** QoS 1 messages of a shared subscription that nobody has taken go to another member (hostile S14) [MQTT5 4.8.2-5]. */
  #giveBack(owed: readonly Delivery[]): void {
    for (const delivery of owed) {
      if (delivery.share !== undefined) this.#router.giveBack(delivery);
    }
  }

  /** The thing's own client is remembered as long as the thing, its others not at all: they could be any number. */
  #forgetLater(client: Client): void {
    if (client.connection || client.session || client.will) return;
    const { clientId, thingName } = client.identity;
    if (clientId === thingName) return;
    if (thingName !== undefined) return this.#forget(client);
    this.#forgets.set(client, this.#clock.monotonicMs() + this.#limits.presenceMs);
    const oldest = this.#forgets.size > presencesMax ? this.#forgets.oldest() : undefined;
    if (oldest) this.#forget(oldest);
  }

  #forget(client: Client): void {
    this.#forgets.delete(client);
    if (client.connection || client.session || client.will) return;
    if (this.#clients.get(client.identity.clientId) !== client) return;
    this.#clients.delete(client.identity.clientId);
    client.isForgotten = true;
    this.#linkThing(client, undefined);
    const { thingName } = client.identity;
    if (thingName !== undefined && this.#clientsOfThing.get(thingName)?.size === 0) {
      this.#clientsOfThing.delete(thingName);
    }
    this.#journal?.clientForgotten(client.clientNo);
  }

  #sweep: Iterator<Client> | undefined;

  /** A part of the sessions each second, so that expired messages go without being touched by a reader (hostile D12). */
  #dropExpiredSome(): void {
    const nowMs = this.#nowMs();
    this.#sweep ??= this.#clients.values();
    for (let n = 0; n < sessionsPerSweepMax; n++) {
      const { value, done } = this.#sweep.next();
      if (done) {
        this.#sweep = undefined;
        return;
      }
      value.session?.dropExpired(nowMs);
    }
  }
}

/** Asked of a topic filter, or of a topic. */
const willBytes = 512; // ours: what a will takes besides its payload, properties roughly

function costOfWill(will: Will | undefined): number {
  return will === undefined ? 0 : will.payload.length + willBytes;
}

export type MayHear = (identity: Identity, topic: string) => boolean;

type EndFacts = Pick<
  Extract<LifecycleEvent, { eventType: 'disconnected' }>,
  'eventType' | 'clientInitiatedDisconnect' | 'disconnectReason'
>;

const revisedPerTurnMax = 1_000; // ours: clients whose rights are looked at again
const overloadShare = 0.9; // ours: the rest is for those who are there already
const presencesMax = 20_000; // ours: clients that are gone and whose numbers are still remembered
const sessionsPerSweepMax = 10_000; // ours: per second

function factsOf(identity: Identity, presence: Presence) {
  return {
    clientId: identity.clientId,
    thingName: identity.thingName,
    principalIdentifier: identity.principal,
    sessionIdentifier: presence.sessionIdentifier,
    versionNumber: presence.versionNumber,
  };
}

function isSameUser(left: Identity, right: Identity): boolean {
  if (left.thingName !== undefined || right.thingName !== undefined) return left.thingName === right.thingName;
  return left.principal === right.principal;
}

/** A will does not wait longer than its session lives [MQTT5 3.1.3.2.2]. */
function delayOf(will: Will | undefined, session: Session | undefined): number {
  return Math.min(will?.properties?.willDelayIntervalSeconds ?? 0, session?.expirySeconds ?? 0);
}

function endOf(session: Session, nowMs: number): number | undefined {
  return session.expirySeconds === neverExpires ? undefined : nowMs + session.expirySeconds * 1_000;
}

function filterOf({ topicFilter }: Subscription): string {
  return topicFilter;
}

function stateOf(client: Client): ClientState {
  const { clientNo, identity, protocolVersion, presence, will, willDueAtMs, session } = client;
  const isKept = session !== undefined && session.expirySeconds > 0;
  return {
    clientNo,
    identity,
    protocolVersion,
    presence,
    will,
    willDueAtMs,
    session: isKept
      ? {
          expirySeconds: session.expirySeconds,
          endsAtMs: client.sessionEndsAtMs,
          subscriptions: [...session.subscriptions.values()],
          deliveries: [...session.deliveries()],
          received: [...(session.received ?? [])],
        }
      : undefined,
  };
}
