import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import v8 from 'node:v8';
import vm from 'node:vm';
import { testScale } from '../../../test/support.ts';
import type { Socket, SocketEvents } from '../../kernel/sockets.ts';
import { TokenBucket } from '../../kernel/token-bucket.ts';
import { Ingest } from '../rules/index.ts';
import { Broker } from './broker.ts';
import { brokerLimits } from './broker-limits.ts';
import { Connection } from './connection.ts';
import { decode } from './decode.ts';
import { encode } from './encode.ts';
import { Gateway } from './gateway.ts';
import { bites, GatewayWorld, publishPacket, subscriptionsTo, type TestClient } from './gateway-world.ts';
import type { ConnackPacket, Packet } from './packets.ts';
import { reasonCodes } from './packets.ts';
import { PartialPacket } from './partial-packet.ts';
import { Session } from './session.ts';
import { TopicTree } from './topic-tree.ts';

/** Floods of every kind, each with its bound: what one client may cost, and that the others do not notice. */

const kib = 1024;
const mib = 1024 * kib;
/** As they are meant to be: `bites` changes those in force. */
const bounds = { ...brokerLimits };
const lasting = { cleanStart: false, properties: { sessionExpiryIntervalSeconds: 3_600 } } as const;

v8.setFlagsFromString('--expose-gc');
const collect: () => void = vm.runInNewContext('gc');

/** What compiled code and the collector's habits add or take: seen, up to 1.4 MiB. What leaks must be well above it. */
const noiseBytes = 4 * mib;

/** Of live objects, buffers included, whose memory is given back a collection later. */
function liveBytes(): number {
  for (let time = 0; time < 4; time++) collect();
  const { used_heap_size: used, external_memory: external } = v8.getHeapStatistics();
  return used + external;
}

function bufferedFor({ socket }: TestClient): number {
  const { peer } = socket as unknown as { peer: { bufferedBytes: number } }; // As MemorySocket has it.
  return peer.bufferedBytes;
}

async function subscribed(world: GatewayWorld, clientId: string, options: object = {}): Promise<TestClient> {
  const client = await world.connect(clientId, options);
  client.subscribe('chat/#');
  await world.settle();
  client.takeAll();
  return client;
}

const tell = (world: GatewayWorld, bytes: number) =>
  world.clock.until(world.gateway.publish({ topic: 'chat/a', payload: Buffer.alloc(bytes), qos: 0 }));

const numbers = (count: number) => Array.from({ length: count }, (_, n) => `${n}`);

