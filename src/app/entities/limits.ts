import assert from 'node:assert/strict';
import { tableLimits } from '../../platform/table/index.ts';

export const entityLimits = {
  pageItemsDefault: 50,
  pageItemsMax: 100, // ours: a page with its to-one relations is two requests then
  updateAttemptsMax: 10, // ours: with the delays between them about a second
  conflictDelayMs: 5, // ours: doubled per attempt, half of it left to chance
  shardsMax: 64, // ours: requests that one page of a sharded pattern starts at once
  shardsOfKindDefault: 8, // ours: 8 × DynamoDB's 1,000 write units per second and partition
  patternsMax: 20, // ours: each costs a record per entity and write
  batchGetKeysMax: tableLimits.batchGetKeysMax,
  batchWriteItemsMax: tableLimits.batchWriteItemsMax,
  batchRequestsAtOnceMax: 4, // ours: bounds what getMany holds at 4 × 16 MB
  throttledAttemptsMax: 8, // ours: with the delays between them about two seconds, less than a function has
  throttledDelayMs: 20, // ours: doubled per attempt, half of it left to chance
  manyIdsMax: 1_000, // ours: ids in one getMany
  childrenMax: 100, // ours: children that come with one parent
  versionsWithEntityMax: 50, // ours: old versions that go in one transaction with their entity; the others go after it
  changedPathsMax: 50, // ours: keeps the expression of an update below DynamoDB's 4 KB and 300 operators
  transactionItemsMax: tableLimits.transactionItemsMax,
  partitionKeyBytesMax: tableLimits.partitionKeyBytesMax,
  sortKeyBytesMax: tableLimits.sortKeyBytesMax,
} as const;

assert(entityLimits.pageItemsMax <= entityLimits.batchGetKeysMax); // the whole entities of a page are one request
