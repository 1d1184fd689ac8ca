/** The same files before a real Mosquitto and before ours: who is let in, who may publish, who receives. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { on, once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import mqtt, { type MqttClient } from 'mqtt';
import { missing, temporaryFolder, testScale } from '../../../test/support.ts';
import { systemClock } from '../../kernel/clock.ts';
import { systemFiles } from '../../kernel/files.ts';
import { type Random, seededRandom, systemRandom } from '../../kernel/random.ts';
import { matches } from '../mqtt/topics.ts';
import { parseAclFile } from './acl-file.ts';
import { atOnce } from './config-file.ts';
import { FileAccess } from './file-access.ts';
import { hashPassword } from './password-file.ts';
import type { Identity } from './port.ts';
import { Rights } from './rights.ts';

interface Client {
  readonly clientId: string;
  readonly username: string | undefined;
}

/** Names that say something to one broker or the other. A "/" is not among them: Mosquitto takes it for two levels. */
const clients: readonly Client[] = [
  { clientId: 'c0', username: undefined },
  { clientId: 'a', username: undefined },
  { clientId: 'c1', username: 'a' },
  { clientId: 'b', username: 'b' },
  { clientId: 'c2', username: 'u+' },
  { clientId: 'c#', username: 'u 3' },
  { clientId: '%u', username: '%c' },
  { clientId: '$x', username: 'ü' },
  { clientId: 'c3', username: 'none' },
];
const root: Client = { clientId: 'root', username: 'root' };

function someOf<T>(random: Random, of: readonly T[], count: number): T[] {
  return Array.from({ length: count }, () => of[random.integer(of.length)]);
}

function filter(random: Random, first: readonly string[], levels: readonly string[]): string {
  const rest = someOf(random, levels, random.integer(3));
  const all = [...someOf(random, first, 1), ...rest, ...(random.integer(4) === 0 ? ['#'] : [])];
  return all.join('/');
}

const accesses = ['', 'read ', 'write ', 'readwrite ', 'deny '];

function anyAcl(random: Random): string {
  const rule = (keyword: string, first: readonly string[], levels: readonly string[]) =>
    `${keyword} ${someOf(random, accesses, 1)}${filter(random, first, levels)}`;
  const topics = () =>
    Array.from({ length: 2 + random.integer(5) }, () => rule('topic', ['a', 'b', '+', '$x', 'p'], ['a', 'b', '+']));
  const lines = topics();
  for (const { username } of clients) if (username && username !== 'none') lines.push(`user ${username}`, ...topics());
  for (let n = 0; n < 6; n++) lines.push(rule('pattern', ['p', '$x', '+'], ['%u', '%c', '%c', 'a', 'x%c']));
  return [...lines, 'user root', 'topic #', 'topic $x/#', ''].join('\n');
}

function anyTopics(random: Random, count: number): string[] {
  const levels = ['a', 'b', 'c', '%c', '%u', 'ü', 'u 3', '$x', 'xa', 'c3'];
  const topics = new Set<string>(['$SYS/x', '$x', 'a', 'p/none']);
  while (topics.size < count) {
    const rest = someOf(random, levels, random.integer(3));
    topics.add([...someOf(random, ['a', 'b', 'p', 'p', '$x'], 1), ...rest].join('/'));
  }
  return [...topics];
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert(typeof address === 'object' && address);
  server.close();
  await once(server, 'close');
  return address.port;
}

