import assert from 'node:assert/strict';
import net from 'node:net';
import { describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import mqtt from 'mqtt';
import { startBackend } from '../src/local/index.ts';
import { temporaryFolder } from './support.ts';

const options = () => ({
  appUrl: pathToFileURL('apps/speaker/app.ts'),
  dataDirectory: temporaryFolder(),
  host: '127.0.0.1',
  httpPort: 0,
  mqttPort: 0,
  logLevel: 'silent' as const,
  onFailure: (error: unknown) => assert.fail(String(error)),
});

describe('the port for devices that speak HTTP', { timeout: 60_000 }, () => {
  it('takes publishes and WebSockets, and a command waits for the next post (covers S3-02, S3-08)', async t => {
    const backend = await startBackend(options());
    t.after(() => backend.close());
    const { username, password } = await backend.gateway.createThing('kitchen');
    const headers = { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` };
    // biome-ignore lint/suspicious/noExplicitAny: a test says what it expects by comparing.
    const post = async (topic: string, body: object): Promise<any> => {
      const url = `${backend.iotUrl}/topics/${encodeURIComponent(topic)}?qos=1&pending=10`;
      const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
      assert.equal(answer.status, 200);
      return answer.json();
    };
    const detection = 'dt/speaker-app/detect-person/kitchen/enter';
    assert.deepEqual((await post(detection, { at: new Date().toISOString() })).pending, []);
    const play = { topic: 'cmd/speaker-app/play-message/kitchen/req', payload: Buffer.from('play'), qos: 1 } as const;
    await backend.gateway.publish(play);
    const { pending } = await post(detection, { at: new Date().toISOString() });
    assert.equal(Buffer.from(pending[0].payload, 'base64').toString(), 'play');
    const identity = { clientId: 'kitchen', username, password };
    const client = await mqtt.connectAsync(backend.webSocketUrl, { ...identity, reconnectPeriod: 0 });
    t.after(() => client.endAsync(true));
    const [granted] = await client.subscribeAsync('cmd/speaker-app/+/kitchen/#', { qos: 1 });
    assert.equal(granted.qos, 1);
  });

  it('says when it is taken', async t => {
    const taken = net.createServer().listen(0, '127.0.0.1');
    t.after(() => taken.close());
    await new Promise(resolve => taken.once('listening', resolve));
    const address = taken.address();
    assert(typeof address === 'object' && address);
    await assert.rejects(startBackend({ ...options(), iotPort: address.port }), { code: 'iot.portInUse' });
  });
});
