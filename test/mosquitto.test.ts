/** The story of the README with clients that are not ours, over TCP. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import { BackendProcess, eventually, missing, temporaryFolder } from './support.ts';

interface Speaker {
  readonly speakerId: string;
  readonly credentials: { clientId: string; username: string; password: string };
}

let backend: BackendProcess;
let token: string;

function register(name: string): Promise<Speaker> {
  return backend.call(token, 'POST', '/v1/speakers', { name });
}

describe('clients that others have written', () => {
  before(async () => {
    const folder = temporaryFolder();
    backend = await BackendProcess.start(folder);
    token = BackendProcess.token(folder, 'alice');
  });
  after(() => backend?.kill());

  const skip = missing('mosquitto_sub');

  for (const version of ['mqttv311', 'mqttv5']) {
    const run = (program: string, speaker: Speaker, args: string[]): ChildProcess => {
      const { username, password } = speaker.credentials;
      const common = [
        '-h',
        '127.0.0.1',
        '-p',
        String(backend.mqttPort),
        '-V',
        version,
        '-q',
        '1',
        '-u',
        username,
        '-P',
        password,
      ];
      return spawn(program, [...common, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    };
    const finished = async (child: ChildProcess): Promise<{ code: number; said: string }> => {
      let said = '';
      child.stdout?.on('data', bytes => (said += bytes));
      child.stderr?.on('data', bytes => (said += bytes));
      const [code] = await once(child, 'close');
      return { code, said };
    };
    const publish = (speaker: Speaker, topic: string, message: string) => {
      const id = `${speaker.credentials.clientId}.pub`;
      return finished(run('mosquitto_pub', speaker, ['-i', id, '-t', topic, '-m', message]));
    };

    it(`mosquitto ${version}: a speaker hears its message, answers, and the events tell of it`, { skip }, async () => {
      const speaker = await register(`Mosquitto ${version}`);
      const { speakerId, credentials } = speaker;
      const cmd = `cmd/speaker-app/play-message/${speakerId}`;
      const path = `/v1/speakers/${speakerId}`;
      const listening = run('mosquitto_sub', speaker, [
        '-i',
        credentials.clientId,
        '-t',
        `${cmd}/req`,
        '-C',
        '1',
        '-W',
        '15',
      ]);
      const heard = finished(listening);
      await eventually(
        'the speaker is connected',
        async () => (await backend.call(token, 'GET', path)).connected || undefined,
      );
      await backend.call(token, 'POST', `${path}/messages`, { text: 'Welcome home', playOn: 'enter' });
      const at = '2026-01-01T08:00:00Z';
      const enter = `dt/speaker-app/detect-person/${speakerId}/enter`;
      assert.equal((await publish(speaker, enter, JSON.stringify({ at }))).code, 0);
      const { code, said } = await heard;
      assert.equal(code, 0, said);
      const request = JSON.parse(said);
      assert.equal(request.text, 'Welcome home');
      const answer = JSON.stringify({ sessionId: request.sessionId, status: 'played' });
      assert.equal((await publish(speaker, `${cmd}/res`, answer)).code, 0);
      await eventually('both events are listed', async () => {
        const { items } = await backend.call(token, 'GET', `${path}/events`);
        const types = items.map((event: { type: string }) => event.type);
        return types.join() === 'played,enter' || undefined;
      });
    });

    it(`mosquitto ${version}: a wrong password is refused`, { skip }, async () => {
      const { speakerId, credentials } = await register('Refused');
      const wrong = { speakerId, credentials: { ...credentials, password: 'wrong' } };
      const { code, said } = await publish(wrong, `dt/speaker-app/detect-person/${speakerId}/enter`, '{}');
      assert.notEqual(code, 0);
      assert.match(said, /bad user ?name or password/i);
    });

    it(`mosquitto ${version}: another speaker's topic is refused`, { skip }, async () => {
      const [speaker, other] = [await register('One'), await register('Other')];
      const at = '2026-01-01T08:00:00Z';
      const topic = `dt/speaker-app/detect-person/${other.speakerId}/enter`;
      const { said } = await publish(speaker, topic, JSON.stringify({ at }));
      if (version === 'mqttv5') assert.match(said, /[Nn]ot authorized/); // 3.1.1 finds the connection closed.
      await publish(other, topic, JSON.stringify({ at: '2026-01-01T09:00:00Z' }));
      await eventually('only its own is listed', async () => {
        const { items } = await backend.call(token, 'GET', `/v1/speakers/${other.speakerId}/events`);
        if (items.length === 0) return undefined;
        assert.deepEqual(
          items.map((event: { at: string }) => event.at),
          ['2026-01-01T09:00:00Z'],
        );
        return true;
      });
      const cmd = `cmd/speaker-app/play-message/${other.speakerId}/req`;
      const listening = run('mosquitto_sub', speaker, [
        '-i',
        `${speaker.credentials.clientId}.sub`,
        '-t',
        cmd,
        '-W',
        '1',
        '-E',
      ]);
      const { code, said: complaint } = await finished(listening);
      assert(code !== 0 || /[Nn]ot authorized|denied|rejected/.test(complaint), complaint);
    });
  }

  for (const protocolVersion of [4, 5] as const) {
    const connect = ({ credentials }: Speaker, options: IClientOptions = {}): Promise<MqttClient> =>
      mqtt.connectAsync({
        ...credentials,
        host: '127.0.0.1',
        port: backend.mqttPort,
        protocolVersion,
        reconnectPeriod: 0,
        ...options,
      });

    it(`MQTT.js ${protocolVersion}: publishes, and finds what was sent while it was away`, async () => {
      const speaker = await register(`MQTT.js ${protocolVersion}`);
      const { speakerId } = speaker;
      const cmd = `cmd/speaker-app/play-message/${speakerId}`;
      const lasting: IClientOptions = {
        clean: false,
        ...(protocolVersion === 5 && { properties: { sessionExpiryInterval: 600 } }),
      };
      const first = await connect(speaker, lasting);
      const publishes = 1_500; // All at once, far beyond what the gateway lets wait for the disk.
      const [granted] = await first.subscribeAsync(`${cmd}/req`, { qos: 1 });
      assert.equal(granted.qos, 1);
      await Promise.all(
        Array.from({ length: publishes }, (_, n) =>
          first.publishAsync(
            `dt/speaker-app/detect-person/${speakerId}/leave`,
            JSON.stringify({ at: new Date(n).toISOString() }),
            { qos: 1 },
          ),
        ),
      );
      await first.endAsync();
      await backend.call(token, 'POST', `/v1/speakers/${speakerId}/messages`, {
        text: 'While you were away',
        playOn: 'now',
      });
      const again = mqtt.connect({
        ...speaker.credentials,
        host: '127.0.0.1',
        port: backend.mqttPort,
        protocolVersion,
        reconnectPeriod: 0,
        ...lasting,
      });
      const payload = await new Promise<Buffer>(resolve => again.once('message', (_topic, bytes) => resolve(bytes)));
      assert.equal(JSON.parse(String(payload)).text, 'While you were away');
      await again.endAsync();
    });

    it(`MQTT.js ${protocolVersion}: leaves a will, which is published when its connection is lost`, async () => {
      const speaker = await register(`Will ${protocolVersion}`);
      const { speakerId } = speaker;
      const topic = `dt/speaker-app/detect-person/${speakerId}/leave`;
      const payload = Buffer.from(JSON.stringify({ at: '2026-01-01T10:00:00Z' }));
      const client = await connect(speaker, { will: { topic, payload, qos: 1, retain: false } });
      client.on('error', () => {});
      client.stream.destroy();
      await eventually('the will is an event', async () => {
        const { items } = await backend.call(token, 'GET', `/v1/speakers/${speakerId}/events`);
        return items.length === 1 || undefined;
      });
      await assert.rejects(
        connect(speaker, {
          will: { topic: 'dt/speaker-app/detect-person/other/leave', payload, qos: 1, retain: false },
        }),
      );
    });
  }
});