describe('access by files and Mosquitto', { skip: missing('mosquitto') }, () => {
  const folder = temporaryFolder();
  const passwordFile = path.join(folder, 'passwords');
  const aclFile = path.join(folder, 'acl');
  let broker: ChildProcess | undefined;
  let lines: ReturnType<typeof createInterface>;
  let port: number;
  let access: FileAccess;
  const compared = { allowed: 0, refused: 0 };

  async function logged(what: string): Promise<void> {
    for await (const [line] of on(lines, 'line')) if (String(line).includes(what)) return;
  }

  before(async () => {
    const users = [...clients, root].flatMap(({ username }) => (username && username !== 'none' ? [username] : []));
    const entries = users.map(async username => `${username}:${await hashed(username)}\n`);
    writeFileSync(
      passwordFile,
      (await Promise.all([...entries, hashed('none').then(hash => `none:${hash}\n`)])).join(''),
    );
    writeFileSync(aclFile, '');
    port = await freePort();
    const config = [
      `listener ${port} 127.0.0.1`,
      `user ${os.userInfo().username}`, // Otherwise it gives up root's rights, and with them the folder.
      'allow_anonymous true',
      `password_file ${passwordFile}`,
      `acl_file ${aclFile}`,
    ];
    writeFileSync(path.join(folder, 'conf'), `${config.join('\n')}\n`);
    broker = spawn('mosquitto', ['-v', '-c', path.join(folder, 'conf')], { stdio: ['ignore', 'ignore', 'pipe'] });
    lines = createInterface({ input: broker.stderr as NodeJS.ReadableStream }); // stdio above says 'pipe'.
    await logged(' running');
    access = await FileAccess.open({
      files: systemFiles,
      clock: systemClock,
      random: systemRandom,
      passwordFile,
      aclFile,
      allowAnonymous: true,
    });
  });
  after(async () => {
    if (!broker || broker.exitCode !== null) return;
    const exited = once(broker, 'exit');
    broker.kill();
    await exited;
  });

  const hashed = (username: string) => hashPassword(Buffer.from(`${username}'s`), systemRandom, { iterations: 5 });

  function connect({ clientId, username }: Client, password = `${username}'s`): Promise<MqttClient> {
    const credentials = username === undefined ? {} : { username, password };
    const options = { host: '127.0.0.1', port, clientId, protocolVersion: 5, reconnectPeriod: 0 } as const;
    return mqtt.connectAsync({ ...options, ...credentials });
  }

  async function identityOf({ clientId, username }: Client): Promise<Identity> {
    const password = username === undefined ? undefined : Buffer.from(`${username}'s`);
    const admission = await access.authenticate({
      clientId,
      username,
      password,
      certificate: undefined,
      remoteAddress: '',
    });
    assert(admission.admitted);
    return admission.identity;
  }

  it('let in the same clients by a password file of ours', async () => {
    for (const client of clients) {
      await identityOf(client);
      const connection = await connect(client);
      await connection.endAsync();
    }
    const certificate = undefined;
    for (const [username, password] of [
      ['a', "b's"],
      ['a', ''],
      ['nobody', "a's"],
      ['A', "a's"],
    ]) {
      const tried = { clientId: 'c', username, password: Buffer.from(password), certificate, remoteAddress: '' };
      assert(!(await access.authenticate(tried)).admitted);
      await assert.rejects(connect({ clientId: 'c', username }, password), /Not authorized/);
    }
  });

  for (let round = 0; round < testScale(4, 40); round++) {
    it(`allow the same by an ACL file (seed ${round})`, async () => {
      const random = seededRandom(round);
      const acl = anyAcl(random);
      writeFileSync(aclFile, acl);
      const reloaded = logged('Reloading config');
      broker?.kill('SIGHUP');
      await Promise.all([access.reload(), reloaded]);
      const topics = anyTopics(random, 40);
      const publisher = await connect(root);
      const compare = (ours: boolean, theirs: boolean, what: string) => {
        assert.equal(ours, theirs, `${what}: Mosquitto says ${theirs}, we ${ours}; by\n${acl}`);
        compared[ours ? 'allowed' : 'refused']++;
      };
      await Promise.all(
        clients.map(async client => {
          const identity = await identityOf(client);
          const named = `${client.clientId} (${client.username})`;
          // Where a user's topics grant what a pattern denies, Mosquitto grants. Here deny wins: the one difference.
          const topicLines = acl.replaceAll(/^pattern.*$/gm, '');
          const topicsOnly = new Rights(atOnce(parseAclFile(Buffer.from(topicLines), 'acl')), client);
          const connection = await connect(client);
          const received = new Set<string>();
          connection.on('message', topic => received.add(topic));
          await connection.subscribeAsync(['#', '$x/#'], { qos: 1 });
          for (const topic of topics) {
            const { allowed } = access.judgePublish(identity, topic);
            const theirs = await publishes(connection, topic);
            if (allowed || !topicsOnly.mayPublish(topic)) compare(allowed, theirs, `${named} publishes to ${topic}`);
          }
          received.clear();
          for (const topic of topics) await publishes(publisher, topic);
          await connection.subscribeAsync('end'); // Answered in order: what was published before has arrived.
          for (const topic of topics.filter(topic => topic !== '$SYS/x')) {
            const mayReceive = access.mayReceive(identity, topic);
            if (mayReceive || !topicsOnly.mayReceive(topic))
              compare(mayReceive, received.has(topic), `${named} receives ${topic}`);
            for (const asked of ['#', '$x/#', '+/+', 'p/#', topic]) {
              // Stricter with SUBSCRIBE, but never so that a message is missed.
              if (mayReceive && matches(asked, topic))
                assert(access.maySubscribe(identity, asked), `${named}: ${asked}`);
            }
          }
          await connection.endAsync();
        }),
      );
      await publisher.endAsync();
    });
  }

  it('were asked about enough of what is allowed and of what is not', () => {
    assert(compared.allowed > 300 && compared.refused > 300, JSON.stringify(compared));
  });
});

async function publishes(client: MqttClient, topic: string): Promise<boolean> {
  try {
    await client.publishAsync(topic, 'x', { qos: 1 });
    return true;
  } catch (error) {
    assert(error instanceof Error && 'code' in error && error.code === 0x87, String(error));
    return false;
  }
}
