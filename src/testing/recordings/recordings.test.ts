import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Hono } from 'hono';
import speakerApp from '../../../apps/speaker/app.ts';
import { model } from '../../../apps/speaker/model.ts';
import { temporaryFolder } from '../../../test/support.ts';
import { Feed } from '../../http/feed.ts';
import { ApiCalls, makeApi, type RecordedEvent, recordingPath, recordingRoutes } from '../../http/index.ts';
import { silentLog } from '../../kernel/log.ts';
import { OneThreadBackend } from '../../local/one-thread.ts';
import { readRecording, startApp } from '../index.ts';
import { testSkeleton } from './as-test.ts';
import { Recorder, type RecorderOptions } from './recorder.ts';
import { parseRecording, type Recording, recordingText } from './recording.ts';

const speaker = new URL('../../../apps/speaker/app.ts', import.meta.url);

/** A deployment in which an evening passes, and what is recorded of it: a speaker is registered, told something, and plays it. */
async function recordEvening(options: RecorderOptions = {}): Promise<Recording> {
  const backend = await OneThreadBackend.start(speakerApp);
  const { clock } = backend.world;
  await clock.advance(3_600_000);
  const calls = new ApiCalls();
  const api = makeApi({
    runtime: backend.runtime,
    tokens: { issue: async () => 'alice-7', check: async user => ({ user, readOnly: false }) },
    feed: new Feed(),
    log: silentLog,
    calls,
    health: async () => ({}),
  });
  const routes = recordingRoutes({
    application: 'speaker-app',
    openReader: () => backend.openReader(),
    table: backend.table,
    calls,
    clock,
  });
  const ask = async (method: string, url: string, body?: object) => {
    const headers = { Authorization: 'Bearer alice-7', 'Content-Type': 'application/json' };
    const answer = await clock.until(
      Promise.resolve(api.request(url, { method, headers, body: body && JSON.stringify(body) })),
    );
    return JSON.parse(await answer.text());
  };
  await ask('POST', '/v1/speakers', { name: 'Before' }); // There when the recording begins.
  const operator = new Hono();
  for (const route of routes) operator.on(route.method, route.path, route.answer);
  const untilMs = clock.nowMs() + 60_000;
  const answer = await operator.request(
    `${recordingPath}?sinceMs=${clock.nowMs() - 1_000}&untilMs=${untilMs}&entities=100`,
  );
  const recorder = new Recorder(options);
  const recording = (async () => {
    let rest = '';
    for await (const text of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line !== '') recorder.take(JSON.parse(line) as RecordedEvent); // As the route makes them.
    }
  })();
  await clock.advance(1_000);
  const { speakerId, credentials } = await ask('POST', '/v1/speakers', { name: 'Kitchen' });
  const device = await backend.connect({
    ...credentials,
    onMessage: (_topic, payload) => {
      const { sessionId } = JSON.parse(Buffer.from(payload).toString());
      clock.setTimer(2_500, () => {
        const response = JSON.stringify({ sessionId, status: 'played' });
        void device.publish(`cmd/speaker-app/play-message/${speakerId}/res`, response);
      });
    },
  });
  await clock.until(device.subscribe(`cmd/speaker-app/+/${speakerId}/req`));
  await ask('POST', `/v1/speakers/${speakerId}/messages`, { text: 'Welcome. password: sesame', playOn: 'enter' });
  await clock.advance(5_000);
  const topic = `dt/speaker-app/detect-person/${speakerId}/enter`;
  await clock.until(device.publish(topic, JSON.stringify({ at: new Date(clock.nowMs()).toISOString() })));
  await clock.advance(10_000);
  await clock.until(device.publish(topic, 'no JSON'));
  await ask('GET', '/v1/speakers/none');
  device.drop();
  await clock.advance(120_000);
  await recording;
  await backend.stop();
  return recorder.finish(clock.nowMs());
}

