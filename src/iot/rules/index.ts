export { type DeviceMessage, envelopeBytes, readEnvelope, topicBegins, writeEnvelope } from './envelope.ts';
export { type AckTarget, Ingest } from './ingest.ts';
export { partitionKeyOf } from './partition-key.ts';
export { type ReceivedCounts, type ReceivedMinute, ReceivedTally, tallyLimits } from './received-tally.ts';
