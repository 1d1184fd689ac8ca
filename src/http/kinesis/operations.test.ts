/** What each operation does, through the SDK as it is: over HTTP/2. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { GetRecordsOutput, Kinesis, PutRecordsCommandInput, SequenceNumberRange } from '@aws-sdk/client-kinesis';
import { MimamoriError } from '../../kernel/errors.ts';
import { silentLog } from '../../kernel/log.ts';
import type { RecordBatch } from '../../platform/stream/index.ts';
import { openTestKinesis } from './test-endpoint.ts';

const first = 'shardId-000000000000';
const streamArn = (name: string) => `arn:aws:kinesis:us-east-1:000000000000:stream/${name}`;
const middle = 2n ** 127n;

async function open(t: TestContext, options: Parameters<typeof openTestKinesis>[1] & { shards?: number } = {}) {
  const kinesis = await openTestKinesis(t, options);
  const client = kinesis.client();
  await client.createStream({ StreamName: 's', ShardCount: options.shards ?? 1 });
  return { ...kinesis, client };
}

async function iteratorOf(client: Kinesis, ShardId = first, options = {}): Promise<string> {
  const type = { ShardIteratorType: 'TRIM_HORIZON', ...options } as const;
  const { ShardIterator } = await client.getShardIterator({ StreamName: 's', ShardId, ...type });
  assert(ShardIterator);
  return ShardIterator;
}

const textOf = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString();

/** All texts of a shard from an iterator on. */
async function readFrom(client: Kinesis, ShardIterator: string): Promise<string[]> {
  const { Records = [] } = await client.getRecords({ ShardIterator });
  return Records.map(({ Data }) => textOf(Data));
}

const put = (client: Kinesis, ...texts: string[]) =>
  client.putRecords({
    StreamName: 's',
    Records: texts.map(text => ({ PartitionKey: text[0], Data: Buffer.from(text) })),
  });

