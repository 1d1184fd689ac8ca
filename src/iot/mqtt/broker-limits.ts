import assert from 'node:assert/strict';
import { mqttLimits } from './limits.ts';
import type { QoS } from './packets.ts';

/** What a connection, a session and the broker as a whole may take. What a packet may take is in `mqttLimits`. */
export interface BrokerLimits {
  /** From accepting the socket to an accepted CONNECT. */
  readonly connectDeadlineMs: number;
  readonly keepAliveSecondsMin: number;
  /** 0 and everything longer becomes this. */
  readonly keepAliveSecondsMax: number;
  readonly sessionExpirySecondsMax: number;
  /** Of a 3.1.1 session with Clean Session 0. */
  readonly sessionExpirySecondsDefault: number;
  /** How long the lifecycle numbers of a client that is gone are remembered. */
  readonly presenceMs: number;
  /** Of clients that are connected and of those that are away; whose would end first makes room, nobody connected does. */
  readonly sessionsMax: number;
  /** One device must not take the sessions of all others. */
  readonly sessionsPerThingMax: number;
  readonly subscriptionsPerSessionMax: number;
  /** Of all sessions. */
  readonly subscriptionsMax: number;
  readonly filtersPerSubscribeMax: number;
  /** In flight to a client at QoS 1 and 2, however many it would take. */
  readonly inflightMax: number;
  /** In flight from a client at QoS 1 and 2: announced as Receive Maximum, beyond it the connection ends. */
  readonly receiveMaximum: number;
  /** QoS 1 and 2 of a client that wait for the disk; beyond it the client is not read. */
  readonly unacknowledgedMax: number;
  /** Per session, to the client; one message may always be in flight. */
  readonly inflightBytesMax: number;
  /** Per session; the newest is dropped and counted beyond it. */
  readonly queuedMessagesMax: number;
  readonly queuedBytesMax: number;
  /** In all sessions together; beyond it new connections are refused and nothing more is queued. */
  readonly queuedBytesTotalMax: number;
  /** Waiting in one socket; beyond it QoS 0 is dropped and the rest waits in the session. */
  readonly bufferedBytesMax: number;
  /** A client that asks and does not read the answers is not read beyond it. */
  readonly bufferedAnswersBytesMax: number;
  /** A socket that has something to take and takes next to nothing for this long is closed. */
  readonly writeDeadlineMs: number;
  /** What "next to nothing" is. */
  readonly drainedBytesPerSecondMin: number;
  /** Of one connection; then the others have their turn. */
  readonly packetsPerTurnMax: number;
  /** Topics per connection whose verdict is remembered. */
  readonly publishVerdictsMax: number;
  /** Topic Alias Maximum announced to clients. */
  readonly topicAliasMaximum: number;
  /** Topics per connection that we give an alias, if the client takes that many. */
  readonly topicAliasesToClientMax: number;
  readonly retainedMessagesMax: number;
  readonly retainedBytesMax: number;
  /** Of one session in one turn: retained messages after SUBSCRIBE, so that the others have their turn. */
  readonly retainedPerTurnMax: number;
  /** Highest QoS of publishes and subscriptions. */
  readonly qosMax: QoS;
  /** Publishes of one connection per second, with a burst of as many; more are refused or read slower. */
  readonly publishesPerSecondMax: number;
  /** Bytes published by one connection per second, with a burst of as many. */
  readonly publishBytesPerSecondMax: number;
  /** Publishes of all connections per second. */
  readonly totalPublishesPerSecondMax: number;
  /** CONNECT packets per second, of all clients, with a burst of as many; more are refused as "busy". */
  readonly connectsPerSecondMax: number;
  /** CONNECT packets per second of one client id; more are refused. */
  readonly connectsPerClientPerSecondMax: number;
  /** Take-overs of one client id per minute before it is slowed down. */
  readonly takeoversPerMinuteMax: number;
  /** The longest a client that keeps taking over is made to wait. */
  readonly takeoverDelayMsMax: number;
  /** A PUBLISH as a whole: announced as Maximum Packet Size. */
  readonly publishPacketBytesMax: number;
  /** A payload, and a topic or filter in bytes and slashes, where this is stricter than `mqttLimits`. */
  readonly payloadBytesMax: number;
  readonly topicBytesMax: number;
  readonly topicSlashesMax: number;
  /** Of `$share/name/filter`. */
  readonly shareNameCharactersMax: number;
  /** Whether `sport/#` also matches `sport`, as the standard has it. */
  readonly hashMatchesParent: boolean;
  /** Whether a retained message goes to a new subscription with wildcards. */
  readonly retainedToWildcards: boolean;
  readonly subscriptionIdentifiersAvailable: boolean;
  /** 3.1.1 has no word for "not allowed": its connection is closed, or the publish acknowledged and dropped. */
  readonly closesUnauthorized: boolean;
  /** Whether who subscribes above `qosMax` is granted that, as the standard has it, and not refused. */
  readonly grantsLowerQos: boolean;
  /** Whether a session goes on when its client comes back with the other version of MQTT. */
  readonly resumesAcrossVersions: boolean;
  /** Whether clients may leave retained messages on topics that begin with $. */
  readonly retainsReservedTopics: boolean;
  /** Whether a client of 3.1.1 may leave its id to the server. */
  readonly assignsClientIdsTo311: boolean;
  /** Whether only reason codes are said that AWS IoT Core lists. */
  readonly saysAwsReasonCodes: boolean;
}

