/** Hostile inputs of group T against a whole gateway: what the disk does to sessions, messages and retained messages. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { codeOf } from '../../kernel/errors.ts';
import { seededRandom } from '../../kernel/random.ts';
import { TestDisk } from '../../kernel/test-disk.ts';
import { appendedInOrder, EmbeddedStream, onlyShard } from '../../platform/stream/index.ts';
import { brokerLimits } from './broker-limits.ts';
import type { Message } from './client-state.ts';
import { bites, GatewayWorld, publishPacket, type TestClient } from './gateway-world.ts';
import { lasting, openDoor } from './hostile-world.ts';
import { JournalWorld } from './journal/journal-world.ts';
import { anyMoveOf, make } from './journal/moves.ts';
import { reasonCodes } from './packets.ts';

const sessions = '/sessions';

async function durableWorld(): Promise<GatewayWorld> {
  return GatewayWorld.start({ access: openDoor(), durable: true });
}

/** Somebody who is away, with one message waiting and one retained. */
async function worldWithSleeper(): Promise<{ world: GatewayWorld; sender: TestClient }> {
  const world = await durableWorld();
  const away = await world.connect('away', lasting);
  away.subscribe('chat/#', { qos: 2 });
  await world.durable();
  away.cut();
  const sender = await world.connect('sender', { ...lasting, keepAliveSeconds: 1_200 });
  await world.durable();
  sender.publish('chat/a', 'first', { retain: true });
  await world.durable();
  assert.equal(sender.take('puback').reasonCode, 0);
  return { world, sender };
}

/** What comes to the one who was away: through any number of answers. */
async function heardBy(world: GatewayWorld, clientId: string): Promise<string[]> {
  const client = await world.connect(clientId, lasting);
  assert.equal(client.connack?.sessionPresent, true, 'the session is gone');
  const heard: string[] = [];
  for (let round = 0; round < 10; round++) {
    await world.durable();
    for (const packet of client.takeAll()) {
      if (packet.type === 'publish') heard.push(Buffer.from(packet.payload).toString());
      if (packet.type === 'publish' && packet.qos === 1) client.ack(packet.packetId);
      if (packet.type === 'publish' && packet.qos === 2)
        client.send({ type: 'pubrec', packetId: packet.packetId, reasonCode: 0 });
      if (packet.type === 'pubrel') client.send({ type: 'pubcomp', packetId: packet.packetId, reasonCode: 0 });
    }
  }
  client.cut();
  await world.settle();
  return heard;
}

async function newestSegment(disk: TestDisk): Promise<string> {
  const segments = (await disk.list(sessions)).filter(name => name.endsWith('.log'));
  return `${sessions}/${segments.at(-1)}`;
}

describe('a power cut', () => {
  const losesNothingAcknowledged = async () => {
    for (let round = 0; round < 10; round++) {
      const { world, sender } = await worldWithSleeper();
      for (let n = 0; n < 5; n++) sender.publish('chat/a', `${n}`, { qos: n % 2 === 0 ? 1 : 2 });
      await world.durable();
      assert.equal(sender.takeAll().length, 5);
      sender.publish('chat/a', 'not acknowledged, may be lost');
      await world.advance(round % 10);
      await world.powerCut();
      const heard = await heardBy(world, 'away');
      assert.deepEqual(heard.slice(0, 6), ['first', '0', '1', '2', '3', '4']);
      assert(world.gateway.router.retained.find('chat/a', world.gateway.nowMs()));
    }
  };
  it('at any instant loses nothing that was acknowledged, torn and reordered writes included (hostile T01, T02)', async () => {
    await losesNothingAcknowledged();
    const { open } = TestDisk.prototype;
    const withoutSync: typeof open = async function (this: TestDisk, ...args) {
      const file = await open.apply(this, args);
      file.sync = async () => {};
      return file;
    };
    await bites(TestDisk.prototype, 'open', { value: withoutSync, writable: true }, async () => {
      await losesNothingAcknowledged().catch(error => {
        throw error instanceof assert.AssertionError ? error : new assert.AssertionError({ message: `${error}` });
      });
    });
  });
});