describe('records of a stream', () => {
  it('are put one by one or many at once, and read again as they were', async t => {
    const { client, clock } = await open(t);
    const Data = Buffer.from([0, 255, 128, 10]);
    const one = await client.putRecord({ StreamName: 's', PartitionKey: '寝室-1', Data });
    assert.equal(one.ShardId, first);
    assert.match(String(one.SequenceNumber), /^\d{56}$/);
    const many = await put(client, 'a1', 'b2');
    assert.equal(many.FailedRecordCount, 0);
    const { Records = [], MillisBehindLatest } = await client.getRecords({ ShardIterator: await iteratorOf(client) });
    assert.deepEqual(
      Records.map(({ PartitionKey }) => PartitionKey),
      ['寝室-1', 'a', 'b'],
    );
    assert.deepEqual(Buffer.from(Records[0].Data ?? []), Data);
    assert.deepEqual(
      Records.map(({ SequenceNumber }) => SequenceNumber),
      [one.SequenceNumber, ...(many.Records ?? []).map(({ SequenceNumber }) => SequenceNumber)],
    );
    assert.equal(Records[0].ApproximateArrivalTimestamp?.getTime(), clock.nowMs());
    assert.equal(MillisBehindLatest, 0);
    const numbers = Records.map(({ SequenceNumber }) => String(SequenceNumber));
    assert.deepEqual(numbers.toSorted(), numbers); // in the order of text, too
  });

  it('go to the shard of their key or of their explicit hash key', async t => {
    const { client } = await open(t, { shards: 2 });
    const Data = Buffer.from('x');
    const low = await client.putRecord({ StreamName: 's', PartitionKey: 'k', Data, ExplicitHashKey: '0' });
    const high = await client.putRecord({ StreamName: 's', PartitionKey: 'k', Data, ExplicitHashKey: String(middle) });
    assert.deepEqual([low.ShardId, high.ShardId], [first, 'shardId-000000000001']);
    const { Records = [] } = await put(client, 'a', 'b', 'c', 'd', 'a', 'b');
    const shardOf = Records.map(({ ShardId }) => ShardId);
    assert.deepEqual([shardOf[4], shardOf[5]], [shardOf[0], shardOf[1]]);
    assert.equal(new Set(shardOf).size, 2);
    const hashKey = { StreamName: 's', PartitionKey: 'k', Data, ExplicitHashKey: String(2n ** 128n) };
    await assert.rejects(client.putRecord(hashKey), { name: 'InvalidArgumentException' });
  });

  it('are refused one by one when a shard takes no more, and the others are kept', async t => {
    const { client } = await open(t, { shards: 2, limits: 'aws' });
    const Data = Buffer.alloc(600_000);
    const entry = (hashKey: bigint) => ({ PartitionKey: String(hashKey), Data, ExplicitHashKey: String(hashKey) });
    const Records = [entry(0n), entry(middle), entry(1n), entry(2n)];
    const answer = await client.putRecords({ StreamName: 's', Records });
    assert.equal(answer.FailedRecordCount, 1);
    assert.deepEqual(
      answer.Records?.map(({ ErrorCode }) => ErrorCode),
      [undefined, undefined, undefined, 'ProvisionedThroughputExceededException'],
    );
    assert.equal(
      answer.Records?.[3].ErrorMessage,
      `Rate exceeded for shard ${first} in stream s under account 000000000000.`,
    );
    await assert.rejects(client.putRecord({ StreamName: 's', ...entry(3n) }), {
      name: 'ProvisionedThroughputExceededException',
    });
  });

  it('are refused with an error that clients repeat when the disk has no room, and one by one when it had some', async t => {
    const { client, catalog } = await open(t);
    const full = () => new MimamoriError({ code: 'stream.full', message: 'full', fix: 'Free disk space.' });
    const stream = catalog.get('s');
    const append = stream.append.bind(stream);
    let room = 1;
    t.mock.method(stream, 'append', (batch: RecordBatch) => (room-- > 0 ? append(batch) : Promise.reject(full())));
    const Records = Array.from({ length: 5 }, () => ({ PartitionKey: 'a', Data: Buffer.alloc(900_000) }));
    const { FailedRecordCount, Records: results = [] } = await client.putRecords({ StreamName: 's', Records });
    const codes = results.map(({ ErrorCode, SequenceNumber }) => ErrorCode ?? SequenceNumber?.length);
    assert.deepEqual([FailedRecordCount, codes], [1, [56, 56, 56, 56, 'InternalFailure']]);
    const refused = { name: 'InternalFailureException', message: 'The disk has no room.' };
    await assert.rejects(client.putRecords({ StreamName: 's', Records }), refused);
    await assert.rejects(client.putRecord({ StreamName: 's', ...Records[0] }), refused);
  });

  it('fail with words in the log on what to do, and shards that found no room, too, with an error that says so', async t => {
    const logged: object[] = [];
    const log = { ...silentLog, error: (facts: object) => void logged.push(facts) };
    const { client, catalog } = await open(t, { log });
    const shards = await catalog.get('s').shards();
    const cause = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    const notStored = new MimamoriError({ code: 'stream.shardsNotChanged', message: 'no', fix: 'Free disk.', cause });
    t.mock.method(catalog.get('s'), 'reshard', () => Promise.reject(notStored));
    await assert.rejects(
      client.splitShard({ StreamName: 's', ShardToSplit: shards[0].shardId, NewStartingHashKey: '5' }),
      { name: 'InternalFailureException', message: 'The disk has no room.' },
    );
    assert.partialDeepStrictEqual(logged, [{ code: 'stream.shardsNotChanged', fix: 'Free disk.' }]);
  });

  it('may be as large as their stream says, and 10 MiB together', async t => {
    const { client } = await open(t);
    const putOf = (bytes: number) =>
      client.putRecord({ StreamName: 's', PartitionKey: 'k', Data: Buffer.alloc(bytes, 'x') });
    const mebibyte = 1024 * 1024;
    await putOf(mebibyte - 1); // and a key of one byte
    await assert.rejects(putOf(mebibyte), { name: 'ValidationException' });
    await assert.rejects(putOf(mebibyte + 1), {
      name: 'ValidationException',
      message: `1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim=1048577 cap=1048577]' at 'data' failed to satisfy constraint: Member must have length less than or equal to 1048576`,
    });
    await client.updateMaxRecordSize({ StreamARN: streamArn('s'), MaxRecordSizeInKiB: 10_240 });
    await putOf(10 * mebibyte - 1);
    const ten = (bytes: number): PutRecordsCommandInput => ({
      StreamName: 's',
      Records: Array.from({ length: 10 }, () => ({ PartitionKey: 'k', Data: Buffer.alloc(bytes, 'y') })),
    });
    assert.equal((await client.putRecords(ten(mebibyte - 1))).FailedRecordCount, 0);
    await assert.rejects(client.putRecords(ten(mebibyte)), {
      name: 'InvalidArgumentException',
      message: 'Records size exceeds 10 MB limit',
    });
    let ShardIterator: string | undefined = await iteratorOf(client);
    const sizes: number[][] = [];
    while (sizes.flat().length < 12) {
      const page: GetRecordsOutput = await client.getRecords({ ShardIterator });
      sizes.push((page.Records ?? []).map(({ Data }) => Data?.length ?? 0));
      ShardIterator = page.NextShardIterator;
    }
    assert.deepEqual(
      sizes.map(each => each.length),
      [1, 1, 10],
    ); // 10 MiB at once, or one record
  });

  it('are given at most as many as asked for, with the way to the next', async t => {
    const { client, clock } = await open(t);
    for (let number = 0; number < 5; number++) {
      await put(client, `a${number}`);
      await clock.advance(1_000);
    }
    let ShardIterator: string | undefined = await iteratorOf(client);
    const behind: (number | undefined)[] = [];
    const texts: string[][] = [];
    for (let call = 0; call < 4; call++) {
      const page: GetRecordsOutput = await client.getRecords({ ShardIterator, Limit: 2 });
      texts.push((page.Records ?? []).map(({ Data }) => textOf(Data)));
      behind.push(page.MillisBehindLatest);
      ShardIterator = page.NextShardIterator;
    }
    assert.deepEqual(texts, [['a0', 'a1'], ['a2', 'a3'], ['a4'], []]);
    assert.deepEqual(behind, [4_000, 2_000, 0, 0]);
    await put(client, 'a5');
    assert.deepEqual(await readFrom(client, String(ShardIterator)), ['a5']);
  });
});

