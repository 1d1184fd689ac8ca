import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import mqtt from 'mqtt';
import { TestAuthority } from '../src/kernel/test-certificates.ts';
import { startBackend } from '../src/local/index.ts';
import { temporaryFolder } from './support.ts';

/** An app over TLS, and an authority that both sides trust. */
async function startOverTls(requireCertificate: boolean, limits?: 'aws') {
  const folder = temporaryFolder();
  const authority = await TestAuthority.create();
  const server = await authority.issueServer();
  const write = (name: string, text: string | Buffer) => {
    const file = path.join(folder, name);
    writeFileSync(file, text);
    return file;
  };
  const tls = {
    certfile: write('server.crt', server.certificate),
    keyfile: write('server.key', server.key),
    cafile: write('ca.crt', authority.certificate),
    requireCertificate,
    mqttPort: 0,
    iotPort: 0,
  };
  const backend = await startBackend({
    appUrl: pathToFileURL(path.resolve('apps/speaker/app.ts')),
    dataDirectory: path.join(folder, 'data'),
    host: '127.0.0.1',
    httpPort: 0,
    mqttPort: 0,
    ...(limits && { limits }),
    tls,
    onFailure: error => assert.fail(String(error)),
  });
  return { backend, authority };
}

describe('an app over TLS', () => {
  it('lets a thing in by the certificate signed for its name, without a password, by MQTT and WebSocket', async () => {
    const { backend, authority } = await startOverTls(true);
    try {
      await backend.gateway.createThing('speaker-1');
      const own = await authority.issueClient('speaker-1');
      const foreign = await authority.issueClient('speaker-2'); // Signed, and no thing has the name.
      const ca = authority.certificate;
      for (const url of [backend.tlsUrls.mqtts, backend.tlsUrls.wss]) {
        const options = { ca, clientId: 'speaker-1', reconnectPeriod: 0, protocolVersion: 5 } as const;
        const client = await mqtt.connectAsync(url, { ...options, key: own.key, cert: own.certificate });
        await client.publishAsync('dt/speaker-app/detect-person/speaker-1/enter', '{"at":"2026-01-01T00:00:00Z"}', {
          qos: 1,
        });
        await client.endAsync();
        const stranger = mqtt.connectAsync(url, { ...options, key: foreign.key, cert: foreign.certificate }, false);
        await assert.rejects(stranger, /not authorized|bad user name/i);
      }
    } finally {
      await backend.close();
    }
  });

  it('obeys the quotas of AWS IoT Core where it is told to', async () => {
    const { backend, authority } = await startOverTls(false, 'aws');
    try {
      const { password } = await backend.gateway.createThing('speaker-1');
      const client = mqtt.connect(backend.tlsUrls.mqtts, {
        ca: authority.certificate,
        clientId: 'speaker-1',
        username: 'speaker-1',
        password,
        protocolVersion: 5,
        reconnectPeriod: 0,
      });
      const maximumQoS = await new Promise((resolve, reject) => {
        client.once('connect', ({ properties }) => resolve(properties?.maximumQoS));
        client.once('error', reject);
      });
      assert.equal(maximumQoS, 1);
      await client.endAsync();
    } finally {
      await backend.close();
    }
  });
});
