/** The broker is killed under load, again and again, and nobody whom it had promised something is let down. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { encode } from '../src/iot/mqtt/encode.ts';
import type { Packet, PublishPacket } from '../src/iot/mqtt/packets.ts';
import { seededRandom } from '../src/kernel/random.ts';
import { Book, payloadOf, readRetained, StoryPublisher, StorySubscriber } from './broker-story.ts';
import { BrokerProcess } from './broker-support.ts';
import { eventually, temporaryFolder, testScale } from './support.ts';

const loadMsMax = 250; // How long a round's load lasts at most; some end before anybody is back.
const cutsPerRoundMax = 3;
const settings = ['--allow-anonymous'];

/** Three who publish, three who listen, and a broker that is not to be relied on. */
class KillStory {
  readonly book = new Book();
  readonly #random: ReturnType<typeof seededRandom>;
  readonly #broker: BrokerProcess;
  readonly #publishers: readonly StoryPublisher[];
  readonly #subscribers: readonly StorySubscriber[];

  constructor(broker: BrokerProcess, seed: number) {
    this.#random = seededRandom(seed);
    this.#broker = broker;
    const { book } = this;
    const random = this.#random;
    this.#subscribers = [
      new StorySubscriber('reader-5', 5, book, random, { qos: 2, receiveMaximum: 10, topicAliasMaximum: 5 }),
      new StorySubscriber('reader-4', 4, book, random, { qos: 2 }),
      new StorySubscriber('reader-of-1', 5, book, random, { qos: 1 }),
    ];
    const backlog = () => Math.max(...this.#subscribers.map(({ delivered }) => book.sent.size - delivered.size));
    this.#publishers = [
      new StoryPublisher('writer-5', 5, book, random, backlog),
      new StoryPublisher('writer-4', 4, book, random, backlog),
      new StoryPublisher('writer-other', 5, book, random, backlog),
    ];
  }

  get #clients() {
    return [...this.#subscribers, ...this.#publishers];
  }

  /** Nothing is published before everybody listens. */
  async begin(): Promise<void> {
    for (const subscriber of this.#subscribers) subscriber.connect(this.#broker.port());
    await eventually('all are subscribed', async () => this.#subscribers.every(one => one.isSubscribed) || undefined);
  }

  /** Load for a while by chance, in which clients lose their connections too; then the end, and a new start. */
  async round(): Promise<void> {
    for (const client of this.#clients) client.connect(this.#broker.port());
    const cuts = this.#random.integer(cutsPerRoundMax + 1);
    for (let cut = 0; cut <= cuts; cut++) {
      await delay(this.#random.integer(loadMsMax) / (cuts + 1));
      for (const publisher of this.#publishers) publisher.publish(); // The slowest may have caught up.
      if (cut < cuts) this.#clients[this.#random.integer(this.#clients.length)].connect(this.#broker.port());
    }
    const gone = this.#clients.map(client => client.gone());
    await this.#broker.kill('SIGKILL');
    await Promise.all(gone);
    await this.#broker.restart();
    this.book.checkRetained(await readRetained(this.#broker.port()));
  }

  /** What is under way comes to its end. */
  async settle(): Promise<void> {
    for (const publisher of this.#publishers) publisher.isEnding = true;
    for (const client of this.#clients) client.connect(this.#broker.port());
    const isOver = () =>
      this.#publishers.every(({ owes }) => owes === 0) &&
      this.#subscribers.every(({ delivered }) => delivered.size === this.book.sent.size);
    // What does not come to its end is in the book as well, and said better there.
    await eventually('everything has arrived', async () => isOver() || undefined, 20_000).catch(() => {});
    for (const client of this.#clients) await client.heard(); // Also of what it should not say.
    this.check();
    this.book.checkRetained(await readRetained(this.#broker.port()));
    for (const client of this.#clients) client.cut();
  }

  check(): void {
    this.book.settle(this.#subscribers);
  }

  summary(): string {
    const { sent, acknowledged, resent, broken } = this.book;
    const recognized = this.#subscribers.reduce((sum, one) => sum + one.recognized, 0);
    const times = this.#subscribers.flatMap(({ delivered }) => [...delivered.values()]);
    const deliveries = times.reduce((sum, one) => sum + one, 0);
    return `${sent.size} messages sent, ${acknowledged.size} acknowledged, ${resent} sent again; ${deliveries} deliveries, ${deliveries - times.length} of them repeated at QoS 1, ${recognized} duplicates recognized at QoS 2; ${broken.length} promises broken`;
  }
}

describe('a broker that is killed', () => {
  it('loses no acknowledged message, doubles none at QoS 2, and keeps order, sessions and retained messages (hostile S03)', async t => {
    const rounds = testScale(3, 200);
    const seed = Number(process.env.SEED ?? Date.now() % 100_000);
    t.diagnostic(`seed ${seed}, ${rounds} rounds`);
    const broker = await BrokerProcess.start({ dataDirectory: temporaryFolder(), args: settings });
    t.after(() => broker.kill());
    const story = new KillStory(broker, seed);
    await story.begin();
    for (let round = 0; round < rounds && story.book.broken.length === 0; round++) await story.round();
    await story.settle();
    t.diagnostic(story.summary());
    assert.deepEqual(story.book.broken, [], `seed ${seed}`);
    assert(story.book.acknowledged.size > rounds * 10 && story.book.resent > 0, 'the load was real');
  });

  it('would be found out if it forgot everything', async t => {
    const broker = await BrokerProcess.start({ args: settings }); // In memory.
    t.after(() => broker.kill());
    const story = new KillStory(broker, 1);
    await story.begin();
    const found = (what: RegExp) => story.book.broken.some(one => what.test(one));
    for (let round = 0; round < 20 && !(found(/session .* was lost/) && found(/retains number 0/)); round++)
      await story.round();
    story.check();
    assert(found(/session .* was lost/) && found(/retains number 0/) && found(/never got/), `${story.book.broken}`);
  });

  it('would be found out if it sent something twice, out of order, or changed', async t => {
    const book = new Book();
    const subscriber = new StorySubscriber('reader', 5, book, seededRandom(1), { qos: 2 });
    for (const [number, qos] of [2, 2, 1, 1, 2].entries())
      book.noteSent(`w/${number}`, { topic: 'load/w', qos: qos as 1 | 2, number }, false); // Of the list before.
    const publish = (number: number, packetId: number, change: Partial<PublishPacket> = {}): Packet => {
      const qos = book.sent.get(`w/${number}`)?.qos ?? 1;
      const payload = payloadOf(`w/${number}`, number);
      return { type: 'publish', topic: 'load/w', payload, qos, retain: false, dup: false, packetId, ...change };
    };
    const server = net.createServer(socket => {
      const packets: Packet[] = [
        { type: 'connack', sessionPresent: false, reasonCode: 0 },
        { type: 'suback', packetId: 1, reasonCodes: [2, 2] },
        publish(0, 1),
        publish(0, 1, { dup: true }), // As it should be.
        publish(0, 2),
        publish(1, 1),
        publish(3, 4),
        publish(2, 5),
        publish(4, 6, { topic: 'load/other' }),
        publish(4, 6, { payload: Buffer.from('w/4|y') }),
        publish(4, 6, { qos: 1 }),
        { type: 'pingresp' },
      ];
      socket.on('error', () => {});
      socket.end(Buffer.concat(packets.map(packet => encode(packet, 5))));
    });
    t.after(() => server.close());
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo; // It listens on a port.
    subscriber.connect(port);
    await subscriber.gone();
    book.noteAcknowledged('w/4');
    book.settle([subscriber]);
    assert.deepEqual(book.broken, [
      'reader got w/1 under the packet id of w/0',
      'reader got number 2 of load/w behind 3',
      'reader got what was never sent: w/4 on load/other at 2',
      'reader got what was never sent: w/4 on load/w at 2',
      'reader got what was never sent: w/4 on load/w at 1',
      'reader never got w/4',
      'reader got w/0 2 times at QoS 2',
    ]);
    assert.equal(subscriber.recognized, 1);
  });
});
