/** `mimamori broker` as whoever runs it meets it: its options, its signals, and what it says. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import tls from 'node:tls';
import type { IClientOptions, IConnackPacket, IDisconnectPacket, MqttClient } from 'mqtt';
import { WebSocket } from 'ws';
import { brokerCommand } from '../src/cli/broker.ts';
import { MimamoriError } from '../src/kernel/errors.ts';
import { TestAuthority } from '../src/kernel/test-certificates.ts';
import { type ClientSettings, connectMqttJs } from './broker-clients.ts';
import { BrokerProcess, mimamori, type Scheme, writeCertificates, writePasswordFile } from './broker-support.ts';
import { temporaryFolder } from './support.ts';

const stopDeadlineMs = 10_000; // src/cli/signals.ts: later it ends with 1

function settings(broker: BrokerProcess, clientId: string, more: Partial<ClientSettings> = {}): ClientSettings {
  const scheme = more.scheme ?? 'mqtt';
  return { version: 5, clientId, scheme, port: broker.port(scheme), ...more };
}

describe('mimamori broker', () => {
  it('explains itself', () => {
    const { code, out } = mimamori(['broker', '--help']);
    assert.equal(code, 0);
    for (const word of ['--password-file', '--acl-file', '--tls-port', 'SIGHUP', 'SIGTERM', 'Examples:', '1883'])
      assert(out.includes(word), word);
    assert.match(mimamori(['--help']).out, /broker[\s\S]*passwd/);
  });

  const folder = temporaryFolder();
  const notPem = path.join(folder, 'not-pem');
  writeFileSync(notPem, 'not a certificate\n');
  const notHashed = path.join(folder, 'not-hashed');
  writeFileSync(notHashed, 'alice:secret\n');
  const notRules = path.join(folder, 'not-rules');
  writeFileSync(notRules, 'topic sometimes home/#\n');
  const open = ['--allow-anonymous', '--port', '0'];
  const pem = ['--certfile', notPem, '--keyfile', notPem];

  /** Arguments, the code they are refused with, and what must be said. */
  const refusals: readonly (readonly [name: string, args: readonly string[], code: string, says: RegExp])[] = [
    ['nobody could connect', ['--memory'], 'broker.optionsNotValid', /Nobody .*--password-file/],
    [
      'a certificate without a key',
      [...open, '--memory', '--tls-port', '0', '--certfile', notPem],
      'broker.optionsNotValid',
      /--keyfile/,
    ],
    [
      'a key without a certificate',
      [...open, '--memory', '--wss-port', '0', '--keyfile', notPem],
      'broker.optionsNotValid',
      /--certfile/,
    ],
    [
      'TLS without a certificate',
      [...open, '--memory', '--tls-port', '0'],
      'broker.optionsNotValid',
      /TLS needs .*--certfile/,
    ],
    ['a certificate without TLS', [...open, '--memory', ...pem], 'broker.optionsNotValid', /--tls-port or --wss-port/],
    [
      'an authority without TLS',
      [...open, '--memory', '--cafile', notPem],
      'broker.optionsNotValid',
      /--tls-port or --wss-port/,
    ],
    [
      'certificates required of nobody',
      [...open, '--memory', '--tls-port', '0', ...pem, '--require-certificate'],
      'broker.optionsNotValid',
      /--cafile/,
    ],
    [
      'names out of certificates nobody checks',
      ['--memory', '--tls-port', '0', ...pem, '--use-identity-as-username'],
      'broker.optionsNotValid',
      /--cafile/,
    ],
    [
      'a port twice',
      ['--allow-anonymous', '--memory', '--port', '18830', '--ws-port', '18830'],
      'broker.optionsNotValid',
      /18830 is given twice/,
    ],
    ['a data folder in memory', [...open, '--memory', '--data', folder], 'broker.optionsNotValid', /--memory/],
    ['an empty host', [...open, '--memory', '--host', ''], 'broker.optionsNotValid', /--host is empty/],
    [
      'an empty file name',
      [...open, '--memory', '--password-file', ''],
      'broker.optionsNotValid',
      /--password-file is empty/,
    ],
    [
      'a host of somebody else',
      [...open, '--memory', '--host', '203.0.113.7'],
      'broker.hostNotUsable',
      /203\.0\.113\.7/,
    ],
    ['a file for a folder', [...open, '--data', notPem], 'broker.dataNotUsable', /not-pem/],
    ['a file that is no key', [...open, '--memory', '--tls-port', '0', ...pem], 'tls.keyNotUsable', /PEM/],
    [
      'a certificate that is not there',
      [...open, '--memory', '--tls-port', '0', '--certfile', '/none', '--keyfile', notPem],
      'broker.tlsFileNotReadable',
      /\/none/,
    ],
    [
      'passwords that are not there',
      ['--port', '0', '--memory', '--password-file', '/none'],
      'access.fileNotReadable',
      /\/none/,
    ],
    [
      'passwords that are not hashed',
      ['--port', '0', '--memory', '--password-file', notHashed],
      'access.passwordFileNotValid',
      /line 1: .*not hashed/,
    ],
    ['rules that are none', [...open, '--memory', '--acl-file', notRules], 'access.aclFileNotValid', /line 1/],
  ];

  /** In this process, since most of them end before anything is opened. What it throws `main.ts` prints. */
  const start = (...args: string[]) => {
    const command = brokerCommand()
      .exitOverride()
      .configureOutput({ writeErr: () => {} });
    return command.parseAsync(args, { from: 'user' });
  };

  for (const [name, args, code, says] of refusals)
    it(`refuses ${name} and says what to do`, async () => {
      await assert.rejects(start(...args), error => {
        assert(error instanceof MimamoriError, String(error));
        assert.equal(error.code, code);
        assert.match(`${error.message} ${error.fix}`, says);
        assert(!`${error.message} ${error.fix}`.includes('secret'), 'what stands in the file is nobody else’s');
        return true;
      });
    });

  it('refuses numbers that MQTT has no room for, and what it does not know', async () => {
    for (const [args, says] of [
      [['--port', '65536'], /0 to 65535/],
      [['--max-keepalive', '65536'], /1 to 65535/],
      [['--max-keepalive', '0'], /from 1/],
      [['--max-inflight-messages', '65536'], /1 to 65535/],
      [['--persistent-client-expiration', '4294967295'], /1 to 4294967294/],
      [['--max-queued-messages', 'many'], /whole number/],
      [['--limits', 'azure'], /generous, aws/],
      [['--tls'], /--tls/],
      [['passwd'], /too many arguments/],
    ] as const) {
      await assert.rejects(start('--allow-anonymous', '--memory', ...args), says);
    }
  });

  it('says so on the terminal, or as JSON', () => {
    const text = mimamori(['broker', '--memory']);
    assert.deepEqual([text.code, text.out], [1, '']);
    assert.match(
      text.complaint,
      /^mimamori: Nobody could connect\.\n {2}Add --password-file.*\[broker\.optionsNotValid\]\n$/,
    );
    const json = mimamori(['broker', '--memory', '--json']);
    assert.equal(json.code, 1);
    assert.equal(JSON.parse(json.out).code, 'broker.optionsNotValid');
  });

  it('opens no plain port beside one that is asked for', async t => {
    const files = await writeCertificates(temporaryFolder(), 'anybody');
    const { server } = files;
    const args = ['--allow-anonymous', '--certfile', server.certificate, '--keyfile', server.key];
    const broker = await BrokerProcess.start({ schemes: ['mqtts'], args });
    t.after(() => broker.kill());
    assert.throws(() => broker.url('mqtt'));
    const client = await connectMqttJs(settings(broker, 'one', { scheme: 'mqtts', ca: files.ca }));
    await client.endAsync();
  });

  it('takes any keep alive, or the one it is told, and says so', async t => {
    const keepAliveOf = async (broker: BrokerProcess, keepalive: number) => {
      let connack: IConnackPacket | undefined;
      const client = await connectMqttJs(settings(broker, 'one'), { keepalive }, connecting =>
        connecting.on('connect', packet => {
          connack = packet;
        }),
      );
      await client.endAsync();
      return connack?.properties?.serverKeepAlive;
    };
    const broker = await BrokerProcess.start({ args: ['--allow-anonymous'] });
    t.after(() => broker.kill());
    assert.equal(await keepAliveOf(broker, 65_535), undefined);
    const strict = await BrokerProcess.start({ args: ['--allow-anonymous', '--max-keepalive', '60'] });
    t.after(() => strict.kill());
    assert.equal(await keepAliveOf(strict, 61), 60);
    assert.equal(await keepAliveOf(strict, 59), undefined);
  });

  it('has its data folder and its ports for itself', async t => {
    const dataDirectory = temporaryFolder();
    const broker = await BrokerProcess.start({ dataDirectory, args: ['--allow-anonymous'] });
    t.after(() => broker.kill());
    const second = mimamori(['broker', '--json', ...open, '--data', dataDirectory]);
    assert.equal(second.code, 1);
    const { code, message } = JSON.parse(second.out);
    assert.equal(code, 'data.inUse');
    assert.match(message, new RegExp(`process ${broker.pid}`));
    const samePort = ['--allow-anonymous', '--port', `${broker.port()}`, '--memory'];
    assert.equal(JSON.parse(mimamori(['broker', '--json', ...samePort]).out).code, 'mqtt.portInUse');
    await broker.kill('SIGKILL');
    await broker.restart(); // The lock died with its owner.
  });
});

