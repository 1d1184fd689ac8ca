/** What every engine's feed of changes promises, whatever it stands on. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { _Record, GetShardIteratorCommandInput } from '@aws-sdk/client-dynamodb-streams';
import type { StreamViewType, Table, TableSchema, TableStreams } from '../port.ts';

export interface StreamsWorld {
  readonly table: Table;
  readonly streams: TableStreams;
  /** Waits for `promise`, letting pass what time that takes. */
  until<T>(promise: Promise<T>): Promise<T>;
  letPass(ms: number): Promise<void>;
  cleanUp(): Promise<void>;
}

const viewTypes: readonly StreamViewType[] = ['KEYS_ONLY', 'NEW_IMAGE', 'OLD_IMAGE', 'NEW_AND_OLD_IMAGES'];

/** A table for each view type, named after it, and one without a stream. */
export const streamTables: readonly TableSchema[] = [
  ...viewTypes.map(stream => ({
    tableName: stream,
    partitionKey: { name: 'room', type: 'S' as const },
    sortKey: { name: 'at', type: 'N' as const },
    stream,
  })),
  { tableName: 'plain', partitionKey: { name: 'room', type: 'S' } },
];

const both = 'NEW_AND_OLD_IMAGES';

/** Reads a table's stream as a client does: every shard, parents first, until nothing more comes. */
class StreamClient {
  readonly #world: StreamsWorld;

  constructor(world: StreamsWorld) {
    this.#world = world;
  }

  async arnOf(TableName: string): Promise<string> {
    const { Streams } = await this.#world.streams.listStreams({ TableName });
    assert(Streams?.[0]?.StreamArn !== undefined);
    return Streams[0].StreamArn;
  }

  async describe(TableName: string) {
    const StreamArn = await this.arnOf(TableName);
    const { StreamDescription } = await this.#world.streams.describeStream({ StreamArn });
    assert(StreamDescription?.Shards !== undefined);
    return { ...StreamDescription, Shards: StreamDescription.Shards };
  }

  async iterator(
    TableName: string,
    place: Pick<GetShardIteratorCommandInput, 'ShardIteratorType' | 'SequenceNumber'> & { ShardId?: string },
  ): Promise<string> {
    const { StreamArn, Shards } = await this.describe(TableName);
    const ShardId = place.ShardId ?? Shards[Shards.length - 1].ShardId;
    const { ShardIterator } = await this.#world.streams.getShardIterator({ StreamArn, ...place, ShardId });
    assert(ShardIterator !== undefined);
    return ShardIterator;
  }

  async read(ShardIterator: string, Limit?: number): Promise<{ records: _Record[]; next: string | undefined }> {
    const { Records, NextShardIterator } = await this.#world.streams.getRecords({ ShardIterator, Limit });
    assert(Records !== undefined);
    return { records: Records, next: NextShardIterator };
  }

  async all(TableName: string): Promise<_Record[]> {
    const records: _Record[] = [];
    for (const { ShardId } of (await this.describe(TableName)).Shards) {
      let next: string | undefined = await this.iterator(TableName, { ShardId, ShardIteratorType: 'TRIM_HORIZON' });
      while (next !== undefined) {
        const page = await this.read(next);
        if (page.records.length === 0) break;
        records.push(...page.records);
        next = page.next;
      }
    }
    return records;
  }
}

type Body = (world: StreamsWorld, client: StreamClient) => Promise<void>;

export function tableStreamsContract(name: string, makeWorld: () => Promise<StreamsWorld>): void {
  const promise = (text: string, body: Body) =>
    it(text, async () => {
      const world = await makeWorld();
      try {
        await body(world, new StreamClient(world));
      } finally {
        await world.until(world.table.close());
        await world.cleanUp();
      }
    });
  describe(`table streams, ${name}`, () => {
    describe('records', () => recordPromises(promise));
    describe('shards and iterators', () => shardPromises(promise));
    describe('refusals', () => refusalPromises(promise));
  });
}

