export { type DeviceMessage, readEnvelope } from './envelope.ts';
export { type AckTarget, Ingest } from './ingest.ts';
