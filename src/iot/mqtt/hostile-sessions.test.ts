/** Hostile inputs of group S against a whole gateway: identity, hand-over, and what outlives a connection. */
import assert from 'node:assert/strict';
import { pbkdf2Sync } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { testScale } from '../../../test/support.ts';
import { seededRandom } from '../../kernel/random.ts';
import type { Socket } from '../../kernel/sockets.ts';
import { TestDisk } from '../../kernel/test-disk.ts';
import { TokenBucket } from '../../kernel/token-bucket.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import { accessLimits, FileAccess, hashPassword } from '../access/index.ts';
import type { SlowHash } from '../access/password-file.ts';
import { PolicyEngine } from '../things/index.ts';
import { Broker } from './broker.ts';
import { brokerLimits } from './broker-limits.ts';
import { Connection } from './connection.ts';
import {
  bites,
  type ConnectOptions,
  GatewayWorld,
  publishPacket,
  type TestClient,
  testPolicy,
} from './gateway-world.ts';
import { lasting, openDoor, openWorld, versions } from './hostile-world.ts';
import { type AckPacket, type PublishPacket, reasonCodes, type Will } from './packets.ts';
import { RetainedMessages } from './retained-messages.ts';
import { Router } from './router.ts';
import { Session } from './session.ts';
import { SharedGroup } from './shared-groups.ts';

const will = (text: string, change: Partial<Will> = {}): Will => ({
  topic: 'will/one',
  payload: Buffer.from(text),
  qos: 1,
  retain: false,
  ...change,
});

function publishes(client: TestClient): PublishPacket[] {
  return client.takeAll().filter(packet => packet.type === 'publish');
}

/** What is on its way is lost, both ways. */
function cutLine(client: TestClient | undefined): void {
  if (!client) return;
  const { peer } = client.socket as Socket & { peer: Socket }; // As MemorySocket has it.
  peer.destroy();
  client.cut();
}

describe('a half-open connection that was taken over', () => {
  const ownsNothing = async () => {
    const { world, listener } = await openWorld();
    const delayed = { willDelayIntervalSeconds: 10 };
    const frozen = await world.connect('one', {
      ...lasting,
      keepAliveSeconds: 60,
      will: will('old', { properties: delayed }),
    });
    frozen.subscribe('chat/#');
    await world.settle();
    frozen.takeAll();
    frozen.socket.pause(); // No FIN, no RST: nobody knows that it is gone.
    const owner = await world.connect('one', {
      ...lasting,
      keepAliveSeconds: 600,
      will: will('new', { properties: delayed }),
    });
    assert.equal(owner.connack?.sessionPresent, true);
    frozen.publish('chat/x', 'from the grave');
    frozen.subscribe('other/#');
    frozen.send({ type: 'unsubscribe', packetId: 9, topicFilters: ['chat/#'] });
    frozen.send({ type: 'disconnect', reasonCode: 0, properties: { sessionExpiryIntervalSeconds: 0 } });
    await world.advance(100_000); // The old keep alive has run out.
    assert(!owner.isClosed);
    assert.deepEqual(listener.takeMessages(), []); // Neither will, nor what the frozen one still said.
    const sender = await world.connect('two');
    sender.publish('chat/a', 'a');
    await world.settle();
    assert.deepEqual(owner.takeMessages(), ['a']);
    assert.deepEqual([...(world.gateway.broker.connectionOf('one')?.session.subscriptions.keys() ?? [])], ['chat/#']);
    assert.equal(world.gateway.connections.size, 3);
    listener.takeAll();
    owner.cut();
    await world.advance(12_000);
    assert.deepEqual(listener.takeMessages(), ['new']);
  };
  it('touches neither session nor will nor subscriptions any more (hostile S02)', async () => {
    await ownsNothing();
    await bites(Connection.prototype, 'takenOver', { value: () => {}, writable: true }, ownsNothing);
  });
});

