export { appendedInOrder, noneFailed } from './appended.ts';
export {
  Consumer,
  type ConsumerOptions,
  consumerDefaults,
  type DeadLetter,
  eachRecord,
  type InvocationMarks,
  type Outcome,
  type Selected,
  type Suspects,
} from './consumers/consumer.ts';
export { EmbeddedStream, type EmbeddedStreamOptions, onlyShard } from './embedded.ts';
export { checkpointNotReached } from './errors.ts';
export { streamLimits } from './limits.ts';
export { LocalTail } from './local-tail.ts';
export type {
  Appended,
  Place,
  RecordFilter,
  Resharding,
  SequenceNumber,
  Shard,
  ShardId,
  StartingPosition,
  Stream,
  StreamReader,
  StreamRecord,
} from './port.ts';
export { EmbeddedStreamReader, type StreamTail } from './reader.ts';
export { RecordBatch } from './record-batch.ts';
export { hashKeyMax, shardIdOf, wholeShard } from './shards.ts';
