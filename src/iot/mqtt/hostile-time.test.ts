/** Hostile inputs of group C against a whole gateway: clocks that jump, machines that sleep, times without end. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { systemClock } from '../../kernel/clock.ts';
import { DueQueue } from '../../kernel/due-queue.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import { AwakeClock } from './awake-clock.ts';
import { Broker, neverExpires } from './broker.ts';
import { brokerLimits } from './broker-limits.ts';
import { bites, GatewayWorld, type TestClient } from './gateway-world.ts';
import { lasting, openDoor, openWorld } from './hostile-world.ts';
import { reasonCodes } from './packets.ts';

const dayMs = 86_400_000;
const startMs = Date.UTC(2026, 0, 1); // As VirtualClock has it.

const isPresent = async (world: GatewayWorld, clientId: string): Promise<boolean | undefined> => {
  const client = await world.connect(clientId, lasting);
  client.send({ type: 'disconnect', reasonCode: 0 });
  await world.settle();
  return client.connack?.sessionPresent;
};

/** Each client of `clients` says that it is alive. */
async function ping(world: GatewayWorld, ...clients: TestClient[]): Promise<void> {
  for (const client of clients) client.send({ type: 'pingreq' });
  await world.settle();
  for (const client of clients) assert.equal(client.takeAll().at(-1)?.type, 'pingresp');
}

describe('a wall clock that jumps while the gateway runs', () => {
  const jumps = { '+1 day': dayMs, '-1 day': -dayMs, 'to 1970': -startMs, 'to 2106': 0xffff_ffff * 1_000 - startMs };
  for (const [name, byMs] of Object.entries(jumps)) {
    const changesNoDeadline = async () => {
      const { world, listener } = await openWorld();
      const will = (willDelayIntervalSeconds: number) => {
        const properties = { willDelayIntervalSeconds };
        return { topic: 'will/one', payload: Buffer.from('will'), qos: 1 as const, retain: false, properties };
      };
      const [alive, silent] = [await world.connect('alive'), await world.connect('silent')];
      const away = await world.connect('away', { ...lasting, will: will(60) });
      away.subscribe('chat/#');
      await world.settle();
      away.cut();
      alive.publish('chat/short', 'short', { retain: true, properties: { messageExpiryIntervalSeconds: 30 } });
      alive.publish('chat/long', 'long', { retain: true, properties: { messageExpiryIntervalSeconds: 3_000 } });
      await world.settle();
      listener.takeAll();
      world.clock.jumpWallClock(byMs);
      await world.advance(20_000);
      assert.deepEqual(listener.takeMessages(), [], 'no will yet');
      assert.equal(world.gateway.router.retained.size, 2);
      await world.advance(35_000);
      assert.equal(world.gateway.router.retained.size, 1, 'the short one has expired');
      await ping(world, alive, listener);
      assert(!silent.isClosed);
      await world.advance(10_000);
      assert.deepEqual(listener.takeMessages(), ['will']);
      await world.advance(30_000);
      assert(silent.isClosed && !alive.isClosed); // 95 s
      assert.equal(await isPresent(world, 'away'), true);
      for (let minutes = 0; minutes < 58; minutes++) {
        await ping(world, alive);
        await world.advance(60_000);
      }
      const sessions = () => [...world.gateway.broker.clients()].filter(client => client.state()?.session).length;
      assert.equal(sessions(), 1, 'the session lives to its end');
      await world.advance(150_000);
      assert.equal(sessions(), 0, 'and no longer');
    };
    it(`${name} changes no deadline: keep alive, sessions, wills, expiry (hostile C01)`, async () => {
      await changesNoDeadline();
      const byTheWall = {
        value: function (this: VirtualClock) {
          return this.nowMs() - startMs;
        },
        writable: true,
      };
      await bites(VirtualClock.prototype, 'monotonicMs', byTheWall, changesNoDeadline);
    });
  }

  const restartIsSane = async () => {
    const world = await GatewayWorld.start({ access: openDoor(), durable: true });
    const listener = await world.connect('listener', { ...lasting, keepAliveSeconds: 1_200 });
    listener.subscribe('will/+');
    const properties = { willDelayIntervalSeconds: 100 };
    const will = { topic: 'will/one', payload: Buffer.from('will'), qos: 1, retain: false, properties } as const;
    (await world.connect('away', { ...lasting, will })).cut();
    await world.durable();
    world.clock.jumpWallClock(-startMs); // A board without a battery: after the restart it is 1970.
    await world.powerCut();
    const back = await world.connect('listener', { ...lasting, keepAliveSeconds: 1_200 });
    await world.advance(95_000);
    assert.deepEqual(back.takeMessages(), []);
    await world.advance(7_000);
    assert.deepEqual(back.takeMessages(), ['will'], 'it does not wait for 56 years');
    const sessions = () => [...world.gateway.broker.clients()].filter(client => client.state()?.session).length;
    await world.advance(3_400_000);
    assert.equal(sessions(), 2);
    await world.advance(200_000);
    assert.equal(sessions(), 1, 'nor does the session');
  };
  it('and a restart: a clock that went back keeps nobody longer than was promised (hostile C01)', async () => {
    await restartIsSane();
    const { settleRestored } = Broker.prototype;
    const trusting: typeof settleRestored = function (this: Broker) {
      for (const client of this.clients()) {
        const facts = client as { session?: { expirySeconds: number }; will?: { properties?: object } };
        if (facts.session) facts.session.expirySeconds = 1e9; // What bounds the deadline is gone.
      }
      settleRestored.call(this);
    };
    await bites(Broker.prototype, 'settleRestored', { value: trusting, writable: true }, restartIsSane);
  });
});

