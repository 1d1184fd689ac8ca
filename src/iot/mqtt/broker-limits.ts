/** What a connection, a session and the broker as a whole may take. What a packet may take is in `mqttLimits`. */
export const brokerLimits = {
  connectDeadlineMs: 10_000, // ours: from accepting the socket to an accepted CONNECT
  keepAliveSecondsMin: 5, // ours
  keepAliveSecondsMax: 1_200, // AWS IoT Core: 0 and everything longer becomes this
  sessionExpirySecondsMax: 7 * 24 * 3_600, // AWS IoT Core quota "persistent session expiry"
  sessionExpirySecondsDefault: 3_600, // AWS IoT Core: a 3.1.1 session with Clean Session 0
  sessionsMax: 100_000, // ours: connected and remembered ones together
  subscriptionsPerSessionMax: 100, // AWS IoT Core quota is 50
  filtersPerSubscribeMax: 32, // AWS IoT Core quota is 8
  receiveMaximum: 100, // AWS IoT Core: unacknowledged QoS 1 per connection, each way
  queuedMessagesMax: 1_000, // per session; the newest is dropped and counted beyond it
  queuedBytesMax: 4 * 1024 * 1024, // per session
  bufferedBytesMax: 1024 * 1024, // waiting in one socket; beyond it QoS 0 is dropped and QoS 1 waits in the session
  writeDeadlineMs: 10_000, // a socket that stays over its buffer this long is closed
  publishVerdictsMax: 64, // topics per session whose policy verdict is remembered
} as const;