async function threeChanges({ table, until }: StreamsWorld, TableName: string): Promise<void> {
  const Key = { room: 'attic', at: 7 };
  await until(table.put({ TableName, Item: { ...Key, note: 'new' } }));
  await until(table.put({ TableName, Item: { ...Key, note: 'changed', tags: new Set(['a']) } }));
  await until(table.delete({ TableName, Key }));
}

const kinds = (records: _Record[]) => records.map(({ eventName }) => eventName);

function recordPromises(promise: (text: string, body: Body) => void): void {
  const keys = { room: { S: 'attic' }, at: { N: '7' } };
  const first = { ...keys, note: { S: 'new' } };
  const second = { ...keys, note: { S: 'changed' }, tags: { SS: ['a'] } };
  // Of the key 8 bytes (room 4, attic 5, at 2, 7 as a number 2 = 13), of the images by the same rule.
  const sizes = { keys: 13, first: 13 + 4 + 3, second: 13 + 4 + 7 + 4 + 1 };

  promise('have the shape and the sizes of DynamoDB', async (world, client) => {
    await threeChanges(world, both);
    const records = await client.all(both);
    assert.deepEqual(kinds(records), ['INSERT', 'MODIFY', 'REMOVE']);
    for (const record of records) {
      assert.match(record.eventID ?? '', /^[0-9a-f]{32}$/);
      assert.equal(record.eventVersion, '1.1');
      assert.equal(record.eventSource, 'aws:dynamodb');
      assert.match(record.awsRegion ?? '', /^[a-z]+-[a-z]+-\d$/);
      assert.deepEqual(record.dynamodb?.Keys, keys);
      assert.equal(record.dynamodb?.StreamViewType, both);
      assert.match(record.dynamodb?.SequenceNumber ?? '', /^\d{21,40}$/);
      assert.equal((record.dynamodb?.ApproximateCreationDateTime?.getTime() ?? 1) % 1_000, 0);
      assert.equal(record.userIdentity, undefined);
    }
    assert.equal(new Set(records.map(({ eventID }) => eventID)).size, 3);
    const images = records.map(({ dynamodb }) => [dynamodb?.OldImage, dynamodb?.NewImage, dynamodb?.SizeBytes]);
    assert.deepEqual(images, [
      [undefined, first, sizes.keys + sizes.first],
      [first, second, sizes.keys + sizes.first + sizes.second],
      [second, undefined, sizes.keys + sizes.second],
    ]);
  });

  promise('are as large as in the example of the developer guide', async ({ table, until }, client) => {
    // Its table has the number Id as its key; ours has two, so the four bytes more of ours are taken off.
    const Item = { room: '1', at: 101, Message: 'New item!' };
    await until(table.put({ TableName: both, Item }));
    const [{ dynamodb }] = await client.all(both);
    assert.equal(dynamodb?.SizeBytes, 26 + 2 * 'room1'.length);
  });

  for (const viewType of viewTypes) {
    promise(`hold what ${viewType} says`, async (world, client) => {
      await threeChanges(world, viewType);
      const images = (await client.all(viewType)).map(({ dynamodb }) => [
        dynamodb?.OldImage !== undefined,
        dynamodb?.NewImage !== undefined,
        dynamodb?.Keys !== undefined,
      ]);
      const old = viewType === 'OLD_IMAGE' || viewType === both;
      const newer = viewType === 'NEW_IMAGE' || viewType === both;
      assert.deepEqual(images, [
        [false, newer, true],
        [old, newer, true],
        [old, false, true],
      ]);
    });
  }

  promise('are not made by a write that changes nothing', async ({ table, until }, client) => {
    const Key = { room: 'attic', at: 7 };
    const Item = { ...Key, deep: { marks: [1, { a: new Set([1, 2]) }], raw: Uint8Array.of(1) } };
    const reordered = { deep: { raw: Uint8Array.of(1), marks: [1, { a: new Set([2, 1]) }] }, ...Key };
    await until(table.put({ TableName: both, Item }));
    await until(table.put({ TableName: both, Item: reordered }));
    await until(
      table.update({
        TableName: both,
        Key,
        UpdateExpression: 'SET deep.marks[0] = :one REMOVE nothing',
        ExpressionAttributeValues: { ':one': 1 },
      }),
    );
    await until(table.delete({ TableName: both, Key: { room: 'nowhere', at: 1 } }));
    assert.deepEqual(kinds(await client.all(both)), ['INSERT']);
    const deeper = { ...Item, deep: { ...Item.deep, marks: [1, { a: new Set([1, 3]) }] } };
    await until(table.put({ TableName: both, Item: deeper }));
    assert.deepEqual(kinds(await client.all(both)), ['INSERT', 'MODIFY']);
  });

  promise('are not made by a write that is refused', async ({ table, until }, client) => {
    const Item = { room: 'attic', at: 7 };
    await until(table.put({ TableName: both, Item }));
    const condition = { ConditionExpression: 'attribute_not_exists(room)' };
    await assert.rejects(table.put({ TableName: both, Item: { ...Item, more: 1 }, ...condition }));
    const puts = [{ Put: { TableName: both, Item: { room: 'b', at: 1 } } }];
    await assert.rejects(
      table.transactWrite({ TransactItems: [...puts, { Put: { TableName: both, Item, ...condition } }] }),
    );
    assert.equal((await client.all(both)).length, 1);
  });

  promise('come one for each item of a transaction, and none for what it only checks', async (world, client) => {
    const { table, until } = world;
    const checked = { room: 'checked', at: 0 };
    await until(table.put({ TableName: both, Item: checked }));
    const puts = [1, 2, 3].map(at => ({ Put: { TableName: both, Item: { room: 'attic', at } } }));
    const check = { TableName: both, Key: checked, ConditionExpression: 'attribute_exists(room)' };
    await until(table.transactWrite({ TransactItems: [...puts, { ConditionCheck: check }] }));
    assert.equal((await client.all(both)).length, 4);
  });

  promise('are numbered in the order of the writes', async ({ table, until }, client) => {
    const writes = Array.from({ length: 30 }, (_, at) =>
      table.put({ TableName: both, Item: { room: `room ${at % 4}`, at } }),
    );
    await until(Promise.all(writes));
    const records = await client.all(both);
    const numbers = records.map(({ dynamodb }) => BigInt(dynamodb?.SequenceNumber ?? 0));
    assert.deepEqual(
      numbers,
      numbers.toSorted((left, right) => (left < right ? -1 : 1)),
    );
    assert.equal(new Set(numbers).size, 30);
    assert.deepEqual(
      records.map(({ dynamodb }) => dynamodb?.Keys?.at.N),
      Array.from({ length: 30 }, (_, at) => String(at)),
    );
  });
}

