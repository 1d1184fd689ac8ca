import assert from 'node:assert/strict';
import { mqttLimits } from './limits.ts';

/** What a connection, a session and the broker as a whole may take. What a packet may take is in `mqttLimits`. */
export const brokerLimits = {
  connectDeadlineMs: 10_000, // ours: from accepting the socket to an accepted CONNECT
  keepAliveSecondsMin: 5, // ours
  keepAliveSecondsMax: 1_200, // AWS IoT Core: 0 and everything longer becomes this
  sessionExpirySecondsMax: 7 * 24 * 3_600, // AWS IoT Core quota "persistent session expiry"
  sessionExpirySecondsDefault: 3_600, // AWS IoT Core: a 3.1.1 session with Clean Session 0
  sessionsMax: 100_000, // ours: connected and remembered ones together
  sessionsPerThingMax: 16, // ours: one device must not take the sessions of all others
  subscriptionsPerSessionMax: 100, // AWS IoT Core quota is 50
  filtersPerSubscribeMax: 32, // AWS IoT Core quota is 8
  receiveMaximum: 100, // AWS IoT Core: QoS 1 in flight to a client
  unacknowledgedMax: 1_000, // ours: QoS 1 of a client that waits for the disk; beyond it the client is not read
  inflightBytesMax: 4 * 1024 * 1024, // per session, to the client; one message may always be in flight
  queuedMessagesMax: 1_000, // per session; the newest is dropped and counted beyond it
  queuedBytesMax: 4 * 1024 * 1024, // per session
  bufferedBytesMax: 1024 * 1024, // waiting in one socket; beyond it QoS 0 is dropped and QoS 1 waits in the session
  bufferedAnswersBytesMax: 2 * 1024 * 1024, // a client that asks and does not read the answers is not read beyond it
  writeDeadlineMs: 10_000, // a socket that has something to take and takes next to nothing for this long is closed
  drainedBytesPerSecondMin: 1_024, // what "next to nothing" is
  packetsPerTurnMax: 4_096, // of one connection; then the others have their turn
  publishVerdictsMax: 64, // topics per connection whose policy verdict is remembered
} as const;

assert(mqttLimits.packetBytesMax <= brokerLimits.queuedBytesMax); // one message always fits
assert(brokerLimits.bufferedBytesMax < brokerLimits.bufferedAnswersBytesMax); // QoS 0 alone never stops the reading
