export { type DeviceMessage, readEnvelope, topicBegins } from './envelope.ts';
export { type AckTarget, Ingest } from './ingest.ts';