describe('a slow subscriber', () => {
  const onlyItIsAffected = async () => {
    const world = await GatewayWorld.start();
    const frozen = await subscribed(world, 'frozen', lasting);
    frozen.socket.pause();
    const good: TestClient[] = [];
    for (let n = 0; n < 99; n++) good.push(await subscribed(world, `good-${n}`));
    const heard = good.map(() => [] as string[]);
    const count = 1_500;
    const startMs = world.clock.nowMs();
    for (let n = 0; n < count; n++) {
      const payload = Buffer.from(`${n}`.padEnd(kib));
      void world.gateway.publish({ topic: 'chat/a', payload, qos: 1 });
      if (n % 100 < 99) continue;
      await world.settle();
      for (const [index, client] of good.entries()) {
        for (const id of client.unanswered) client.ack(id);
        heard[index].push(...client.takeMessages());
      }
      await world.settle();
      assert(bufferedFor(frozen) <= bounds.bufferedBytesMax + 2 * kib, `${bufferedFor(frozen)} bytes`);
    }
    for (const texts of heard) {
      const seen = texts.map(text => text.trim());
      assert.deepEqual(seen, numbers(count));
    }
    assert(world.clock.nowMs() - startMs < 1_000); // They did not wait for its deadline.
    const room = bounds.inflightMax + bounds.queuedMessagesMax;
    assert.equal(world.counters.get('mqtt.dropped.qos1'), count - room); // Its queue holds exactly its limit.
  };
  it('that is frozen costs its window and its queue, and 99 others hear everything at once (hostile D01, S06)', async () => {
    await onlyItIsAffected();
    await bites(brokerLimits, 'queuedMessagesMax', { value: Number.POSITIVE_INFINITY }, onlyItIsAffected);
  });

  const frozenOnesAreEnded = async () => {
    const world = await GatewayWorld.start();
    const frozen: TestClient[] = [];
    for (let n = 0; n < 50; n++) {
      const client = await subscribed(world, `frozen-${n}`);
      client.socket.pause();
      frozen.push(client);
    }
    await tell(world, kib);
    await world.advance(bounds.writeDeadlineMs + 2_500); // Deadlines are looked at once a second, twice.
    assert.equal(world.gateway.connections.size, 0);
  };
  it('is ended by the write deadline, however little it is sent (hostile D01)', async () => {
    await frozenOnesAreEnded();
    await bites(brokerLimits, 'writeDeadlineMs', { value: Number.POSITIVE_INFINITY }, frozenOnesAreEnded);
  });

  const tricklesAreEnded = async () => {
    const world = await GatewayWorld.start();
    const trickleBytes = bounds.drainedBytesPerSecondMin;
    const rates = [1, trickleBytes / 2, trickleBytes - 100, trickleBytes + 100, trickleBytes * 10];
    const peers = rates.map(() => new Peer());
    for (const [index, peer] of peers.entries()) {
      peer.takenBytes = 0;
      world.gateway.accept(peer);
      peer.send(await world.connectPacket(`reader-${index}`));
      peer.send({ type: 'subscribe', packetId: 1, subscriptions: subscriptionsTo('chat/#') });
      await world.settle();
    }
    for (let n = 0; n < 3; n++) await tell(world, 200 * kib);
    for (let second = 0; second < 30; second++) {
      for (const [index, peer] of peers.entries()) peer.takenBytes += rates[index];
      await world.advance(1_000);
    }
    assert.deepEqual(
      peers.map(({ isEnded }) => isEnded),
      [true, true, true, false, false],
    );
  };
  it('that drains less than the minimum is ended though it is never stuck, one above it is not (hostile D02)', async () => {
    await tricklesAreEnded();
    await bites(brokerLimits, 'drainedBytesPerSecondMin', { value: 0 }, tricklesAreEnded);
  });

  const everyMessageIsSentOrCounted = async () => {
    const world = await GatewayWorld.start();
    const readers: TestClient[] = [];
    for (let n = 0; n < 20; n++) readers.push(await subscribed(world, `reader-${n}`));
    for (const { socket } of readers) socket.pause();
    const flooding = await world.connect('flooding');
    const count = 5_000;
    const payload = Buffer.alloc(kib);
    for (let n = 0; n < count; n += 100) {
      flooding.send(...Array.from({ length: 100 }, () => publishPacket('chat/a', payload, { qos: 0 })));
      await world.settle();
    }
    flooding.send({ type: 'pingreq' });
    await world.settle();
    assert.equal(flooding.take('pingresp').type, 'pingresp'); // The one who sends is not slowed down by it.
    for (const reader of readers) assert(bufferedFor(reader) <= bounds.bufferedBytesMax + 2 * kib);
    for (const { socket } of readers) socket.resume();
    await world.settle();
    const delivered = readers.reduce((sum, reader) => sum + reader.takeMessages().length, 0);
    assert.equal(delivered + world.counters.get('mqtt.dropped.qos0'), count * readers.length);
  };
  it('costs its buffer under a QoS 0 flood, and every message is delivered or counted as dropped (hostile D03)', async () => {
    await everyMessageIsSentOrCounted();
    await bites(Connection.prototype, 'hasRoom', { get: () => true }, everyMessageIsSentOrCounted);
  });
});

