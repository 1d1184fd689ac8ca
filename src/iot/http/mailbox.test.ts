import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bites } from '../../kernel/bites.ts';
import type { Access } from '../access/port.ts';
import { Broker } from '../mqtt/broker.ts';
import { brokerLimits } from '../mqtt/broker-limits.ts';
import type { GatewayWorldOptions } from '../mqtt/gateway-world.ts';
import { TopicTree, topicTreeLimits } from '../mqtt/topic-tree.ts';
import { HttpWorld } from './http-world.ts';
import { dataPlaneLimits } from './limits.ts';

const report = '/topics/dt/app/one/reading?qos=1';
const poll = `${report}&pending=10&waitMs=0`;
const command = 'cmd/app/one/play';
const lasting = { cleanStart: false, properties: { sessionExpiryIntervalSeconds: 3_600 } };

/** A thing that has posted once, so that it has a mailbox. */
async function sleeper(options: GatewayWorldOptions = {}): Promise<HttpWorld> {
  const world = await HttpWorld.start(options);
  assert.deepEqual(await world.pending(poll, { as: 'one' }), []);
  return world;
}

const texts = (carried: readonly { text: string }[]) => carried.map(({ text }) => text);

describe('what waits for a client that only posts', () => {
  it('comes with the answer to its next post, and again as a duplicate until it is acknowledged', async () => {
    const world = await sleeper();
    assert.equal(await world.publish(command, 'first'), 0); // Nobody is there, says the receipt.
    await world.publish(command, 'second');
    const given = await world.pending(poll, { as: 'one' });
    const [first, second] = given;
    assert.deepEqual(texts(given), ['first', 'second']);
    assert(!first.duplicate && !second.duplicate && first.id !== second.id);
    const again = await world.pending(`${poll}&ack=${first.id}`, { as: 'one' });
    assert.deepEqual(again, [{ ...second, duplicate: true }]);
    assert.deepEqual(await world.pending(`${poll}&ack=${first.id},${second.id}`, { as: 'one' }), []);
  });

  it('says everything of a message that MQTT would', async () => {
    const world = await sleeper();
    const sender = await world.gateway.connect('two');
    sender.publish('chat/room', Buffer.from([0, 255]), {
      properties: {
        contentType: 'application/cbor',
        responseTopic: 'chat/answers',
        correlationData: Buffer.from('c1'),
        payloadFormatIndicator: 1,
        messageExpiryIntervalSeconds: 60,
        userProperties: [
          ['__proto__', 'a'],
          ['k', 'b'],
          ['k', 'c'],
        ],
      },
    });
    await world.gateway.advance(20_000);
    const { body } = await world.call(poll, { as: 'one' });
    const [{ id, ...said }] = body.pending;
    assert(id > 0);
    const expected = {
      topic: 'chat/room',
      payload: 'AP8=',
      qos: 1,
      retain: false,
      contentType: 'application/cbor',
      responseTopic: 'chat/answers',
      correlationData: Buffer.from('c1').toString('base64'),
      payloadFormatIndicator: 'UTF8_DATA',
      userProperties: [JSON.parse('{"__proto__":"a"}'), { k: 'b' }, { k: 'c' }],
      messageExpiry: 40,
      duplicate: false,
    };
    assert.equal(JSON.stringify(said), JSON.stringify(expected));
    assert.equal(body.more, false);
  });

  it('comes in order, at most so many at once, and says whether there is more', async () => {
    const world = await sleeper();
    for (let n = 1; n <= 5; n++) await world.publish(command, String(n));
    const ask = async (acks: number[]) => {
      const { body } = await world.call(`${report}&pending=2&waitMs=0&ack=${acks.join(',')}`, { as: 'one' });
      const said = body.pending.map(({ payload }: { payload: string }) => Buffer.from(payload, 'base64').toString());
      return { said, ids: body.pending.map(({ id }: { id: number }) => id), more: body.more };
    };
    const seen = [];
    for (let acks: number[] = [], more = true; more; ) {
      const answer = await ask(acks);
      seen.push(answer.said);
      ({ ids: acks, more } = answer);
    }
    assert.deepEqual(seen, [['1', '2'], ['3', '4'], ['5']]);
  });

  const fitsOneAnswer = async () => {
    const world = await sleeper();
    for (let n = 0; n < 12; n++) await world.publish(command, 'x'.repeat(200_000));
    const carried = await world.pending(`${report}&pending=100&waitMs=0`, { as: 'one' });
    assert.equal(carried.length, 6); // 1 MiB, and the one that fills it.
  };
  it('is bounded in bytes (hostile H02)', async () => {
    await fitsOneAnswer();
    await bites(dataPlaneLimits, 'pendingBytesMax', { value: 1e9 }, fitsOneAnswer);
  });

  it('is not what it has posted itself, nor what was published with QoS 0 while it slept', async () => {
    const policy = { publish: ['chat/#'], ingest: [], subscribe: ['chat/#'] };
    const world = await HttpWorld.start({ policy });
    const ask = '/topics/chat/a?qos=1&pending=10&waitMs=0';
    assert.deepEqual(await world.pending(ask, { as: 'one', body: 'mine' }), []);
    await world.call('/topics/chat/b?qos=1', { as: 'one', body: 'mine, without asking' });
    const other = await world.gateway.connect('two');
    other.publish('chat/c', 'missed', { qos: 0 });
    other.publish('chat/d', "another's");
    await world.gateway.durable();
    assert.deepEqual(texts(await world.pending(ask, { as: 'one', body: 'mine' })), ["another's"]);
  });

  it('does not come any more when it has expired, given out before or not (hostile D12)', async () => {
    const world = await sleeper();
    await world.publish(command, 'given', 30);
    assert.deepEqual(texts(await world.pending(poll, { as: 'one' })), ['given']);
    await world.publish(command, 'waiting', 30);
    await world.publish(command, 'lasting');
    await world.gateway.advance(31_000);
    assert.deepEqual(texts(await world.pending(poll, { as: 'one' })), ['lasting']);
    assert.equal(world.gateway.counters.get('mqtt.dropped.expired'), 2);
  });

  it('is what is retained, once, when the mailbox is new', async () => {
    const world = await HttpWorld.start();
    await world.gateway.gateway.publish({ topic: command, payload: Buffer.from('kept'), qos: 1, retain: true });
    const { body } = await world.call(poll, { as: 'one' });
    const [{ id, payload, retain }] = body.pending;
    assert.deepEqual([Buffer.from(payload, 'base64').toString(), retain], ['kept', true]);
    assert.deepEqual(await world.pending(`${poll}&ack=${id}`, { as: 'one' }), []);
  });
});