describe('a machine that was suspended', () => {
  const doesNotEndEverybody = async () => {
    const { world, listener } = await openWorld();
    const clients: TestClient[] = [];
    for (let n = 0; n < 50; n++) clients.push(await world.connect(`c-${n}`, { keepAliveSeconds: 60 }));
    const halfOpen = await world.connect('half-open', { keepAliveSeconds: 60 });
    const knocking = await world.socket();
    await world.advance(8_000);
    await world.clock.suspend(3_600_000);
    for (const client of clients) client.send({ type: 'pingreq' }); // Everything arrives at once.
    knocking.send(await world.connectPacket('knocking'));
    await world.settle();
    assert.equal(clients.filter(({ isClosed }) => isClosed).length, 0);
    assert.equal(knocking.take('connack').reasonCode, 0); // Its deadline counts the time in which it could be heard.
    await world.advance(60_000);
    await ping(world, ...clients, knocking, listener);
    assert(!halfOpen.isClosed);
    await world.advance(30_000);
    assert(halfOpen.isClosed); // Who is really gone is still found.
    assert.equal(world.gateway.connections.size, 52);
  };
  it('ends nobody who was alive; who stays silent is found a keep alive later (hostile C02)', async () => {
    await doesNotEndEverybody();
    const believesEachSecond = {
      value(this: AwakeClock) {
        return this.nowMs() - startMs; // The wall clock never jumps here: what has passed, slept through or not.
      },
      writable: true,
    };
    await bites(AwakeClock.prototype, 'monotonicMs', believesEachSecond, doesNotEndEverybody);
  });

  it('tells of messages and sessions what the time is, slept through or not (hostile C02)', async () => {
    const { world } = await openWorld();
    const away = await world.connect('away', lasting);
    away.subscribe('chat/#');
    await world.settle();
    away.cut();
    const sender = await world.connect('sender');
    sender.publish('chat/a', 'short', { properties: { messageExpiryIntervalSeconds: 60 } });
    sender.publish('chat/a', 'long', { properties: { messageExpiryIntervalSeconds: 6_000 } });
    await world.settle();
    await world.clock.suspend(1_800_000);
    const back = await world.connect('away', lasting);
    const [packet, ...more] = back.takeAll();
    assert(packet.type === 'publish' && more.length === 0);
    assert.equal(packet.properties?.messageExpiryIntervalSeconds, 4_200);
    back.cut();
    await world.clock.suspend(3_700_000);
    assert.equal(await isPresent(world, 'away'), false);
  });
});

