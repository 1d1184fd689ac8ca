import { createHash } from 'node:crypto';
import type {
  _Record,
  AttributeValue,
  GetRecordsCommandInput,
  GetRecordsCommandOutput,
} from '@aws-sdk/client-dynamodb-streams';
import { awsRegion } from '../arn.ts';
import type { Engine } from '../engine.ts';
import { changesTrimmed, invalid } from '../errors.ts';
import { tableLimits } from '../limits.ts';
import type { Answer } from '../port.ts';
import { toAttributeValues } from '../values/attribute-value.ts';
import type { Item } from '../values/value.ts';
import { type ChangeRecord, decodeChange } from './change-record.ts';
import { iteratorOf, readIterator, type ShardPosition } from './iterator.ts';
import { readState, type StoredShard, type StoredStream } from './stream-state.ts';
import { arnOf, sequenceText, streamByArn } from './streams-read.ts';

/**
 * Durable changes of a shard from an iterator on. No `NextShardIterator` once a closed shard has been read to its end.
 * Throws `table.invalid`, `table.iteratorExpired`, `table.changesTrimmed`, `table.streamNotFound`.
 */
export async function getRecords(
  engine: Engine,
  { ShardIterator, Limit }: GetRecordsCommandInput,
): Promise<Answer<GetRecordsCommandOutput>> {
  if (typeof ShardIterator !== 'string') throw invalid('Invalid ShardIterator');
  const nowMs = engine.clock.nowMs();
  const position = readIterator(ShardIterator, nowMs);
  const stream = streamByArn(engine.store, position.streamArn);
  const shard = stream.shards.find(({ shardId }) => shardId === position.shardId);
  // A shard goes with its last change.
  if (shard === undefined || position.next <= readState(engine.store, stream.tableId).trimmed) throw changesTrimmed();
  const limit = Math.min(Limit ?? tableLimits.getRecordsMax, tableLimits.getRecordsMax);
  const { Records, next } = readPage(engine, stream, shard, position, limit);
  if (shard.last !== undefined && next > BigInt(shard.last)) return { Records };
  return { Records, NextShardIterator: iteratorOf({ ...position, next }, nowMs) };
}

/** As many as fit, at least one if there is one. */
function readPage(
  { changes }: Engine,
  stream: StoredStream,
  shard: StoredShard,
  { next: first }: ShardPosition,
  limit: number,
): { Records: _Record[]; next: bigint } {
  const end = shard.last === undefined ? changes.lastDurable(stream.tableId) : BigInt(shard.last);
  const last = first + BigInt(limit) - 1n < end ? first + BigInt(limit) - 1n : end;
  const Records: _Record[] = [];
  let next = first;
  let bytes = 0;
  for (const change of changes.read(stream.tableId, first, last, tableLimits.getRecordsBytesMax)) {
    const record = decodeChange(change.encoded);
    bytes += record.sizeBytes;
    if (Records.length > 0 && bytes > tableLimits.getRecordsBytesMax) break;
    Records.push(recordOf(stream, change.sequenceNumber, record));
    next = change.sequenceNumber + 1n;
  }
  return { Records, next };
}

function recordOf(stream: StoredStream, sequenceNumber: bigint, change: ChangeRecord): _Record {
  const { keys, newImage, oldImage, userIdentity } = change;
  return {
    eventID: createHash('sha256')
      .update(`${arnOf(stream)} ${sequenceNumber}`)
      .digest('hex')
      .slice(0, 32),
    eventName: change.name,
    eventVersion: '1.1',
    eventSource: 'aws:dynamodb',
    awsRegion,
    dynamodb: {
      ApproximateCreationDateTime: new Date(Math.floor(change.atMs / 1_000) * 1_000),
      Keys: typed(keys),
      ...(newImage && { NewImage: typed(newImage) }),
      ...(oldImage && { OldImage: typed(oldImage) }),
      SequenceNumber: sequenceText(sequenceNumber),
      SizeBytes: change.sizeBytes,
      StreamViewType: stream.viewType,
    },
    ...(userIdentity && { userIdentity: { PrincipalId: userIdentity.principalId, Type: userIdentity.type } }),
  };
}

function typed(item: Item): Record<string, AttributeValue> {
  return toAttributeValues(item) as Record<string, AttributeValue>; // a cast: the SDK's union is ours with its other members spelled out
}