describe('a shard iterator', () => {
  it('begins where its type says', async t => {
    const { client, clock } = await open(t);
    await put(client, 'a1');
    await clock.advance(1_000);
    const { SequenceNumber: second } = await client.putRecord({
      StreamName: 's',
      PartitionKey: 'a',
      Data: Buffer.from('a2'),
    });
    const at = new Date(clock.nowMs());
    await clock.advance(1_000);
    await put(client, 'a3');
    const latest = await iteratorOf(client, first, { ShardIteratorType: 'LATEST' });
    await put(client, 'a4');
    const read = async (options: object) => readFrom(client, await iteratorOf(client, first, options));
    const StartingSequenceNumber = second;
    assert.deepEqual(await read({ ShardIteratorType: 'TRIM_HORIZON' }), ['a1', 'a2', 'a3', 'a4']);
    assert.deepEqual(await read({ ShardIteratorType: 'AT_SEQUENCE_NUMBER', StartingSequenceNumber }), [
      'a2',
      'a3',
      'a4',
    ]);
    assert.deepEqual(await read({ ShardIteratorType: 'AFTER_SEQUENCE_NUMBER', StartingSequenceNumber }), ['a3', 'a4']);
    assert.deepEqual(await read({ ShardIteratorType: 'AT_TIMESTAMP', Timestamp: at }), ['a2', 'a3', 'a4']);
    const later = new Date(at.getTime() + 1);
    assert.deepEqual(await read({ ShardIteratorType: 'AT_TIMESTAMP', Timestamp: later }), ['a3', 'a4']);
    assert.deepEqual(await readFrom(client, latest), ['a4']);
  });

  it('begins with the first record behind the starting sequence number of its shard', async t => {
    const { client } = await open(t);
    await put(client, 'a1', 'a2');
    const { StreamDescription } = await client.describeStream({ StreamName: 's' });
    const { StartingSequenceNumber } = StreamDescription?.Shards?.[0].SequenceNumberRange ?? {};
    for (const ShardIteratorType of ['AT_SEQUENCE_NUMBER', 'AFTER_SEQUENCE_NUMBER']) {
      const ShardIterator = await iteratorOf(client, first, { ShardIteratorType, StartingSequenceNumber });
      assert.deepEqual(await readFrom(client, ShardIterator), ['a1', 'a2']);
    }
  });

  it('is good for five minutes, and only as it was given', async t => {
    const { client, clock } = await open(t);
    const iterator = await iteratorOf(client);
    const middleAt = iterator.length >> 1;
    const changed =
      iterator.slice(0, middleAt) + (iterator[middleAt] === 'A' ? 'B' : 'A') + iterator.slice(middleAt + 1);
    for (const wrong of [changed, 'x', 'AAAA', iterator.slice(4), 'A'.repeat(512)]) {
      await assert.rejects(client.getRecords({ ShardIterator: wrong }), {
        name: 'InvalidArgumentException',
        message: 'Invalid ShardIterator.',
      });
    }
    await clock.advance(300_000);
    assert.deepEqual(await readFrom(client, iterator), []);
    await clock.advance(1);
    await assert.rejects(client.getRecords({ ShardIterator: iterator }), {
      name: 'ExpiredIteratorException',
      message:
        'Iterator expired. The iterator was created at time Thu Jan 01 00:00:00 UTC 2026 while right now it is Thu Jan 01 00:05:00 UTC 2026 which is further in the future than the tolerated delay of 300000 milliseconds.',
    });
  });

  it('is of its stream, not of another one with its name', async t => {
    const { client, clock } = await open(t);
    const { SequenceNumber } = await client.putRecord({ StreamName: 's', PartitionKey: 'a', Data: Buffer.from('a1') });
    const iterator = await iteratorOf(client);
    await client.deleteStream({ StreamName: 's' });
    await clock.advance(1_000);
    await client.createStream({ StreamName: 's', ShardCount: 1 });
    await assert.rejects(client.getRecords({ ShardIterator: iterator }), { name: 'ResourceNotFoundException' });
    const behind = { ShardIteratorType: 'AFTER_SEQUENCE_NUMBER', StartingSequenceNumber: SequenceNumber };
    await assert.rejects(iteratorOf(client, first, behind), {
      name: 'InvalidArgumentException',
      message: /because it did not come from this stream/,
    });
  });

  it('is refused for places that there are not', async t => {
    const { client, clock } = await open(t, { shards: 2 });
    const { Records = [] } = await put(client, 'a', 'b', 'c', 'd');
    const ofSecond = Records.find(({ ShardId }) => ShardId !== first)?.SequenceNumber;
    const cases: [options: object, name: string, message: RegExp][] = [
      [{ ShardIteratorType: 'LATEST', StartingSequenceNumber: ofSecond }, 'InvalidArgumentException', /also a Start/],
      [{ ShardIteratorType: 'AT_SEQUENCE_NUMBER' }, 'InvalidArgumentException', /and no StartingSequenceNumber/],
      [
        { ShardIteratorType: 'AT_SEQUENCE_NUMBER', StartingSequenceNumber: '7' },
        'InvalidArgumentException',
        /is invalid/,
      ],
      [
        { ShardIteratorType: 'AT_SEQUENCE_NUMBER', StartingSequenceNumber: ofSecond },
        'InvalidArgumentException',
        /It encodes shardId-000000000001, while it was used in a call to a shard with shardId-000000000000/,
      ],
      [{ ShardIteratorType: 'AT_TIMESTAMP' }, 'InvalidArgumentException', /Must specify timestampInMillis/],
      [
        { ShardIteratorType: 'AT_TIMESTAMP', Timestamp: new Date(clock.nowMs() + 60_000) },
        'InvalidArgumentException',
        /cannot be greater than the currentTimestampInMillis/,
      ],
      [{ ShardId: 'shardId-000000000009' }, 'ResourceNotFoundException', /Shard shardId-000000000009 in stream s/],
      [{ ShardId: 'none' }, 'ResourceNotFoundException', /Could not find shard none/],
      [{ StreamName: 'none' }, 'ResourceNotFoundException', /in stream none/],
    ];
    for (const [options, name, message] of cases) {
      await assert.rejects(iteratorOf(client, first, options), { name, message });
    }
  });
});

