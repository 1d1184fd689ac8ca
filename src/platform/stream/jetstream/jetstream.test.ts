/** The contract on Debian's nats-server, and what is private to this engine. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { headers, type NatsConnection } from '@nats-io/transport-node';
import { connectTo, NatsServer } from '../../../../test/nats-server.ts';
import { missing, temporaryFolder, testScale } from '../../../../test/support.ts';
import { type Clock, systemClock } from '../../../kernel/clock.ts';
import { codeOf } from '../../../kernel/errors.ts';
import { seededRandom } from '../../../kernel/random.ts';
import { poisonContract } from '../consumers/poison-contract.ts';
import { batchOf, middleOf, type NewRecord, textOf, textsByKey } from '../contract/world.ts';
import { type Gap, hasCode, streamContract } from '../contract.ts';
import type { JetStreamStream } from './jetstream-stream.ts';
import { appendMany, JetStreamWorld, newName, openOf, readAll } from './jetstream-world.ts';
import { type Fate, unreliable } from './test-connection.ts';

const gaps: readonly Gap[] = [
  {
    test: 'refuses what a shard cannot take record by record, and of a key with one refused all that follow',
    reason: 'NATS has no limit per shard and second',
  },
];

let server: NatsServer;
let connection: NatsConnection;
let world: JetStreamWorld;

describe('JetStream', { skip: missing('nats-server') }, () => {
  before(async () => {
    server = await NatsServer.start(temporaryFolder());
    connection = await connectTo([server]);
    world = new JetStreamWorld(connection);
  });

  after(async () => {
    await connection.close();
    await server.kill();
  });

  streamContract('JetStream, one server', async options => world.streamWorld(options), gaps);

  poisonContract('JetStream, one server', async () => {
    const streamName = newName();
    const openReader = await world.readers(streamName);
    return { ...world.streamWorld({ shards: 2 }, streamName), clock: systemClock, openReader };
  });

  describe('JetStream, while requests and answers are lost', () => {
    it('keeps each record once and in order', async () => {
      for (let seed = 1; seed <= testScale(3, 50); seed++) {
        const random = seededRandom(seed);
        const fateOf = (): Fate => (['lost', 'unanswered'] as const)[random.integer(6)] ?? 'answered';
        const streamName = newName();
        await world.open(streamName, { shards: 2 });
        const limits = { retryDelayMsMin: 1, retryDelayMsMax: 2 };
        const stream = await world.open(streamName, { connection: unreliable(connection, fateOf), limits });
        const sent = await appendMany(stream, 'a', 100);
        const [first] = await stream.shards();
        await stream.splitShard(first.shardId, middleOf(first.hashKeys));
        for (const [key, texts] of await appendMany(stream, 'b', 100)) sent.set(key, texts);
        const found = textsByKey(await readAll(await world.openReader(streamName)));
        assert.deepEqual([...found].toSorted(), [...sent].toSorted(), `seed ${seed}`);
      }
    });

    it('finishes a split whose maker is gone, at whatever step it went', async () => {
      let isFinished = false;
      for (let requestsMax = 0; !isFinished; requestsMax++) {
        const streamName = newName();
        const other = await world.open(streamName);
        await other.append(batchOf(['a', '1'], ['b', '1']));
        let requests = Number.NEGATIVE_INFINITY;
        const fateOf = (): Fate => (requests++ < requestsMax ? 'answered' : 'lost');
        const giveUp = { giveUpMs: 1, retryDelayMsMin: 1 };
        const stream = await world.open(streamName, { connection: unreliable(connection, fateOf), limits: giveUp });
        const [{ shardId, hashKeys }] = await stream.shards();
        requests = 0;
        isFinished = await stream.splitShard(shardId, middleOf(hashKeys)).then(
          () => true,
          () => false,
        );
        await other.append(batchOf(['a', '2'], ['b', '2']));
        const shards = await (await world.open(streamName)).shards();
        assert.ok(shards.length === 1 || openOf(shards).length === 2, `after ${requestsMax} requests`);
        const found = textsByKey(await readAll(await world.openReader(streamName)));
        assert.deepEqual(found, new Map(['a', 'b'].map(key => [key, ['1', '2']])), `after ${requestsMax} requests`);
      }
    });

    it('refuses what nobody acknowledges in time, and takes more when the server answers again', async () => {
      let isOut = false;
      const fateOf = (): Fate => (isOut ? 'lost' : 'answered');
      const limits = { giveUpMs: 20, retryDelayMsMin: 1 };
      const stream = await world.open(newName(), { connection: unreliable(connection, fateOf), limits });
      isOut = true;
      const appends = [stream.append(batchOf(['a', '1'])), stream.append(batchOf(['a', '2']))];
      for (const append of appends) await assert.rejects(append, hasCode('stream.unavailable'));
      assert.equal(stream.pendingBytes, 0);
      isOut = false;
      await stream.append(batchOf(['a', '3']));
    });
  });

  describe('JetStream, shared by several', () => {
    it('keeps the order of each writer while all of them append, split and merge', async () => {
      const streamName = newName();
      const streams = [await world.open(streamName), await world.open(streamName), await world.open(streamName)];
      const reshard = async (stream: JetStreamStream, seed: number) => {
        const random = seededRandom(seed);
        for (let change = 0; change < testScale(4, 40); change++) {
          const shards = openOf(await stream.shards());
          const place = random.integer(shards.length);
          const [{ shardId, hashKeys }, next] = shards.slice(place);
          try {
            if (next && random.integer(2) === 0) await stream.mergeShards(shardId, next.shardId);
            else await stream.splitShard(shardId, middleOf(hashKeys));
          } catch (error) {
            // Another was faster with the same shard.
            assert.ok(['stream.shardNotOpen', 'stream.shardNotFound'].includes(codeOf(error)), String(error));
          }
        }
      };
      const [sent] = await Promise.all([
        Promise.all(streams.map((stream, index) => appendMany(stream, `${index}`, testScale(150, 2_000)))),
        Promise.all(streams.map((stream, index) => reshard(stream, index + 1))),
      ]);
      const found = textsByKey(await readAll(await world.openReader(streamName)));
      const expected = sent.flatMap(each => [...each]);
      assert.deepEqual([...found].toSorted(), expected.toSorted());
    });

    it('reads what others publish as records of theirs', async () => {
      const streamName = newName();
      const stream = await world.open(streamName);
      await stream.append(batchOf(['a', 'ours']));
      const withKey = headers();
      withKey.set('Partition-Key', 'b');
      await connection.request(`${streamName}.0`, 'theirs', { timeout: 1_000, headers: withKey });
      await connection.request(`${streamName}.0`, 'plain', { timeout: 1_000 });
      await stream.append(batchOf(['a', 'ours again']));
      const found = await readAll(await world.openReader(streamName));
      assert.deepEqual(
        found.map(record => [record.partitionKey, textOf(record)]),
        [
          ['a', 'ours'],
          ['b', 'theirs'],
          [`${streamName}.0`, 'plain'],
          ['a', 'ours again'],
        ],
      );
    });

    it('says so when a message is in a format that it does not know', async () => {
      const streamName = newName();
      const stream = await world.open(streamName);
      const [{ shardId }] = await stream.shards();
      const newer = headers();
      newer.set('Mimamori-Message', 'records/2');
      await connection.request(`${streamName}.0`, 'from the future', { timeout: 1_000, headers: newer });
      const reader = await world.openReader(streamName);
      await assert.rejects(reader.read(shardId, null, 1_000), hasCode('stream.versionUnknown'));
    });

    it('refuses a checkpoint that is beyond the end', async () => {
      const streamName = newName();
      const stream = await world.open(streamName);
      const { placeOf } = await stream.append(batchOf(['a', '1']));
      const { shardId, sequenceNumber } = placeOf(0);
      const reader = await world.openReader(streamName);
      assert.deepEqual(await reader.read(shardId, sequenceNumber, 1_000), []);
      const beyond = reader.read(shardId, sequenceNumber + 2n ** 16n, 1_000);
      await assert.rejects(beyond, hasCode('stream.checkpointNotReached'));
    });
  });

  describe('JetStream, at its limits', () => {
    it('parts what does not fit into a message, and refuses a record that fits into none', async () => {
      const streamName = newName();
      const stream = await world.open(streamName, {
        shards: 2,
        limits: { messageBytesMax: 500, messageRecordsMax: 7, headerBytesMax: 4 * 1024 * 1024 - 550 },
      });
      const records = Array.from({ length: 60 }, (_, index): NewRecord => [`key-${index % 4}`, `${index}`]);
      records.splice(20, 0, ['key-1', Buffer.alloc(600)]);
      const { failed, placeOf } = await stream.append(batchOf(...records));
      const refused = records.flatMap(([key], index) => (key === 'key-1' && index >= 20 ? index : []));
      assert.deepEqual([...failed.keys()].toSorted(), refused.toSorted()); // And what follows it of its key.
      assert.equal(failed.get(20)?.code, 'stream.recordTooLarge');
      const kept = records.flatMap(([key, data], index) => (refused.includes(index) ? [] : [{ key, data, index }]));
      const found = await readAll(await world.openReader(streamName));
      assert.equal(found.length, kept.length);
      for (const { data, index } of kept) {
        const { sequenceNumber } = placeOf(index);
        assert.ok(found.some(record => record.sequenceNumber === sequenceNumber && textOf(record) === data));
      }
    });

    it('forgets a closed shard when retention has passed, and removes what it was kept in', async () => {
      const streamName = newName();
      let aheadMs = 0;
      const movable: Clock = { ...systemClock, nowMs: () => systemClock.nowMs() + aheadMs };
      const stream = await world.open(streamName, { clock: movable, retentionMs: 3_600_000 });
      const [{ shardId, hashKeys }] = await stream.shards();
      await stream.splitShard(shardId, middleOf(hashKeys));
      const late = await world.open(streamName);
      assert.equal((await stream.shards()).length, 3);
      aheadMs = 3_700_000;
      const [lower, upper, ...more] = await stream.shards();
      assert.deepEqual(more, []);
      await stream.mergeShards(lower.shardId, upper.shardId);
      const info = await connection.request('$JS.API.STREAM.NAMES', '', { timeout: 1_000 });
      assert.ok(!info.json<{ streams: string[] }>().streams.includes(`${streamName}-0`));
      await late.append(batchOf(['a', '1'])); // By a map in which the first shard is open.
      assert.equal((await readAll(await world.openReader(streamName))).length, 1);
    });

    it('takes no name that NATS could not', async () => {
      for (const streamName of ['', 'a.b', 'a b', 'a>', 'x'.repeat(201)]) {
        await assert.rejects(world.open(streamName), hasCode('stream.nameNotValid'));
        await assert.rejects(world.openReader(streamName), hasCode('stream.nameNotValid'));
      }
      const reader = await world.openReader(newName());
      await assert.rejects(reader.shards(), hasCode('stream.notFound'));
    });
  });

  describe('JetStream, on a server with little room and strict rules', () => {
    let strict: NatsServer;
    let owner: NatsConnection;
    const users = [
      '{ user: owner, password: x }',
      '{ user: guest, password: x, permissions: { publish: "$JS.API.>" } }',
    ];

    before(async () => {
      const lines = [`authorization { users: [${users.join(', ')}] }`];
      const jetStream = ['max_file_store: 2MB'];
      strict = await NatsServer.start(temporaryFolder(), { lines, jetStream, maxPayload: '1MB' });
      owner = await connectTo([strict], 'owner');
    });

    after(async () => {
      await owner.close();
      await strict.kill();
    });

    it('says that it is full, and takes records again when there is room', async () => {
      const full = new JetStreamWorld(owner);
      const other = newName();
      const filler = await full.open(other);
      const stream = await full.open(newName());
      const fill = async () => {
        for (;;) await filler.append(batchOf(['a', Buffer.alloc(500_000)]));
      };
      await assert.rejects(fill(), hasCode('stream.full'));
      await assert.rejects(stream.append(batchOf(['a', Buffer.alloc(500_000)])), hasCode('stream.full'));
      await owner.request(`$JS.API.STREAM.DELETE.${other}-0`, '', { timeout: 1_000 });
      await stream.append(batchOf(['a', 'again']));
    });

    it('says who may not append', async () => {
      const streamName = newName();
      await new JetStreamWorld(owner).open(streamName);
      const guest = await connectTo([strict], 'guest');
      const stream = await new JetStreamWorld(guest).open(streamName);
      await assert.rejects(stream.append(batchOf(['a', '1'])), hasCode('stream.accessDenied'));
      await guest.close();
    });

    it('refuses a record that is as large as all a message may be', async () => {
      const stream = await new JetStreamWorld(owner).open(newName());
      const largest = batchOf(['a', Buffer.alloc(1024 * 1024 - 1)]);
      await assert.rejects(stream.append(largest), hasCode('stream.recordTooLarge'));
    });
  });
});