describe('a mailbox', () => {
  it('tells of its subscriptions with each post, and of no presence', async () => {
    const world = await sleeper();
    await world.gateway.durable();
    await world.pending(poll, { as: 'one' });
    const events = await world.gateway.lifecycle();
    assert.deepEqual(
      events.map(({ eventType, clientId, thingName, topics }) => [eventType, clientId, thingName, topics]),
      Array.from({ length: 2 }, () => ['subscribed', 'one.http', 'one', ['cmd/app/one/#', 'chat/#', 'will/+']]),
    );
    assert.equal(new Set(events.map(({ sessionIdentifier }) => sessionIdentifier)).size, 1);
    const [state] = await world.gateway.gateway.listConnections(['one']);
    assert.deepEqual(state, { thingName: 'one', connected: false });
  });

  it('ends when nobody has come for it so long, counted from the last post', async () => {
    const world = await sleeper({ limits: { ...brokerLimits, sessionExpirySecondsDefault: 3_600 } });
    await world.gateway.advance(3_500_000);
    await world.pending(poll, { as: 'one' });
    await world.publish(command, 'in time');
    await world.gateway.advance(3_500_000);
    const [{ id }] = await world.pending(poll, { as: 'one' });
    await world.publish(command, 'too late');
    await world.gateway.advance(3_602_000);
    assert.deepEqual(await world.pending(`${poll}&ack=${id}`, { as: 'one' }), []);
  });

  it('survives a power cut with what waits and what was given out', async () => {
    const world = await sleeper({ durable: true });
    await world.publish(command, 'given');
    const [given] = await world.pending(poll, { as: 'one' });
    await world.publish(command, 'waiting');
    await world.gateway.durable();
    await world.powerCut();
    const carried = await world.pending(poll, { as: 'one' });
    assert.deepEqual(carried[0], { ...given, duplicate: true });
    assert.deepEqual(texts(carried), ['given', 'waiting']);
    assert.deepEqual(await world.pending(`${poll}&ack=${carried.map(({ id }) => id)}`, { as: 'one' }), []);
    await world.gateway.durable();
    await world.powerCut();
    assert.deepEqual(await world.pending(poll, { as: 'one' }), []);
  });

  it('is a session of MQTT: a connection takes it over, and is not disturbed by a post (hostile S02)', async () => {
    const world = await sleeper();
    await world.publish(command, 'given');
    const [{ id }] = await world.pending(poll, { as: 'one' });
    await world.publish(command, 'waiting');
    const client = await world.gateway.connect('one.http', lasting);
    assert.equal(client.connack?.sessionPresent, true);
    assert.deepEqual(client.takeMessages(), ['given', 'waiting']);
    const { body } = await world.call(`${poll}&ack=${id}`, { as: 'one' });
    assert.deepEqual([body.pending, body.takenOver], [[], true]);
    await world.publish(command, 'live');
    await world.gateway.settle();
    assert.deepEqual(client.takeMessages(), ['live']);
    client.cut();
    await world.gateway.settle();
    const carried = await world.pending(poll, { as: 'one' });
    assert.deepEqual(texts(carried), ['given', 'waiting', 'live']); // The acknowledgement was not for the post to give.
  });

  it('is new for a client that was there with MQTT 3.1.1 before and left nothing', async () => {
    const world = await HttpWorld.start();
    const listeners = [
      await world.gateway.connect('two.4', { protocolVersion: 4 }),
      await world.gateway.connect('two.5', { protocolVersion: 5 }),
    ];
    const client = await world.gateway.connect('one', { protocolVersion: 4 });
    client.cut();
    for (const listener of listeners) listener.subscribe('chat/#');
    await world.gateway.settle();
    for (const listener of listeners) listener.take('suback');
    const url = '/topics/chat/a?qos=1&pending=10&waitMs=0&clientId=one&contentType=text/plain';
    for (const body of ['first', 'second']) {
      assert.deepEqual(await world.pending(url, { as: 'one', body }), []);
      await world.gateway.settle();
      const [old, recent] = listeners.map(listener => listener.take('publish'));
      assert.deepEqual([old.payload.toString(), recent.payload.toString()], [body, body]);
      assert.equal(recent.properties?.contentType, 'text/plain');
    }
  });

  it('takes over what a connection has left, QoS 2 in one step', async () => {
    const world = await HttpWorld.start({ durable: true });
    const client = await world.gateway.connect('one.http', lasting);
    client.subscribe(['chat/#', 'cmd/app/one/old'], { qos: 2 });
    await world.gateway.durable();
    client.takeAll();
    const sender = await world.gateway.connect('two');
    for (const text of ['received', 'sent', 'waiting']) sender.publish('chat/x', text, { qos: 2 });
    await world.gateway.durable();
    const packets = client.takeAll().flatMap(packet => (packet.type === 'publish' ? [packet.packetId] : []));
    assert.equal(packets.length, 3);
    client.send({ type: 'pubrec', packetId: packets[0], reasonCode: 0 });
    await world.gateway.durable();
    client.cut();
    await world.gateway.settle();
    const carried = await world.pending(poll, { as: 'one' });
    assert.deepEqual(texts(carried), ['sent', 'waiting']);
    assert.deepEqual(await world.pending(`${poll}&ack=${carried.map(({ id }) => id)}`, { as: 'one' }), []);
    await world.publish('cmd/app/one/old', 'once'); // By one of two filters, or by both.
    await world.gateway.durable();
    assert.deepEqual(texts(await world.pending(poll, { as: 'one' })), ['once']);
  });

  it('has the filters that the last post named, each of which must be allowed (hostile A03)', async () => {
    const world = await sleeper();
    const refused = ['cmd/%23', '%23', 'cmd/app/two/+', 'chat/a&filter=cmd/app/+/x'];
    for (const filter of refused) {
      assert.equal(await world.statusOf(`${poll}&filter=${filter}`, { as: 'one' }), '403 iot.forbidden', filter);
    }
    await world.publish('chat/x', 'before'); // Nothing has changed by what was refused.
    assert.deepEqual(texts(await world.pending(`${poll}&filter=cmd/app/one/+`, { as: 'one' })), ['before']);
    await world.publish('chat/x', 'not asked for');
    await world.publish(command, 'asked for');
    const carried = await world.pending(`${poll}&filter=cmd/app/one/+`, { as: 'one' });
    assert.deepEqual(texts(carried), ['before', 'asked for']);
  });

  const notValid: Record<string, string> = {
    'a filter with a misplaced wildcard (hostile W11)': '&filter=cmd/a%2B',
    'an empty filter': '&filter=',
    'a shared subscription, whose messages would wait for it (hostile S14)': '&filter=$share/g/chat/a',
    'too many filters': Array.from({ length: 33 }, (_, n) => `&filter=chat/${n}`).join(''),
    'none of them wanted': '&pending=0',
    'more than there may be in flight': '&pending=101',
    'no number': '&pending=ten',
    'a wait that is too long': '&waitMs=20001',
    'an acknowledgement of nothing': '&ack=1,,2',
    'an acknowledgement out of range': '&ack=65536',
    'too many acknowledgements': `&ack=${Array.from({ length: 101 }, () => 1)}`,
  };
  for (const [what, query] of Object.entries(notValid)) {
    it(`is refused ${what}`, async () => {
      const world = await HttpWorld.start();
      const url = query.startsWith('&pending') ? report + query : `${report}&pending=1${query}`;
      assert.equal(await world.statusOf(url, { as: 'one' }), '400 iot.parameterNotValid');
      assert.deepEqual(await world.gateway.telemetry(), []); // Nor is anything published.
    });
  }

  const costsNobodyElse = async () => {
    const limits = { ...brokerLimits, sessionsPerThingMax: 2 };
    const world = await HttpWorld.start({ limits });
    for (const n of [1, 2]) await world.pending(`${poll}&clientId=one.${n}`, { as: 'one' });
    assert.equal(await world.statusOf(`${poll}&clientId=one.3`, { as: 'one' }), '503 iot.overloaded');
    assert.equal((await world.gateway.telemetry()).length, 2);
    await world.pending(poll.replace('one', 'two'), { as: 'two' });
  };
  it('counts as a session of its thing (hostile S04)', async () => {
    await costsNobodyElse();
    await bites(Broker.prototype, 'hasRoomFor', { value: () => true, writable: true }, costsNobodyElse);
  });

  it('makes room as any session does when all are taken, and counts once (hostile S04)', async () => {
    const world = await HttpWorld.start({ limits: { ...brokerLimits, sessionsMax: 2 } });
    const names = ['one', 'two', 'three', 'four'];
    for (const as of names) await world.pending(poll.replace('one', as), { as });
    assert.equal(world.gateway.counters.get('mqtt.dropped.session'), 2);
    for (const name of names) await world.publish(`cmd/app/${name}/play`, 'x');
    for (const as of ['three', 'four']) {
      assert.deepEqual(texts(await world.pending(poll.replace('one', as), { as })), ['x'], as);
    }
    assert.deepEqual(await world.pending(poll, { as: 'one' }), []); // Its mailbox would have ended first.
  });

  it('ends with its thing, and with what the policy takes away (hostile S09)', async () => {
    const world = await sleeper();
    const { answer } = await world.begin(`${report}&pending=10&waitMs=20000`, { as: 'one' });
    await world.gateway.settle();
    await world.publish(command, 'in the last moment');
    await world.gateway.clock.until(world.gateway.gateway.deleteThing('one'));
    const said = await world.gateway.clock.until(answer);
    assert.deepEqual(said?.body.pending, []);
    assert.equal(await world.statusOf(poll, { as: 'one' }), '401 iot.unauthorized');
    await world.pending(poll.replace('one', 'two'), { as: 'two' });
    await world.publish('cmd/app/two/x', 'taken away');
    world.gateway.policy.replace({ publish: ['dt/app/{thing}/reading'], ingest: [], subscribe: ['chat/#'] });
    await world.publish('cmd/app/two/x', 'not any more');
    await world.publish('chat/x', 'still');
    const carried = await world.pending('/topics/dt/app/two/reading?pending=10&waitMs=0', { as: 'two' });
    assert.deepEqual(texts(carried), ['still']);
  });
});

