export const httpLimits = {
  bodyBytesMax: 64 * 1024, // ours: API bodies are small; payloads go over MQTT
  jsonDepthMax: 64, // ours
  parameterCharactersMax: 256, // ours: of one parameter in a path
  tokenBytesMax: 8 * 1024,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  keepAliveTimeoutMs: 5_000,
  connectionsMax: 10_000,
  watchersMax: 500, // open live feeds
  watcherBufferedEventsMax: 256, // a feed that does not read loses the newest, and is told how many
  feedHeartbeatMs: 15_000, // shows a page that its connection lives, and us that the page is gone
  operatorTokenSeconds: 60, // ours: made for one request
  tokenLifetimeSecondsDefault: 30 * 24 * 3_600,
} as const;