describe('the shards of a stream', () => {
  it('are split and merged, and who reads a closed one to its end is told of its children', async t => {
    const { client } = await open(t);
    await put(client, 'a1', 'b1');
    await client.splitShard({ StreamName: 's', ShardToSplit: first, NewStartingHashKey: String(middle) });
    await put(client, 'a2', 'b2', 'c2');
    const page = await client.getRecords({ ShardIterator: await iteratorOf(client), Limit: 1 });
    assert.equal(page.ChildShards, undefined);
    const end = await client.getRecords({ ShardIterator: page.NextShardIterator });
    assert.deepEqual(
      (end.Records ?? []).map(({ Data }) => textOf(Data)),
      ['b1'],
    );
    assert.ok(!end.NextShardIterator);
    const children = ['shardId-000000000001', 'shardId-000000000002'];
    assert.deepEqual(
      end.ChildShards?.map(({ ShardId, ParentShards }) => [ShardId, ParentShards]),
      children.map(child => [child, [first]]),
    );
    const read = await Promise.all(children.map(async child => readFrom(client, await iteratorOf(client, child))));
    assert.deepEqual(read.flat().toSorted(), ['a2', 'b2', 'c2']);
    const merge = (ShardToMerge: string, AdjacentShardToMerge: string) =>
      client.mergeShards({ StreamName: 's', ShardToMerge, AdjacentShardToMerge });
    await assert.rejects(merge(children[1], children[0]), { message: /not an adjacent pair/ });
    await merge(children[0], children[1]);
    const { Shards = [] } = await client.listShards({ StreamName: 's' });
    assert.equal(Shards.length, 4);
    const [merged] = Shards.filter(({ SequenceNumberRange }) => !SequenceNumberRange?.EndingSequenceNumber);
    assert.deepEqual(
      [merged.ShardId, merged.ParentShardId, merged.AdjacentParentShardId, merged.HashKeyRange?.StartingHashKey],
      ['shardId-000000000003', children[0], children[1], '0'],
    );
    const numberOf = (index: number): Partial<SequenceNumberRange> => Shards[index].SequenceNumberRange ?? {};
    const { EndingSequenceNumber = '', StartingSequenceNumber = '' } = numberOf(0);
    assert(EndingSequenceNumber > StartingSequenceNumber);
    assert(BigInt(numberOf(3).StartingSequenceNumber ?? 0) > BigInt(EndingSequenceNumber));
  });

  it('cannot be changed into what is none, twice, or by the owner of an on-demand stream', async t => {
    const { client } = await open(t, { shards: 3 });
    const [, second, third] = [0, 1, 2].map(number => `shardId-00000000000${number}`);
    const split = (NewStartingHashKey: bigint, ShardToSplit = first, StreamName = 's') =>
      client.splitShard({ StreamName, ShardToSplit, NewStartingHashKey: String(NewStartingHashKey) });
    const merge = (ShardToMerge: string, AdjacentShardToMerge: string) =>
      client.mergeShards({ StreamName: 's', ShardToMerge, AdjacentShardToMerge });
    const end = 2n ** 128n / 3n - 1n;
    for (const hashKey of [0n, 1n, end, end + 1n])
      await assert.rejects(split(hashKey), { name: 'InvalidArgumentException' });
    await assert.rejects(split(5n, 'shardId-9'), { name: 'ResourceNotFoundException' });
    await assert.rejects(merge(first, third), { name: 'InvalidArgumentException', message: /not an adjacent pair/ });
    await assert.rejects(merge(first, first), { name: 'InvalidArgumentException' });
    await merge(first, second);
    await assert.rejects(merge(first, second), { name: 'InvalidArgumentException' });
    const { Shards = [] } = await client.listShards({ StreamName: 's' });
    const endings = Shards.map(({ SequenceNumberRange }) => SequenceNumberRange?.EndingSequenceNumber?.length);
    assert.deepEqual(endings, [56, 56, undefined, undefined]); // also of those that never held a record
    await assert.rejects(split(5n), { name: 'InvalidArgumentException', message: /already been merged or split/ });
    await client.createStream({ StreamName: 'free', StreamModeDetails: { StreamMode: 'ON_DEMAND' } });
    await assert.rejects(split(5n, first, 'free'), { name: 'ValidationException', message: /ON_DEMAND/ });
    assert.equal((await client.describeStream({ StreamName: 'free' })).StreamDescription?.Shards?.length, 4);
  });

  it('are scaled to twice or half as many at once', async t => {
    const { client } = await open(t, { shards: 2 });
    const scale = (TargetShardCount: number) =>
      client.updateShardCount({ StreamName: 's', TargetShardCount, ScalingType: 'UNIFORM_SCALING' });
    const { CurrentShardCount, TargetShardCount } = await scale(3);
    assert.deepEqual([CurrentShardCount, TargetShardCount], [2, 3]);
    await assert.rejects(scale(7), { name: 'InvalidArgumentException', message: /over double/ });
    await assert.rejects(scale(1), { name: 'InvalidArgumentException', message: /below half/ });
    const { StreamDescriptionSummary } = await client.describeStreamSummary({ StreamName: 's' });
    assert.equal(StreamDescriptionSummary?.OpenShardCount, 3);
  });

  it('are listed in pages and by filters', async t => {
    const { client, clock } = await open(t, { shards: 2 });
    await put(client, 'a', 'b', 'c', 'd');
    await clock.advance(1_000);
    await client.splitShard({ StreamName: 's', ShardToSplit: first, NewStartingHashKey: '1000' });
    const idsOf = async (input: object) => {
      const { Shards = [], NextToken } = await client.listShards(input);
      return { ids: Shards.map(({ ShardId }) => Number(ShardId?.slice(-2))), NextToken };
    };
    const one = await idsOf({ StreamName: 's', MaxResults: 3 });
    assert.deepEqual(one.ids, [0, 1, 2]);
    const two = await idsOf({ NextToken: one.NextToken, MaxResults: 3 });
    assert.deepEqual([two.ids, two.NextToken], [[3], undefined]);
    const filtered = async (Type: string, more: object = {}) =>
      (await idsOf({ StreamName: 's', ShardFilter: { Type, ...more } })).ids;
    assert.deepEqual(await filtered('AT_LATEST'), [1, 2, 3]);
    assert.deepEqual(await filtered('AT_TRIM_HORIZON'), [0, 1]);
    assert.deepEqual(await filtered('FROM_TRIM_HORIZON'), [0, 1, 2, 3]);
    assert.deepEqual(await filtered('AFTER_SHARD_ID', { ShardId: 'shardId-000000000001' }), [2, 3]);
    const before = { Timestamp: new Date(clock.nowMs() - 2_000) };
    const after = { Timestamp: new Date(clock.nowMs() - 500) };
    assert.deepEqual(await filtered('AT_TIMESTAMP', before), [0, 1]);
    assert.deepEqual(await filtered('AT_TIMESTAMP', after), [1, 2, 3]);
    assert.deepEqual(await filtered('FROM_TIMESTAMP', after), [1, 2, 3]);
    assert.deepEqual((await idsOf({ StreamName: 's', ExclusiveStartShardId: 'shardId-000000000002' })).ids, [3]);
    await assert.rejects(idsOf({}), { message: 'Either NextToken or StreamName should be provided.' });
    await assert.rejects(idsOf({ StreamName: 's', NextToken: 'x' }), { message: /cannot be provided together/ });
    await assert.rejects(idsOf({ NextToken: await iteratorOf(client) }), { name: 'InvalidArgumentException' });
    await clock.advance(300_001);
    await assert.rejects(idsOf({ NextToken: one.NextToken }), { name: 'ExpiredNextTokenException' });
  });
});