describe('a post that waits', () => {
  const begin = (world: HttpWorld, query: string, gone?: AbortSignal) =>
    world.begin(`${report}&pending=10&${query}`, { as: 'one', gone });
  const stateOf = async (answer: Promise<unknown>) => Promise.race([answer, Promise.resolve('waits')]);

  it('is answered when nothing has come in its time, and its client counts as there meanwhile', async () => {
    const world = await sleeper();
    const { answer } = await begin(world, 'waitMs=3000');
    await world.gateway.advance(2_900);
    assert.equal(await stateOf(answer), 'waits');
    assert.equal(await world.publish(command, 'here'), 1);
    await world.gateway.advance(100);
    const said = await answer;
    assert.equal(said?.body.pending.length, 1);
    assert.equal(await world.publish(command, 'gone'), 0);
  });

  it('is answered soon after the last of several messages, or when it has as many as it wanted', async () => {
    const world = await sleeper();
    const { clock } = world.gateway;
    const startedAtMs = clock.nowMs();
    const { answer } = await begin(world, 'waitMs=20000');
    for (const delayMs of [1_000, 150, 150]) {
      await world.gateway.advance(delayMs);
      await world.publish(command, 'x');
    }
    assert.equal((await clock.until(answer))?.body.pending.length, 3);
    assert.equal(clock.nowMs() - startedAtMs, 1_300 + dataPlaneLimits.lingerMs);
    const full = await world.begin(`${report}&pending=4&waitMs=20000`, { as: 'one' });
    await world.gateway.settle();
    await world.publish(command, 'fourth');
    await world.publish(command, 'fifth');
    await world.gateway.durable();
    const said = await full.answer;
    assert.equal(said?.body.pending.length, 4);
    assert.equal(said?.body.more, true);
  });

  it('gives way to the next one of its client', async () => {
    const world = await sleeper();
    const first = await begin(world, 'waitMs=20000');
    await world.gateway.settle();
    await world.publish(command, 'x');
    const second = await begin(world, 'waitMs=0');
    await world.gateway.durable();
    const [left, right] = await Promise.all([first.answer, second.answer]);
    assert.deepEqual([left?.body.pending, left?.body.takenOver], [[], true]);
    assert.equal(right?.body.pending.length, 1);
    assert.equal(right?.body.pending[0].duplicate, true);
  });

  it('gives way to a connection', async () => {
    const world = await sleeper();
    const { answer } = await begin(world, 'waitMs=5000');
    await world.gateway.settle();
    await world.publish(command, 'x');
    const client = await world.gateway.connect('one.http', lasting);
    assert.deepEqual(client.takeMessages(), ['x']);
    const said = await world.gateway.clock.until(answer);
    assert.deepEqual([said?.body.pending, said?.body.takenOver], [[], true]);
    await world.publish(command, 'y');
    await world.gateway.settle();
    assert.deepEqual(client.takeMessages(), ['y']); // The end of the wait has not touched its session.
  });

  it('waits no longer for a client that has left, which gets it all the next time', async () => {
    const world = await sleeper();
    const leaving = new AbortController();
    const { answer } = await begin(world, 'waitMs=20000', leaving.signal);
    await world.gateway.settle();
    await world.publish(command, 'x');
    leaving.abort();
    await world.gateway.durable();
    await answer;
    assert.equal(await world.publish(command, 'y'), 0);
    assert.deepEqual(texts(await world.pending(poll, { as: 'one' })), ['x', 'y']);
  });

  it('is answered at once when the gateway closes (hostile R08)', async () => {
    const world = await sleeper();
    const { answer } = await begin(world, 'waitMs=20000');
    await world.gateway.settle();
    const startedAtMs = world.gateway.clock.nowMs();
    await world.gateway.clock.until(world.gateway.gateway.close());
    assert.equal((await answer)?.status, 200);
    assert(world.gateway.clock.nowMs() - startedAtMs < 1_000);
    assert.equal(await world.statusOf(poll, { as: 'one' }), '503 iot.shuttingDown');
  });

  const answersBeyondItsRoom = async () => {
    const world = await sleeper();
    const waiting = await begin(world, 'waitMs=20000');
    await world.gateway.settle();
    const { answer } = await world.begin('/topics/dt/app/two/reading?pending=1&waitMs=20000', { as: 'two' });
    await world.gateway.durable();
    assert.notEqual(await stateOf(answer), 'waits');
    assert.equal(await stateOf(waiting.answer), 'waits');
    await world.gateway.clock.until(waiting.answer);
    const next = await begin(world, 'waitMs=20000'); // There is room again.
    await world.gateway.durable();
    assert.equal(await stateOf(next.answer), 'waits');
  };
  it('is answered at once when too many wait already', async () => {
    const restore = Object.getOwnPropertyDescriptor(dataPlaneLimits, 'heldMax') ?? {};
    Object.defineProperty(dataPlaneLimits, 'heldMax', { ...restore, value: 1 });
    try {
      await answersBeyondItsRoom();
    } finally {
      Object.defineProperty(dataPlaneLimits, 'heldMax', restore);
    }
    await assert.rejects(answersBeyondItsRoom, assert.AssertionError); // With the room there is by default it waits.
  });
});