describe('a QoS 2 message', () => {
  type Step = 'publish' | 'sender' | 'reader' | 'sender again' | 'reader again' | 'lines cut' | 'power cut' | 'time';
  const anySteps = fc.array(
    fc.oneof(
      { weight: 3, arbitrary: fc.constant<Step>('publish') },
      { weight: 6, arbitrary: fc.constant<Step>('time') },
      { weight: 4, arbitrary: fc.constantFrom<Step>('sender', 'reader') },
      { weight: 2, arbitrary: fc.constantFrom<Step>('sender again', 'reader again', 'lines cut', 'power cut') },
    ),
    { minLength: 20, maxLength: 60 },
  );

  /** Any interleaving of PUBLISH, PUBREC, PUBREL and PUBCOMP with take-overs of both sides and power cuts. */
  async function play(steps: readonly Step[]): Promise<void> {
    const world = await GatewayWorld.start({ durable: true });
    const sender = new HonestSender(world);
    const reader = new HonestReader(world);
    await reader.connect();
    await sender.connect();
    for (const step of steps) {
      if (step === 'publish') sender.publish();
      if (step === 'sender') sender.answerOne();
      if (step === 'reader') reader.answerOne();
      if (step === 'sender again') await sender.connect();
      if (step === 'reader again') await reader.connect();
      if (step === 'time') await world.advance(7);
      if (step === 'lines cut') for (const side of [sender, reader]) side.cutLine();
      if (step === 'power cut') await world.powerCut();
      if (step !== 'lines cut' && step !== 'power cut') continue;
      await reader.connect();
      await sender.connect();
    }
    for (let round = 0; round < 50 && !(sender.isDone && round > 20); round++) {
      await world.durable();
      while (sender.answerOne());
      while (reader.answerOne());
    }
    assert(sender.isDone, 'a hand-shake came to no end');
    const twice = [...reader.taken].filter(([, times]) => times > 1).map(([text]) => text);
    assert.deepEqual(twice, [], 'taken twice');
    assert.deepEqual(
      sender.owned.filter(text => !reader.taken.has(text)),
      [],
      'PUBREC was said, and it never came',
    );
    assert.equal(world.counters.get('mqtt.failed.connection'), 0);
  }

  const seed = Number(process.env.SEED ?? 20_261_205);
  it('comes exactly once, whatever is taken over or lost in between (hostile S03)', async () => {
    const stories = testScale(60, 2_000);
    console.log(`seed ${seed}, ${stories} stories`);
    const promise = () => fc.assert(fc.asyncProperty(anySteps, play), { seed, numRuns: stories });
    await promise();
    const forgetful = (count: number) =>
      fc.check(fc.asyncProperty(anySteps, play), { seed, numRuns: count }).then(({ failed }) => assert(!failed));
    const { attach } = Broker.prototype;
    const forgetsWhatItTook: typeof attach = function (this: Broker, connection, options) {
      const attached = attach.call(this, connection, options);
      attached.session.received = undefined;
      return attached;
    };
    await bites(Broker.prototype, 'attach', { value: forgetsWhatItTook, writable: true }, () => forgetful(60));
    const { resume } = Session.prototype;
    const sendsAnew: typeof resume = function (this: Session, nowMs) {
      for (const delivery of [...this.deliveries()]) if (delivery.stage === 'released') delivery.stage = 'sent';
      resume.call(this, nowMs);
    };
    await bites(Session.prototype, 'resume', { value: sendsAnew, writable: true }, () => forgetful(60));
  });
});

/** Publishes at QoS 2 and keeps to the protocol over any number of connections. */
class HonestSender {
  readonly #world: GatewayWorld;
  #client: TestClient | undefined;
  #next = 1;
  readonly #unfinished = new Map<number, { text: string; released: boolean }>();
  /** The server has said that it has them. */
  readonly owned: string[] = [];

  constructor(world: GatewayWorld) {
    this.#world = world;
  }

  get isDone(): boolean {
    return this.#unfinished.size === 0;
  }

  async connect(): Promise<void> {
    this.#client = await this.#world.connect('sender', lasting);
    for (const [packetId, { text, released }] of this.#unfinished) {
      if (released) this.#client.send({ type: 'pubrel', packetId, reasonCode: 0 });
      else this.#client.send(publishPacket('chat/x', text, { qos: 2, packetId, dup: true }));
    }
  }