describe('a slow publisher', () => {
  const dribblersAreClosed = async () => {
    const world = await GatewayWorld.start();
    const other = await world.connect('other');
    const dribblers: TestClient[] = [];
    for (let n = 0; n < 200; n++) dribblers.push(await world.socket());
    const connect = encode(await world.connectPacket('one'), 5);
    for (let second = 0; second * 1_000 <= bounds.connectDeadlineMs; second++) {
      for (const dribbler of dribblers) dribbler.sendBytes(connect.subarray(second, second + 1));
      other.send({ type: 'pingreq' });
      await world.advance(1_000);
      assert.equal(other.take('pingresp').type, 'pingresp');
    }
    await world.advance(1_100);
    assert.equal(world.gateway.connections.size, 1);
  };
  it('of CONNECT is closed by the deadline, 200 of them at once (hostile S12, W16)', async () => {
    await dribblersAreClosed();
    await bites(brokerLimits, 'connectDeadlineMs', { value: Number.POSITIVE_INFINITY }, dribblersAreClosed);
  });

  const announcedBytesCostNothing = async () => {
    const world = await GatewayWorld.start();
    const clients: TestClient[] = [];
    for (let n = 0; n < 300; n++) clients.push(await world.connect(`one-${n}`));
    const packet = encode(publishPacket('chat/a', Buffer.alloc(250 * kib), { qos: 0 }), 5);
    const before = liveBytes();
    for (let sent = 0; sent < 100; sent++) {
      for (const client of clients) client.sendBytes(packet.subarray(sent, sent + 1));
      await world.settle();
    }
    const perClient = (liveBytes() - before) / clients.length;
    assert(perClient < noiseBytes / clients.length, `${perClient} bytes for each client that has sent 100`);
    clients[0].sendBytes(packet.subarray(100));
    clients[0].send({ type: 'pingreq' });
    await world.settle();
    assert.equal(clients[0].take('pingresp').type, 'pingresp'); // It was understood, whole.
    assert.equal(world.counters.get('mqtt.published'), 1);
  };
  it('of a large packet costs what it has sent and not what it announced (hostile W01, W16)', async () => {
    await announcedBytesCostNothing();
    const rooms = new WeakMap<PartialPacket, Buffer>();
    const generous = function (this: PartialPacket, chunk: Buffer): Buffer {
      if (!rooms.has(this)) rooms.set(this, Buffer.alloc(256 * kib));
      return join.call(this, chunk);
    };
    const { join } = PartialPacket.prototype;
    await bites(PartialPacket.prototype, 'join', { value: generous, writable: true }, announcedBytesCostNothing);
  });
});

describe('half-open clients', () => {
  const nobodyIsPinned = async () => {
    const world = await GatewayWorld.start();
    const listener = await world.connect('listener', { keepAliveSeconds: 0 });
    listener.subscribe('will/+');
    await world.settle();
    listener.takeAll();
    const asked = [0, 65_535, 1_200, 600];
    for (let n = 0; n < 400; n++) {
      const clientId = `gone-${n}`;
      const will = { topic: `will/${clientId}`, payload: Buffer.from(clientId), qos: 0, retain: false } as const;
      await world.connect(clientId, { ...lasting, keepAliveSeconds: asked[n % asked.length], will });
    }
    const longestMs = bounds.keepAliveSecondsMax * 1_500;
    await world.advance(longestMs / 2);
    listener.send({ type: 'pingreq' });
    await world.advance(longestMs / 2 + 2_000);
    assert.equal(world.gateway.connections.size, 1); // Only the listener, which has spoken.
    assert.equal(new Set(listener.takeMessages()).size, 400);
    const names = Array.from({ length: 400 }, (_, n) => `gone-${n}`);
    const states = await world.gateway.listConnections(names);
    assert(states.every(({ connected }) => !connected));
  };
  it('are all found within 1.5 times the longest keep alive, whatever they asked for, wills included (hostile S13)', async () => {
    await nobodyIsPinned();
    await bites(brokerLimits, 'keepAliveSecondsMax', { value: 65_535 }, nobodyIsPinned);
  });
});