describe('a journal that is cut off', () => {
  /** @param cutBytes  taken from the end of the newest segment; or, negative, from where the first message ended */
  const keepsWhatIsBefore = async (cutBytes: number) => {
    const { world, sender } = await worldWithSleeper();
    const before = world.disk.sizeOf(await newestSegment(world.disk));
    sender.publish('chat/a', 'second');
    await world.durable();
    const path = await newestSegment(world.disk);
    const size = world.disk.sizeOf(path);
    assert(size > before + 20, 'the second message is a group of its own');
    const file = await world.disk.open(path);
    await file.truncate(cutBytes < 0 ? before + cutBytes : size - cutBytes);
    await world.clock.until(file.sync());
    await world.powerCut();
    const heard = await heardBy(world, 'away');
    assert.equal(heard[0], 'first', 'what was before is not touched');
    sender.cut();
    const again = await world.connect('sender', lasting);
    again.publish('chat/a', 'third');
    await world.durable();
    assert.equal(again.takeAll().at(-1)?.type, 'puback'); // It goes on without a hand on it.
    assert.deepEqual(await heardBy(world, 'away'), ['third']);
  };
  it('within its last group starts by itself and has all that is before (hostile T03)', async () => {
    for (let cutBytes = 1; cutBytes <= 20; cutBytes++) await keepsWhatIsBefore(cutBytes);
    await assert.rejects(keepsWhatIsBefore(-10), assert.AssertionError); // Cut deeper, it is noticed that something is gone.
  });
});

describe('a journal that is damaged', () => {
  /** Starts the gateway again; a naive one takes what it cannot read for empty. */
  type Restart = (world: GatewayWorld) => Promise<void>;
  const ours: Restart = world => world.powerCut();
  const naive: Restart = world =>
    world.powerCut().catch(async () => {
      for (const name of await world.disk.list(sessions)) await world.disk.remove(`${sessions}/${name}`);
      await world.clock.until(world.disk.syncDirectory(sessions));
      await world.powerCut();
    });

  const isNeverTakenForEmpty = async (restart: Restart) => {
    for (const share of [0.1, 0.3, 0.5, 0.7]) {
      const { world, sender } = await worldWithSleeper();
      for (let n = 0; n < 30; n++) {
        sender.publish('chat/a', `${n}`);
        await world.durable(); // Each is a group of its own.
      }
      const path = await newestSegment(world.disk);
      world.disk.flipByte(path, Math.floor(world.disk.sizeOf(path) * share));
      const code = await restart(world).then(
        () => 'started',
        error => codeOf(error),
      );
      if (code === 'started') await heardBy(world, 'away');
      assert(['stream.corrupt', 'journal.notReadable'].includes(code), `${code}, damaged at ${share} of the file`);
    }
  };
  it('by a single byte is refused, never taken for an empty one (hostile T04)', async () => {
    await isNeverTakenForEmpty(ours);
    await assert.rejects(isNeverTakenForEmpty(naive), assert.AssertionError);
  });

  /** An older copy of one of its segments comes back, as from a backup of the wrong day. */
  const oldCopyIsFound = async (which: 'first' | 'middle', recover: (world: JournalWorld) => Promise<unknown>) => {
    const world = new JournalWorld(3);
    const life = await world.start({ segmentBytesMax: 2_000, growthBytesMin: 1e9 });
    const random = seededRandom(3);
    const recent: Message[] = [];
    let copy: { path: string; bytes: Buffer } | undefined;
    for (let n = 0; (await world.segments()).length < 4; n++) {
      assert(n < 2_000, 'the journal does not grow');
      make(anyMoveOf(random), life, recent);
      await life.drain();
      const segments = await world.segments();
      const path = segments.at(-1) ?? '';
      if (copy || segments.length !== (which === 'first' ? 1 : 2) || world.disk.sizeOf(path) < 900) continue;
      const bytes = Buffer.alloc(world.disk.sizeOf(path));
      await (await world.disk.open(path)).read(bytes, 0);
      copy = { path, bytes };
    }
    world.end();
    assert(copy && world.disk.sizeOf(copy.path) > copy.bytes.length);
    const file = await world.disk.open(copy.path, { create: true });
    await file.truncate(0);
    await world.clock.until(file.write(copy.bytes, 0));
    await world.clock.until(file.sync());
    const code = await recover(world).then(
      () => 'recovered',
      error => codeOf(error),
    );
    assert.equal(code, 'stream.corrupt');
  };
  it('because an older copy of a segment came back is refused (hostile T05)', async () => {
    for (const which of ['first', 'middle'] as const) {
      await oldCopyIsFound(which, world => world.recover());
      await assert.rejects(
        oldCopyIsFound(which, world => world.recover().catch(() => {})),
        assert.AssertionError,
      );
    }
  });
});