function shardPromises(promise: (text: string, body: Body) => void): void {
  promise('a stream is listed, described, and one shard of it is open', async (world, client) => {
    const { StreamArn, StreamLabel, Shards, ...described } = await client.describe(both);
    assert.equal(described.StreamStatus, 'ENABLED');
    assert.equal(described.StreamViewType, both);
    assert.equal(described.TableName, both);
    assert.deepEqual(described.KeySchema, [
      { AttributeName: 'room', KeyType: 'HASH' },
      { AttributeName: 'at', KeyType: 'RANGE' },
    ]);
    assert(described.CreationRequestDateTime instanceof Date);
    assert.match(StreamLabel ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}$/);
    assert(StreamArn?.endsWith(`:table/${both}/stream/${StreamLabel}`));
    assert.equal(Shards.length, 1);
    assert.match(Shards[0].ShardId ?? '', /^shardId-\d{20}-[0-9a-f]{8}$/);
    assert.match(Shards[0].SequenceNumberRange?.StartingSequenceNumber ?? '', /^\d{21,40}$/);
    assert.equal(Shards[0].SequenceNumberRange?.EndingSequenceNumber, undefined);
    assert.deepEqual(await world.streams.listStreams({ TableName: 'plain' }), { Streams: [] });
    const TableName = StreamArn?.split('/stream/')[0]; // A table may be named by its ARN.
    assert.deepEqual(await world.streams.listStreams({ TableName }), {
      Streams: [{ StreamArn, StreamLabel, TableName: both }],
    });
  });

  promise('lists all streams in pages', async ({ streams }) => {
    const names: (string | undefined)[] = [];
    let start: string | undefined;
    do {
      const page = await streams.listStreams({ Limit: 3, ExclusiveStartStreamArn: start });
      names.push(...(page.Streams ?? []).map(({ TableName }) => TableName));
      start = page.LastEvaluatedStreamArn;
    } while (start !== undefined);
    assert.deepEqual(names, viewTypes.toSorted());
  });

  promise('LATEST begins behind what is there, TRIM_HORIZON before it', async (world, client) => {
    await threeChanges(world, both);
    const latest = await client.iterator(both, { ShardIteratorType: 'LATEST' });
    const oldest = await client.iterator(both, { ShardIteratorType: 'TRIM_HORIZON' });
    const { records, next } = await client.read(latest);
    assert.deepEqual(records, []);
    await threeChanges(world, both);
    assert.equal((await client.read(next ?? '')).records.length, 3);
    assert.equal((await client.read(latest)).records.length, 3); // An iterator may be used again.
    assert.equal((await client.read(oldest)).records.length, 6);
  });

  promise('AT begins with the record of a number, AFTER behind it', async (world, client) => {
    await threeChanges(world, both);
    const [, second, third] = (await client.all(both)).map(({ dynamodb }) => dynamodb?.SequenceNumber);
    const at = await client.iterator(both, { ShardIteratorType: 'AT_SEQUENCE_NUMBER', SequenceNumber: second });
    assert.deepEqual(kinds((await client.read(at)).records), ['MODIFY', 'REMOVE']);
    const after = await client.iterator(both, { ShardIteratorType: 'AFTER_SEQUENCE_NUMBER', SequenceNumber: second });
    assert.deepEqual(kinds((await client.read(after)).records), ['REMOVE']);
    const end = await client.iterator(both, { ShardIteratorType: 'AFTER_SEQUENCE_NUMBER', SequenceNumber: third });
    assert.deepEqual((await client.read(end)).records, []);
  });

  promise('can be asked for at its first number before anything was written', async (world, client) => {
    const { Shards } = await client.describe(both);
    const SequenceNumber = Shards[0].SequenceNumberRange?.StartingSequenceNumber;
    const at = await client.iterator(both, { ShardIteratorType: 'AT_SEQUENCE_NUMBER', SequenceNumber });
    await client.iterator(both, { ShardIteratorType: 'AFTER_SEQUENCE_NUMBER', SequenceNumber });
    await threeChanges(world, both);
    assert.equal((await client.read(at)).records.length, 3);
  });

  promise('gives at most as many records as asked, and goes on behind them', async (world, client) => {
    await threeChanges(world, both);
    const first = await client.read(await client.iterator(both, { ShardIteratorType: 'TRIM_HORIZON' }), 2);
    assert.deepEqual(kinds(first.records), ['INSERT', 'MODIFY']);
    assert.deepEqual(kinds((await client.read(first.next ?? '', 2)).records), ['REMOVE']);
  });

  promise('gives a thousand records at most, or a megabyte', async ({ table, until }, client) => {
    const puts = Array.from({ length: 1_003 }, (_, at) =>
      table.put({ TableName: 'KEYS_ONLY', Item: { room: 'a', at } }),
    );
    await until(Promise.all(puts));
    const small = await client.read(await client.iterator('KEYS_ONLY', { ShardIteratorType: 'TRIM_HORIZON' }));
    assert.equal(small.records.length, 1_000);
    assert.equal((await client.read(small.next ?? '')).records.length, 3);
    for (let at = 0; at < 4; at++) {
      await until(table.put({ TableName: both, Item: { room: 'a', at, text: 'x'.repeat(399 * 1024) } }));
    }
    const large = await client.read(await client.iterator(both, { ShardIteratorType: 'TRIM_HORIZON' }));
    assert.equal(large.records.length, 2);
    assert.equal((await client.read(large.next ?? '')).records.length, 2);
  });

  promise('is followed by a child after four hours, and ends', async (world, client) => {
    await threeChanges(world, both);
    const open = await client.iterator(both, { ShardIteratorType: 'TRIM_HORIZON' });
    assert((await client.read(open)).next !== undefined);
    await world.letPass(4 * 3_600_000);
    await threeChanges(world, both);
    const { Shards, StreamArn } = await client.describe(both);
    const [parent, child, ...others] = Shards;
    assert.equal(others.length, 0);
    assert.equal(child.ParentShardId, parent.ShardId);
    assert((parent.ShardId ?? '') < (child.ShardId ?? ''));
    const end = parent.SequenceNumberRange?.EndingSequenceNumber;
    assert(BigInt(end ?? 0) < BigInt(child.SequenceNumberRange?.StartingSequenceNumber ?? 0));
    const place = { ShardId: parent.ShardId, ShardIteratorType: 'TRIM_HORIZON' } as const;
    const whole = await client.read(await client.iterator(both, place));
    assert.equal(whole.records.length, 3);
    assert.equal(whole.next, undefined);
    const half = await client.read(await client.iterator(both, place), 2);
    assert(half.next !== undefined);
    assert.equal((await client.read(half.next)).next, undefined);
    const latest = await client.read(await client.iterator(both, { ...place, ShardIteratorType: 'LATEST' }));
    assert.deepEqual(latest, { records: [], next: undefined });
    assert.equal((await client.all(both)).length, 6);
    const { describeStream } = world.streams;
    const page = await describeStream({ StreamArn, Limit: 1 });
    assert.equal(page.StreamDescription?.LastEvaluatedShardId, parent.ShardId);
    const rest = await describeStream({ StreamArn, ExclusiveStartShardId: parent.ShardId });
    assert.deepEqual(rest.StreamDescription?.Shards, [child]);
    const ShardFilter = { Type: 'CHILD_SHARDS', ShardId: parent.ShardId } as const;
    assert.deepEqual((await describeStream({ StreamArn, ShardFilter })).StreamDescription?.Shards, [child]);
  });

  promise('forgets records and shards after 24 hours', async (world, client) => {
    await threeChanges(world, both);
    const [old] = (await client.describe(both)).Shards;
    const [{ dynamodb }] = await client.all(both);
    await world.letPass(12 * 3_600_000);
    await threeChanges(world, both);
    await world.letPass(12 * 3_600_000 - 600_000);
    assert.equal((await client.all(both)).length, 6);
    const place = { ShardIteratorType: 'AT_SEQUENCE_NUMBER', SequenceNumber: dynamodb?.SequenceNumber } as const;
    const early = await client.iterator(both, { ...place, ShardId: old.ShardId });
    await world.letPass(660_000);
    assert.equal((await client.all(both)).length, 3);
    await assert.rejects(client.read(early), { name: 'TrimmedDataAccessException', code: 'table.changesTrimmed' });
    await assert.rejects(client.iterator(both, { ...place, ShardId: old.ShardId }), {
      name: 'ResourceNotFoundException',
      code: 'table.shardNotFound',
    });
  });
}