describe('a client that takes over from itself for ever', () => {
  /** Opens another connection every second, whatever became of the one before; @returns how often it was let in. */
  const fight = async (world: GatewayWorld, minutes: number): Promise<number[]> => {
    const connect = await world.connectPacket('one', lasting);
    const letIn: number[] = [];
    for (let minute = 0; minute < minutes; minute++) {
      const before = world.counters.get('mqtt.connected');
      for (let second = 0; second < 60; second++) {
        const peer = new Peer('198.51.100.1');
        world.gateway.accept(peer);
        peer.send(connect);
        await world.advance(1_000);
      }
      letIn.push(world.counters.get('mqtt.connected') - before);
    }
    return letIn;
  };

  /** Once in the longest wait, and the burst that is free. */
  const perMinuteMax = bounds.takeoversPerMinuteMax + 60_000 / bounds.takeoverDelayMsMax;
  it('is slowed down also when it does not wait for its answer (hostile S01)', async () => {
    const letIn = await fight(await GatewayWorld.start(), 5);
    assert(letIn[0] <= perMinuteMax + 1, `${letIn} let in, minute by minute`);
    assert(Math.max(...letIn.slice(1)) <= perMinuteMax, `${letIn} let in, minute by minute`);
  });

  it('is not let in after its wait when its thing was deleted meanwhile (hostile S01, S09)', async () => {
    const world = await GatewayWorld.start();
    const connect = await world.connectPacket('one', lasting);
    const peers: Peer[] = [];
    for (let n = 0; n < 2 * bounds.takeoversPerMinuteMax; n++) {
      const peer = new Peer();
      world.gateway.accept(peer);
      peer.send(connect);
      await world.settle();
      peers.push(peer);
    }
    const late = peers.filter(({ connack }) => connack === undefined);
    assert(late.length > 0, 'nobody had to wait');
    await world.clock.until(world.gateway.deleteThing('one'));
    await world.advance(bounds.takeoverDelayMsMax);
    const codes = late.flatMap(({ connack }) => (connack ? [connack.reasonCode] : []));
    assert(!codes.includes(0), `${codes}`);
    assert.equal(world.gateway.connections.size, 0);
  });

  it('does not keep the device out that comes from elsewhere (hostile S01)', async () => {
    const world = await GatewayWorld.start();
    await fight(world, 2);
    const device = new Peer('203.0.113.7');
    world.gateway.accept(device);
    device.send(await world.connectPacket('one', lasting));
    await world.settle();
    assert.equal(device.connack?.reasonCode, 0);
  });

  it('is not what a stranger with a wrong secret is taken for: the device is let in at once (hostile S01)', async () => {
    const world = await GatewayWorld.start();
    const connect = await world.connectPacket('one', lasting);
    for (let n = 0; n < 100; n++) {
      const stranger = new Peer('198.51.100.1');
      world.gateway.accept(stranger);
      stranger.send({ ...connect, password: Buffer.from(`guess ${n}`) });
    }
    await world.settle();
    const device = new Peer('198.51.100.1');
    world.gateway.accept(device);
    device.send(connect);
    await world.settle();
    assert.equal(device.connack?.reasonCode, 0);
    assert.equal(world.counters.get('mqtt.connected'), 1);
  });
});

