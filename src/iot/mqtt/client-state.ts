import type { Identity } from '../access/port.ts';
import type { ProtocolVersion, PublishProperties, QoS, Subscription, Will } from './packets.ts';

/**
 * What the gateway remembers of a client beyond its socket and, for what the client was promised to be kept, beyond
 * the process. Plain data: sessions live by it, the journal stores it, recovery gives it back.
 */

/** A PUBLISH as it came in, with whatever packet id it had. */
export interface WireForm {
  readonly version: ProtocolVersion;
  readonly bytes: Buffer;
}

/** A message on its way to subscribers. Shared between them; nothing of it changes but `journalNo`. */
export interface Message {
  readonly topic: string;
  readonly payload: Uint8Array;
  /** As it was published; a subscriber gets it at most at the QoS of the subscription. */
  readonly qos: QoS;
  /** As it was published. */
  readonly retain: boolean;
  readonly properties: PublishProperties | undefined;
  /** On the wall clock, Unix epoch milliseconds; undefined = never. */
  readonly expiresAtMs: number | undefined;
  /** What it takes while it waits, properties included. */
  readonly bytes: number;
  /** Where it can be passed on as it came: the payload is a view into this. Not stored. */
  readonly wire?: WireForm | undefined;
  /** The journal's name for it; 0 while nothing stored needs it. Set by the journal only. */
  journalNo: number;
}

/** One message that a session owes its client with QoS 1 or 2. */
export interface Delivery {
  readonly message: Message;
  readonly qos: 1 | 2;
  /** The RETAIN flag the client sees. */
  readonly retain: boolean;
  /** Of the subscriptions it came by [MQTT5 3.3.4-3]. */
  readonly subscriptionIdentifiers: readonly number[];
  /** The `$share/name/filter` it came by: should this session end first, another member gets it. Not stored. */
  share?: string;
  /** Names the delivery within its session; rises. */
  readonly deliveryNo: number;
  /** 0 while it waits. */
  packetId: number;
  /** waiting → sent → (QoS 2: released, once the client has taken it and PUBREL is owed) → gone. */
  stage: 'waiting' | 'sent' | 'released';
}

/** What is kept of a session that outlives its connection. */
export interface SessionState {
  /** How long it is kept without a connection; 4,294,967,295 = for ever [MQTT5 3.1.2.11.2]. */
  readonly expirySeconds: number;
  /** When it ends, on the wall clock; undefined while connected, and when it never ends. */
  readonly endsAtMs: number | undefined;
  readonly subscriptions: readonly GrantedSubscription[];
  /** Oldest first: first what was sent in the order it was sent, then what waits. */
  readonly deliveries: readonly Delivery[];
  /** Packet ids of QoS 2 publishes taken from the client and not released by it yet. */
  readonly received: readonly number[];
}

export interface GrantedSubscription extends Subscription {
  readonly subscriptionIdentifier: number | undefined;
}

/** Whether and since when a client is there; the numbers of its lifecycle events. */
export interface Presence {
  readonly connected: boolean;
  readonly sinceMs: number;
  /** Rises with each connect; a disconnect repeats the number of its connect. */
  readonly versionNumber: number;
  readonly sessionIdentifier: string;
}

/** Everything remembered of one client id. */
export interface ClientState {
  /** The journal's name for it. */
  readonly clientNo: number;
  readonly identity: Identity;
  readonly protocolVersion: ProtocolVersion;
  readonly presence: Presence;
  /** Of the connection there is, or was when the process ended without a word. */
  readonly will: Will | undefined;
  /** When a will that is left behind is due, on the wall clock; undefined while connected. */
  readonly willDueAtMs: number | undefined;
  /** Undefined when the session ends, or ended, with its connection. */
  readonly session: SessionState | undefined;
}
