import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { MqttClient } from '../src/device/index.ts';
import { loadSigningKey, TokenIssuer } from '../src/http/index.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { systemFiles } from '../src/kernel/files.ts';
import { systemRandom } from '../src/kernel/random.ts';
import { systemSockets } from '../src/kernel/sockets.ts';
import { startBackend } from '../src/local/index.ts';
import { eventually, temporaryFolder } from './support.ts';

for (const behave of ['loop', 'exit', 'leak'] as const) {
  describe(`a function that does "${behave}" (hostile R03, R04, E05)`, () => {
    it('is ended and its record dead-lettered, all others are handled, and no device is disconnected', async t => {
      const dataDirectory = temporaryFolder();
      const backend = await startBackend({
        appUrl: pathToFileURL('test/apps/misbehaving.ts'),
        dataDirectory,
        host: '127.0.0.1',
        httpPort: 0,
        mqttPort: 0,
        logLevel: 'silent',
        hangMs: 400,
        heapMegabytesMax: 64,
        onFailure: error => assert.fail(String(error)),
      });
      t.after(() => backend.close());
      const key = await loadSigningKey(systemFiles, dataDirectory, systemRandom);
      const issuer = new TokenIssuer({ key, application: 'misbehaving', clock: systemClock });
      const token = await issuer.issue({ user: 'alice', readOnly: false });
      const lost: string[] = [];
      const devices = await Promise.all(['one', 'two'].map(name => connect(backend, name, lost)));
      const publish = (device: number, id: number, order: string) =>
        devices[device].publish(
          `dt/misbehaving/orders/${['one', 'two'][device]}/order`,
          JSON.stringify({ id, behave: order }),
        );
      await Promise.all([
        publish(0, 1, 'well'),
        publish(0, 2, behave),
        publish(0, 3, 'well'),
        publish(1, 1, 'well'),
        publish(1, 2, 'throw'),
        publish(1, 3, 'well'),
      ]);
      const times = async (route: string) => {
        const answer = await fetch(`${backend.httpUrl}/v1/done/${route}`, {
          headers: { Authorization: `Bearer ${token}` },
        });
        const { times: count } = (await answer.json()) as { times: number }; // As the route above answers.
        return count;
      };
      for (const route of ['one/1', 'one/3', 'two/1', 'two/3']) {
        const handled = async () => ((await times(route).catch(() => 0)) > 0 ? true : undefined);
        await eventually(`${route} is handled`, handled, 20_000);
      }
      assert.equal(await times('one/2'), 0);
      assert.equal(await times('two/2'), 0);
      const { 'app.restarts': restarts, ...counters } = await backend.gateway.counters();
      assert(restarts >= 1 && restarts <= 4, `${restarts} restarts`);
      assert.equal(counters['mqtt.connected'], 2);
      assert.deepEqual(lost, []);
      await publish(0, 4, 'well'); // Still connected, and still served.
      await eventually('the next order is handled', async () => ((await times('one/4')) === 1 ? true : undefined));
    });
  });
}

async function connect(
  backend: Awaited<ReturnType<typeof startBackend>>,
  name: string,
  lost: string[],
): Promise<MqttClient> {
  return MqttClient.connect({
    ...(await backend.gateway.createThing(name)),
    sockets: systemSockets,
    clock: systemClock,
    host: '127.0.0.1',
    port: backend.mqttPort,
    onClose: () => lost.push(name),
  });
}