describe('a subscription flood', () => {
  const subscriptionsAreFew = async () => {
    const world = await GatewayWorld.start();
    const client = await world.connect('one');
    await world.settle();
    const before = liveBytes();
    let granted = 0;
    let answered = 0;
    const { filtersPerSubscribeMax, subscriptionsPerSessionMax } = bounds;
    for (let round = 0; round < 300; round++) {
      const filters = Array.from({ length: 3 * filtersPerSubscribeMax }, (_, n) => `chat/${round}/${n}/+/+/#`);
      client.subscribe(filters, {});
      await world.settle();
      const { reasonCodes: codes } = client.take('suback');
      answered += codes.length;
      granted += codes.filter(code => code < 0x80).length;
      assert(codes.filter(code => code < 0x80).length <= filtersPerSubscribeMax);
    }
    assert.equal(answered, 300 * 3 * filtersPerSubscribeMax); // Each filter has its answer.
    assert.equal(granted, subscriptionsPerSessionMax);
    const grown = liveBytes() - before;
    assert(grown < noiseBytes, `${grown} bytes`);
  };
  it('ends at the limits of a session and of a SUBSCRIBE, and each filter is answered (hostile W08, D08)', async () => {
    await subscriptionsAreFew();
    for (const limit of ['subscriptionsPerSessionMax', 'filtersPerSubscribeMax'] as const) {
      await bites(brokerLimits, limit, { value: Number.POSITIVE_INFINITY }, subscriptionsAreFew);
    }
  });

  const churnLeavesNothing = async () => {
    const world = await GatewayWorld.start();
    const client = await world.connect('one');
    /** What it costs in lasting memory. The disk in memory keeps the lifecycle events of both kinds. */
    const churn = async (rounds: number, filterOf: (round: number, n: number) => string) => {
      const before = liveBytes();
      for (let round = 0; round < rounds; round++) {
        const filters = Array.from({ length: 30 }, (_, n) => filterOf(1_000 + round, 10 + n));
        const packetId = client.subscribe(filters);
        client.send({ type: 'unsubscribe', packetId, topicFilters: filters });
        await world.settle();
        client.takeAll();
      }
      await world.durable();
      world.logged.length = 0;
      return liveBytes() - before;
    };
    const sameOnes = (_: number, n: number) => `chat/same/${n}/a/b/c`;
    await churn(100, sameOnes);
    const same = await churn(1_000, sameOnes);
    const others = await churn(1_000, (round, n) => `chat/${round}/${n}/a/b/c`);
    assert(others - same < noiseBytes, `${others} bytes, and ${same} for as many that are always the same`);
  };
  it('of 30,000 filters that come and go leaves nothing behind (hostile D08)', async () => {
    await churnLeavesNothing();
    await bites(TopicTree.prototype, 'delete', { value: () => true, writable: true }, churnLeavesNothing);
  });
});

describe('a retained flood', () => {
  const retainedBytesMax = 64 * mib; // Hostile inputs, "Retained per tenant"
  const retainedIsBounded = async () => {
    const world = await GatewayWorld.start();
    const client = await world.connect('one');
    const payload = Buffer.alloc(200 * kib);
    const codes: number[] = [];
    for (let n = 0; n < (retainedBytesMax / payload.length) * 1.2; n++) {
      client.publish(`chat/retained/${n}`, payload, { retain: true, packetId: n + 1 });
      await world.settle();
      codes.push(...client.takeAll().map(packet => (packet.type === 'puback' ? packet.reasonCode : -1)));
    }
    await world.durable();
    codes.push(...client.takeAll().map(packet => (packet.type === 'puback' ? packet.reasonCode : -1)));
    const kept = codes.filter(code => code < 0x80 && code >= 0).length;
    assert(kept > 100 && kept * payload.length <= retainedBytesMax, `${kept} kept`);
    assert(codes.slice(kept).every(code => code === reasonCodes.quotaExceeded));
    // What is there may be replaced, and what is removed makes room.
    const answer = async (topic: string, content: Buffer) => {
      client.publish(topic, content, { retain: true, packetId: 60_000 });
      await world.durable();
      return client.take('puback').reasonCode;
    };
    assert.equal(await answer('chat/retained/0', Buffer.alloc(200 * kib, 'n')), 0);
    assert.equal(await answer('chat/retained/1', Buffer.alloc(0)), 0);
    assert.equal(await answer('chat/retained/new', payload), 0);
  };
  it('is refused with quota exceeded at the limit, and may replace what is there (hostile D06)', async () => {
    await retainedIsBounded();
    await bites(brokerLimits, 'retainedBytesMax', { value: Number.POSITIVE_INFINITY }, retainedIsBounded);
  });
});

