export { KinesisStreamReader, type KinesisStreamReaderOptions } from './kinesis-reader.ts';
export { type KinesisStream, type KinesisStreamOptions, openKinesisStream } from './kinesis-stream.ts';
export { type KinesisLimits, kinesisLimits } from './limits.ts';