/** Resolves with the milliseconds until it is closed. */
function closed(client: MqttClient): Promise<number> {
  const sinceMs = performance.now();
  return new Promise(resolve => client.once('close', () => resolve(performance.now() - sinceMs)));
}

function nextMessage(client: MqttClient): Promise<string> {
  return new Promise(resolve => client.once('message', (_topic, payload) => resolve(payload.toString())));
}

describe('SIGHUP', { timeout: 60_000 }, () => {
  async function start() {
    const folder = temporaryFolder();
    const passwordFile = path.join(folder, 'passwords');
    const aclFile = path.join(folder, 'acl');
    await writePasswordFile(passwordFile, { alice: 'a', bob: 'b', carol: 'c' });
    writeFileSync(aclFile, 'pattern readwrite %u/#\n');
    const broker = await BrokerProcess.start({ args: ['--password-file', passwordFile, '--acl-file', aclFile] });
    return { broker, passwordFile, aclFile };
  }

  const reloaded = (broker: BrokerProcess) => broker.event(({ text }) => text?.includes('were read again') === true);

  it('disconnects within a second who is removed or has a new password, and nobody else', async t => {
    const { broker, passwordFile } = await start();
    t.after(() => broker.kill());
    const connect = (username: string, password: string) =>
      connectMqttJs(settings(broker, `client-of-${username}`, { username, password }));
    const [alice, bob, carol] = await Promise.all([connect('alice', 'a'), connect('bob', 'b'), connect('carol', 'c')]);
    await carol.subscribeAsync('carol/#', { qos: 1 });
    const lineOfCarol = /^carol:.*$/m.exec(readFileSync(passwordFile, 'utf8'))?.[0]; // A new salt would count as new.
    await writePasswordFile(passwordFile, { bob: 'new', dave: 'd' });
    appendFileSync(passwordFile, `${lineOfCarol}\n`);
    const bothClosed = Promise.all([closed(alice), closed(bob)]);
    broker.signal('SIGHUP');
    await reloaded(broker);
    for (const ms of await bothClosed) assert(ms < 1_000, `it took ${ms} ms`);
    await assert.rejects(connect('alice', 'a'), /ad [Uu]ser/);
    await assert.rejects(connect('bob', 'b'), /ad [Uu]ser/);
    for (const client of await Promise.all([connect('bob', 'new'), connect('dave', 'd')])) await client.endAsync();
    const heard = nextMessage(carol); // Still there, with what it had.
    await carol.publishAsync('carol/x', 'x', { qos: 1 });
    assert.equal(await heard, 'x');
    await carol.endAsync();
  });

  it('puts new rules in force for who is connected', async t => {
    const { broker, aclFile } = await start();
    t.after(() => broker.kill());
    const alice = await connectMqttJs(settings(broker, 'one', { username: 'alice', password: 'a' }));
    await alice.publishAsync('alice/x', 'x', { qos: 1 });
    writeFileSync(aclFile, 'pattern readwrite home/%u/#\n');
    broker.signal('SIGHUP');
    await reloaded(broker);
    await assert.rejects(alice.publishAsync('alice/x', 'x', { qos: 1 }), /[Nn]ot authorized/);
    await alice.publishAsync('home/alice/x', 'x', { qos: 1 });
    await alice.endAsync();
  });

  it('keeps what was in force when a file is bad, and says which', async t => {
    const { broker, passwordFile, aclFile } = await start();
    t.after(() => broker.kill());
    const alice = await connectMqttJs(settings(broker, 'one', { username: 'alice', password: 'a' }));
    for (const [file, text, code] of [
      [passwordFile, 'alice\n', 'access.passwordFileNotValid'],
      [aclFile, 'topic sometimes #\n', 'access.aclFileNotValid'],
    ] as const) {
      await writePasswordFile(passwordFile, { bob: 'b' }); // A good file beside a bad one is not put in force either.
      writeFileSync(file, text);
      broker.signal('SIGHUP');
      const error = await broker.event(({ event }) => event === 'error');
      assert.equal(error.code, code);
      assert.match(error.message ?? '', /line 1/);
      const { text: note } = await broker.event(({ event }) => event === 'note');
      assert.match(note ?? '', /in force before stay in force/);
    }
    await alice.publishAsync('alice/x', 'x', { qos: 1 });
    const again = await connectMqttJs(settings(broker, 'two', { username: 'alice', password: 'a' }));
    await again.endAsync();
    await alice.endAsync();
  });

  it('shows new certificates to new connections; bad ones change nothing, and the rules all the same', async t => {
    const folder = temporaryFolder();
    const { ca, server } = await writeCertificates(folder, 'anybody');
    const args = ['--allow-anonymous', '--certfile', server.certificate, '--keyfile', server.key];
    const broker = await BrokerProcess.start({ schemes: ['mqtts', 'wss'], args });
    t.after(() => broker.kill());
    const shown = async (scheme: Scheme, trusted?: string) => {
      const options = { host: '127.0.0.1', port: broker.port(scheme), ca: trusted, rejectUnauthorized: false };
      const socket = tls.connect(options);
      await once(socket, 'secureConnect');
      const { fingerprint256 } = socket.getPeerCertificate();
      socket.destroy();
      return fingerprint256;
    };
    const client = await connectMqttJs(settings(broker, 'one', { scheme: 'mqtts', ca }));
    const before = await shown('mqtts');
    writeFileSync(server.key, 'broken\n');
    broker.signal('SIGHUP');
    assert.match((await broker.event(({ event }) => event === 'error')).code ?? '', /^tls\./);
    await broker.event(({ text }) => text === 'The certificates in force before stay in force.');
    assert.equal(await shown('mqtts'), before);
    const next = await (await TestAuthority.create()).issueServer();
    writeFileSync(server.key, next.key);
    writeFileSync(server.certificate, next.certificate);
    broker.signal('SIGHUP');
    await broker.event(({ text }) => text === 'The certificates were read again.');
    assert.notEqual(await shown('mqtts'), before);
    assert.equal(await shown('wss'), await shown('mqtts'));
    await client.publishAsync('x', 'x', { qos: 1 }); // It is still there.
    await client.endAsync();
  });
});

