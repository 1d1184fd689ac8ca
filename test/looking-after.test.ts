import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MqttClient } from '../src/device/index.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { systemSockets } from '../src/kernel/sockets.ts';
import { BackendProcess, eventually, mimamori, temporaryFolder } from './support.ts';

describe('who looks after an app', () => {
  it('finds what failed, sees what became of everything, and gives it another try, from the command line', async t => {
    const folder = temporaryFolder();
    const backend = await BackendProcess.start(folder);
    t.after(() => backend.kill());
    const run = (...args: string[]) => mimamori(...args, '--data', folder);
    const json = (...args: string[]) => {
      const { out, complaint } = run(...args, '--json');
      assert.equal(complaint, '');
      return out.trim() === ''
        ? []
        : out
            .trim()
            .split('\n')
            .map(line => JSON.parse(line));
    };
    const token = BackendProcess.token(folder, 'alice');
    const { speakerId, credentials } = await backend.call(token, 'POST', '/v1/speakers', { name: 'Kitchen' });
    const sockets = { sockets: systemSockets, clock: systemClock, host: '127.0.0.1', port: backend.mqttPort };
    const speaker = await MqttClient.connect({ ...credentials, ...sockets });
    const topic = `dt/speaker-app/detect-person/${speakerId}/enter`;
    for (const at of ['yesterday', '2026-01-01T00:00:00Z', 'tomorrow'])
      await speaker.publish(topic, JSON.stringify({ at }));
    speaker.disconnect();
    await eventually('two messages are dead letters', async () => {
      const { ingest } = await backend.call(token, 'GET', '/healthz');
      return ingest.deadLettered === 2 || undefined;
    });
    const [{ id, eventId, error }, ...others] = json('dead-letters', 'list', '--thing', speakerId);
    assert.deepEqual([error.code, others.length], ['telemetry.notValid', 1]);
    assert.match(run('dead-letters', 'delete', '--all').complaint, /letter\.notConfirmed/);
    assert.match(run('dead-letters', 'edit', id, '--payload', '{"at":"2026-01-01T00:00:01Z"}').out, /tomorrow/);
    const { code, out } = run('dead-letters', 'redrive', '--all', '--yes');
    assert.deepEqual([code, out.split('\n')[0]], [1, '1 handled, 1 failed again, 0 not tried.']);
    assert.match(run('explain', speakerId, eventId).out, /HANDLED[\s\S]*succeeded[\s\S]*write Event-/);
    assert.match(run('ledger', '--check').out, /Everything balances/);
  });
});