function refusalPromises(promise: (text: string, body: Body) => void): void {
  promise('an iterator is refused after 15 minutes', async (world, client) => {
    const iterator = await client.iterator(both, { ShardIteratorType: 'LATEST' });
    await world.letPass(15 * 60_000);
    const { next } = await client.read(iterator);
    await world.letPass(1);
    await assert.rejects(client.read(iterator), {
      name: 'ExpiredIteratorException',
      code: 'table.iteratorExpired',
    });
    await client.read(next ?? ''); // It was issued later.
  });

  promise('what is no iterator is refused', async ({ streams }, client) => {
    const good = await client.iterator(both, { ShardIteratorType: 'LATEST' });
    const changed = good.slice(0, -6) + (good.at(-6) === 'A' ? 'B' : 'A') + good.slice(-5);
    const moved = good.replace(`table/${both}`, 'table/OLD_IMAGE');
    for (const ShardIterator of ['nonsense', `${good}|`, changed, moved, good.replace('|1|', '|2|')]) {
      await assert.rejects(streams.getRecords({ ShardIterator }), {
        name: 'ValidationException',
        message: 'Invalid ShardIterator',
      });
    }
  });

  promise('what is no ARN is refused, and what names no stream is not found', async ({ streams }, client) => {
    const good = await client.arnOf(both);
    await assert.rejects(streams.describeStream({ StreamArn: 'nonsense'.repeat(8) }), {
      name: 'ValidationException',
      message: 'Invalid StreamArn',
    });
    const StreamArn = good.replace(/stream\/.*$/, 'stream/2001-01-01T00:00:00.000');
    const message = `Requested resource not found: Stream: ${StreamArn} not found`;
    await assert.rejects(streams.describeStream({ StreamArn }), { name: 'ResourceNotFoundException', message });
    const latest = { ShardId: 'x'.repeat(28), ShardIteratorType: 'LATEST' } as const;
    await assert.rejects(streams.getShardIterator({ StreamArn, ...latest }), {
      name: 'ResourceNotFoundException',
      message,
    });
    await assert.rejects(streams.getShardIterator({ StreamArn: good, ...latest }), {
      name: 'ResourceNotFoundException',
      message: 'Requested resource not found: Shard does not exist',
    });
  });

  promise('what is out of bounds is refused before anything is looked at', async ({ streams }, client) => {
    const StreamArn = await client.arnOf(both);
    const ShardIterator = await client.iterator(both, { ShardIteratorType: 'LATEST' });
    const place = { StreamArn, ShardId: 'short', ShardIteratorType: 'LATEST' } as const;
    const refused = [
      () => streams.listStreams({ Limit: 0 }),
      () => streams.listStreams({ Limit: 101 }),
      () => streams.describeStream({ StreamArn, Limit: 0 }),
      () => streams.describeStream({ StreamArn, Limit: 101 }),
      () => streams.describeStream({ StreamArn: 'short' }),
      () => streams.getShardIterator(place),
      () => streams.getRecords({ ShardIterator, Limit: 0 }),
      () => streams.getRecords({ ShardIterator, Limit: 1_001 }),
      () => streams.getRecords({ ShardIterator: '' }),
    ];
    for (const each of refused) {
      await assert.rejects(each, { name: 'ValidationException', message: /^1 validation error detected: / });
    }
  });

  promise('a sequence number is given where it is needed, fits, and is given nowhere else', async (world, client) => {
    await threeChanges(world, both);
    const [{ dynamodb }] = await client.all(both);
    const good = dynamodb?.SequenceNumber;
    const beyond = String(BigInt(good ?? 0) + 10n);
    const refused = [
      { ShardIteratorType: 'AT_SEQUENCE_NUMBER' },
      { ShardIteratorType: 'AFTER_SEQUENCE_NUMBER' },
      { ShardIteratorType: 'LATEST', SequenceNumber: good },
      { ShardIteratorType: 'TRIM_HORIZON', SequenceNumber: good },
      { ShardIteratorType: 'AT_SEQUENCE_NUMBER', SequenceNumber: 'abc' },
      { ShardIteratorType: 'AT_SEQUENCE_NUMBER', SequenceNumber: beyond },
      { ShardIteratorType: 'AFTER_SEQUENCE_NUMBER', SequenceNumber: '1'.repeat(21) },
    ] as const;
    for (const place of refused) {
      await assert.rejects(client.iterator(both, place), { name: 'ValidationException' }, JSON.stringify(place));
    }
  });
}