describe('a connect flood', () => {
  const full = 40;
  const sessionsAreBounded = async () => {
    const world = await GatewayWorld.start({ limits: { ...brokerLimits, sessionsMax: full } });
    const come = async (clientId: string) => {
      const client = await world.socket();
      client.send(await world.connectPacket(clientId, lasting));
      await world.settle();
      return { client, connack: client.take('connack') };
    };
    const first: TestClient[] = [];
    for (let n = 0; n < full; n++) first.push((await come(`first-${n}`)).client);
    for (let n = 0; n < 20; n++) {
      assert.equal((await come(`more-${n}`)).connack.reasonCode, reasonCodes.serverBusy); // Nobody who is there has to go.
    }
    for (const client of first.slice(1)) {
      await world.advance(10);
      client.cut();
    }
    await world.settle();
    for (let n = 0; n < 20; n++) {
      const { client, connack } = await come(`more-${n}`);
      assert.equal(connack.reasonCode, 0);
      client.cut();
      await world.advance(10);
    }
    assert(!first[0].isClosed);
    // Those that would have ended first made room, one for each that came.
    const present: boolean[] = [];
    for (let n = full - 1; n > 20; n--) present.push((await come(`first-${n}`)).connack.sessionPresent);
    assert.deepEqual(present, Array(full - 21).fill(true));
    assert.equal((await come('first-20')).connack.sessionPresent, false);
  };
  it('of sessions that outlive their clients keeps to the limit: those that end first make room (hostile S04)', async () => {
    await sessionsAreBounded();
    await bites(Broker.prototype, 'hasRoomFor', { value: () => true, writable: true }, sessionsAreBounded);
  });

  const refusedOnesLeaveNothing = async () => {
    const world = await GatewayWorld.start();
    const other = await world.connect('other');
    const connect = await world.connectPacket('one');
    const flood = async (count: number) => {
      for (let n = 0; n < count; n++) {
        const peer = new Peer();
        world.gateway.accept(peer);
        peer.send({ ...connect, clientId: `one.${n}`, password: Buffer.from(`guess ${n}`) });
        await world.settle();
        assert.equal(peer.connack?.reasonCode, reasonCodes.badUserNameOrPassword);
        assert(peer.isEnded);
      }
      world.logged.length = 0;
    };
    await flood(500);
    const before = liveBytes();
    await flood(3_000);
    const grown = liveBytes() - before;
    assert(grown < noiseBytes, `${grown} bytes`);
    assert.equal(world.gateway.connections.size, 1);
    assert.equal(world.counters.get('mqtt.refused.connect'), 3_500);
    other.send({ type: 'pingreq' });
    await world.settle();
    assert.equal(other.take('pingresp').type, 'pingresp');
  };
  it('of 3,500 wrong secrets is refused to the last and leaves nothing behind (hostile S11, S04)', async () => {
    await refusedOnesLeaveNothing();
    const knocked: object[] = [];
    const { accept } = Gateway.prototype;
    const remembers = function (this: Gateway, socket: Socket) {
      knocked.push({ socket, request: Buffer.alloc(4 * kib) });
      accept.call(this, socket);
    };
    await bites(Gateway.prototype, 'accept', { value: remembers, writable: true }, refusedOnesLeaveNothing);
  });

  const paceMax = 200;
  const isLetInAtAPace = async () => {
    const world = await GatewayWorld.start({ limits: { ...brokerLimits, connectsPerSecondMax: paceMax } });
    const devices = 1_000;
    const connects: Packet[] = [];
    for (let n = 0; n < devices; n++) connects.push(await world.connectPacket(`back-${n}`));
    let waiting = connects;
    let seconds = 0;
    for (; waiting.length > 0 && seconds < 10; seconds++) {
      const peers = waiting.map(connect => {
        const peer = new Peer();
        world.gateway.accept(peer);
        peer.send(connect);
        return { connect, peer };
      });
      await world.advance(1_000);
      const codes = peers.map(({ peer }) => peer.connack?.reasonCode);
      assert(codes.every(code => code === 0 || code === reasonCodes.serverBusy));
      const letIn = codes.filter(code => code === 0).length;
      assert(letIn > 0 && letIn <= 2 * paceMax, `${letIn} in a second`); // A burst, and what the second brings.
      waiting = peers.flatMap(({ connect }, index) => (codes[index] === 0 ? [] : [connect]));
    }
    assert(seconds >= devices / paceMax - 1, `all of them in ${seconds} s`);
    assert.equal(waiting.length, 0);
  };
  it('after an outage is let in at a pace, the rest is told that the server is busy, and all are back (hostile S11)', async () => {
    await isLetInAtAPace();
    await bites(TokenBucket.prototype, 'take', { value: () => true, writable: true }, isLetInAtAPace);
  });
});