describe('a recording (covers S0-43)', () => {
  it('holds what came in, what was asked, and how devices answered, in the order of time', async () => {
    const { application, durationMs, entries } = await recordEvening();
    assert.deepEqual([application, durationMs], ['speaker-app', 61_000]);
    assert.deepEqual(
      entries.map(entry => (entry.kind === 'request' ? `${entry.method} ${entry.status}` : entry.kind)),
      ['entity', 'POST 201', 'POST 201', 'connected', 'message', 'answer', 'message', 'GET 404', 'disconnected'],
    );
    const answer = entries.find(entry => entry.kind === 'answer');
    assert(answer?.kind === 'answer');
    assert.deepEqual([answer.command, answer.response], ['play-message', { status: 'played' }]);
    assert(answer.afterMs >= 2_500 && answer.afterMs < 2_600);
  });

  it('holds no secrets, and no names if they are to stay', async () => {
    const recording = await recordEvening({ renames: true, redactKeys: ['name'] });
    const text = recordingText({ ...recording, entries: recording.entries.slice(1) }); // What takes part.
    assert.doesNotMatch(text, /sesame|Kitchen|alice|speaker-0/);
    assert.match(text, /"password":"\[redacted\]"/);
    assert.match(text, /dt\/speaker-app\/detect-person\/thing-1\/enter/);
    assert.match(text, /"user":"user-1"/);
  });

  it('is played by a test: everything happens again, with the ids of now', async () => {
    for (const renames of [false, true]) {
      const recording = await recordEvening({ renames });
      await using app = await startApp(speaker, { model, startAt: recording.startedAt });
      const { differences } = await app.replay(recording);
      assert.deepEqual(differences, []);
      const { speakerId } = (await app.items('Speaker')).one({ name: 'Kitchen' });
      app.messages.one({ direction: 'up', type: 'enter', thingName: speakerId, payload: { at: /^2026/ } });
      (await app.items('Message')).one({ status: 'played' });
      (await app.items('Event')).count(2, { speakerId });
      (await app.items('Speaker')).one({ name: 'Before' });
      const command = (await app.commands()).one();
      const played = app.messages.one({ direction: 'up', command: 'play-message' });
      const asked = app.messages.one({ direction: 'down', command: 'play-message' });
      assert(played.atMs - asked.atMs >= 2_500 && played.atMs - asked.atMs < 2_600, command.sessionId);
      (await app.deadLetters()).one({ payload: 'no JSON' });
    }
  });

  it('tells what comes out otherwise than it did', async () => {
    const recording = await recordEvening();
    const entries = recording.entries.map(entry =>
      entry.kind === 'request' && entry.method === 'GET' ? { ...entry, status: 200 } : entry,
    );
    await using app = await startApp(speaker, { model });
    const { differences } = await app.replay({ ...recording, entries });
    assert.equal(differences.length, 1);
    assert.match(differences[0], /GET \/v1\/speakers\/none was answered 200 then, and 404 now: api\.notFound/);
    await assert.rejects(app.replay({ ...recording, application: 'other' }), { code: 'testing.recordingNotValid' });
  });

  it('is a file that says what is wrong with it', async () => {
    const recording = await recordEvening();
    const file = path.join(temporaryFolder(), 'evening.jsonl');
    writeFileSync(file, recordingText(recording));
    assert.deepEqual(await readRecording(pathToFileURL(file)), recording);
    const refused = (text: string, message: RegExp) =>
      assert.throws(() => parseRecording(text, 'evening'), { code: 'testing.recordingNotValid', message });
    const [head, ...lines] = recordingText(recording).split('\n');
    refused('', /the first line of evening is no recording .*no JSON/);
    refused(lines.join('\n'), /the first line/);
    refused(head.replace('"recording":1', '"recording":2'), /recording: /);
    refused([head, lines[0], '{"kind":"message"}'].join('\n'), /line 3 of evening .*atMs/);
    refused([head, '{"kind"'].join('\n'), /line 2 of evening .*no JSON/);
    await assert.rejects(readRecording(pathToFileURL('/nowhere/at.all')), { code: 'testing.recordingNotValid' });
  });

  it('becomes a test to begin with', async () => {
    const recording = await recordEvening();
    const text = testSkeleton({
      recording,
      testFile: '/app/test/evening.test.ts',
      recordingFile: '/app/test/evening.jsonl',
      appFile: '/app/src/app.ts',
    });
    assert.match(text, /new URL\("\.\/evening\.jsonl", import\.meta\.url\)/);
    assert.match(text, /new URL\("\.\.\/src\/app\.ts", import\.meta\.url\)/);
    assert.match(text, /app\.messages\.count\(2, \{ direction: 'up', context: 'detect-person', type: 'enter' \}\)/);
    assert.match(text, /count\(1, \{ command: 'play-message', outcome: 'answered' \}\)/);
  });
});
