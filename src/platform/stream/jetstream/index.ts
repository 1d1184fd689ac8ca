export { type JetStreamReaderOptions, type JetStreamStreamReader, jetStreamReaders } from './jetstream-reader.ts';
export { type JetStreamStream, type JetStreamStreamOptions, openJetStreamStream } from './jetstream-stream.ts';
export { type JetStreamLimits, jetStreamLimits } from './limits.ts';
