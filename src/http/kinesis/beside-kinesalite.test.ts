/** An independent implementation, whose authors took its answers from the service: each refusal in the same words, or why not. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it, type TestContext } from 'node:test';
import kinesalite from 'kinesalite';
import { testScale } from '../../../test/support.ts';
import { type RawAnswer, send } from '../dynamodb/test-endpoint.ts';
import { openTestKinesis } from './test-endpoint.ts';

type Request = Parameters<typeof send>[1];

const authorization =
  'AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host;x-amz-target, Signature=00';

async function openBoth(t: TestContext): Promise<[ours: string, theirs: string]> {
  const other = kinesalite({ createStreamMs: 0, deleteStreamMs: 0, updateStreamMs: 0, shardLimit: 1_000 });
  await once(other.listen(0, '127.0.0.1'), 'listening');
  t.after(() => other.close());
  const address = other.address();
  assert(typeof address === 'object' && address);
  const { url } = await openTestKinesis(t);
  const both: [string, string] = [url, `http://127.0.0.1:${address.port}`];
  const made = (name: string) => call('CreateStream', { StreamName: name, ShardCount: 3 });
  for (const where of both) for (const name of ['s', 'full']) await send(where, made(name));
  const [, theirs] = both; // It makes them behind our back.
  for (const StreamName of ['s', 'full']) {
    while ((await send(theirs, call('ListShards', { StreamName }))).json.Shards.length === 0);
  }
  const tags = Object.fromEntries(Array.from({ length: 10 }, (_, index) => [`t${index}`, 'x']));
  for (const where of both) await send(where, call('AddTagsToStream', { StreamName: 'full', Tags: tags }));
  return both;
}

function call(operation: string, input: unknown): Request {
  const headers = {
    'x-amz-target': `Kinesis_20131202.${operation}`,
    'content-type': 'application/x-amz-json-1.1',
    'x-amz-date': '20260101T000000Z',
    authorization,
  };
  return { headers, body: typeof input === 'string' ? input : JSON.stringify(input) };
}

/** Each operation with an input that is right but for its stream, and what may be put in place of each member. */
const stream = 'none';
const shardId = 'shardId-000000000000';
const inputs: Readonly<Record<string, Record<string, unknown>>> = {
  AddTagsToStream: { StreamName: stream, Tags: { a: 'b' } },
  CreateStream: { StreamName: 's', ShardCount: 1 },
  DecreaseStreamRetentionPeriod: { StreamName: stream, RetentionPeriodHours: 24 },
  DeleteStream: { StreamName: stream },
  DescribeStream: { StreamName: stream, Limit: 10, ExclusiveStartShardId: shardId },
  DescribeStreamSummary: { StreamName: stream },
  GetRecords: { ShardIterator: 'AAAA', Limit: 10 },
  GetShardIterator: {
    StreamName: stream,
    ShardId: shardId,
    ShardIteratorType: 'LATEST',
    StartingSequenceNumber: '5',
    Timestamp: 0,
  },
  IncreaseStreamRetentionPeriod: { StreamName: stream, RetentionPeriodHours: 48 },
  ListShards: { StreamName: stream, ExclusiveStartShardId: shardId, MaxResults: 10 },
  ListStreams: { Limit: 10, ExclusiveStartStreamName: 'a' },
  ListTagsForStream: { StreamName: stream, Limit: 5, ExclusiveStartTagKey: 'a' },
  MergeShards: { StreamName: stream, ShardToMerge: shardId, AdjacentShardToMerge: 'shardId-000000000001' },
  PutRecord: {
    StreamName: stream,
    PartitionKey: 'a',
    Data: 'AAAA',
    ExplicitHashKey: '0',
    SequenceNumberForOrdering: '5',
  },
  PutRecords: { StreamName: stream, Records: [{ PartitionKey: 'a', Data: 'AAAA', ExplicitHashKey: '0' }] },
  RemoveTagsFromStream: { StreamName: stream, TagKeys: ['a'] },
  SplitShard: { StreamName: stream, ShardToSplit: shardId, NewStartingHashKey: '10' },
};