describe('a flood of acknowledgements for messages that never were', () => {
  const longRounds = testScale(25, 45);
  const memoryIsFlat = async (type: 'puback' | 'pubrel') => {
    const world = await GatewayWorld.start();
    const other = await world.connect('other');
    const client = await world.connect('one');
    const flood = async (rounds: number) => {
      for (let round = 0; round < rounds; round++) {
        other.send({ type: 'pingreq' }); // Is served in between.
        const ids = Array.from({ length: 10_000 }, (_, n) => 1 + ((n * 7 + round) % 65_535));
        client.sendBytes(Buffer.concat(ids.map(packetId => encode({ type, packetId, reasonCode: 0 }, 5))));
        let answered = 0;
        for (let wait = 0; wait < 50 && (wait < 4 || (type === 'pubrel' && answered < ids.length)); wait++) {
          await world.advance(5); // Answers come in their turn, a group at a time.
          const answers = client.takeAll();
          answered += answers.length;
          for (const answer of answers) {
            assert(answer.type === 'pubcomp', answer.type);
            assert.equal(answer.reasonCode, reasonCodes.packetIdentifierNotFound); // [MQTT5 3.7.2.1]
          }
        }
        assert.equal(answered, type === 'pubrel' ? ids.length : 0);
        world.logged.length = 0;
      }
    };
    await flood(5);
    const before = liveBytes();
    await flood(longRounds);
    const grown = liveBytes() - before;
    assert(grown < noiseBytes, `${grown} bytes after ${longRounds} rounds`);
    assert.equal(other.takeAll().filter(packet => packet.type === 'pingresp').length, 5 + longRounds);
    assert.equal(world.counters.get('mqtt.failed.connection'), 0);
  };
  it('leaves no state behind: hundreds of thousands of PUBACK (hostile S08)', async () => {
    await memoryIsFlat('puback');
    const seen: object[] = [];
    const remembers = (packetId: number) => {
      seen.push({ packetId });
      return false;
    };
    await bites(Session.prototype, 'acknowledge', { value: remembers, writable: true }, () => memoryIsFlat('puback'));
  });
  it('leaves no state behind: hundreds of thousands of PUBREL, each answered (hostile S08)', async () => {
    await memoryIsFlat('pubrel');
    const { answerInOrder } = Ingest.prototype;
    const answered: object[] = [];
    const remembers: typeof answerInOrder = function (this: Ingest, target, packetId, ...more) {
      answered.push({ packetId });
      answerInOrder.call(this, target, packetId, ...more);
    };
    await bites(Ingest.prototype, 'answerInOrder', { value: remembers, writable: true }, () => memoryIsFlat('pubrel'));
  });
});

/** A peer at an address of its choice that takes just as many bytes as the test says; all of them when it says nothing. */
class Peer implements Socket {
  readonly remoteAddress: string;
  takenBytes = Number.POSITIVE_INFINITY;
  isEnded = false;
  connack: ConnackPacket | undefined;
  #writtenBytes = 0;
  #events: SocketEvents | undefined;

  constructor(remoteAddress = '127.0.0.1') {
    this.remoteAddress = remoteAddress;
  }

  get bufferedBytes(): number {
    return Math.max(0, this.#writtenBytes - this.takenBytes);
  }

  start(events: SocketEvents): void {
    this.#events = events;
  }

  send(packet: Packet): void {
    this.#events?.data(encode(packet, 5));
  }

  write(bytes: Uint8Array): void {
    this.#writtenBytes += bytes.length;
    const context = { version: 5, from: 'server', packetBytesMax: mib } as const;
    const first = this.connack ? undefined : decode(Buffer.from(bytes), 0, bytes.length, context);
    if (first?.type === 'connack') this.connack = first;
  }

  end(): void {
    this.isEnded = true;
  }

  destroy(): void {
    this.isEnded = true;
  }

  pause(): void {}
  resume(): void {}
}
