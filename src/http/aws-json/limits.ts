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
  keepAliveTimeoutMs: 65_000, // ours: longer than the minute after which many SDKs drop an idle connection themselves
  closeMs: 5_000, // ours: for what is in flight when we stop
  signatureAgeMsMax: 15 * 60_000, // AWS Signature Version 4, both ways
  presignedSecondsMax: 7 * 24 * 3_600, // AWS Signature Version 4, X-Amz-Expires
  signingKeysMax: 64, // ours: one for each day, region and key that is in use
  preflightAgeSeconds: 172_800, // DynamoDB: how long a browser may remember what it was allowed
} as const;

assert(endpointLimits.bodyBytesMax < endpointLimits.heldBytesMax); // One request always fits.
assert(endpointLimits.headersTimeoutMs <= endpointLimits.requestTimeoutMs); // Node refuses to open a server otherwise.
