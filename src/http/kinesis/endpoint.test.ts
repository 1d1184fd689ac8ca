/** Kinesis' protocol as bytes: both spellings, what is refused and in which order, and what strangers may try. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import fc from 'fast-check';
import { systemClock } from '../../kernel/clock.ts';
import { type RawAnswer, send } from '../dynamodb/test-endpoint.ts';
import { CborError, decodeCbor, encodeCbor } from './cbor.ts';
import { hasTooManyValues } from './json-values.ts';
import { kinesisLimits } from './limits.ts';
import { openTestKinesis } from './test-endpoint.ts';
import { cborType, jsonType } from './wire.ts';

const authorization =
  'AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host;x-amz-target, Signature=00';
const headersOf = (operation: string, type = jsonType) => ({
  'x-amz-target': `Kinesis_20131202.${operation}`,
  'content-type': type,
  'x-amz-date': '20260101T000000Z',
  authorization,
});

const ask = (url: string, operation: string, body: string | Buffer): Promise<RawAnswer> =>
  send(url, { headers: headersOf(operation), body });

const limits = { depthMax: 32, valuesMax: 1_000 };

describe('CBOR', () => {
  const cases: [hex: string, value: unknown][] = [
    ['00', 0],
    ['17', 23],
    ['1818', 24],
    ['1903e8', 1_000],
    ['1a000f4240', 1_000_000],
    ['1b000001a013accc38', 1_787_036_486_712],
    ['20', -1],
    ['3903e7', -1_000],
    ['f4', false],
    ['f5', true],
    ['f6', null],
    ['f93c00', 1],
    ['f9c400', -4],
    ['f90001', 2 ** -24],
    ['fa47c35000', 100_000],
    ['fb3ff199999999999a', 1.1],
    ['60', ''],
    ['62c3bc', 'ü'],
    ['7f657374726561646d696e67ff', 'streaming'],
    ['80', []],
    ['83010203', [1, 2, 3]],
    ['9f018202039f0405ffff', [1, [2, 3], [4, 5]]],
    ['c11b000001a013accc38', 1_787_036_486.712], // a time, as the SDK for Java sends it
    ['d9d9f701', 1], // a tag that says nothing
  ];
  for (const [hex, value] of cases) {
    it(`says ${hex}`, () => assert.deepEqual(decodeCbor(Buffer.from(hex, 'hex'), limits), value));
  }

  it('says maps and bytes, with a length and without', () => {
    for (const hex of ['a26161016162420102', 'bf61610161625f41014102ffff']) {
      const { a, b } = decodeCbor(Buffer.from(hex, 'hex'), limits) as Record<string, unknown>; // a cast: a map
      assert.deepEqual([a, b], [1, Buffer.from([1, 2])]);
    }
    const map = decodeCbor(Buffer.from('a1695f5f70726f746f5f5f01', 'hex'), limits) as object; // a cast: a map
    assert.deepEqual(Object.keys(map), ['__proto__']);
  });

  const refused: [what: string, hex: string][] = [
    ['nothing', ''],
    ['half a number', '19'],
    ['less text than it says', '6261'],
    ['2^64 bytes', '5bffffffffffffffff'],
    ['2^53 items', '9b0020000000000000'],
    ['something behind it', '0000'],
    ['an end of nothing', 'ff'],
    ['a list that ends early', '82ff'],
    ['a map without a value', 'a161'],
    ['a map that ends after a key', 'bf6161ff'],
    ['a key that is a number', 'a10101'],
    ['text that is no UTF-8', '61ff'],
    ['pieces of another kind', '7f4101ff'],
    ['pieces in pieces', '5f5f4101ffff'],
    ['a length that is none', '1c'],
    ['a simple value of no meaning', 'f0'],
    ['a time that is text', 'c16161'],
    ['a number without a length', '1f'],
  ];
  for (const [what, hex] of refused) {
    it(`is not ${what}`, () => assert.throws(() => decodeCbor(Buffer.from(hex, 'hex'), limits), CborError));
  }

  it('nests and holds as much as is allowed, and no more', () => {
    const nested = (levels: number) => Buffer.concat([Buffer.alloc(levels, 0x81), Buffer.of(0)]);
    decodeCbor(nested(32), limits);
    assert.throws(() => decodeCbor(nested(33), limits), CborError);
    assert.throws(() => decodeCbor(nested(10_000_000), limits), CborError);
    const many = (count: number) => Buffer.concat([Buffer.of(0x9f), Buffer.alloc(count), Buffer.of(0xff)]);
    decodeCbor(many(998), limits); // and the list, and its end
    assert.throws(() => decodeCbor(many(999), limits), CborError);
    const tags = Buffer.concat([Buffer.alloc(1_000_000, 0xc2), Buffer.of(0)]);
    assert.throws(() => decodeCbor(tags, limits), CborError);
    const chunks = Buffer.concat([Buffer.of(0x5f), Buffer.alloc(1_000, 0x40), Buffer.of(0xff)]);
    assert.throws(() => decodeCbor(chunks, limits), CborError);
  });

  it('gives back what was written, whatever it is', () => {
    const value = fc.letrec(tie => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom(null, true, false),
        fc.integer(),
        fc.maxSafeInteger(),
        fc.double({ noNaN: true }),
        fc.string({ unit: 'grapheme' }),
        fc.uint8Array().map(bytes => Buffer.from(bytes)),
        fc.array(tie('value'), { maxLength: 30 }),
        fc.dictionary(fc.string(), tie('value'), { noNullPrototype: false }),
      ),
    })).value;
    const plain = (each: unknown): unknown => {
      if (Array.isArray(each)) return each.map(plain);
      if (typeof each !== 'object' || each === null || Buffer.isBuffer(each)) return Object.is(each, -0) ? 0 : each;
      return Object.fromEntries(Object.entries(each).map(([name, member]) => [name, plain(member)]));
    };
    fc.assert(
      fc.property(value, given => {
        const found = decodeCbor(encodeCbor(given), { depthMax: 32, valuesMax: 100_000 });
        assert.deepEqual(plain(found), plain(given));
      }),
    );
  });

  it('never throws anything but a refusal', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), bytes => {
        try {
          decodeCbor(Buffer.from(bytes), limits);
        } catch (error) {
          assert(error instanceof CborError);
        }
      }),
      { numRuns: 3_000 },
    );
  });
});

describe('a body of JSON', () => {
  it('is looked through before it is parsed, text at once', () => {
    const long = JSON.stringify({ a: 'x'.repeat(5_000), b: '[[[{{{"' });
    assert.equal(hasTooManyValues(Buffer.from(long), 30), false);
    assert.equal(hasTooManyValues(Buffer.from('[[],[],[],[],[],[],[],[],[],[],[]]'), 30), true);
    assert.equal(hasTooManyValues(Buffer.from(`"${'\\"'.repeat(40)}"`), 30), true);
    assert.equal(hasTooManyValues(Buffer.from(`"${'\\\\'.repeat(40)}"  `), 30), false);
    assert.equal(hasTooManyValues(Buffer.from(`"${'\\'.repeat(81)}"${'x'.repeat(50)}"`), 30), false);
    assert.equal(hasTooManyValues(Buffer.from(`"never ends ${'x'.repeat(50)}`), 30), false);
  });

  it('counts no less than what JSON.parse would make of it', () => {
    const countOf = (value: unknown): number =>
      typeof value === 'object' && value !== null
        ? Object.values(value).reduce((sum: number, each) => sum + countOf(each), 1)
        : 1;
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), text => {
        const body = Buffer.from(text);
        const count = countOf(JSON.parse(text));
        if (body.length > count) assert.equal(hasTooManyValues(body, count - 1), true);
      }),
    );
  });

  it('is refused in time, however many values it holds, and however deep', async t => {
    const { url } = await openTestKinesis(t);
    const bodies = [
      `{"a":[${'[],'.repeat(5_000_000)}0]}`,
      `{"a":${'['.repeat(8_000_000)}`,
      `{"a":"${'\\"'.repeat(8_000_000)}"}`,
      `{"StreamName":${'['.repeat(40)}${']'.repeat(40)}}`,
    ];
    for (const body of bodies) {
      const startMs = systemClock.monotonicMs();
      const { status, json } = await ask(url, 'ListStreams', body);
      assert.deepEqual([status, json.__type], [400, 'SerializationException']);
      assert(systemClock.monotonicMs() - startMs < 2_000, 'everybody else waited too long');
    }
  });
});

describe('the two spellings of a request', () => {
  const asCbor = async (
    url: string,
    operation: string,
    input: object,
  ): Promise<{ status: number; output: unknown }> => {
    const response = await fetch(url, {
      method: 'POST',
      headers: headersOf(operation, cborType),
      body: encodeCbor(input),
    });
    assert.equal(response.headers.get('content-type'), cborType);
    const bytes = Buffer.from(await response.arrayBuffer());
    return {
      status: response.status,
      output: bytes.length === 0 ? undefined : decodeCbor(bytes, { depthMax: 32, valuesMax: 100_000 }),
    };
  };

  it('say the same, with bytes and times of their own', async t => {
    const { url, clock } = await openTestKinesis(t);
    const made = await asCbor(url, 'CreateStream', { StreamName: 's', ShardCount: 1 });
    assert.deepEqual(made, { status: 200, output: undefined });
    await clock.advance(1_500);
    await asCbor(url, 'PutRecord', { StreamName: 's', PartitionKey: 'a', Data: Buffer.from([0, 1, 255]) });
    const place = { StreamName: 's', ShardId: 'shardId-000000000000', ShardIteratorType: 'AT_TIMESTAMP' };
    const Timestamp = new Date(clock.nowMs());
    const { output } = await asCbor(url, 'GetShardIterator', { ...place, Timestamp });
    const { ShardIterator } = output as { ShardIterator: string }; // a cast: what it answers
    const inCbor = await asCbor(url, 'GetRecords', { ShardIterator });
    const inJson = await ask(url, 'GetRecords', JSON.stringify({ ShardIterator }));
    const [record] = (inCbor.output as { Records: Record<string, unknown>[] }).Records; // a cast: what it answers
    const [same] = inJson.json.Records;
    assert.deepEqual(record.Data, Buffer.from([0, 1, 255]));
    assert.equal(same.Data, 'AAH/');
    assert.equal(record.SequenceNumber, same.SequenceNumber);
    assert.equal(record.ApproximateArrivalTimestamp, same.ApproximateArrivalTimestamp); // decoded from milliseconds
    assert.equal(same.ApproximateArrivalTimestamp, clock.nowMs() / 1_000);
    const wrong = await asCbor(url, 'PutRecord', { StreamName: 's', PartitionKey: 'a', Data: 'tex' });
    assert.equal((wrong.output as { __type: string }).__type, 'SerializationException');
  });

  it('are what programs say that send half of it, or something else', async t => {
    const { url } = await openTestKinesis(t);
    for (const bytes of [Buffer.of(0xff), Buffer.of(0xbf), Buffer.alloc(100_000, 0x9f), Buffer.of(1)]) {
      const response = await fetch(url, { method: 'POST', headers: headersOf('ListStreams', cborType), body: bytes });
      const told = decodeCbor(Buffer.from(await response.arrayBuffer()), limits);
      assert.deepEqual([response.status, { ...(told as object) }], [400, { __type: 'SerializationException' }]);
    }
  });
});

describe('a request that is wrong', () => {
  it('does not break the endpoint, whatever its members are', async t => {
    const { url } = await openTestKinesis(t);
    await ask(url, 'CreateStream', '{"StreamName":"s","ShardCount":1}');
    const operations = [
      'CreateStream',
      'PutRecord',
      'PutRecords',
      'GetRecords',
      'GetShardIterator',
      'ListShards',
      'AddTagsToStream',
      'SplitShard',
      'UpdateShardCount',
    ];
    const names = [
      'StreamName',
      'StreamARN',
      'ShardCount',
      'Data',
      'PartitionKey',
      'Records',
      'ShardIterator',
      'Tags',
      'ShardId',
      'ShardIteratorType',
      'NewStartingHashKey',
      'ShardToSplit',
      'TargetShardCount',
      'ScalingType',
      'NextToken',
      'ShardFilter',
      'ExplicitHashKey',
      'StartingSequenceNumber',
      'Timestamp',
      'StreamModeDetails',
      '__proto__',
      'constructor',
    ];
    const value = fc.oneof(
      fc.constantFrom(
        's',
        'AAAA',
        'LATEST',
        'AT_TIMESTAMP',
        'AT_SEQUENCE_NUMBER',
        '0',
        '1',
        'shardId-000000000000',
        -1,
        1e99,
      ),
      fc.jsonValue({ maxDepth: 3 }),
    );
    const request = fc.record({
      operation: fc.constantFrom(...operations),
      members: fc.array(fc.tuple(fc.constantFrom(...names), value), { maxLength: 6 }),
    });
    await fc.assert(
      fc.asyncProperty(request, async ({ operation, members }) => {
        const text = members.map(([name, each]) => `${JSON.stringify(name)}:${JSON.stringify(each)}`).join(',');
        const { status, text: answer } = await ask(url, operation, `{${text}}`);
        assert(status === 200 || status === 400, `${operation} {${text}} answered ${status}: ${answer}`);
      }),
      { numRuns: 400 },
    );
    assert.equal((await ask(url, 'ListStreams', '{}')).status, 200);
  });

  it('is told so in an answer of bounded length', async t => {
    const { url } = await openTestKinesis(t);
    const name = 'x'.repeat(10_000_000);
    const { status, json } = await ask(url, 'CreateStream', JSON.stringify({ StreamName: name, ShardCount: 1 }));
    assert.deepEqual([status, json.__type], [400, 'ValidationException']);
    assert(json.message.length < 3 * kinesisLimits.echoCharactersMax);
    const Records = Array.from({ length: 500 }, () => ({}));
    const many = await ask(url, 'PutRecords', JSON.stringify({ StreamName: 's', Records }));
    assert.match(many.json.message, /^10 validation errors detected: .*'records\.1\.member\.partitionKey'/);
  });

  it('is compared with no pattern that could take long', async t => {
    const { url } = await openTestKinesis(t);
    const StreamARN = `arn:aws${':kinesis:000000000000'.repeat(100)}`;
    const startMs = systemClock.monotonicMs();
    const { status } = await ask(url, 'DescribeStream', JSON.stringify({ StreamARN }));
    assert.equal(status, 400);
    assert(systemClock.monotonicMs() - startMs < 1_000);
  });

  const story = async (t: TestContext) => {
    const lines: object[] = [];
    const log = { info() {}, warn() {}, error: (facts: object) => void lines.push(facts) };
    const kinesis = await openTestKinesis(t, { log });
    await ask(kinesis.url, 'CreateStream', '{"StreamName":"s","ShardCount":1}');
    return { ...kinesis, lines };
  };

  it('tells nothing when the fault is ours, and the log everything (hostile H14)', async t => {
    const { url, catalog, lines } = await story(t);
    t.mock.method(catalog, 'list', () => {
      throw new Error('secret of /home/user');
    });
    const { status, json, headers } = await ask(url, 'ListStreams', '{}');
    assert.deepEqual(
      [status, json],
      [500, { __type: 'InternalFailureException', message: 'Internal service failure.' }],
    );
    assert.match(JSON.stringify(lines), /secret of/);
    assert(JSON.stringify(lines).includes(String(headers['x-amzn-requestid'])));
  });

  it('is no request of a page of somebody else, and none to another path or by another method', async t => {
    const { url } = await story(t);
    const foreign = { ...headersOf('ListStreams'), origin: 'https://evil.example' };
    assert.equal((await send(url, { headers: foreign, body: '{}' })).status, 403);
    for (const request of [{ method: 'GET' }, { method: 'PUT', body: '{}' }, { path: '/x', body: '{}' }]) {
      const { status, text } = await send(url, { headers: headersOf('ListStreams'), ...request });
      assert.deepEqual([status, text.startsWith('<AccessDeniedException>')], [403, true]);
    }
  });
});

describe('with credentials', () => {
  it('a request is carried out only when it is signed for Kinesis, over either protocol', async t => {
    const credentials = new Map([['AKID', 'secret']]);
    const kinesis = await openTestKinesis(t, { credentials });
    await kinesis.clock.advance(Date.now() - kinesis.clock.nowMs()); // Clients sign the time that it is.
    const asked = async (secretAccessKey: string) =>
      kinesis.client({ credentials: { accessKeyId: 'AKID', secretAccessKey } }).listStreams({});
    assert.deepEqual((await asked('secret')).StreamNames, []);
    await assert.rejects(asked('wrong'), { name: 'InvalidSignatureException' });
    await assert.rejects(kinesis.client().listStreams({}), { name: 'UnrecognizedClientException' });
    const { status, json } = await ask(kinesis.url, 'ListStreams', '{}');
    assert.deepEqual([status, json.__type], [400, 'InvalidSignatureException']); // of the first of January
  });
});