/**
 * MQTT.js drops what it has not read yet of a WebSocket when that closes, so what the client was told is looked for in
 * the frames: DISCONNECT is the last packet, and its text is ASCII.
 */
function watchedWebSocket(tell: (reasonCode: number) => void): IClientOptions['createWebsocket'] {
  return (url, subprotocols, { ca }) => {
    const webSocket = new WebSocket(url, subprotocols, { ca });
    webSocket.on('message', (data: Buffer) => {
      const at = data.lastIndexOf(0xe0);
      if (at !== -1 && at + 2 + data[at + 1] === data.length) tell(data[at + 2]);
    });
    return webSocket;
  };
}

describe('SIGTERM', { timeout: 60_000 }, () => {
  it('ends it with 0 in time under load, and tells every client of MQTT 5, over every transport', async t => {
    const folder = temporaryFolder();
    const { ca, server } = await writeCertificates(folder, 'anybody');
    const schemes = ['mqtt', 'mqtts', 'ws', 'wss'] as const;
    const args = ['--allow-anonymous', '--certfile', server.certificate, '--keyfile', server.key];
    const broker = await BrokerProcess.start({ schemes, args, dataDirectory: path.join(folder, 'data') });
    t.after(() => broker.kill());
    const told = new Map<string, number | undefined>();
    const clients = await Promise.all(
      schemes.flatMap(scheme =>
        ['a', 'b', 'c'].map(name => {
          const clientId = `${scheme}-${name}`;
          const own = settings(broker, clientId, { scheme, ...(scheme !== 'mqtt' && scheme !== 'ws' && { ca }) });
          const tell = (reasonCode: number | undefined) => told.set(clientId, reasonCode);
          const createWebsocket = watchedWebSocket(tell);
          return connectMqttJs(own, { createWebsocket }, connecting =>
            connecting.on('disconnect', ({ reasonCode }: IDisconnectPacket) => tell(reasonCode)),
          );
        }),
      ),
    );
    let acknowledged = 0;
    const overs: Promise<unknown>[] = [];
    await Promise.all(clients.map(client => client.subscribeAsync('load/#', { qos: 1 })));
    const isUnderLoad = new Promise<void>(resolve => {
      for (const client of clients) {
        const publish = (): void => {
          if (client.disconnecting || !client.connected) return;
          client.publish('load/x', 'x'.repeat(500), { qos: 1 }, error => {
            if (error) return;
            if (++acknowledged > 500) resolve();
            publish();
          });
        };
        for (let n = 0; n < 20; n++) publish();
        overs.push(closed(client));
      }
    });
    await isUnderLoad;
    const sinceMs = performance.now();
    assert.equal(await broker.kill('SIGTERM'), 0, broker.complaints);
    const ms = performance.now() - sinceMs;
    assert(ms < stopDeadlineMs, `it took ${ms} ms`);
    await Promise.all(overs);
    const expected = schemes.flatMap(scheme => ['a', 'b', 'c'].map(name => [`${scheme}-${name}`, 0x8b]));
    assert.deepEqual([...told].sort(), expected.sort());
    await Promise.all(clients.map(client => client.endAsync(true)));
    await broker.restart(); // What it left behind is whole.
  });

  it('leaves sessions that the next start has, as kill -9 does', async t => {
    const broker = await BrokerProcess.start({ dataDirectory: temporaryFolder(), args: ['--allow-anonymous'] });
    t.after(() => broker.kill());
    const own = settings(broker, 'one', { keepsSession: true });
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGKILL'] as const) {
      const client = await connectMqttJs(own);
      await client.subscribeAsync(`of/${signal}`, { qos: 1 });
      const isClosed = closed(client);
      const code = await broker.kill(signal);
      assert.equal(code, signal === 'SIGKILL' ? null : 0);
      await isClosed;
      await client.endAsync(true);
      await broker.restart();
      const sender = await connectMqttJs(settings(broker, 'sender'));
      await sender.publishAsync(`of/${signal}`, signal, { qos: 1 });
      await sender.endAsync();
      let heard: Promise<string> | undefined;
      const back = await connectMqttJs(own, {}, connecting => {
        heard = nextMessage(connecting);
      });
      assert.equal(await heard, signal);
      await back.endAsync();
    }
  });
});
