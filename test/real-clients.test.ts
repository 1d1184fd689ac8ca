/** The broker and clients that others have written: every library, version and transport with every other. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { IPublishPacket } from 'mqtt';
import {
  type ClientLibrary,
  type ClientSettings,
  connectMqttJs,
  Inbox,
  type Listening,
  libraries,
  type MessageProperties,
  mosquitto,
  mqttJs,
  type QoS,
  type ReceivedMessage,
  type Version,
} from './broker-clients.ts';
import {
  BrokerProcess,
  type CertificateFiles,
  type Scheme,
  writeCertificates,
  writePasswordFile,
} from './broker-support.ts';
import { temporaryFolder } from './support.ts';

const schemes: readonly Scheme[] = ['mqtt', 'mqtts', 'ws', 'wss'];
const versions: readonly Version[] = [4, 5];
const levels: readonly QoS[] = [0, 1, 2];
/** By user name. Who comes with a certificate is `certified`. */
const passwords: Readonly<Record<string, string>> = { writer: 'w-secret', reader: 'r-secret', alice: 'a-secret' };
const rights = ['user writer', 'topic write home/#', 'user reader', 'topic read home/#']
  .concat(['user alice', 'topic readwrite home/#', 'user certified', 'topic readwrite home/#'])
  .join('\n');

/** A way to the broker. */
interface Way {
  readonly name: string;
  readonly scheme: Scheme;
  readonly withCertificate: boolean;
}

const ways: readonly Way[] = [
  { name: 'TCP', scheme: 'mqtt', withCertificate: false },
  { name: 'TLS', scheme: 'mqtts', withCertificate: false },
  { name: 'mutual TLS', scheme: 'mqtts', withCertificate: true },
  { name: 'WebSocket', scheme: 'ws', withCertificate: false },
  { name: 'secure WebSocket', scheme: 'wss', withCertificate: false },
];
const [tcp] = ways;

let broker: BrokerProcess;
let certificates: CertificateFiles;
let nextClient = 1;

function settings(version: Version, user: string, way: Way = tcp): ClientSettings {
  const { scheme, withCertificate } = way;
  return {
    version,
    clientId: `${user}-${nextClient++}`,
    scheme,
    port: broker.port(scheme),
    ...(scheme.endsWith('s') && scheme !== 'ws' && { ca: certificates.ca }),
    ...(withCertificate ? { certificate: certificates.client } : { username: user, password: passwords[user] }),
  };
}

const payloadsOf = (messages: readonly ReceivedMessage[]) => messages.map(({ payload }) => payload);

before(async () => {
  const folder = temporaryFolder();
  certificates = await writeCertificates(folder, 'certified');
  const passwordFile = path.join(folder, 'passwords');
  const aclFile = path.join(folder, 'acl');
  await writePasswordFile(passwordFile, passwords);
  writeFileSync(aclFile, `${rights}\n`);
  const { server, ca } = certificates;
  broker = await BrokerProcess.start({
    dataDirectory: path.join(folder, 'data'),
    schemes,
    args: [
      ...['--password-file', passwordFile, '--acl-file', aclFile, '--use-identity-as-username'],
      ...['--certfile', server.certificate, '--keyfile', server.key, '--cafile', ca],
    ],
  });
});
after(async () => {
  for (const library of libraries) library.close();
  assert.equal(await broker?.kill('SIGTERM'), 0);
});

describe('a transport', () => {
  for (const way of ways) {
    it(`carries bytes in order, without loss, both ways: ${way.name} [MQTT311 7.1.1-1] [MQTT5 4.2.0-1]`, async () => {
      const inbox = new Inbox(way.name);
      const client = await connectMqttJs(settings(5, 'alice', way), {}, connecting =>
        connecting.on('message', (topic, payload) =>
          inbox.push({ topic, payload: payload.toString(), qos: 0, retain: false, properties: {} }),
        ),
      );
      const topic = `home/bytes/${way.name}`;
      await client.subscribeAsync(topic, { qos: 1 });
      // No two alike, of sizes that fit no packet, segment, TLS record or frame.
      const texts = Array.from({ length: 40 }, (_, n) => `${n}:${String.fromCharCode(97 + (n % 26)).repeat(n * 997)}`);
      await Promise.all(texts.map(text => client.publishAsync(topic, text, { qos: 1 })));
      assert.deepEqual(payloadsOf(await inbox.take(texts.length)), texts);
      await client.endAsync();
    });
  }
});

/** Everybody publishes, everybody listens. */
class Matrix {
  readonly #listening = new Map<string, Promise<Listening>>();
  readonly #published = new Map<string, Promise<void>>();