describe('a mailbox where clients are no things', () => {
  /** Users by name, everything but `secret/#` is allowed. */
  const access: Access = {
    version: 1,
    checksDeliveries: false,
    assignsClientIds: true,
    authenticate: ({ clientId, username, password }) =>
      username !== undefined && password?.toString() === username
        ? { admitted: true, identity: { clientId, thingName: undefined, principal: username } }
        : { admitted: false, reason: 'badUserNameOrPassword' },
    isStillAllowed: () => true,
    judgePublish: () => ({ allowed: true, ingest: false }),
    maySubscribe: (_, filter) => !filter.startsWith('secret') && filter !== '#',
    mayReceive: () => true,
  };
  const as = (username: string) => {
    const authorization = `Basic ${Buffer.from(`${username}:${username}`).toString('base64')}`;
    return { headers: { authorization } };
  };

  it('needs a client id to be found again by, and filters to begin with', async () => {
    const world = await HttpWorld.start({ access });
    const named = `/topics/a?qos=1&pending=10&clientId=sensor`;
    assert.equal(
      await world.statusOf('/topics/a?pending=1&filter=b', as('alice')),
      '400 iot.parameterNotValid', // Each time another one would be made.
    );
    assert.equal(await world.statusOf(named, as('alice')), '400 iot.parameterNotValid');
    assert.equal(await world.statusOf(`${named}&filter=secret/a`, as('alice')), '403 iot.forbidden');
    assert.deepEqual(await world.pending(`${named}&filter=b/+`, as('alice')), []);
    await world.publish('b/c', 'x');
    const [{ text, id }] = await world.pending(named, as('alice')); // It has its filters.
    assert.equal(text, 'x');
    assert.deepEqual(await world.pending(`${named}&ack=${id}`, as('alice')), []);
  });

  const belongsToItsUser = async () => {
    const world = await HttpWorld.start({ access });
    const named = `/topics/a?qos=1&pending=10&clientId=sensor`;
    await world.pending(`${named}&filter=b`, as('alice'));
    await world.publish('b', "alice's");
    assert.equal(await world.statusOf(`${named}&filter=c`, as('bob')), '403 iot.forbidden');
    assert.equal(await world.statusOf('/topics/a?qos=1&clientId=sensor&ack=1', as('bob')), '200');
    assert.deepEqual(texts(await world.pending(named, as('alice'))), ["alice's"]);
    assert.equal(await world.statusOf('/topics/a?qos=1&clientId=sensor&ack=1', as('bob')), '200');
    assert.deepEqual(texts(await world.pending(named, as('alice'))), ["alice's"]); // Nor could bob acknowledge it.
  };
  it('is nobody else’s (hostile A05)', async () => {
    await belongsToItsUser();
    const { mailbox } = Broker.prototype;
    const careless: typeof mailbox = function (this: Broker, identity, ...rest) {
      return mailbox.call(this, { ...identity, principal: 'alice' }, ...rest);
    };
    await bites(Broker.prototype, 'mailbox', { value: careless, writable: true }, belongsToItsUser);
  });

  const takesNoExpensiveFilters = async () => {
    const world = await HttpWorld.start({ access });
    const deep = '1/2/3/4/5/6/7/8/9';
    const filters = [`&filter=${deep}/+`, `&filter=${deep}/x/+`];
    const ask = (clientId: string, some: string[]) =>
      world.statusOf(`/topics/a?pending=1&clientId=${clientId}${some.join('')}`, as('alice'));
    assert.equal(await ask('both', filters), '400 iot.parameterNotValid'); // Each by itself would do.
    assert.equal(world.gateway.gateway.router.size, 0);
    assert.equal(await ask('first', [filters[0]]), '200');
    assert.equal(await ask('second', [filters[1]]), '400 iot.parameterNotValid');
  };
  it('gets no filters that would make every match expensive (hostile D08)', async () => {
    const before = topicTreeLimits.deepPatternsMax;
    topicTreeLimits.deepPatternsMax = 1;
    try {
      await takesNoExpensiveFilters();
      await bites(TopicTree.prototype, 'accepts', { value: () => true, writable: true }, takesNoExpensiveFilters);
    } finally {
      topicTreeLimits.deepPatternsMax = before;
    }
  });
});
