/** What DynamoDB allows; the embedded engine refuses the same. Bytes are UTF-8 bytes, KB = 1,024. */
export const tableLimits = {
  itemBytesMax: 400 * 1024, // DynamoDB quota "item size"; attribute names count too
  nestingLevelsMax: 32, // DynamoDB quota "nested attribute depth"
  partitionKeyBytesMax: 2_048, // DynamoDB quota "partition key length"
  sortKeyBytesMax: 1_024, // DynamoDB quota "sort key length"
  attributeNameBytesMax: 64 * 1024, // DynamoDB quota "attribute names"
  keyNameCharactersMax: 255, // DynamoDB quota "attribute names": those of keys
  expressionBytesMax: 4_096, // DynamoDB quota "expression parameters"
  translatedBytesMax: 256 * 1024, // ours: DynamoDB has no limit for parameters from before expressions, this is of them as one
  expressionOperatorsMax: 300, // DynamoDB quota "expression parameters"
  expressionNameBytesMax: 255, // DynamoDB quota "expression parameters": a substitution variable with its #
  listIndexMax: 2 ** 31 - 1, // DynamoDB refuses more in a document path
  expressionValuesBytesMax: 2 * 1024 * 1024, // DynamoDB quota "expression parameters"
  inOperandsMax: 100, // DynamoDB "comparison operator and function reference"
  pageBytesMax: 1024 * 1024, // DynamoDB Query and Scan
  batchGetKeysMax: 100, // DynamoDB BatchGetItem
  batchWriteItemsMax: 25, // DynamoDB BatchWriteItem
  scanSegmentsMax: 1_000_000, // DynamoDB Scan "TotalSegments"
  transactionItemsMax: 100, // DynamoDB TransactWriteItems
  transactionBytesMax: 4 * 1024 * 1024, // DynamoDB TransactWriteItems
  batchBytesMax: 16 * 1024 * 1024, // DynamoDB BatchGetItem and BatchWriteItem
  collectionItemsCountedMax: 10_000, // ours: bounds what an estimate of an item collection's size reads
  tokenCharactersMax: 36, // DynamoDB ClientRequestToken
  tokenKeptMs: 10 * 60_000, // DynamoDB ClientRequestToken
  tablesMax: 2_500, // DynamoDB quota "tables per Region"
  localIndexesMax: 5, // DynamoDB quota "local secondary indexes per table"
  indexKeyAttributesMax: 4, // DynamoDB "multi-attribute keys": partition attributes, and sort attributes as well
  indexesMax: 20, // DynamoDB quota "global secondary indexes per table"
  projectedNamesMax: 100, // DynamoDB quota "projected secondary index attributes", over all indexes of a table
  tagsMax: 50, // DynamoDB quota "tags per resource"
  timeToLiveChangeMs: 3_600_000, // DynamoDB UpdateTimeToLive: one change an hour
  upkeepItemsMax: 250, // ours: items in one step of the upkeep, which keeps others waiting for about 5 ms
  upkeepBytesMax: 1024 * 1024, // ours: bytes in one step of the upkeep
  upkeepRetryMs: 1_000, // ours: after the disk has refused a step
  upgradeItemsMax: 5_000, // ours: items in one step of an upgrade, while nobody else uses the store
  upgradeBytesMax: 8 * 1024 * 1024, // ours: the same, in bytes
  expiryCheckMs: 60_000, // ours: how late expiry may be after the wall clock was set forward
  laggingChangesMax: 100_000, // ours: bounds what an index lag keeps; beyond, the oldest are seen early
  laggingBytesMax: 64 * 1024 * 1024, // ours: the same, in bytes
  parsedExpressionsMax: 1_000, // ours: bounds the cache of parsed expressions at about 4 MiB
  expiredTokensPerWriteMax: 8, // ours: so that forgetting old tokens costs no write much, yet keeps up
  numberMagnitudeMin: 1e-130, // DynamoDB "Number"
  streamRetentionMs: 24 * 3_600_000, // DynamoDB Streams: also how long a disabled stream can still be read
  streamBytesMax: 1024 * 1024 * 1024, // ours: changes kept of one table; beyond it the oldest go early, and are counted
  streamEarlyTrimsPerWriteMax: 8, // ours: so that making room costs no write much, yet keeps up
  streamTrimChunkRecordsMax: 1_000, // ours: one transaction of trimming
  streamSweepMsMin: 60_000, // ours: how often trimming looks at most
  shardOpenMs: 4 * 3_600_000, // DynamoDB Streams: "about 4 hours"; ours counts from a shard's first record
  shardIteratorValidMs: 15 * 60_000, // DynamoDB Streams GetShardIterator
  getRecordsMax: 1_000, // DynamoDB Streams GetRecords
  getRecordsBytesMax: 1024 * 1024, // DynamoDB Streams GetRecords
  listStreamsMax: 100, // DynamoDB Streams ListStreams
  describedShardsMax: 100, // DynamoDB Streams DescribeStream
} as const;
