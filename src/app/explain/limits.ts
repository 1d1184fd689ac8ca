export const explainLimits = {
  aroundMs: 60_000, // ours: so far from a given time a message is looked for
  readBytesMax: 64 * 1024 * 1024, // ours: of the log, for one question; about a third of a second
  pageBytesMax: 1024 * 1024, // ours: of the log at a time
  neighboursMax: 10, // ours: other messages of the thing that are named beside the nearest
  payloadCharactersMax: 1_000, // ours: of a payload that is shown
} as const;