const strange: readonly unknown[] = [
  null,
  '',
  'ä',
  'x'.repeat(129),
  'x'.repeat(513),
  'a b',
  'none',
  'shardId-000000000009',
  'AAA',
  'A=A=',
  'AB==',
  '01',
  '9'.repeat(39),
  '9'.repeat(40),
  '-1',
  0,
  -1,
  1.5,
  10_001,
  1e12,
  true,
  [],
  ['a', 1],
  [null],
  [{}],
  [{ PartitionKey: '', Data: '', ExplicitHashKey: '' }],
  {},
  { a: 1 },
  { '': '' },
  { a: 'x'.repeat(257) },
  { 'a;': 'b' },
  { 'a%': 'b' },
];

interface Pair {
  readonly operation: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly ours: string;
  readonly theirs: string;
}

const halfAnchored = /regular expression pattern: 0\|/;

/** Where the answers are meant to differ, and why. */
const differences: readonly { readonly reason: string; explains(pair: Pair): boolean }[] = [
  {
    reason: 'limits have been raised: retention to 8,760 hours, a page of tags to 50',
    explains: ({ ours, theirs }) => ours.replace('8760', '168').replace(/ 50"/, ' 10"') === theirs,
  },
  {
    reason: 'a pattern with an alternative holds for all of a text (theirs is anchored at one end of either)',
    explains: ({ ours, theirs }) => halfAnchored.test(ours) && theirs.includes('ResourceNotFoundException'),
  },
  {
    reason:
      'Kinesis has come to tell more: the mode of a stream, the size of its records, summaries in a list, its next token',
    explains: ({ ours, theirs }) => ours.startsWith('200') && withoutNew(ours) === theirs,
  },
];

const newMembers: ReadonlySet<string> = new Set([
  'StreamModeDetails',
  'MaxRecordSizeInKiB',
  'StreamSummaries',
  'NextToken',
]);

function withoutNew(answer: string): string {
  const json = JSON.stringify(JSON.parse(answer.slice(4)), (name, value) => (newMembers.has(name) ? undefined : value));
  return `200 ${json}`;
}

/** What it does not survive: `TagKeys` with a null. */
const isItsEnd = (input: object) => JSON.stringify(input).includes('"TagKeys":[null');

/** Without a name, it looks for a stream called undefined. */
const isItsMistake = (operation: string, input: Record<string, unknown>) =>
  operation.startsWith('DescribeStream') && (input.StreamName ?? null) === null;

const told = ({ status, json }: RawAnswer) => `${status} ${JSON.stringify(json ?? null)}`;

/** What each of them makes up itself. */
const alike = (text: string) =>
  text
    .replaceAll(/\d{56}/g, '<number>')
    .replaceAll(/"ShardIterator":"[^"]+"/g, '"ShardIterator":"<iterator>"')
    .replaceAll(/"(StreamCreationTimestamp|ApproximateArrivalTimestamp)":[\d.]+/g, '"$1":"<time>"')
    .replaceAll(/currentTimestampInMillis: \d+/g, 'currentTimestampInMillis: <time>');

/** Sorts members, whose order says nothing. */
function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort()
      .map(([name, each]) => [name, inOrder(each)]),
  );
}

