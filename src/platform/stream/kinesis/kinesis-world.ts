/** A stream on whatever speaks the protocol of Kinesis, for tests. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { Kinesis, type KinesisClientConfig, type PutRecordsCommandInput } from '@aws-sdk/client-kinesis';
import { type Clock, delay, systemClock } from '../../../kernel/clock.ts';
import type { StreamWorld, WorldOptions } from '../contract.ts';
import type { StreamReader } from '../port.ts';
import { hashKeyOf } from '../shards.ts';
import { KinesisStreamReader } from './kinesis-reader.ts';
import { openKinesisStream } from './kinesis-stream.ts';
import type { KinesisLimits } from './limits.ts';

/** Nothing is paid per call here, and nobody is to wait. */
const quick: Partial<KinesisLimits> = { readIntervalMs: 0, pollIntervalMs: 5, activePollMs: 5, retryDelayMsMin: 1 };

/** For an endpoint over HTTP/1.1, where the client of Kinesis uses HTTP/2 unless it is told otherwise. */
export function kinesisClient(endpoint: string, config: KinesisClientConfig = {}): Kinesis {
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  const region = 'us-east-1';
  // The handler of a client that speaks HTTP/1.1, for the package that has it is not a dependency of ours.
  const { requestHandler } = new DynamoDBClient({ region, credentials }).config;
  return new Kinesis({ endpoint, region, credentials, requestHandler, ...config });
}

/** For the contract of the stream, and with `makeReader` in the place of `openReader` for that of consumers. */
export interface KinesisWorld extends StreamWorld {
  readonly clock: Clock;
  makeReader(): StreamReader;
}

/** A new stream with so many shards, gone after `cleanUp`. */
export async function kinesisWorld(
  client: Kinesis,
  { shards }: WorldOptions,
  ownLimits: Partial<KinesisLimits> = {},
): Promise<KinesisWorld> {
  const clock = systemClock;
  const limits = { ...quick, ...ownLimits };
  const streamName = `contract-${randomUUID()}`;
  await client.createStream({ StreamName: streamName, ShardCount: shards });
  const open = (using: Kinesis, more: Partial<KinesisLimits> = {}) =>
    openKinesisStream({ client: using, streamName, clock, limits: { ...limits, ...more } });
  const makeReader = () => new KinesisStreamReader({ client, streamName, clock, limits });
  await (await open(client)).close();
  return {
    clock,
    open: () => open(client),
    openReader: async () => makeReader(),
    makeReader,
    openThrottled: () => open(throttledAfter(client, 400), { giveUpMs: 0 }),
    until: promise => promise,
    pass: ms => delay(clock, ms),
    nowMs: () => clock.nowMs(),
    cleanUp: async () => {
      await client.deleteStream({ StreamName: streamName, EnforceConsumerDeletion: true });
    },
  };
}

/** Refuses, in the words of Kinesis, what comes after so many records, but only of the lower half of hash keys. */
function throttledAfter(client: Kinesis, recordsMax: number): Kinesis {
  let taken = 0;
  const putRecords = async (input: PutRecordsCommandInput) => {
    const records = input.Records ?? [];
    const isTaken = records.map(({ PartitionKey = '' }) => {
      if (hashKeyOf(PartitionKey) >= 2n ** 127n) return true;
      taken++;
      return taken <= recordsMax;
    });
    const passed = records.filter((_, index) => isTaken[index]);
    const answer = passed.length > 0 ? await client.putRecords({ ...input, Records: passed }) : undefined;
    const results = [...(answer?.Records ?? [])];
    assert(results.length === passed.length);
    return {
      $metadata: {},
      Records: isTaken.map(isKept =>
        isKept
          ? results.shift()
          : {
              ErrorCode: 'ProvisionedThroughputExceededException',
              ErrorMessage:
                'Rate exceeded for shard shardId-000000000000 in stream contract under account 000000000000.',
            },
      ),
    };
  };
  return Object.create(client, { putRecords: { value: putRecords } });
}
