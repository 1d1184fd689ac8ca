import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { RecordBatch, streamLimits } from '../../../platform/stream/index.ts';
import type { ClientState, Delivery, GrantedSubscription, Message, SessionState } from '../client-state.ts';
import { anyPacket } from '../packet-arbitraries.ts';
import type { PublishPacket, Will } from '../packets.ts';
import { eventTypes, formatVersion, partitionKey, parts } from './format.ts';
import { Journal } from './journal.ts';
import { JournalWorld, type Life, type LifeOptions } from './journal-world.ts';
import { pictureOf } from './model.ts';

/** Each event as it is written and as it comes back; stories of many of them are in `journal-model.test.ts`. */

const presence = { connected: true, sinceMs: 1_700_000_000_123, versionNumber: 3, sessionIdentifier: 'e1f2' };

const subscription: GrantedSubscription = {
  topicFilter: '$share/group/sport/+/#',
  qos: 2,
  noLocal: false,
  retainAsPublished: true,
  retainHandling: 2,
  subscriptionIdentifier: 268_435_455,
};

function sessionOf(fields: Partial<SessionState> = {}): SessionState {
  return { expirySeconds: 3_600, endsAtMs: undefined, subscriptions: [], deliveries: [], received: [], ...fields };
}

function clientOf(clientNo: number, fields: Partial<ClientState> = {}): ClientState {
  return {
    clientNo,
    identity: { clientId: `speaker-${clientNo}`, thingName: 'speaker', principal: 'abc' },
    protocolVersion: 5,
    presence,
    will: undefined,
    willDueAtMs: undefined,
    session: sessionOf(),
    ...fields,
  };
}

function messageOf(fields: Partial<Message> = {}): Message {
  return {
    topic: 'a/b',
    payload: Buffer.from('hello'),
    qos: 1,
    retain: false,
    properties: undefined,
    expiresAtMs: undefined,
    bytes: 77,
    journalNo: 0,
    ...fields,
  };
}

function deliveryOf(message: Message, fields: Partial<Delivery> = {}): Delivery {
  return {
    message,
    qos: 1,
    retain: false,
    subscriptionIdentifiers: [],
    deliveryNo: 1,
    packetId: 0,
    stage: 'waiting',
    ...fields,
  };
}

/** Writes, ends the process once that is durable, and resolves with what the next one finds. */
async function survive(write: (life: Life) => void, options: LifeOptions = {}) {
  const world = new JournalWorld();
  const life = await world.start(options);
  life.event(() => write(life));
  await life.drain();
  world.end('powerCut');
  return (await world.start(options)).recovered;
}

/** What is found after these events of client 1, which begins with `before`. */
async function sessionAfter(
  before: Partial<SessionState>,
  write: (life: Life) => void,
): Promise<SessionState | undefined> {
  const { clients } = await survive(life => {
    life.journal.client(clientOf(1, { session: sessionOf(before) }));
    write(life);
  });
  return clients[0].session;
}

function assertSame(
  clients: readonly ClientState[],
  retained: readonly Message[],
  found: { clients: ClientState[]; retained: Message[] },
) {
  assert.deepEqual(JSON.parse(pictureOf(found.clients, found.retained)), JSON.parse(pictureOf(clients, retained)));
}

const anyPublish = anyPacket(5).filter((packet): packet is PublishPacket => packet.type === 'publish');
const anyWill = anyPacket(5)
  .map(packet => (packet.type === 'connect' ? packet.will : undefined))
  .filter((will): will is Will => will !== undefined);
/** 2^31 and 2^32, where 32 bits end, and 2^53, where whole numbers do. */
const anyNumber = fc.oneof(
  fc.constantFrom(0, 127, 128, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 49, Number.MAX_SAFE_INTEGER),
  fc.maxSafeNat(),
);
const anyTime = fc.option(fc.oneof(fc.constant(0.5), anyNumber), { nil: undefined });