  cutLine(): void {
    cutLine(this.#client);
  }

  publish(): void {
    const packetId = (this.#next % 7) + 1; // Few ids, soon used again.
    if (this.#unfinished.has(packetId)) return;
    const text = `${this.#next++}`;
    this.#unfinished.set(packetId, { text, released: false });
    this.#client?.send(publishPacket('chat/x', text, { qos: 2, packetId }));
  }

  /** False when there is nothing to answer. */
  answerOne(): boolean {
    const packet = this.#client?.received.shift();
    if (packet === undefined) return false;
    if (packet.type === 'pubcomp') this.#unfinished.delete(packet.packetId);
    const owed = packet.type === 'pubrec' ? this.#unfinished.get(packet.packetId) : undefined;
    if (!owed) return true;
    if (!owed.released) this.owned.push(owed.text);
    owed.released = true;
    this.#client?.send({ type: 'pubrel', packetId: (packet as AckPacket).packetId, reasonCode: 0 }); // It is a PUBREC.
    return true;
  }
}

/** Takes a QoS 2 message when it comes first, and knows it again until it is released. */
class HonestReader {
  readonly #world: GatewayWorld;
  #client: TestClient | undefined;
  readonly #held = new Set<number>();
  readonly taken = new Map<string, number>();

  constructor(world: GatewayWorld) {
    this.#world = world;
  }

  async connect(): Promise<void> {
    this.#client = await this.#world.connect('reader', lasting);
    if (this.#client.connack?.sessionPresent) return;
    this.#client.subscribe('chat/#', { qos: 2 });
    await this.#world.durable();
    this.#client.take('suback');
  }

  cutLine(): void {
    cutLine(this.#client);
  }

  answerOne(): boolean {
    const packet = this.#client?.received.shift();
    if (packet?.type === 'publish') {
      const text = Buffer.from(packet.payload).toString();
      if (!this.#held.has(packet.packetId)) this.taken.set(text, (this.taken.get(text) ?? 0) + 1);
      this.#held.add(packet.packetId);
      this.#client?.send({ type: 'pubrec', packetId: packet.packetId, reasonCode: 0 });
    }
    if (packet?.type === 'pubrel') {
      this.#held.delete(packet.packetId);
      this.#client?.send({ type: 'pubcomp', packetId: packet.packetId, reasonCode: 0 });
    }
    return packet !== undefined;
  }
}

describe('sessions that are never ended by their clients', () => {
  const makeRoomForOthers = async () => {
    const limits = { ...brokerLimits, sessionsMax: 10 };
    const world = await GatewayWorld.start({ access: openDoor(), limits });
    for (let n = 0; n < 10; n++) {
      // The fifth ends first; none for ever, although all but that one ask for it.
      const sessionExpiryIntervalSeconds = n === 4 ? 1_000 : 0xffff_ffff;
      const client = await world.connect(`old-${n}`, {
        cleanStart: false,
        properties: { sessionExpiryIntervalSeconds },
      });
      assert.equal(client.connack?.properties?.sessionExpiryIntervalSeconds, n === 4 ? undefined : 7 * 24 * 3_600);
      client.subscribe('chat/#');
      await world.settle();
      if (n > 0) client.cut(); // The first one stays.
      await world.settle();
    }
    const present = async (clientId: string) => {
      const client = await world.connect(clientId, lasting);
      client.cut();
      await world.settle();
      return client.connack?.sessionPresent;
    };
    assert.equal(await present('new'), false);
    assert.equal(world.counters.get('mqtt.dropped.session'), 1);
    assert.equal(await present('old-3'), true);
    assert.equal(await present('old-5'), true);
    for (let n = 0; n < 1_000; n++) (await world.connect(`random-${n}`, lasting)).cut();
    await world.settle();
    assert(world.gateway.router.size <= 10, `${world.gateway.router.size} subscriptions`);
    assert(world.gateway.broker.connectionOf('old-0')); // Who is there is never put out for who is not.
    assert.equal(await present('old-4'), false);
    let remembered = 0;
    for (const client of world.gateway.broker.clients()) if (client.state()?.session) remembered++;
    assert(remembered <= 10, `${remembered} sessions`);
  };
  it('are capped in time and number: the one that would end first makes room, counted (hostile S04)', async () => {
    await makeRoomForOthers();
    await bites(Broker.prototype, 'hasRoomFor', { value: () => false, writable: true }, makeRoomForOthers);
    await bites(brokerLimits, 'sessionExpirySecondsMax', { value: Number.POSITIVE_INFINITY }, makeRoomForOthers);
  });

  const areNeverPutOutWhileConnected = async () => {
    const limits = { ...brokerLimits, sessionsMax: 5 };
    const world = await GatewayWorld.start({ access: openDoor(), limits });
    const there: TestClient[] = [];
    for (let n = 0; n < 5; n++) there.push(await world.connect(`there-${n}`, lasting));
    const more = await world.socket();
    more.send(await world.connectPacket('more'));
    await world.settle();
    assert.equal(more.take('connack').reasonCode, reasonCodes.serverBusy);
    assert(there.every(({ isClosed }) => !isClosed));
    assert.equal((await world.connect('there-0', lasting)).connack?.sessionPresent, true); // Its own place is free for it.
    there[1].send({ type: 'disconnect', reasonCode: 0, properties: { sessionExpiryIntervalSeconds: 0 } });
    await world.settle();
    await world.connect('more');
  };
  it('are never put out while they are connected: the newest is refused then (hostile S04)', async () => {
    await areNeverPutOutWhileConnected();
    await bites(Broker.prototype, 'hasRoomFor', { value: () => true, writable: true }, areNeverPutOutWhileConnected);
  });

  const endInTimeOverRestarts = async () => {
    const world = await GatewayWorld.start({ access: openDoor(), durable: true });
    (await world.connect('one', lasting)).cut();
    await world.durable();
    for (let minutes = 0; minutes < 50; minutes += 10) {
      await world.advance(600_000);
      await world.powerCut();
    }
    await world.advance(590_000);
    const states = () => [...world.gateway.broker.clients()].filter(client => client.state()?.session).length;
    assert.equal(states(), 1); // 59 min 50 s
    await world.powerCut();
    assert.equal(states(), 1);
    await world.advance(12_000);
    assert.equal(states(), 0);
    await world.powerCut();
    assert.equal(states(), 0);
  };
  it('end when they should have, after any number of restarts (hostile S05)', async () => {
    await endInTimeOverRestarts();
    const { restore } = Broker.prototype;
    const beginsAnew: typeof restore = function (this: Broker, states) {
      const anew = states.map(state => ({
        ...state,
        session: state.session && { ...state.session, endsAtMs: undefined },
      }));
      return restore.call(this, anew);
    };
    await bites(Broker.prototype, 'restore', { value: beginsAnew, writable: true }, endInTimeOverRestarts);
  });
});

describe('what waits for a client that is away', () => {
  const isLimited = async (limits: typeof brokerLimits, bytes: number, expected: number) => {
    const world = await GatewayWorld.start({ access: openDoor(), limits });
    const away = await world.connect('away', lasting);
    away.subscribe('chat/#', { qos: 2 });
    await world.settle();
    away.cut();
    const sender = await world.connect('sender');
    const count = expected * 10;
    for (let n = 0; n < count; n++) {
      const qos = n % 2 === 0 ? 1 : 2;
      sender.publish('chat/a', Buffer.concat([Buffer.from(`${n} `), Buffer.alloc(bytes)]), { qos });
      if (n % 50 === 49) await world.settle();
    }
    await world.settle();
    assert.equal(world.counters.get('mqtt.dropped.qos1'), count - expected);
    const back = await world.connect('away', lasting);
    const seen: number[] = [];
    for (let round = 0; round < expected + 10; round++) {
      for (const packet of back.takeAll()) {
        if (packet.type === 'publish') seen.push(Number.parseInt(Buffer.from(packet.payload).toString(), 10));
        if (packet.type === 'publish' && packet.qos === 1) back.ack(packet.packetId);
        if (packet.type === 'publish' && packet.qos === 2)
          back.send({ type: 'pubrec', packetId: packet.packetId, reasonCode: 0 });
        if (packet.type === 'pubrel') back.send({ type: 'pubcomp', packetId: packet.packetId, reasonCode: 0 });
      }
      await world.settle();
    }
    assert.deepEqual(
      seen,
      Array.from({ length: expected }, (_, n) => n),
    ); // The oldest, in order; the newest were dropped.
  };
  it('holds exactly its number and its bytes, at QoS 1 and 2; the newest are dropped and counted (hostile S06)', async () => {
    const few = { ...brokerLimits, queuedMessagesMax: 20 };
    await isLimited(few, 10, 20);
    await bites(few, 'queuedMessagesMax', { value: 1_000 }, () => isLimited(few, 10, 20));
    const small = { ...brokerLimits, queuedBytesMax: 15 * 1_100 };
    await isLimited(small, 1_075, 15);
    await bites(small, 'queuedBytesMax', { value: 10_000_000 }, () => isLimited(small, 1_075, 15));
  });
});

describe('packet identifiers', () => {
  for (const qos of [1, 2] as const) {
    const windowHolds = async () => {
      const { world } = await openWorld();
      const silent = await world.connect('silent', {
        ...lasting,
        properties: { ...lasting.properties, receiveMaximum: 65_535 },
      });
      silent.subscribe('chat/#', { qos });
      const sender = await world.connect('sender');
      for (let n = 0; n < 3_000; n++) {
        sender.publish('chat/a', `${n}`, { qos: 1 });
        if (n % 500 === 499) await world.settle();
      }
      await world.settle();
      silent.take('suback');
      const ids = publishes(silent).map(({ packetId }) => packetId);
      assert.equal(new Set(ids).size, ids.length);
      assert.equal(ids.length, 100);
    };
    it(`are far from running out when a subscriber never acknowledges QoS ${qos} (hostile S07)`, async () => {
      await windowHolds();
      await bites(brokerLimits, 'inflightMax', { value: 65_535 }, windowHolds);
    });
  }

  it('are never used twice at QoS 2, half done hand-shakes included (hostile S07)', async () => {
    const { world } = await openWorld();
    const reader = await world.connect('reader', lasting);
    reader.subscribe('chat/#', { qos: 2 });
    const sender = await world.connect('sender');
    await world.settle();
    reader.take('suback');
    const inflight = new Set<number>();
    const released = new Set<number>();
    for (let n = 0; n < 2_000; n++) {
      sender.publish('chat/a', `${n}`, { qos: 1, packetId: (n % 60_000) + 1 });
      if (n % 20 !== 19) continue;
      await world.settle();
      for (const packet of reader.takeAll()) {
        if (packet.type === 'pubrel') released.add(packet.packetId);
        if (packet.type !== 'publish') continue;
        assert(!inflight.has(packet.packetId), `${packet.packetId} again`);
        inflight.add(packet.packetId);
        // Some are never answered, some only half.
        if (packet.packetId % 50 !== 0) reader.send({ type: 'pubrec', packetId: packet.packetId, reasonCode: 0 });
      }
      for (const packetId of released) {
        if (packetId % 33 === 0) continue;
        reader.send({ type: 'pubcomp', packetId, reasonCode: 0 });
        inflight.delete(packetId);
        released.delete(packetId);
      }
      sender.takeAll();
    }
    assert(inflight.size > 20);
  });

  const few = { ...brokerLimits, receiveMaximum: 50 };
  const unreleasedCount = async () => {
    const { world } = await openWorld({}, { limits: few });
    const sender = await world.connect('sender', lasting);
    for (let packetId = 1; packetId <= 50; packetId++) sender.publish('chat/a', 'x', { qos: 2, packetId });
    await world.durable();
    assert.equal(sender.takeAll().length, 50); // PUBREC; PUBREL never comes.
    sender.publish('chat/a', 'x', { qos: 2, packetId: 51 });
    await world.settle();
    assert.equal(sender.take('disconnect').reasonCode, reasonCodes.receiveMaximumExceeded);
    const back = await world.connect('sender', lasting); // Its quota begins anew [MQTT5 4.9], and is no larger.
    for (let packetId = 1; packetId <= 50; packetId++) back.send({ type: 'pubrel', packetId, reasonCode: 0 });
    for (let packetId = 51; packetId <= 100; packetId++) back.publish('chat/a', 'x', { qos: 2, packetId });
    await world.durable();
    assert.deepEqual(new Set(back.takeAll().map(({ type }) => type)), new Set(['pubcomp', 'pubrec']));
    back.publish('chat/a', 'x', { qos: 1, packetId: 101 });
    await world.settle();
    assert.equal(back.take('disconnect').reasonCode, reasonCodes.receiveMaximumExceeded);
  };
  it('of a publisher that never releases count against its Receive Maximum (hostile S07)', async () => {
    await unreleasedCount();
    await bites(few, 'receiveMaximum', { value: 65_535 }, unreleasedCount);
  });
});

describe('acknowledgements of what was never sent', () => {
  for (const version of versions) {
    const createNothing = async () => {
      const { world } = await openWorld();
      const options: ConnectOptions = version === 5 ? lasting : { protocolVersion: 4, cleanStart: false };
      const client = await world.connect('one', options);
      client.subscribe('chat/#', { qos: 2 });
      const sender = await world.connect('sender');
      sender.publish('chat/a', 'real', { qos: 2, packetId: 1 });
      await world.durable();
      const [real] = publishes(client);
      let ids = 12_345;
      const count = 20_000;
      const expected: string[] = [];
      for (let n = 0; n < count; n++) {
        ids = (ids * 48_271) % 65_521;
        const packetId = ids === real.packetId ? 65_535 : ids;
        const type = (['puback', 'pubrec', 'pubrel', 'pubcomp'] as const)[n % 4];
        client.send({ type, packetId, reasonCode: 0 });
        if (type === 'pubrec') expected.push(`pubrel ${version === 5 ? 0x92 : 0}`);
        if (type === 'pubrel') expected.push(`pubcomp ${version === 5 ? 0x92 : 0}`);
        if (n % 2_000 === 1_999) await world.durable();
      }
      await world.durable();
      const answers = client.takeAll().map(packet => `${packet.type} ${(packet as AckPacket).reasonCode}`);
      const wrong = answers.findIndex((answer, n) => answer !== expected[n]);
      assert.deepEqual([wrong, answers.length], [-1, expected.length]); // [MQTT5 3.6.2-1, 3.7.2-1]
      const session = world.gateway.broker.connectionOf('one')?.session;
      assert(session);
      assert.deepEqual(
        [...session.deliveries()].map(({ packetId }) => packetId),
        [real.packetId],
      );
      assert.equal(session.received?.size ?? 0, 0);
      client.send({ type: 'pubrec', packetId: real.packetId, reasonCode: 0 });
      await world.durable();
      assert.equal(client.take('pubrel').reasonCode, 0); // The real one goes on as if nothing had been.
    };
    it(`are answered as the standard says and leave nothing behind, MQTT ${version} (hostile S08)`, async () => {
      await createNothing();
      const believesAll = { value: () => 'release', writable: true };
      if (version === 5) await bites(Session.prototype, 'receipt', believesAll, createNothing);
    });
  }

  const idInUse = async () => {
    const { world, listener } = await openWorld();
    const client = await world.connect('one', lasting);
    const send = (text: string) => client.send(publishPacket('chat/a', text, { qos: 2, packetId: 7 }));
    send('first');
    send('other message, same id');
    await world.durable();
    send('once more');
    await world.durable();
    assert.deepEqual(
      client.takeAll().map(({ type }) => type),
      ['pubrec', 'pubrec', 'pubrec'],
    );
    assert.deepEqual(listener.takeMessages(), ['first']);
    client.send({ type: 'pubrel', packetId: 7, reasonCode: 0 });
    send('after the release');
    await world.durable();
    assert.deepEqual(
      client.takeAll().map(({ type }) => type),
      ['pubcomp', 'pubrec'],
    );
    assert.deepEqual(listener.takeMessages(), ['after the release']);
  };
  it('a packet identifier that is in use at QoS 2 is the message it was used for first (hostile S08)', async () => {
    await idInUse();
    const { publish } = Router.prototype;
    const forgets: typeof publish = function (this: Router, publication, from, receivedId) {
      if (from) from.received = new Set();
      return publish.call(this, publication, from, receivedId);
    };
    const { acknowledge } = Connection.prototype;
    await bites(Router.prototype, 'publish', { value: forgets, writable: true }, async () => {
      Connection.prototype.acknowledge = function (this: Connection, packetId, answer) {
        acknowledge.call(this, packetId, answer);
        this.session.received?.clear();
      };
      await idInUse().finally(() => {
        Connection.prototype.acknowledge = acknowledge;
      });
    });
  });
});

describe('access that is taken away', () => {
  const whatWaitedIsNotDelivered = async () => {
    const world = await GatewayWorld.start();
    const away = await world.connect('one', lasting);
    away.subscribe(['chat/#', 'will/+'], { qos: 2 });
    await world.settle();
    away.takeAll();
    const sender = await world.connect('two');
    sender.publish('chat/in-flight', 'sent, not acknowledged');
    await world.settle();
    away.cut();
    await world.settle();
    sender.publish('chat/a', 'secret now');
    sender.publish('will/two', 'still allowed');
    await world.durable();
    world.policy.replace({ ...testPolicy, subscribe: ['will/+'] });
    const back = await world.connect('one', lasting);
    await world.durable();
    assert.deepEqual(
      publishes(back).map(({ topic }) => topic),
      ['will/two'],
    );
    assert.equal(back.connack?.sessionPresent, true);
  };
  it('takes what waits for an offline client with it (hostile S09)', async () => {
    await whatWaitedIsNotDelivered();
    await bites(Broker.prototype, 'revise', { value: () => {}, writable: true }, whatWaitedIsNotDelivered);
  });

  const halfDoneComesToItsEnd = async () => {
    const world = await GatewayWorld.start();
    const [sender, reader] = [await world.connect('one', lasting), await world.connect('two', lasting)];
    reader.subscribe('chat/#', { qos: 2 });
    await world.settle();
    reader.takeAll();
    sender.publish('chat/a', 'half', { qos: 2, packetId: 5 });
    await world.durable();
    sender.take('pubrec');
    const [half] = publishes(reader);
    reader.send({ type: 'pubrec', packetId: half.packetId, reasonCode: 0 });
    await world.durable();
    reader.take('pubrel');
    world.policy.replace({ publish: [], ingest: [], subscribe: [] });
    sender.send({ type: 'pubrel', packetId: 5, reasonCode: 0 });
    reader.send({ type: 'pubcomp', packetId: half.packetId, reasonCode: 0 });
    sender.publish('chat/a', 'forbidden', { qos: 2, packetId: 6 });
    await world.durable();
    assert.equal(sender.take('pubcomp').reasonCode, 0);
    assert.equal(sender.take('pubrec').reasonCode, reasonCodes.notAuthorized);
    const session = world.gateway.broker.connectionOf('two')?.session;
    assert.deepEqual([...(session?.deliveries() ?? [])], []);
    assert.equal(world.gateway.broker.connectionOf('one')?.session.received?.size, 0); // Refused: nothing to release.
  };
  it('lets a QoS 2 hand-shake that is half done come to its end, and none begin (hostile S09)', async () => {
    await halfDoneComesToItsEnd();
    const all = { value: () => ({ allowed: true, ingest: false }), writable: true };
    await bites(PolicyEngine.prototype, 'judgePublish', all, halfDoneComesToItsEnd);
  });

  const wakesNoWill = async () => {
    const world = await GatewayWorld.start();
    const listener = await world.connect('listener');
    listener.subscribe('will/+');
    const delayed = { will: will('gone', { properties: { willDelayIntervalSeconds: 30 } }), ...lasting };
    const [, two] = [
      await world.connect('one', delayed),
      await world.connect('two', { ...delayed, will: will('two', { topic: 'will/two' }) }),
    ];
    await world.settle();
    listener.takeAll();
    world.gateway.broker.connectionOf('one')?.notStored(); // Any end at all.
    await world.settle();
    const deleting = world.gateway.deleteThing('one');
    world.policy.replace({ ...testPolicy, publish: ['chat/#'] });
    two.cut();
    await world.clock.until(deleting);
    await world.advance(60_000);
    assert.deepEqual(listener.takeMessages(), []);
    assert.equal(world.counters.get('mqtt.refused.will'), 1);
  };
  it('takes the right to a will with it, pending ones included (hostile S09)', async () => {
    await wakesNoWill();
    const all = { value: () => ({ allowed: true, ingest: false }), writable: true };
    await bites(PolicyEngine.prototype, 'judgePublish', all, wakesNoWill);
    await bites(Broker.prototype, 'evict', { value: () => {}, writable: true }, wakesNoWill);
  });

  it('leaves retained messages to the topic: whoever may read it gets them, and nobody else (hostile S09)', async () => {
    const readersRightsCount = async () => {
      const world = await GatewayWorld.start();
      const owner = await world.connect('owner');
      owner.publish('chat/a', 'kept', { retain: true });
      owner.publish('will/owner', 'kept too', { retain: true });
      await world.durable();
      await world.clock.until(world.gateway.deleteThing('owner'));
      assert(owner.isClosed);
      world.policy.replace({ ...testPolicy, subscribe: ['will/+'] });
      const reader = await world.connect('reader');
      reader.subscribe(['chat/#', 'will/+']);
      await world.durable();
      assert.deepEqual(reader.takeMessages(), ['kept too']);
    };
    await readersRightsCount();
    await bites(PolicyEngine.prototype, 'maySubscribe', { value: () => true, writable: true }, readersRightsCount);
  });

  const userIsGoneAtOnce = async () => {
    const { access, put } = await passwordsOf('alice', 'bob');
    const world = await GatewayWorld.start({ access });
    const enter = async (username: string) => {
      const client = await world.socket();
      const will = { topic: `will/${username}`, payload: Buffer.from('x'), qos: 0, retain: false } as const;
      client.send({
        ...(await world.connectPacket('one', { ...lasting, will })),
        clientId: username,
        username,
        password: Buffer.from(username),
      });
      await world.settle();
      return client;
    };
    const [alice, bob] = [await enter('alice'), await enter('bob')];
    alice.subscribe('#');
    await world.settle();
    alice.takeAll();
    await put('alice');
    await access.reload();
    world.gateway.revise();
    await world.settle();
    assert.equal(bob.takeAll().at(-1)?.type, 'disconnect');
    assert(bob.isClosed && !alice.isClosed);
    assert.deepEqual(alice.takeMessages(), []); // With the right to be here went the right to a will.
    const again = await enter('bob');
    assert.equal(again.take('connack').reasonCode, reasonCodes.badUserNameOrPassword);
  };
  it('ends the connection of a user who is removed, at once and without its will (hostile S09, A08)', async () => {
    await userIsGoneAtOnce();
    await bites(FileAccess.prototype, 'isStillAllowed', { value: () => true, writable: true }, userIsGoneAtOnce);
  });
});

/** A password file with these users, each with its name for a password, and the access that reads it. */
async function passwordsOf(...usernames: string[]) {
  const clock = new VirtualClock();
  const files = new TestDisk({ clock, random: seededRandom(1) });
  const put = (...names: string[]) =>
    clock.until(
      (async () => {
        const lines = names.map(
          async name => `${name}:${await hashPassword(Buffer.from(name), seededRandom(3), { iterations: 2 })}\n`,
        );
        const file = await files.open('/passwd', { create: true });
        await file.truncate(0);
        await file.write(Buffer.from((await Promise.all(lines)).join('')), 0);
        await file.close();
      })(),
    );
  await put(...usernames);
  const options = { files, clock, random: seededRandom(2), passwordFile: '/passwd', allowAnonymous: false };
  const access = await clock.until(FileAccess.open({ ...options, slowHash: (...args) => slowHash(...args) }));
  // On this thread: a pool would answer when it likes.
  let slowHash: SlowHash = async (...args) => pbkdf2Sync(...args, accessLimits.hashBytes, 'sha512');
  return {
    access,
    put,
    /** From now on hashing takes until the test says so. */
    holdHashes: () => {
      const held: (() => void)[] = [];
      slowHash = () => new Promise(resolve => void held.push(() => resolve(new Uint8Array(accessLimits.hashBytes))));
      return held;
    },
  };
}

describe('a will', () => {
  const isJudgedTwice = async () => {
    const world = await GatewayWorld.start();
    const listener = await world.connect('listener');
    listener.subscribe(['will/+', 'chat/#']);
    await world.settle();
    listener.takeAll();
    const outcomes: string[] = [];
    for (const topic of [
      'will/one',
      'will/two',
      'chat/a',
      'cmd/app/one/req',
      '$SYS/x',
      '$aws/events/presence/connected/one',
      '$share/g/chat/a',
    ]) {
      for (const policyChanges of [false, true]) {
        for (const how of ['lost', 'goodbye with will'] as const) {
          const client = await world.socket();
          client.send(await world.connectPacket('one', { will: will('w', { topic }) }));
          await world.settle();
          const { reasonCode } = client.take('connack');
          if (policyChanges) world.policy.replace({ ...testPolicy, publish: [] });
          if (how === 'lost') client.cut();
          else client.send({ type: 'disconnect', reasonCode: reasonCodes.disconnectWithWill });
          await world.settle();
          if (policyChanges) world.policy.replace(testPolicy);
          const heard = listener.takeMessages().length;
          outcomes.push(`${topic} ${reasonCode} ${heard}`);
          const isOwn = topic === 'will/one' || topic === 'chat/a';
          assert.equal(reasonCode, isOwn ? 0 : reasonCodes.notAuthorized, topic);
          assert.equal(heard, isOwn && !policyChanges ? 1 : 0, `${topic} ${policyChanges} ${how}`);
        }
      }
    }
    assert.equal(outcomes.length, 28);
    assert.equal(world.counters.get('mqtt.refused.will'), 4);
  };
  it('is judged at CONNECT and again when it is due, for every topic and every end (hostile S10)', async () => {
    await isJudgedTwice();
    const all = { value: () => ({ allowed: true, ingest: false }), writable: true };
    await bites(PolicyEngine.prototype, 'judgePublish', all, isJudgedTwice);
  });

  const countsAgainstTheQuotas = async () => {
    const limits = { ...brokerLimits, retainedMessagesMax: 2, payloadBytesMax: 1_000 };
    const { world, listener } = await openWorld({}, { limits });
    for (const n of [1, 2, 3]) {
      (await world.connect('one', { will: will('x', { topic: `will/${n}`, retain: true }) })).cut();
      await world.settle();
    }
    assert.equal(world.gateway.router.retained.size, 2);
    assert.equal(world.counters.get('mqtt.refused.retained'), 1);
    assert.equal(listener.takeMessages().length, 3);
    const huge = await world.socket();
    huge.send(await world.connectPacket('one', { will: will('x'.repeat(1_001)) }));
    await world.settle();
    assert.equal(huge.take('connack').reasonCode, reasonCodes.quotaExceeded);
    const larger = await world.socket();
    larger.send(await world.connectPacket('one', { will: will('x'.repeat(33_000)) }));
    await world.settle();
    assert(larger.isClosed); // No CONNECT may have so many bytes.
    assert.equal(world.gateway.connections.size, 1);
  };
  it('counts against the same quotas as a publish (hostile S10)', async () => {
    await countsAgainstTheQuotas();
    const { set } = RetainedMessages.prototype;
    const boundless: typeof set = function (this: RetainedMessages, message) {
      set.call(this, message);
      return 'stored';
    };
    await bites(RetainedMessages.prototype, 'set', { value: boundless, writable: true }, countsAgainstTheQuotas);
  });
});

describe('a storm of connects', () => {
  const isSpreadOut = async () => {
    const { world } = await openWorld({}, { limits: { ...brokerLimits, connectsPerSecondMax: 100 } });
    await world.advance(1_000);
    let waiting = Array.from({ length: 450 }, (_, n) => `device-${n}`);
    const perSecond: number[] = [];
    while (waiting.length > 0 && perSecond.length < 10) {
      const refused: string[] = [];
      const all: [string, TestClient][] = [];
      for (const clientId of waiting) {
        const client = await world.socket();
        client.send({ ...(await world.connectPacket('one')), clientId });
        all.push([clientId, client]);
      }
      await world.settle();
      for (const [clientId, client] of all) {
        const { reasonCode } = client.take('connack');
        if (reasonCode === 0) continue;
        assert.equal(reasonCode, reasonCodes.serverBusy);
        assert(client.isClosed);
        refused.push(clientId);
      }
      perSecond.push(waiting.length - refused.length);
      waiting = refused;
      await world.advance(1_000);
    }
    assert.deepEqual(perSecond, [100, 100, 100, 100, 50]);
    assert.equal(world.gateway.connections.size, 451);
  };
  it('is let in at the rate there is, the rest is told to come again (hostile S11)', async () => {
    await isSpreadOut();
    await bites(TokenBucket.prototype, 'take', { value: () => true, writable: true }, isSpreadOut);
  });

  const hashesAreBounded = async () => {
    const { access, holdHashes } = await passwordsOf('alice', 'bob');
    const held = holdHashes();
    const world = await GatewayWorld.start({ access });
    const guessing: TestClient[] = [];
    for (let n = 0; n < 400; n++) {
      const client = await world.socket();
      const connect = {
        ...(await world.connectPacket('one')),
        clientId: `c-${n}`,
        username: `nobody-${n}`,
        password: Buffer.from('x'),
      };
      client.send(connect);
      guessing.push(client);
    }
    await world.settle();
    const refused = guessing.filter(client =>
      client.received.some(packet => packet.type === 'connack' && packet.reasonCode === reasonCodes.serverBusy),
    );
    assert.equal(refused.length, 400 - 256 - 2); // Two are hashed, 256 wait.
    assert.equal(held.length, 2);
    while (held.length > 0) {
      held.shift()?.();
      await world.settle();
    }
    const wrong = guessing.filter(client =>
      client.received.some(
        packet => packet.type === 'connack' && packet.reasonCode === reasonCodes.badUserNameOrPassword,
      ),
    );
    assert.equal(wrong.length, 258);
    assert.equal(world.gateway.connections.size, 0);
  };
  it('has its passwords hashed a few at a time, and no more wait than a queue holds (hostile S11)', async () => {
    await hashesAreBounded();
    await bites(accessLimits, 'hashesWaitingMax', { value: 100_000 }, hashesAreBounded);
  });
});

describe('a keep alive', () => {
  const pinsNobody = async () => {
    const { world } = await openWorld();
    const idle: TestClient[] = [];
    for (const version of versions) {
      for (let n = 0; n < 100; n++) {
        const keepAliveSeconds = n % 2 === 0 ? 0 : 65_535;
        idle.push(await world.connect(`idle-${version}-${n}`, { protocolVersion: version, keepAliveSeconds }));
      }
    }
    for (const { connack, version } of idle) {
      if (version === 5) assert.equal(connack?.properties?.serverKeepAliveSeconds, 1_200); // [MQTT5 3.2.2-21]
    }
    await world.advance(1_799_000);
    assert(idle.every(({ isClosed }) => !isClosed));
    await world.advance(3_000);
    assert(idle.every(({ isClosed }) => isClosed));
  };
  it('of none or the longest pins no connection, in either version (hostile S13)', async () => {
    await pinsNobody();
    await bites(brokerLimits, 'keepAliveSecondsMax', { value: 65_535 }, pinsNobody);
  });
});

describe('a shared subscription', () => {
  const stuckMemberStarvesNobody = async () => {
    const { world } = await openWorld();
    const window = (receiveMaximum: number) => ({ ...lasting, properties: { ...lasting.properties, receiveMaximum } });
    const stuck = await world.connect('stuck', window(5));
    const good = [await world.connect('good-1', window(100)), await world.connect('good-2', window(100))];
    const sender = await world.connect('sender');
    for (const client of [stuck, ...good]) client.subscribe('$share/workers/chat/#');
    await world.settle();
    for (const client of [stuck, ...good]) client.takeAll();
    const seen: string[] = [];
    for (let n = 0; n < 300; n++) {
      sender.publish('chat/a', `${n}`, { qos: 1 });
      await world.settle();
      for (const client of good) {
        for (const id of client.unanswered) client.ack(id);
        seen.push(...client.takeMessages());
      }
      await world.settle();
    }
    const withStuck = stuck.takeMessages();
    assert(withStuck.length <= 6, `${withStuck.length} with the stuck one`); // Its window, and one that waits.
    assert.deepEqual([...seen, ...withStuck].length, 300 - (300 - seen.length - withStuck.length));
    assert(seen.length >= 290, `${seen.length} with the others`);
    stuck.send({ type: 'disconnect', reasonCode: 0, properties: { sessionExpiryIntervalSeconds: 0 } }); // It dies.
    await world.settle();
    for (let round = 0; round < 5; round++) {
      for (const client of good) {
        for (const id of client.unanswered) client.ack(id);
        seen.push(...client.takeMessages());
      }
      await world.settle();
    }
    const missing = Array.from({ length: 300 }, (_, n) => `${n}`).filter(text => !seen.includes(text));
    assert.deepEqual(missing, []); // What it never acknowledged went to another [MQTT5 4.8.2-5].
    assert.equal(world.counters.get('mqtt.dropped.qos1'), 0);
  };
  it('goes on without a stuck member, and what a dead one had goes to the others (hostile S14)', async () => {
    await stuckMemberStarvesNobody();
    await bites(Router.prototype, 'giveBack', { value: () => {}, writable: true }, stuckMemberStarvesNobody);
    const { pick } = SharedGroup.prototype;
    const regardless: typeof pick = function (this: SharedGroup<unknown, unknown>, distribution, topic, fitnessOf) {
      return pick.call(this, distribution, topic, (...member) => (fitnessOf(...member) > 0 ? 2 : 0));
    };
    await bites(SharedGroup.prototype, 'pick', { value: regardless, writable: true }, stuckMemberStarvesNobody);
  });
});