describe('times beyond what a timer can hold', () => {
  const areKept = async () => {
    const limits = { ...brokerLimits, sessionExpirySecondsMax: Number.POSITIVE_INFINITY };
    const { world, listener } = await openWorld({}, { limits });
    const properties = { willDelayIntervalSeconds: 0xffff_ffff, messageExpiryIntervalSeconds: 0xffff_ffff };
    const will = { topic: 'will/x', payload: Buffer.from('will'), qos: 1, retain: true, properties } as const;
    const monthSeconds = 30 * 86_400;
    for (const [clientId, sessionExpiryIntervalSeconds] of [
      ['month', monthSeconds],
      ['ever', neverExpires],
    ] as const) {
      const client = await world.connect(clientId, {
        cleanStart: false,
        properties: { sessionExpiryIntervalSeconds },
        will,
      });
      assert.equal(client.connack?.properties?.sessionExpiryIntervalSeconds, undefined); // As it was asked for.
      client.subscribe('chat/#');
      await world.settle();
      client.cut();
    }
    const sender = await world.connect('sender');
    sender.publish('chat/a', 'x', { properties: { messageExpiryIntervalSeconds: 0xffff_ffff } });
    await world.settle();
    listener.takeAll();
    const sessions = () =>
      [...world.gateway.broker.clients()].filter(client => (client.state()?.session?.expirySeconds ?? 0) > 0).length;
    await world.advance(3_000);
    assert.equal(sessions(), 2, 'nothing falls due at once');
    await world.clock.suspend(29 * dayMs);
    await world.advance(2_000);
    assert.equal(sessions(), 2);
    await world.clock.suspend(dayMs);
    await world.advance(2_000);
    assert.equal(sessions(), 1); // The month is over, its will with it [MQTT5 3.1.3-9].
    await world.clock.suspend(3_000 * dayMs);
    await world.advance(2_000);
    assert.equal(sessions(), 1);
    const ever = await world.connect('ever', {
      cleanStart: false,
      properties: { sessionExpiryIntervalSeconds: neverExpires },
    });
    assert.deepEqual(ever.takeMessages(), ['x']);
  };
  it('are kept to: 30 days, and for ever (hostile C03)', async () => {
    await areKept();
    const { set } = DueQueue.prototype;
    const overflowing: typeof set = function (this: DueQueue<unknown>, item, dueAtMs) {
      set.call(this, item, dueAtMs > 2 ** 31 - 1 ? 0 : dueAtMs); // As Node does with a timer.
    };
    await bites(DueQueue.prototype, 'set', { value: overflowing, writable: true }, areKept);
  });

  it('are never given to a timer of Node, which would fire at once (hostile C03)', async t => {
    const given: number[] = [];
    const due: (() => void)[] = [];
    t.mock.method(globalThis, 'setTimeout', (run: () => void, ms: number) => {
      given.push(ms);
      due.push(run);
      return 0;
    });
    const delayMs = 100 * dayMs;
    const fired = (setTimer: (ms: number, run: () => void) => void) => {
      given.length = 0;
      let ran = 0;
      setTimer(delayMs, () => ran++);
      for (let run = due.shift(); run; run = due.shift()) run();
      assert(
        given.every(ms => ms <= 2 ** 31 - 1),
        `${given}`,
      );
      assert.equal(
        given.reduce((sum, ms) => sum + ms, 0),
        delayMs,
      );
      assert.equal(ran, 1);
    };
    fired((ms, run) => systemClock.setTimer(ms, run));
    assert.throws(() => fired((ms, run) => setTimeout(run, ms)), assert.AssertionError);
  });
});

describe('a token bucket and a take-over', () => {
  it('do not count a jump of the wall clock as time (hostile C01)', async () => {
    const countsByTheSteadyClock = async () => {
      const { world } = await openWorld({}, { limits: { ...brokerLimits, connectsPerSecondMax: 5 } });
      await world.advance(1_000);
      let refused = 0;
      for (let n = 0; n < 20; n++) {
        world.clock.jumpWallClock(n % 4 === 3 ? -dayMs : 1_900); // Little enough not to look like a pause.
        const client = await world.socket();
        client.send({ ...(await world.connectPacket('one')), clientId: `c-${n}` });
        await world.settle();
        if (client.take('connack').reasonCode === reasonCodes.serverBusy) refused++;
      }
      assert.equal(refused, 15);
    };
    await countsByTheSteadyClock();
    const byTheWall = {
      value: function (this: VirtualClock) {
        return this.nowMs() - startMs;
      },
      writable: true,
    };
    await bites(VirtualClock.prototype, 'monotonicMs', byTheWall, countsByTheSteadyClock);
  });
});