describe('a stream', () => {
  const named = async ({ client }: { client: Kinesis }, names: string[]) => {
    for (const StreamName of names) await client.createStream({ StreamName, ShardCount: 1 });
  };

  it('is described, by its name or its ARN', async t => {
    const { client } = await open(t);
    const { StreamDescription } = await client.describeStream({ StreamARN: streamArn('s') });
    assert.deepEqual(
      [StreamDescription?.StreamName, StreamDescription?.StreamARN, StreamDescription?.StreamStatus],
      ['s', streamArn('s'), 'ACTIVE'],
    );
    assert.deepEqual(StreamDescription?.StreamModeDetails, { StreamMode: 'PROVISIONED' });
    assert.deepEqual(StreamDescription?.EnhancedMonitoring, [{ ShardLevelMetrics: [] }]);
    const both = { StreamName: 's', StreamARN: streamArn('t') };
    await assert.rejects(client.describeStream(both), { name: 'InvalidArgumentException' });
    await assert.rejects(client.describeStream({ StreamName: 'none' }), {
      name: 'ResourceNotFoundException',
      message: 'Stream none under account 000000000000 not found.',
    });
  });

  it('is listed among all, in pages', async t => {
    const kinesis = await open(t);
    await named(kinesis, ['b', 'a', 'c']);
    const { client } = kinesis;
    const one = await client.listStreams({ Limit: 3 });
    assert.deepEqual([one.StreamNames, one.HasMoreStreams], [['a', 'b', 'c'], true]);
    const two = await client.listStreams({ NextToken: one.NextToken });
    assert.deepEqual([two.StreamNames, two.HasMoreStreams], [['s'], false]);
    assert.deepEqual((await client.listStreams({ ExclusiveStartStreamName: 'b' })).StreamNames, ['c', 's']);
    assert.equal(two.StreamSummaries?.[0].StreamARN, streamArn('s'));
  });

  it('is refused when there is one of its name, or no room for it', async t => {
    const kinesis = await open(t);
    const { client } = kinesis;
    await assert.rejects(client.createStream({ StreamName: 's', ShardCount: 1 }), {
      name: 'ResourceInUseException',
      message: 'Stream s under account 000000000000 already exists.',
    });
    await assert.rejects(client.createStream({ StreamName: 'wide', ShardCount: 1_000 }), {
      name: 'LimitExceededException',
      message: /Current shard count for the account: 1\. Limit: 1000\..* resulted from this request: 1000\./,
    });
    await named(
      kinesis,
      Array.from({ length: 99 }, (_, number) => `more-${number}`),
    );
    await assert.rejects(client.createStream({ StreamName: 'last', ShardCount: 1 }), {
      name: 'LimitExceededException',
    });
    await client.deleteStream({ StreamName: 'more-1' });
    await client.createStream({ StreamName: 'last', ShardCount: 1 });
    const { ShardLimit, OpenShardCount } = await client.describeLimits({});
    assert.deepEqual([ShardLimit, OpenShardCount], [1_000, 100]);
  });

  it('takes nothing before it is ACTIVE and after it is DELETING, and one change at a time', async t => {
    const { client, clock, catalog } = await open(t, { transitionMs: 1_000 });
    const status = async () =>
      (await client.describeStreamSummary({ StreamName: 's' })).StreamDescriptionSummary?.StreamStatus;
    assert.equal(await status(), 'CREATING');
    await assert.rejects(put(client, 'a1'), { name: 'ResourceNotFoundException' });
    await assert.rejects(iteratorOf(client), { name: 'ResourceNotFoundException' });
    await assert.rejects(client.deleteStream({ StreamName: 's' }), { name: 'ResourceInUseException' });
    await clock.advance(1_000);
    assert.equal(await status(), 'ACTIVE');
    const split = (NewStartingHashKey: string, ShardToSplit = first) =>
      client.splitShard({ StreamName: 's', ShardToSplit, NewStartingHashKey });
    await split('1000');
    assert.equal(await status(), 'UPDATING');
    assert.equal((await put(client, 'a1')).FailedRecordCount, 0);
    await assert.rejects(split('2000', 'shardId-000000000002'), {
      name: 'ResourceInUseException',
      message: 'Stream s under account 000000000000 not ACTIVE, instead in state UPDATING',
    });
    await clock.advance(1_000);
    const iterator = await iteratorOf(client);
    await client.deleteStream({ StreamName: 's' });
    assert.equal(await status(), 'DELETING');
    await assert.rejects(put(client, 'a2'), { name: 'ResourceNotFoundException' });
    await assert.rejects(client.getRecords({ ShardIterator: iterator }), { name: 'ResourceNotFoundException' });
    await clock.advance(1_000);
    assert.equal(catalog.find('s'), undefined);
  });

  it('keeps its records as long as it is told', async t => {
    const { client } = await open(t);
    const hours = async () =>
      (await client.describeStreamSummary({ StreamName: 's' })).StreamDescriptionSummary?.RetentionPeriodHours;
    const increase = (RetentionPeriodHours: number) =>
      client.increaseStreamRetentionPeriod({ StreamName: 's', RetentionPeriodHours });
    const decrease = (RetentionPeriodHours: number) =>
      client.decreaseStreamRetentionPeriod({ StreamName: 's', RetentionPeriodHours });
    assert.equal(await hours(), 24);
    await increase(8_760);
    assert.equal(await hours(), 8_760);
    await assert.rejects(increase(8_761), { name: 'ValidationException' });
    await assert.rejects(increase(48), { message: /can not be shorter than existing retention period \(8760 hours\)/ });
    await assert.rejects(decrease(23), { message: /Minimum allowed retention period is 24 hours/ });
    await decrease(48);
    await assert.rejects(decrease(49), { message: /can not be longer than existing retention period \(48 hours\)/ });
    assert.equal(await hours(), 48);
  });

  it('has tags', async t => {
    const { client } = await open(t);
    const names = async (options = {}) => {
      const { Tags = [], HasMoreTags } = await client.listTagsForStream({ StreamName: 's', ...options });
      return [Tags.map(({ Key }) => Key), HasMoreTags];
    };
    await client.addTagsToStream({ StreamName: 's', Tags: { team: '見守り', b: '', a: 'x' } });
    await client.tagResource({ ResourceARN: streamArn('s'), Tags: { a: 'y' } });
    assert.deepEqual(await names(), [['a', 'b', 'team'], false]);
    assert.deepEqual(await names({ Limit: 1 }), [['a'], true]);
    assert.deepEqual(await names({ ExclusiveStartTagKey: 'a' }), [['b', 'team'], false]);
    const { Tags = [] } = await client.listTagsForResource({ ResourceARN: streamArn('s') });
    assert.deepEqual(Tags[0], { Key: 'a', Value: 'y' });
    await client.removeTagsFromStream({ StreamName: 's', TagKeys: ['b', 'none'] });
    await client.untagResource({ ResourceARN: streamArn('s'), TagKeys: ['a'] });
    assert.deepEqual(await names(), [['team'], false]);
    const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`t${index}`, '']));
    await assert.rejects(client.addTagsToStream({ StreamName: 's', Tags: many(50) }), {
      message: /cannot have more than 50/,
    });
    await assert.rejects(client.addTagsToStream({ StreamName: 's', Tags: { 'a;': '' } }), {
      message: /invalid characters/,
    });
    await client.createStream({ StreamName: 't', ShardCount: 1, Tags: { x: 'y' } });
    assert.deepEqual((await client.listTagsForStream({ StreamName: 't' })).Tags, [{ Key: 'x', Value: 'y' }]);
  });

  it('has a mode, metrics and a size of records, which are kept and told', async t => {
    const { client } = await open(t);
    const summary = async () => (await client.describeStreamSummary({ StreamName: 's' })).StreamDescriptionSummary;
    await client.updateStreamMode({ StreamARN: streamArn('s'), StreamModeDetails: { StreamMode: 'ON_DEMAND' } });
    assert.deepEqual((await summary())?.StreamModeDetails, { StreamMode: 'ON_DEMAND' });
    const ShardLevelMetrics = ['IncomingBytes', 'OutgoingBytes'] as const;
    const on = await client.enableEnhancedMonitoring({ StreamName: 's', ShardLevelMetrics: [...ShardLevelMetrics] });
    assert.deepEqual([on.CurrentShardLevelMetrics, on.DesiredShardLevelMetrics], [[], [...ShardLevelMetrics]]);
    await client.disableEnhancedMonitoring({ StreamName: 's', ShardLevelMetrics: ['IncomingBytes'] });
    assert.deepEqual((await summary())?.EnhancedMonitoring, [{ ShardLevelMetrics: ['OutgoingBytes'] }]);
    assert.equal((await summary())?.MaxRecordSizeInKiB, 1_024);
    const { OnDemandStreamCount } = await client.describeLimits({});
    assert.equal(OnDemandStreamCount, 1);
  });
});

