import assert from 'node:assert/strict';

export const logLimits = {
  lineBytesMax: 16 * 1024, // ours: of one line, everything included
  messageCharactersMax: 2_000, // ours: what is longer is cut
  factsCharactersMax: 6_000, // ours: all facts of a line together
  textCharactersMax: 2_000, // ours: of one text among the facts
  keyCharactersMax: 100, // ours: of the name of a fact
  idCharactersMax: 256, // ours: of a function, thing, request or event
  depthMax: 6, // ours: how deep facts nest
  entriesMax: 50, // ours: of one object or list
  errorCharactersMax: 4_000, // ours: of a stack
  stackFramesMax: 20, // ours
  causesMax: 4, // ours: errors behind an error
  redactedWithin: 8_000, // ours, characters: secrets are looked for before a text is cut, so a cut one is still found
  redactKeysMax: 100, // ours: further names of secrets
  systemLinesPerSecondMax: 20, // ours, of one message: an attacker must not be able to fill the disk
  appLinesPerSecondMax: 1_000, // ours, of one message: a handler that logs each of its events
  channelLinesPerSecondMax: 20_000, // ours: a loop that logs different messages must leave the disk to others
  channelsMax: 16, // ours: named ones; lines of further ones go to `app`
  segmentBytesMax: 8 * 1024 * 1024, // ours: retention removes whole segments
  blockBytesMax: 64 * 1024, // ours: what is read to find one line
  blockTermsMax: 1_500, // ours: distinct functions, things, requests and events of a block
  filterBytes: 2_048, // ours: 11 bits a term and 7 hashes let 0.5 % of blocks be read in vain
  retentionBytes: { system: 64 * 1024 * 1024, app: 256 * 1024 * 1024, named: 64 * 1024 * 1024 }, // ours, each by thread
  retentionMs: 14 * 24 * 3_600_000, // ours
  retentionCheckMs: 10 * 60_000,
  retryMs: 1_000, // ours: how soon a disk that refused a line is tried again
  linesDefault: 1_000, // ours: of one answer; the newest
  linesMax: 100_000, // ours: of one answer that is gathered; a stream of all of them has no end
  gatheredBytesMax: 32 * 1024 * 1024, // ours: of one answer that is gathered
  followersMax: 20, // ours: each reads the files itself
  followPollMs: 100, // ours: how soon a line of another thread is noticed; a look costs a few system calls
  followReadBytes: 64 * 1024, // ours: what a follower holds of one source; parsed, some 0.5 MB
  levelRulesMax: 100, // ours
  levelRuleMsMax: 24 * 3_600_000, // ours: debugging is not forgotten
} as const;
assert(logLimits.lineBytesMax * 4 <= logLimits.blockBytesMax); // a block holds several lines
assert(logLimits.redactedWithin > logLimits.messageCharactersMax * 2);
assert((logLimits.filterBytes * 8) / logLimits.blockTermsMax > 10);

export const metricLimits = {
  namesMax: 200, // ours: metrics of an app
  nameCharactersMax: 100, // ours
  dimensionsMax: 4, // ours: of one metric, the function included; every set of values is a series that somebody pays for
  dimensionCharactersMax: 100, // ours: of a value; what is longer is cut
  seriesMax: 100, // ours: of one metric; what comes after counts as `(others)`
  samplesMax: 20_000, // ours: of one collection
  collectMs: 2_000, // ours: a source that takes longer is left out
  emfMetricsMax: 100, // CloudWatch embedded metric format: of one MetricDirective
  emfDimensionsMax: 30, // the same: of one DimensionSet
  emfTextCharactersMax: 1_024, // the same: of a name, a namespace, a value of a dimension
  pushMs: 60_000, // ours
  pushTimeoutMs: 10_000, // ours
} as const;

export const alarmLimits = {
  alarmsMax: 500, // ours: active at once; the oldest of what comes after is dropped and counted
  clearedMax: 200, // ours: of those that are over, the newest
  textCharactersMax: 500, // ours: of a message
  subjectCharactersMax: 300,
  factsMax: 20, // ours: of one alarm
  saveMs: 1_000, // ours: how long a count may be newer than the file; what is raised or cleared is saved at once
  relayMs: 500, // ours: how long repetitions are counted before they cross threads
  evaluateMs: 10_000, // ours: how often rules look at the metrics
  seriesMax: 2_000, // ours: that rules remember values of
  noticesMax: 200, // ours: that wait for a hook; further ones are dropped and counted
  noticesPerMinuteMax: 60, // ours: told to hooks; the rest is in the list
  webhookTimeoutMs: 10_000, // ours
  webhookAttemptsMax: 6, // ours: 1 s, 2 s, … 16 s between them
  webhookRetryMs: 1_000, // ours, doubled each time
  errorGroupsMax: 300, // ours
} as const;