describe('a disk that fails', () => {
  const { append } = EmbeddedStream.prototype;
  /** Takes a failed write or sync for a success. */
  const carefree: typeof append = async function (this: EmbeddedStream, batch) {
    return append.call(this, batch).catch(() => appendedInOrder(onlyShard, 0n));
  };

  const nothingIsPromised = async () => {
    const { world, sender } = await worldWithSleeper();
    world.disk.failNext({ operation: 'sync', code: 'EIO' });
    sender.publish('chat/a', 'lost', { packetId: 10 });
    await world.durable();
    sender.publish('chat/a', 'later', { packetId: 11 });
    await world.durable();
    assert.deepEqual(
      sender.takeAll().map(packet => packet.type === 'puback' && packet.reasonCode),
      [reasonCodes.quotaExceeded, reasonCodes.quotaExceeded],
    );
    assert(world.failures.length > 0, 'the process was not told to end');
    await world.powerCut(); // It starts again, from what the disk has.
    const heard = await heardBy(world, 'away');
    assert.equal(heard[0], 'first');
    const again = await world.connect('sender', lasting);
    again.publish('chat/a', 'again');
    await world.durable();
    assert.equal(again.takeAll().at(-1)?.type, 'puback');
  };
  it('to sync once is believed no more: no acknowledgement of that batch or later, and the process is told (hostile T06)', async () => {
    await nothingIsPromised();
    await bites(EmbeddedStream.prototype, 'append', { value: carefree, writable: true }, nothingIsPromised);
  });

  const fullDiskRefuses = async () => {
    const { world, sender } = await worldWithSleeper();
    for (const operation of ['write', 'truncate'] as const) {
      for (const code of ['ENOSPC', 'EDQUOT'] as const) {
        if (operation === 'truncate') continue;
        world.disk.failNext({ operation, code });
        sender.publish('chat/a', `refused ${code}`);
        await world.durable();
        assert.equal(sender.take('puback').reasonCode, reasonCodes.quotaExceeded);
        sender.send({ type: 'pingreq' });
        await world.settle();
        assert.equal(sender.take('pingresp').type, 'pingresp'); // Who only reads goes on.
        await world.advance(2_000);
        sender.publish('chat/a', `taken ${code}`);
        await world.durable();
        assert.equal(sender.take('puback').reasonCode, 0, 'it goes on by itself when there is room');
      }
    }
    assert.deepEqual(world.failures, []);
    await world.powerCut();
    const heard = await heardBy(world, 'away');
    assert(heard.includes('first') && heard.includes('taken ENOSPC') && heard.includes('taken EDQUOT'), `${heard}`);
  };
  it('because it is full refuses with a quota error, loses nothing taken, and goes on by itself (hostile T07)', async () => {
    await fullDiskRefuses();
    await bites(EmbeddedStream.prototype, 'append', { value: carefree, writable: true }, fullDiskRefuses);
  });

  const stallsAreSurvived = async () => {
    const { world, sender } = await worldWithSleeper();
    const reader = await world.connect('reader', { keepAliveSeconds: 1_200 });
    reader.subscribe('now/#', { qos: 0 });
    await world.durable();
    reader.takeAll();
    world.disk.latencyMs = 10_000;
    const publishes = Array.from({ length: 3_000 }, (_, n) => publishPacket('chat/a', `${n}`, { packetId: n + 1 }));
    sender.send(...publishes);
    const other = await world.connect('other', { keepAliveSeconds: 1_200 });
    for (let second = 0; second < 5; second++) {
      other.publish('now/a', `${second}`, { qos: 0 });
      await world.advance(1_000);
    }
    assert.equal(reader.takeMessages().length, 5); // What needs no disk does not wait for it.
    const taken = world.counters.get('mqtt.published') - 5 - 1;
    assert(taken <= 1_000, `${taken} wait in memory`);
    assert.equal(sender.received.length, 0);
    world.disk.latencyMs = 5;
    await world.advance(60_000);
    assert.equal(sender.takeAll().length, 3_000);
    assert(!sender.isClosed);
  };
  it('to answer for 10 s delays acknowledgements, holds senders, and nobody else (hostile T08)', async () => {
    await stallsAreSurvived();
    await bites(brokerLimits, 'unacknowledgedMax', { value: Number.POSITIVE_INFINITY }, stallsAreSurvived);
  });
});
