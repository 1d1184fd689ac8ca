export {
  aggregateLimits,
  emptySummary,
  isExact,
  meanOf,
  mergeSketches,
  mergeSummaries,
  mergeTopLists,
  type QuantileSketch,
  quantileOf,
  rankOf,
  type Summary,
  sketchOf,
  summaryOf,
  type TopEntry,
  type TopList,
  topListOf,
  topOf,
  totalOf,
} from './aggregates/index.ts';
export { appendedInOrder, noneFailed } from './appended.ts';
export * from './catalog/index.ts';
export { adviseBatch, type BatchAdvice, type BatchQuestion } from './consumers/advise.ts';
export type {
  BatchAnswer,
  BatchContext,
  BatchHandler,
  BatchResponse,
  DeadLetter,
  Fate,
  InvocationMarks,
  KeptWindow,
  Outcome,
  Selected,
  Settled,
  Suspects,
} from './consumers/batch.ts';
export { eachRecord } from './consumers/each-record.ts';
export type { FailureMessage, GivenUp } from './consumers/failure-message.ts';
export { compileFilter } from './consumers/filter.ts';
export { consumerDefaults, consumerLimits } from './consumers/limits.ts';
export type {
  BatchReport,
  ConsumerObserver,
  ConsumerSnapshot,
  ShardSnapshot,
} from './consumers/measures.ts';
export { handleOne } from './consumers/one-record.ts';
export type { ConsumerOptions } from './consumers/options.ts';
export {
  type ConsumerSettings,
  type ConsumerStart,
  type EventSourceMapping,
  type FilterCriteria,
  likeLambda,
} from './consumers/settings.ts';
export { ShardConsumer } from './consumers/shard-consumer.ts';
export { StreamConsumer, type StreamConsumerOptions, startMarker } from './consumers/stream-consumer.ts';
export { EmbeddedStream, onlyShard } from './embedded.ts';
export type { EmbeddedStreamOptions } from './embedded-options.ts';
export { EmbeddedStreamReader } from './embedded-reader.ts';
export { checkpointNotReached, streamFull } from './errors.ts';
export { streamLimits } from './limits.ts';
export type {
  Appended,
  PassedRecords,
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
export { RecordBatch } from './record-batch.ts';
export { equalRanges, hashKeyMax, hashKeyOf, shardIdOf, wholeShard } from './shards.ts';
export { LocalTail, type StreamTail, type TailSeen } from './tail.ts';
export { awsShardThroughput, type ShardThroughput } from './throughput.ts';