describe('with the limits of AWS a shard', () => {
  it('is read five times and 2 MiB a second', async t => {
    const { client, clock } = await open(t, { limits: 'aws' });
    const refused = { name: 'ProvisionedThroughputExceededException' };
    const iterators = await Promise.all(Array.from({ length: 5 }, () => iteratorOf(client)));
    await assert.rejects(iteratorOf(client), refused);
    for (const ShardIterator of iterators) await client.getRecords({ ShardIterator });
    await assert.rejects(client.getRecords({ ShardIterator: iterators[0] }), refused);
    for (let second = 0; second < 10; second++) {
      await clock.advance(1_000);
      await client.putRecord({ StreamName: 's', PartitionKey: 'a', Data: Buffer.alloc(1024 * 1024 - 1) });
    }
    assert.equal((await readFrom(client, iterators[1])).length, 10);
    await clock.advance(3_900); // 10 MiB are paid off at 2 MiB a second.
    await assert.rejects(client.getRecords({ ShardIterator: iterators[1] }), refused);
    await clock.advance(200);
    await client.getRecords({ ShardIterator: iterators[1], Limit: 1 });
  });
});

describe('what we do not do', () => {
  it('is said by name, with what to do instead', async t => {
    const { client } = await open(t);
    const ConsumerARN = `${streamArn('s')}/consumer/c:1`;
    const subscribe = { ConsumerARN, ShardId: first, StartingPosition: { Type: 'LATEST' } } as const;
    await assert.rejects(client.subscribeToShard(subscribe), {
      name: 'UnknownOperationException',
      message: /does not support SubscribeToShard\. Read with GetRecords/,
    });
    const consumer = { StreamARN: streamArn('s'), ConsumerName: 'c' };
    await assert.rejects(client.registerStreamConsumer(consumer), { message: /RegisterStreamConsumer/ });
    const key = { StreamName: 's', EncryptionType: 'KMS', KeyId: 'k' } as const;
    await assert.rejects(client.startStreamEncryption(key), { message: /Encrypt the disk/ });
  });
});