describe('Kinesis beside kinesalite', () => {
  const compare = async (both: readonly string[], operation: string, input: Record<string, unknown>) => {
    const answers = await Promise.all(both.map(url => send(url, call(operation, input))));
    const [ours, theirs] = answers.map(answer => alike(told({ ...answer, json: inOrder(answer.json) })));
    if (ours === theirs) return true;
    const difference = differences.find(({ explains }) => explains({ operation, input, ours, theirs }));
    assert(difference, `${operation} ${JSON.stringify(input)}\n  ours   ${ours}\n  theirs ${theirs}`);
    return false;
  };

  it('refuses each wrong member in the same words', async t => {
    const both = await openBoth(t);
    const every = testScale(3, 1); // of the wrong values, one for each member after the other
    let equal = 0;
    let count = 0;
    for (const [operation, right] of Object.entries(inputs)) {
      const replaced = Object.keys(right).flatMap(name => strange.map(value => ({ ...right, [name]: value })));
      const some = [right, {}, ...replaced.filter(() => count++ % every === 0)];
      const variants = some.filter(input => !isItsEnd(input) && !isItsMistake(operation, input));
      const outcomes = await Promise.all(variants.map(input => compare(both, operation, input)));
      equal += outcomes.filter(isEqual => isEqual).length;
    }
    assert(equal > 1_300 / every, `only ${equal} answers were equal`);
  });

  it('does the same to a stream, and says the same of it', async t => {
    const both = await openBoth(t);
    const s = { StreamName: 's' };
    const [low, , high] = [0, 1, 2].map(number => `shardId-00000000000${number}`);
    const Data = 'AAAA';
    const iterator = (input: object): [string, object] => ['GetShardIterator', { ...s, ShardId: low, ...input }];
    const steps: readonly [operation: string, input: object][] = [
      ['DescribeStream', s],
      ['DescribeStreamSummary', s],
      ['ListShards', s],
      ['ListShards', { ...s, ExclusiveStartShardId: low }],
      ['ListShards', { ...s, NextToken: 'x' }],
      ['CreateStream', { ...s, ShardCount: 1 }],
      ['CreateStream', { StreamName: 'wide', ShardCount: 1_000 }],
      ['PutRecord', { ...s, PartitionKey: 'a', Data }],
      ['PutRecord', { ...s, PartitionKey: '寝室', Data: '' }],
      ['PutRecord', { ...s, PartitionKey: 'a', Data, ExplicitHashKey: '0' }],
      ['PutRecord', { ...s, PartitionKey: 'a', Data, ExplicitHashKey: String(2n ** 128n - 1n) }],
      ['PutRecord', { ...s, PartitionKey: 'a', Data, ExplicitHashKey: String(2n ** 128n) }],
      ['PutRecords', { ...s, Records: ['a', 'b', 'c', 'd', 'e'].map(key => ({ PartitionKey: key, Data })) }],
      ['PutRecords', { ...s, Records: [{ PartitionKey: 'a', Data, ExplicitHashKey: String(2n ** 128n) }] }],
      iterator({ ShardIteratorType: 'TRIM_HORIZON' }),
      iterator({ ShardIteratorType: 'LATEST' }),
      iterator({ ShardIteratorType: 'LATEST', StartingSequenceNumber: '5' }),
      iterator({ ShardIteratorType: 'AT_SEQUENCE_NUMBER' }),
      iterator({ ShardIteratorType: 'AT_TIMESTAMP' }),
      iterator({ ShardIteratorType: 'AT_TIMESTAMP', Timestamp: 99_999_999_999 }),
      iterator({ ShardIteratorType: 'LATEST', ShardId: 'shardId-000000000009' }),
      iterator({ ShardIteratorType: 'LATEST', ShardId: '1' }),
      iterator({ ShardIteratorType: 'LATEST', ShardId: 'shardId-x' }),
      ['SplitShard', { ...s, ShardToSplit: low, NewStartingHashKey: '0' }],
      ['SplitShard', { ...s, ShardToSplit: low, NewStartingHashKey: '1' }],
      ['SplitShard', { ...s, ShardToSplit: low, NewStartingHashKey: String(2n ** 128n / 3n - 1n) }],
      ['SplitShard', { ...s, ShardToSplit: 'shardId-000000000007', NewStartingHashKey: '5' }],
      ['MergeShards', { ...s, ShardToMerge: low, AdjacentShardToMerge: high }],
      ['MergeShards', { ...s, ShardToMerge: 'shardId-000000000001', AdjacentShardToMerge: low }],
      ['IncreaseStreamRetentionPeriod', { ...s, RetentionPeriodHours: 23 }],
      ['IncreaseStreamRetentionPeriod', { ...s, RetentionPeriodHours: 48 }],
      ['IncreaseStreamRetentionPeriod', { ...s, RetentionPeriodHours: 47 }],
      ['DecreaseStreamRetentionPeriod', { ...s, RetentionPeriodHours: 49 }],
      ['DecreaseStreamRetentionPeriod', { ...s, RetentionPeriodHours: 24 }],
      ['AddTagsToStream', { ...s, Tags: { b: '1', a: '', 'with space': '=+-/@_.' } }],
      ['AddTagsToStream', { ...s, Tags: { 'a!': '' } }],
      ['AddTagsToStream', { ...s, Tags: { a: '%' } }],
      ['ListTagsForStream', s],
      ['ListTagsForStream', { ...s, Limit: 1 }],
      ['ListTagsForStream', { ...s, ExclusiveStartTagKey: 'a' }],
      ['RemoveTagsFromStream', { ...s, TagKeys: ['a', 'none'] }],
      ['RemoveTagsFromStream', { ...s, TagKeys: ['%'] }],
      ['ListTagsForStream', s],
      ['DeleteStream', { StreamName: 'full' }],
      ['DescribeStream', s],
      ['ListStreams', {}],
    ];
    let equal = 0;
    for (const [operation, input] of steps) if (await compare(both, operation, { ...input })) equal++;
    assert(equal >= steps.length - 5, `only ${equal} of ${steps.length} answers were equal`);
  });

  it('gives the same answer to each mixture of what can be wrong around a request', async t => {
    const both = await openBoth(t);
    const authorizations: Record<string, string>[] = [
      {},
      { authorization: 'AWS4-' },
      { authorization: 'AWS4-HMAC-SHA256 Credential=a, Signature=b' },
      { authorization: 'AWS4-HMAC-SHA256 Credential=a,Signature=b,SignedHeaders=c', 'x-amz-date': 'x' },
    ];
    const targets = [
      undefined,
      'Kinesis_20131202.ListStreams',
      'Kinesis_20131202.ListStream',
      'Kinesis_20131202',
      'x.y',
    ];
    const types = [undefined, 'application/json', 'application/x-amz-json-1.1; charset=utf-8', 'text/plain'];
    const paths = ['/', '/?X-Amz-Algorithm', '/?X-Amz-Algorithm=a&X-Amz-Credential=b'];
    const requests: Request[] = ['GET', 'PUT', 'DELETE', 'OPTIONS'].map(method => ({ method }));
    for (const authorization of authorizations) {
      for (const target of targets) {
        for (const type of types) {
          const named = { ...(target && { 'x-amz-target': target }), ...(type && { 'content-type': type }) };
          const headers = { ...authorization, ...named };
          for (const body of ['', '{"Limit":0}', 'hi'])
            for (const path of paths) requests.push({ path, headers, body });
        }
      }
    }
    const seen = ({ status, headers, text }: RawAnswer) => [status, headers['content-type'], text];
    let compared = 0;
    const compareOne = async (request: Request) => {
      const [ours, theirs] = await Promise.all(both.map(url => send(url, request)));
      const type = String(request.headers?.['content-type']);
      // Who sends nothing in no known spelling is answered in JSON, which people can read, and not in CBOR.
      if (request.body === '' && !type.includes('1.1')) assert.equal(ours.status, theirs.status);
      // A body of a type that Kinesis never takes is not parsed to say so.
      else if (request.body === 'hi' && type === 'application/json') assert.equal(ours.status, 404);
      else {
        assert.deepEqual(seen(ours), seen(theirs), JSON.stringify(request));
        compared++;
      }
    };
    while (requests.length > 0) await Promise.all(requests.splice(-12).map(compareOne));
    assert(compared > 450, `only ${compared} answers were compared`);
  });
});