const unlimited = Number.POSITIVE_INFINITY;

/** Generous: bounded by what one machine holds, not by a price list. */
export const brokerLimits: BrokerLimits = {
  connectDeadlineMs: 10_000, // ours
  keepAliveSecondsMin: 1, // what the client asks counts [MQTT311 3.1.2-24]
  keepAliveSecondsMax: 1_200, // AWS IoT Core
  sessionExpirySecondsMax: 7 * 24 * 3_600, // AWS IoT Core quota "persistent session expiry"
  sessionExpirySecondsDefault: 7 * 24 * 3_600, // ours: 3.1.1 clients expect to be remembered
  presenceMs: 3_600_000, // AWS IoT Core: versionNumber starts over after about an hour
  sessionsMax: 100_000, // ours
  sessionsPerThingMax: 16, // ours
  subscriptionsMax: 1_000_000, // ours; AWS IoT Core has 500,000 per account
  subscriptionsPerSessionMax: 100, // AWS IoT Core quota is 50
  filtersPerSubscribeMax: 32, // AWS IoT Core quota is 8
  inflightMax: 100, // AWS IoT Core
  receiveMaximum: 65_535, // the standard's default; widespread clients do not heed less
  unacknowledgedMax: 1_000, // ours
  inflightBytesMax: 4 * 1024 * 1024, // ours
  queuedMessagesMax: 1_000, // ours, and Mosquitto's and HiveMQ's
  queuedBytesMax: 4 * 1024 * 1024, // ours
  queuedBytesTotalMax: 512 * 1024 * 1024, // ours
  bufferedBytesMax: 1024 * 1024, // ours
  bufferedAnswersBytesMax: 2 * 1024 * 1024, // ours
  writeDeadlineMs: 10_000, // ours
  drainedBytesPerSecondMin: 1_024, // ours
  packetsPerTurnMax: 4_096, // ours
  publishVerdictsMax: 64, // ours
  topicAliasMaximum: 32, // ours; AWS IoT Core takes 8
  topicAliasesToClientMax: 32, // ours
  retainedMessagesMax: 100_000, // ours
  retainedBytesMax: 64 * 1024 * 1024, // ours
  retainedPerTurnMax: 64, // ours
  qosMax: 2,
  publishesPerSecondMax: unlimited,
  publishBytesPerSecondMax: unlimited,
  totalPublishesPerSecondMax: unlimited,
  connectsPerSecondMax: unlimited,
  connectsPerClientPerSecondMax: unlimited,
  takeoversPerMinuteMax: 10, // ours; EMQX bans at 15
  takeoverDelayMsMax: 8_000, // ours: below the connect deadline
  publishPacketBytesMax: mqttLimits.packetBytesMax,
  payloadBytesMax: unlimited,
  topicBytesMax: unlimited,
  topicSlashesMax: unlimited,
  shareNameCharactersMax: unlimited,
  hashMatchesParent: true,
  retainedToWildcards: true,
  subscriptionIdentifiersAvailable: true,
  closesUnauthorized: true,
  grantsLowerQos: true, // [MQTT5 3.2.2-10]
  resumesAcrossVersions: true, // ours: one session has one shape
  retainsReservedTopics: true,
  assignsClientIdsTo311: true, // [MQTT311 3.1.3-6]
  saysAwsReasonCodes: false,
};

/** AWS IoT Core's quotas and refusals ("AWS IoT Core endpoints and quotas"): what passes here passes there. */
export const awsLimits: BrokerLimits = {
  ...brokerLimits,
  keepAliveSecondsMin: 30,
  keepAliveSecondsMax: 1_200,
  sessionExpirySecondsDefault: 3_600,
  subscriptionsPerSessionMax: 50,
  subscriptionsMax: 500_000,
  filtersPerSubscribeMax: 8,
  inflightMax: 100,
  receiveMaximum: 100,
  topicAliasMaximum: 8,
  topicAliasesToClientMax: 0,
  retainedMessagesMax: 5_000,
  qosMax: 1,
  publishesPerSecondMax: 100,
  publishBytesPerSecondMax: 512 * 1024,
  totalPublishesPerSecondMax: 20_000,
  connectsPerSecondMax: 500,
  connectsPerClientPerSecondMax: 1,
  publishPacketBytesMax: 146 * 1024,
  payloadBytesMax: 128 * 1024,
  topicBytesMax: 256,
  topicSlashesMax: 7,
  shareNameCharactersMax: 128,
  hashMatchesParent: false,
  retainedToWildcards: false,
  subscriptionIdentifiersAvailable: false,
  grantsLowerQos: false,
  resumesAcrossVersions: false,
  retainsReservedTopics: false,
  assignsClientIdsTo311: false,
  saysAwsReasonCodes: true,
};

for (const limits of [brokerLimits, awsLimits]) {
  assert(mqttLimits.packetBytesMax <= limits.queuedBytesMax); // one message always fits
  assert(limits.queuedBytesMax < limits.queuedBytesTotalMax);
  assert(limits.bufferedBytesMax < limits.bufferedAnswersBytesMax); // QoS 0 alone never stops the reading
  assert(limits.publishPacketBytesMax <= mqttLimits.packetBytesMax); // what is announced is let in
  assert(limits.takeoverDelayMsMax < limits.connectDeadlineMs); // who is made to wait is not taken for silent
}
