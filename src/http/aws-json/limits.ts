import assert from 'node:assert/strict';

/** What an endpoint takes, beside what the service behind it refuses. */
export const endpointLimits = {
  bodyBytesMax: 16 * 1024 * 1024, // DynamoDB: of one request; Kinesis' largest, 10 MiB in base64, is below it
  heldBytesMax: 256 * 1024 * 1024, // ours: bodies being read and large answers not yet taken, over all connections
  smallBytes: 64 * 1024, // ours: bodies and answers up to this are bounded by `requestsInFlightMax`, and not counted
  requestsInFlightMax: 2_000, // ours: further ones are told to come back
  refusedBodyBytesMax: 64 * 1024 * 1024, // ours: read and thrown away after a refusal, so that the client sees it
  connectionsMax: 10_000, // ours
  headerBytesMax: 16 * 1024, // Node's default
  headersTimeoutMs: 10_000, // ours; Node's default is 60 s
  requestTimeoutMs: 60_000, // ours: headers and 16 MiB of body
  answerTimeoutMs: 60_000, // ours: to take a large answer
  keepAliveTimeoutMs: 65_000, // ours: longer than the minute after which many SDKs drop an idle connection themselves
  closeMs: 5_000, // ours: for what is in flight when we stop
  signatureAgeMsMax: 15 * 60_000, // AWS Signature Version 4, both ways
  presignedSecondsMax: 7 * 24 * 3_600, // AWS Signature Version 4, X-Amz-Expires
  signingKeysMax: 64, // ours: one for each day, region and key that is in use
  preflightAgeSeconds: 172_800, // DynamoDB: how long a browser may remember what it was allowed
} as const;

/** What an HTTP/2 session may keep or do, beside the limits that it shares with HTTP/1.1. */
export const http2Limits = {
  streamsMax: 128, // ours: requests at once on one session; RFC 9113 advises at least 100
  headersMax: 100, // ours: fields of one request, pseudo-fields included
  streamWindowBytes: 1024 * 1024, // ours: what a peer may send of one body before we have taken any
  sessionWindowBytes: 4 * 1024 * 1024, // ours: and of all bodies together
  sessionMegabytesMax: 64, // ours: what Node keeps for one session, answers of 14 MiB on their way out included
  invalidFramesMax: 100, // ours; Node's default is 1,000
  rejectedStreamsMax: 100, // Node's default: streams over the number that is allowed
  resetBurst: 500, // ours; nghttp2's default is 1,000: streams opened and cancelled at once ("rapid reset", CVE-2023-44487)
  resetsPerSecond: 33, // nghttp2's default
} as const;

assert(endpointLimits.bodyBytesMax < endpointLimits.heldBytesMax); // One request always fits.
assert(endpointLimits.headersTimeoutMs <= endpointLimits.requestTimeoutMs); // Node refuses to open a server otherwise.