describe('an event of the journal', () => {
  it('gives back every property of a message, and its absolute expiry', async () => {
    const published = fc.array(fc.tuple(anyPublish, anyTime, anyNumber), { minLength: 20, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(published, async packets => {
        const messages = packets.map(([{ topic, payload, qos, retain, properties }, expiresAtMs, bytes]) =>
          messageOf({ topic, payload, qos, retain, properties, expiresAtMs, bytes }),
        );
        const deliveries = messages.map((message, index) => deliveryOf(message, { deliveryNo: index + 1 }));
        const client = clientOf(1, { session: sessionOf({ deliveries }) });
        assertSame([client], [], await survive(life => life.journal.client(client)));
      }),
      { numRuns: 20 },
    );
  });

  it('gives back every property of a client, its will and its presence', async () => {
    const anyText = fc.string({ unit: 'binary' });
    const anyClient = fc.record({
      identity: fc.record({ clientId: anyText, thingName: fc.option(anyText, { nil: undefined }), principal: anyText }),
      protocolVersion: fc.constantFrom(4 as const, 5 as const),
      presence: fc.record({
        connected: fc.boolean(),
        sinceMs: anyNumber,
        versionNumber: anyNumber,
        sessionIdentifier: anyText,
      }),
      will: fc.option(anyWill, { nil: undefined }),
      willDueAtMs: anyTime,
      session: fc.option(
        fc.record({ expirySeconds: anyNumber, endsAtMs: anyTime, received: fc.uniqueArray(anyNumber) }).map(sessionOf),
        { nil: undefined },
      ),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(anyClient, { minLength: 20, maxLength: 20 }), async drawn => {
        const clients = drawn.map((fields, index) => clientOf(index + 1, fields));
        const found = await survive(({ journal }) => {
          for (const client of clients) journal.client(client);
        });
        assertSame(clients, [], found);
      }),
      { numRuns: 20 },
    );
  });

  it('replaces a client, and forgets it', async () => {
    const { clients, lastClientNo } = await survive(({ journal }) => {
      journal.client(clientOf(1, { session: sessionOf({ subscriptions: [subscription], received: [7] }) }));
      journal.client(clientOf(1, { protocolVersion: 4 }));
      journal.client(clientOf(2));
      journal.clientForgotten(2);
    });
    assertSame([clientOf(1, { protocolVersion: 4 })], [], { clients, retained: [] });
    assert.equal(lastClientNo, 2);
  });

  it('changes presence, will and the end of the session together', async () => {
    const left = { connected: false, sinceMs: 5, versionNumber: 4, sessionIdentifier: '' };
    const will: Will = {
      topic: 'w',
      payload: Buffer.from('bye'),
      qos: 2,
      retain: true,
      properties: { contentType: 'x' },
    };
    const { clients } = await survive(({ journal }) => {
      journal.client(clientOf(1));
      journal.presence(1, left, will, 1_000, 2_000, 0xffffffff);
    });
    const session = sessionOf({ endsAtMs: 2_000, expirySeconds: 0xffffffff });
    assertSame([clientOf(1, { presence: left, will, willDueAtMs: 1_000, session })], [], { clients, retained: [] });
  });

  it('ends a session and leaves presence and will', async () => {
    const will: Will = { topic: 'w', payload: Buffer.alloc(0), qos: 0, retain: false };
    const { clients } = await survive(({ journal }) => {
      journal.client(clientOf(1, { will }));
      journal.sessionEnded(1);
      journal.presence(1, presence, will, 1_000, 2_000, 5); // of no effect on a session that is not there
    });
    assertSame([clientOf(1, { will, willDueAtMs: 1_000, session: undefined })], [], { clients, retained: [] });
  });

  it('replaces a subscription in its place, and deletes one', async () => {
    const other = { ...subscription, topicFilter: '#', subscriptionIdentifier: undefined };
    const changed = { ...subscription, qos: 0 as const, retainHandling: 1 as const };
    const third = { ...other, topicFilter: 'third', noLocal: true };
    const session = await sessionAfter({ subscriptions: [subscription, other] }, ({ journal }) => {
      journal.subscribed(1, [changed, third]);
      journal.unsubscribed(1, [other.topicFilter, 'never there']);
    });
    assert.deepEqual(session?.subscriptions, [changed, third]);
  });

  it('takes a delivery from waiting to sent to released to its end, in the order they were sent: S03', async () => {
    const deliveries = [1, 2, 3, 4, 5].map(deliveryNo => deliveryOf(messageOf(), { deliveryNo, qos: 2 }));
    const session = await sessionAfter({ deliveries }, ({ journal }) => {
      journal.sent(1, 3, 31);
      journal.sent(1, 1, 65_535);
      journal.sent(1, 4, 32);
      journal.released(1, 31);
      journal.settled(1, 32);
      journal.dropped(1, 5);
    });
    const left = session?.deliveries.map(({ deliveryNo, packetId, stage }) => [deliveryNo, packetId, stage]);
    assert.deepEqual(left, [
      [3, 31, 'released'],
      [1, 65_535, 'sent'],
      [2, 0, 'waiting'],
    ]);
  });

  it('drops a delivery that was sent', async () => {
    const deliveries = [deliveryOf(messageOf(), { packetId: 9, stage: 'sent' })];
    const session = await sessionAfter({ deliveries }, ({ journal }) => journal.dropped(1, 1));
    assert.deepEqual(session?.deliveries, []);
  });

  it('is content to hear of what is not there', async () => {
    const { clients, retained, lastClientNo } = await survive(({ journal }) => {
      journal.client(clientOf(1));
      for (const clientNo of [1, 9]) {
        journal.sent(clientNo, 5, 6);
        journal.released(clientNo, 6);
        journal.settled(clientNo, 6);
        journal.dropped(clientNo, 5);
        journal.completed(clientNo, 6);
        journal.unsubscribed(clientNo, ['a']);
      }
      journal.subscribed(9, [subscription]);
      journal.presence(9, presence, undefined, undefined, undefined, 0);
      journal.sessionEnded(9);
      journal.clientForgotten(10);
      journal.retainedDeleted('nothing');
    });
    assertSame([clientOf(1)], [], { clients, retained });
    assert.equal(lastClientNo, 10); // A number the log mentions is not given to another client.
  });

  it('queues a publish for all, notes its packet id and what is retained, in one record: S03', async () => {
    const message = messageOf({ qos: 2, retain: true });
    const world = new JournalWorld();
    const life = await world.start();
    const { journal } = life;
    life.event(() => {
      for (const clientNo of [1, 2, 3]) journal.client(clientOf(clientNo));
      const records = journal.records;
      const receivers = [
        { clientNo: 1, delivery: deliveryOf(message, { qos: 2, retain: true, subscriptionIdentifiers: [1, 300] }) },
        { clientNo: 2, delivery: deliveryOf(message, { deliveryNo: 8, packetId: 5, stage: 'sent' }) },
      ];
      journal.published(message, receivers, 'set', { clientNo: 3, packetId: 65_535 });
      assert.equal(journal.records, records + 1);
    });
    await life.drain();
    const { clients, retained } = (await world.start()).recovered;
    const [first, second, third] = clients.map(({ session }) => session);
    assert.equal(first?.deliveries[0].qos, 2);
    assert.deepEqual(first?.deliveries[0].subscriptionIdentifiers, [1, 300]);
    assert.equal(second?.deliveries[0].stage, 'sent');
    assert.equal(second?.deliveries[0].packetId, 5);
    assert.deepEqual(third?.received, [65_535]);
    // One message, one object, as it was.
    assert.equal(first?.deliveries[0].message, second?.deliveries[0].message);
    assert.equal(retained[0], first?.deliveries[0].message);
    assert.equal(retained[0].retain, true);
  });

  it('is not written when there is nothing to remember, and without the content when nobody needs it', async () => {
    const world = new JournalWorld();
    const { journal } = await world.start();
    const message = messageOf({ payload: Buffer.alloc(10_000) });
    journal.published(message, []);
    assert.equal(journal.records, 0);
    journal.published(message, [], 'keep', { clientNo: 1, packetId: 2 });
    journal.published(message, [], 'delete');
    assert.equal(journal.records, 2);
    assert.ok(journal.bytes < 200);
    assert.equal(message.journalNo, 0);
  });

  it('completes a packet id, and deletes what is retained by a publish or without one', async () => {
    const { clients, retained } = await survive(({ journal }) => {
      journal.client(clientOf(1, { session: sessionOf({ received: [1, 2] }) }));
      journal.completed(1, 1);
      for (const topic of ['a', 'b', 'c']) journal.published(messageOf({ topic }), [], 'set');
      journal.published(messageOf({ topic: 'a', payload: Buffer.alloc(0) }), [], 'delete');
      journal.retainedDeleted('b');
    });
    assert.deepEqual(clients[0].session?.received, [2]);
    assert.deepEqual(
      retained.map(({ topic }) => topic),
      ['c'],
    );
  });

  it('writes the content of a message once, and goes on with its numbers after a restart', async () => {
    const world = new JournalWorld();
    let life = await world.start();
    const message = messageOf({ payload: Buffer.alloc(5_000) });
    life.event(() => {
      const clientNo = life.journal.newClientNo();
      life.journal.client(clientOf(clientNo));
      life.journal.published(message, [{ clientNo, delivery: deliveryOf(message) }], 'set');
      life.journal.published(message, [{ clientNo, delivery: deliveryOf(message, { deliveryNo: 2 }) }]);
    });
    assert.ok(life.journal.bytes < 6_000);
    await life.drain();
    life = await world.start();
    const [again] = life.recovered.retained;
    life.event(() => {
      const clientNo = life.journal.newClientNo();
      assert.equal(clientNo, 2);
      life.journal.client(clientOf(clientNo));
      life.journal.published(again, [{ clientNo, delivery: deliveryOf(again) }]);
      const other = messageOf();
      life.journal.published(other, [], 'set');
      assert.notEqual(other.journalNo, again.journalNo);
    });
    assert.ok(life.journal.bytes < 1_000);
    await life.drain();
    const { clients } = (await world.start()).recovered;
    const found = clients.flatMap(({ session }) => session?.deliveries ?? []).map(one => one.message);
    assert.equal(found.length, 3);
    assert.equal(new Set(found).size, 1);
    assert.equal(found[0].payload.length, 5_000);
  });
});

describe('an event larger than a record', () => {
  const receiversMax = 150_000; // 1.2 MB of them

  function largePublish({ journal }: { journal: Journal }): Message {
    const message = messageOf({ payload: Buffer.alloc(200_000, 'x') });
    journal.client(clientOf(receiversMax));
    function* receivers() {
      const delivery = deliveryOf(message, { deliveryNo: 2 ** 20 });
      for (let clientNo = 1; clientNo <= receiversMax; clientNo++) yield { clientNo, delivery };
    }
    journal.published(message, receivers(), 'set', { clientNo: receiversMax, packetId: 7 });
    return message;
  }

  it('comes back whole', async () => {
    const { clients, retained } = await survive(life => {
      largePublish(life);
      assert.ok(life.journal.records > 2);
    });
    assert.equal(clients[0].session?.deliveries[0].message, retained[0]);
    assert.deepEqual(clients[0].session?.received, [7]);
    assert.deepEqual(retained[0].payload, Buffer.alloc(200_000, 'x'));
  });

  it('is not there at all while its last part is missing, nor does it harm what comes later: S03 T03', async () => {
    const world = new JournalWorld();
    const life = await world.start();
    // The last record goes into a batch that is never appended, as if the power went before it.
    const written: RecordBatch[] = [];
    const journal = new Journal({
      batch: () => {
        written.push(new RecordBatch());
        return written[written.length - 1];
      },
      ...life.recovered,
    });
    largePublish({ journal });
    for (const batch of written.slice(0, -1)) await world.clock.until(life.recovered.stream.append(batch));
    world.end('powerCut');
    const next = await world.start();
    assertSame([clientOf(receiversMax)], [], next.recovered);
    next.event(() => next.journal.completed(receiversMax, 1));
    next.event(() => next.journal.subscribed(receiversMax, [subscription]));
    await next.drain();
    const session = sessionOf({ subscriptions: [subscription] });
    assertSame([clientOf(receiversMax, { session })], [], (await world.start()).recovered);
  });

  it('may be a client with all it can have: every record fits', async () => {
    const subscriptions = Array.from({ length: 1_500 }, (_, index) => ({
      ...subscription,
      topicFilter: `${index}/`.padEnd(1_000, 'x'),
    }));
    const deliveries = Array.from({ length: 1_000 }, (_, index) =>
      deliveryOf(messageOf({ payload: Buffer.alloc(8_000, String(index)) }), { deliveryNo: index + 1 }),
    );
    const client = clientOf(1, { session: sessionOf({ subscriptions, deliveries }) });
    assertSame([client], [], await survive(({ journal }) => journal.client(client)));
  });
});

describe('what the journal cannot read', () => {
  /** What recovery says to a log of these records. */
  async function refusalOf(...records: Buffer[]): Promise<string> {
    const world = new JournalWorld();
    const { recovered } = await world.start();
    const batch = new RecordBatch();
    for (const record of records) batch.add(partitionKey, record);
    await world.clock.until(recovered.stream.append(batch));
    const thrown = await world.start().catch(error => error);
    assert.equal(thrown.code, 'journal.notReadable');
    assert.notEqual(thrown.fix, '');
    return thrown.message;
  }

  const rows: [string, RegExp, Buffer[]][] = [
    ['a later version', /of version 2, not 1/, [Buffer.from([2, eventTypes.sessionEnded, 1])]],
    ['an unknown event', /of type 63, which is not known/, [Buffer.from([formatVersion, 63, 1])]],
    ['an empty record', /it is empty/, [Buffer.alloc(0)]],
    ['an event cut short', /beyond the end/, [Buffer.from([formatVersion, eventTypes.sent, 1, 2])]],
    ['bytes behind an event', /bytes stand behind/, [Buffer.from([formatVersion, eventTypes.sent, 1, 2, 3, 4])]],
    [
      'a number beyond 2^53: T13',
      /beyond 2\^53/,
      [Buffer.from([formatVersion, eventTypes.sessionEnded, ...Array(8).fill(0xff)])],
    ],
    [
      'a message that is no packet',
      /a field goes beyond the end of the packet/,
      [Buffer.from([formatVersion, eventTypes.message, 1, 1, 0, 0, 9, 0x30, 0])],
    ],
    [
      'a message that is another packet',
      /not one PUBLISH packet/,
      [Buffer.from([formatVersion, eventTypes.message, 1, 1, 0, 0, 9, 0xd0, 0])],
    ],
    [
      'a part without its beginning',
      /beginning is missing/,
      [
        Buffer.from([formatVersion, eventTypes.sent, 1, 2, 3]),
        Buffer.from([formatVersion, eventTypes.sent | parts.last, 3]),
      ],
    ],
    [
      'a part of an event that was given up',
      /beginning is missing/,
      [
        Buffer.from([formatVersion, eventTypes.sent | parts.first, 1]),
        Buffer.from([formatVersion, eventTypes.sessionEnded, 1]),
        Buffer.from([formatVersion, eventTypes.sent | parts.last, 2, 3]),
      ],
    ],
    [
      'parts of two events',
      /another event than the one before/,
      [
        Buffer.from([formatVersion, eventTypes.sent | parts.first, 1]),
        Buffer.from([formatVersion, eventTypes.dropped | parts.last, 3]),
      ],
    ],
    [
      'a delivery whose message is nowhere',
      /the message of delivery 1 is not in the log/,
      [Buffer.from([formatVersion, eventTypes.message, 5, 0]), clientWaitingFor(5)],
    ],
  ];
  for (const [what, reason, records] of rows) {
    it(`is refused, never taken for an empty journal: ${what}: T04`, async () => {
      assert.match(await refusalOf(...records), reason);
    });
  }

  /** The record of a client to which message `messageNo`, which is never written, is owed. */
  function clientWaitingFor(messageNo: number): Buffer {
    const presenceBytes = [1, ...Array(8).fill(0), 1, 0];
    const session = [0, 0, 0, 1, messageNo, 0, 1, 0];
    return Buffer.from([formatVersion, eventTypes.client, 1, 0, 0, 0, 5, ...presenceBytes, 0, 0, 1, ...session]);
  }
});

it('a record has room for a part and its key', () => {
  const batch = new RecordBatch();
  batch.reserve(partitionKey, streamLimits.recordBytesMax - partitionKey.length);
});
