import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, it } from 'node:test';
import { BackendProcess, eventually, temporaryFolder } from './support.ts';

function mimamori(...args: string[]): { code: number | null; out: string; complaint: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['bin/mimamori.js', ...args], { encoding: 'utf8' });
  return { code: status, out: stdout, complaint: stderr };
}

describe('the mimamori command', () => {
  it('explains itself, and each of its commands', () => {
    assert.match(mimamori('--help').out, /start[\s\S]*token[\s\S]*things/);
    for (const command of [['start'], ['dynamodb'], ['token'], ['things'], ['things', 'create']]) {
      const { code, out } = mimamori(...command, '--help');
      assert.equal(code, 0);
      assert.match(out, /Usage: mimamori/);
    }
  });

  it('says what is wrong and what to do, also as JSON', () => {
    const text = mimamori('start', '/nowhere');
    assert.equal(text.code, 1);
    assert.match(text.complaint, /There is no app at \/nowhere\.\n {2}Give the folder/);
    const json = mimamori('start', '/nowhere', '--json');
    assert.equal(JSON.parse(json.out).code, 'app.notFound');
    const app = path.join(temporaryFolder(), 'app.mjs');
    const source = JSON.stringify(path.resolve('src/app/index.ts'));
    const definition = "defineModel('a b', { telemetry: {}, commands: {}, entities: {} })";
    writeFileSync(app, `import { defineModel } from ${source};\nexport default ${definition};\n`);
    assert.match(mimamori('start', app).complaint, /"a b" cannot be a topic level\.\n {2}Use 1–64 .*\[app\.notValid\]/);
    assert.match(mimamori('start', '--http-port', '99999').complaint, /from 0 to 65535/);
    assert.match(mimamori('token').complaint, /--user/);
  });

  it('makes things whose credentials are shown once', () => {
    const folder = temporaryFolder();
    const made = mimamori('things', 'create', '--data', folder, '--prefix', 'lamp', '--count', '2', '--json');
    const credentials = made.out
      .trim()
      .split('\n')
      .map(line => JSON.parse(line));
    assert.deepEqual(
      credentials.map(({ clientId, username }) => [clientId, username]),
      [
        ['lamp-1', 'lamp-1'],
        ['lamp-2', 'lamp-2'],
      ],
    );
    const again = mimamori('things', 'create', 'lamp-1', '--data', folder);
    assert.equal(again.code, 1);
    assert.match(again.complaint, /thing\.exists/);
  });
});

describe('a backend process', () => {
  it('stops cleanly at SIGTERM and at Ctrl-C', async () => {
    const folder = temporaryFolder();
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const backend = await BackendProcess.start(folder);
      assert.equal(await backend.kill(signal), 0);
    }
  });

  it('has its data folder for itself, and names its owner to whoever else wants it (hostile T10)', async t => {
    const folder = temporaryFolder();
    const backend = await BackendProcess.start(folder);
    t.after(() => backend.kill());
    const second = mimamori('start', '--data', folder, '--http-port', '0', '--mqtt-port', '0', '--json');
    assert.equal(second.code, 1);
    const { code, message } = JSON.parse(second.out);
    assert.equal(code, 'data.inUse');
    assert.match(message, new RegExp(`process ${backend.pid}`));
    await backend.kill();
    const third = await BackendProcess.start(folder); // The lock died with its owner.
    await third.kill();
  });

  it('says which port is taken', async t => {
    const backend = await BackendProcess.start(temporaryFolder());
    t.after(() => backend.kill());
    const httpPort = new URL(backend.httpUrl).port;
    const other = ['--data', temporaryFolder(), '--json', '--no-simulate'];
    const http = mimamori('start', ...other, '--http-port', httpPort, '--mqtt-port', '0');
    assert.deepEqual([http.code, JSON.parse(http.out).code], [1, 'http.portInUse']);
    const mqtt = mimamori('start', ...other, '--http-port', '0', '--mqtt-port', String(backend.mqttPort));
    assert.deepEqual([mqtt.code, JSON.parse(mqtt.out).code], [1, 'mqtt.portInUse']);
  });

  it('keeps its data and its key to its owner (hostile T17, K07)', async t => {
    const folder = path.join(temporaryFolder(), 'data');
    const backend = await BackendProcess.start(folder);
    t.after(() => backend.kill());
    assert.equal(statSync(folder).mode & 0o077, 0);
    assert.equal(statSync(path.join(folder, 'signing-key')).mode & 0o077, 0);
    assert(existsSync(path.join(folder, 'stream')));
  });

  it('keeps descriptors for its own files when strangers take all they can (hostile R01)', async t => {
    const folder = temporaryFolder();
    const backend = await BackendProcess.start(folder, { descriptors: 256 });
    t.after(() => backend.kill());
    const strangers = Array.from({ length: 400 }, () => net.connect({ host: '127.0.0.1', port: backend.mqttPort }));
    t.after(() => {
      for (const stranger of strangers) stranger.destroy();
    });
    let closed = 0;
    for (const stranger of strangers) {
      stranger.on('error', () => {});
      stranger.on('close', () => closed++);
    }
    await eventually('what is over the limit is closed', async () => (closed >= 300 ? true : undefined), 8_000);
    const token = BackendProcess.token(folder, 'alice');
    await backend.call(token, 'POST', '/v1/speakers', { name: 'Kitchen' });
  });
});