  /** The ways and versions of a library, each with its name. */
  static membersOf({ name, schemes }: ClientLibrary): { name: string; version: Version; way: Way }[] {
    return ways
      .filter(({ scheme }) => schemes.includes(scheme))
      .flatMap(way => versions.map(version => ({ name: `${name} ${version} ${way.name}`, version, way })));
  }

  /** First all listen, then all publish. What fails is told where it is asked for. */
  async run(): Promise<void> {
    const there = libraries.filter(({ missing }) => missing === false);
    for (const library of there)
      for (const { name, version, way } of Matrix.membersOf(library)) {
        const subscription = { topicFilter: 'home/matrix/#', qos: 2 } as const;
        this.#listening.set(name, library.listen(settings(version, 'reader', way), [subscription]));
      }
    await Promise.allSettled(this.#listening.values());
    for (const library of there)
      for (const { name, version, way } of Matrix.membersOf(library)) {
        const publish = (qos: QoS) => {
          const publication = { topic: topicOf(name, qos), qos };
          return library.publish(settings(version, 'writer', way), publication, textsOf(name, qos));
        };
        this.#published.set(
          name,
          Promise.all(levels.map(publish)).then(() => {}),
        );
      }
    await Promise.allSettled(this.#published.values());
  }

  async check(from: ClientLibrary, to: ClientLibrary): Promise<number> {
    let checked = 0;
    for (const { name: reader } of Matrix.membersOf(to)) {
      const { inbox } = (await this.#listening.get(reader)) ?? assert.fail(reader);
      for (const { name: writer } of Matrix.membersOf(from)) {
        await this.#published.get(writer);
        for (const qos of levels) {
          const expected = textsOf(writer, qos);
          const found = await inbox.take(expected.length, ({ topic }) => topic === topicOf(writer, qos));
          assert.deepEqual(payloadsOf(found), expected, `${writer} to ${reader}`);
          for (const message of found) assert.deepEqual([message.qos, message.retain], [qos, false]);
          checked += found.length;
        }
      }
    }
    return checked;
  }

  async stop(): Promise<void> {
    for (const listening of this.#listening.values()) await (await listening).stop();
  }
}

const topicOf = (name: string, qos: QoS) => `home/matrix/${qos}/${name}`;
const textsOf = (name: string, qos: QoS) => ['first', 'second', 'third'].map(text => `${text} of ${name} at ${qos}`);

describe('both versions, over every transport, at QoS 0, 1 and 2', () => {
  const matrix = new Matrix();
  before(() => matrix.run(), { timeout: 60_000 });
  after(() => matrix.stop());

  it('work together with nothing but the standard: from MQTT.js to MQTT.js [MQTT311 7.0.0-2]', async () => {
    assert.equal(await matrix.check(mqttJs, mqttJs), 10 * 10 * 3 * 3);
  });

  for (const from of libraries)
    for (const to of libraries) {
      if (from === mqttJs && to === mqttJs) continue;
      it(`work together from ${from.name} to ${to.name}`, { skip: from.missing || to.missing }, async () => {
        assert((await matrix.check(from, to)) >= 6 * 6 * 3 * 3);
      });
    }

  it('include mosquitto over WebSocket', { skip: 'skipped: the clients of Mosquitto 2.0 have none' }, () => {});
});

for (const [at, library] of libraries.entries()) {
  describe(`${library.name}`, { skip: library.missing }, () => {
    /** Another library, if there is one, so that no two sides share a misreading. */
    const other = [...libraries.slice(at + 1), ...libraries].find(({ missing }) => missing === false) ?? mqttJs;

    for (const version of versions) {
      const otherVersion = version === 5 ? 4 : 5;

      it(`finds retained messages, and none that were deleted, MQTT ${version}`, async () => {
        const base = `home/retained/${library.name}/${version}`;
        const publish = (name: string, text: string) =>
          library.publish(settings(version, 'writer'), { topic: `${base}/${name}`, qos: 1, retain: true }, [text]);
        await publish('kept', 'old');
        await publish('kept', 'new');
        await publish('gone', 'x');
        await publish('gone', '');
        await publish('last', 'y');
        const { inbox, stop } = await other.listen(settings(otherVersion, 'reader'), [
          { topicFilter: `${base}/#`, qos: 1 },
        ]);
        await inbox.take(1, ({ topic }) => topic.endsWith('last')); // They come in the order of their topics.
        const found = inbox.received.map(({ topic, payload, retain }) => [topic, payload, retain]);
        assert.deepEqual(found, [
          [`${base}/kept`, 'new', true],
          [`${base}/last`, 'y', true],
        ]);
        await stop();
      });

      it(`has its will published when it is killed, and not when it leaves, MQTT ${version}`, async () => {
        const topic = `home/will/${library.name}/${version}`;
        const { inbox, stop } = await other.listen(settings(otherVersion, 'reader'), [{ topicFilter: topic, qos: 1 }]);
        await library.endWithWill(settings(version, 'alice'), { topic, payload: 'left' }, 'leaves');
        await library.endWithWill(settings(version, 'alice'), { topic, payload: 'killed' }, 'dies');
        const [will] = await inbox.take(1);
        assert.deepEqual([will.payload, will.qos], ['killed', 1]);
        await stop();
        assert.deepEqual(inbox.received, [will]);
      });

      it(`finds what came while it was away, MQTT ${version}`, async () => {
        const topic = `home/queue/${library.name}/${version}`;
        const own = { ...settings(version, 'reader'), keepsSession: true };
        const away = await library.listen(own, [{ topicFilter: topic, qos: 2 }]);
        await away.stop();
        const texts = Array.from({ length: 30 }, (_, n) => `${n}`);
        for (const qos of [1, 2] as const) await other.publish(settings(otherVersion, 'writer'), { topic, qos }, texts);
        const { inbox, stop } = await library.listen(own, [{ topicFilter: topic, qos: 2 }]);
        const found = await inbox.take(60);
        for (const qos of [1, 2]) assert.deepEqual(payloadsOf(found.filter(message => message.qos === qos)), texts);
        await stop();
        assert.deepEqual(inbox.received, found);
      });

      it(`sends and receives 200 KB in one message, MQTT ${version}`, async () => {
        const topic = `home/large/${library.name}/${version}`;
        const text = Array.from({ length: 20_000 }, (_, n) => `${n}`.padStart(10)).join('');
        const { inbox, stop } = await library.listen(settings(version, 'reader'), [{ topicFilter: topic, qos: 2 }]);
        await library.publish(settings(version, 'writer'), { topic, qos: 2 }, [text]);
        await other.publish(settings(otherVersion, 'writer'), { topic, qos: 1 }, [text]);
        for (const { payload } of await inbox.take(2)) assert(payload === text, 'it is another text');
        await stop();
      });

      it(`is refused with a wrong password, MQTT ${version}`, async () => {
        for (const user of ['reader', 'nobody']) {
          const wrong = { ...settings(version, user), password: 'wrong' };
          await assert.rejects(
            library.listen(wrong, [{ topicFilter: 'home/x', qos: 0 }]),
            /refused|[Nn]ot authori|ad [Uu]ser/,
          );
        }
      });

      it(`is refused what the ACL does not give, MQTT ${version}`, async () => {
        const topic = `home/refused/${library.name}/${version}`;
        const refused = settings(version, 'writer');
        await assert.rejects(library.listen(refused, [{ topicFilter: topic, qos: 1 }]));
        const { inbox, stop } = await other.listen(settings(otherVersion, 'reader'), [{ topicFilter: topic, qos: 1 }]);
        const publishing = library.publish(settings(version, 'reader'), { topic, qos: 1 }, ['refused']);
        // 3.1.1 has no word for it, and Paho does not say what the word was.
        if (version === 5 && library.name !== 'Paho') await assert.rejects(publishing, /[Nn]ot authorized/);
        else await publishing;
        await other.publish(settings(version, 'writer'), { topic, qos: 1 }, ['allowed']);
        assert.deepEqual(payloadsOf(await inbox.take(1)), ['allowed']);
        await stop();
      });
    }

    it('does not talk to a server that its authority has not vouched for', async () => {
      const [, tls] = ways;
      const strange = { ...settings(5, 'writer', tls), ca: certificates.strangeCa };
      await assert.rejects(library.publish(strange, { topic: 'home/x', qos: 1 }, ['x']), /certificate|TLS|SSL/i);
    });

    it('gives every property of a message to clients of every library', async () => {
      const properties: MessageProperties = {
        contentType: 'text/plain',
        responseTopic: 'home/answers',
        correlationData: 'number 7',
        messageExpirySeconds: 1_000,
        userProperties: { colour: 'blue', größe: '7' },
      };
      const topic = `home/properties/${library.name}`;
      const there = libraries.filter(({ missing }) => missing === false);
      const subscription = { topicFilter: topic, qos: 1, subscriptionIdentifier: 268_435_455 } as const;
      const listening = await Promise.all(there.map(one => one.listen(settings(5, 'reader'), [subscription])));
      await library.publish(settings(5, 'writer'), { topic, qos: 1, properties }, ['x']);
      for (const { inbox, stop } of listening) {
        const [message] = await inbox.take(1);
        const { messageExpirySeconds, ...found } = message.properties;
        const { messageExpirySeconds: sent = 0, ...expected } = properties;
        assert.deepEqual(found, { ...expected, subscriptionIdentifier: 268_435_455 });
        assert(messageExpirySeconds && messageExpirySeconds <= sent && messageExpirySeconds > sent - 60);
        await stop();
      }
    });
  });
}

describe('clients of several libraries', () => {
  it('share one subscription: each message goes to one of them', async () => {
    const there = libraries.filter(({ missing }) => missing === false);
    const members = there.flatMap(library => versions.map(version => ({ library, version })));
    const subscription = { topicFilter: '$share/group/home/shared', qos: 1 } as const;
    const listening = await Promise.all(
      members.map(({ library, version }) => library.listen(settings(version, 'reader'), [subscription])),
    );
    const all = await mqttJs.listen(settings(5, 'reader'), [{ topicFilter: 'home/shared', qos: 1 }]);
    const texts = Array.from({ length: 120 }, (_, n) => `${n}`);
    await mqttJs.publish(settings(5, 'writer'), { topic: 'home/shared', qos: 1 }, texts);
    await all.inbox.take(texts.length);
    for (const { stop } of [...listening, all]) await stop(); // What was sent before is read before.
    const found = listening.map(({ inbox }) => payloadsOf(inbox.received));
    assert.deepEqual(
      found.flat().sort((left, right) => Number(left) - Number(right)),
      texts,
    );
    for (const payloads of found) assert(payloads.length > 0, 'one of them got nothing');
  });

  it('use topic aliases, both ways (MQTT.js)', async () => {
    const withoutTopic = { sent: 0, received: 0 };
    const count = (way: 'sent' | 'received') => (packet: { cmd?: string }) => {
      if (packet.cmd === 'publish' && (packet as IPublishPacket).topic === '') withoutTopic[way]++; // A publish is one.
    };
    const inbox = new Inbox('aliases');
    const reader = await connectMqttJs(settings(5, 'reader'), { properties: { topicAliasMaximum: 10 } }, connecting => {
      connecting.on('message', (topic, payload) =>
        inbox.push({ topic, payload: payload.toString(), qos: 1, retain: false, properties: {} }),
      );
      connecting.on('packetreceive', count('received'));
    });
    await reader.subscribeAsync('home/alias/#', { qos: 1 });
    const writer = await connectMqttJs(settings(5, 'writer'), { autoAssignTopicAlias: true }, connecting =>
      connecting.on('packetsend', count('sent')),
    );
    const expected: [string, string][] = [];
    for (let n = 0; n < 200; n++) {
      // One so often that its alias stays, and more others than there are aliases.
      const topic = `home/alias/${n % 2 === 0 ? 'often' : n % 80}`;
      expected.push([topic, `${n}`]);
      await writer.publishAsync(topic, `${n}`, { qos: 1 });
    }
    const found = (await inbox.take(expected.length)).map(({ topic, payload }) => [topic, payload]);
    assert.deepEqual(found, expected);
    assert(withoutTopic.sent > 0 && withoutTopic.received > 0, JSON.stringify(withoutTopic));
    await reader.endAsync();
    await writer.endAsync();
  });

  it('find their sessions, what waits in them and what is retained after kill -9', async () => {
    const there = libraries.filter(({ missing }) => missing === false);
    const members = there.flatMap(library =>
      versions.map(version => ({ library, own: { ...settings(version, 'reader'), keepsSession: true } })),
    );
    const subscription = { topicFilter: 'home/kill/#', qos: 2 } as const;
    for (const { library, own } of members) await (await library.listen(own, [subscription])).stop();
    const texts = Array.from({ length: 20 }, (_, n) => `${n}`);
    for (const library of there) {
      const publication = { topic: `home/kill/${library.name}`, qos: 2, retain: true } as const;
      await library.publish(settings(5, 'writer'), publication, texts);
    }
    await broker.kill('SIGKILL');
    await broker.restart();
    for (const { library, own } of members) {
      const { inbox, stop } = await library.listen(own, [subscription]);
      const isQueued = ({ retain }: ReceivedMessage) => !retain;
      await inbox.take(texts.length * there.length, isQueued);
      for (const { name } of there) {
        const found = inbox.received.filter(({ topic }) => topic === `home/kill/${name}`);
        assert.deepEqual(payloadsOf(found.filter(isQueued)), texts);
      }
      const retained = await inbox.take(there.length, ({ retain }) => retain); // For it has subscribed again.
      assert.deepEqual(new Set(payloadsOf(retained)), new Set(['19']));
      await stop();
    }
  });
});

assert(!mosquitto.schemes.includes('ws')); // The skipped test above says so.
