import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { MqttClient } from '../../src/device/index.ts';
import { OneThreadBackend, TestWorld } from '../../src/local/one-thread.ts';
import app from './app.ts';

/** A speaker as a test sees it: registered over HTTP, connected over MQTT, noting what it is told to play. */
class TestSpeaker {
  readonly backend: OneThreadBackend;
  readonly speakerId: string;
  readonly credentials: { clientId: string; username: string; password: string };
  readonly told: { sessionId: string; messageId: string; text: string }[] = [];
  answer: 'played' | 'failed' | 'nothing' = 'played';
  client: MqttClient | undefined;

  constructor(backend: OneThreadBackend, answer: { speakerId: string; credentials: TestSpeaker['credentials'] }) {
    this.backend = backend;
    this.speakerId = answer.speakerId;
    this.credentials = answer.credentials;
  }

  static async register(backend: OneThreadBackend, user = 'alice'): Promise<TestSpeaker> {
    const { body } = await backend.request(user, 'POST', '/v1/speakers', { name: 'Kitchen' });
    return new TestSpeaker(backend, body);
  }

  async connect(backend = this.backend): Promise<void> {
    const topic = `cmd/speaker-app/play-message/${this.speakerId}`;
    this.client = await backend.connect({
      ...this.credentials,
      onMessage: (_topic, payload) => {
        const request = JSON.parse(Buffer.from(payload).toString());
        this.told.push(request);
        if (this.answer === 'nothing') return;
        void this.client?.publish(
          `${topic}/res`,
          JSON.stringify({ sessionId: request.sessionId, status: this.answer }),
        );
      },
    });
    await backend.world.clock.until(this.client.subscribe(`${topic}/req`));
  }

  /** Publishes and returns the acknowledgement to wait for. */
  detect(type: 'enter' | 'leave', at: string): Promise<void> {
    assert(this.client);
    return this.client.publish(`dt/speaker-app/detect-person/${this.speakerId}/${type}`, JSON.stringify({ at }));
  }

  async register(message: object): Promise<string> {
    const { status, body } = await this.backend.request(
      'alice',
      'POST',
      `/v1/speakers/${this.speakerId}/messages`,
      message,
    );
    assert.equal(status, 201, JSON.stringify(body));
    await this.backend.indexesCatchUp();
    return body.messageId;
  }

  async events(backend = this.backend): Promise<{ type: string; at: string; messageId?: string; detail?: string }[]> {
    const { body } = await backend.request('alice', 'GET', `/v1/speakers/${this.speakerId}/events?limit=100`);
    return body.items;
  }

  async types(): Promise<string[]> {
    return (await this.events()).map(event => event.type);
  }
}

async function household() {
  const backend = await OneThreadBackend.start(app);
  const speaker = await TestSpeaker.register(backend);
  const { clock } = backend.world;
  return { backend, speaker, clock, messagesPath: `/v1/speakers/${speaker.speakerId}/messages` };
}

const t1 = '2026-01-01T07:00:00.000Z';
const t2 = '2026-01-01T08:00:00.000Z';
const t3 = '2026-01-01T09:00:00.000Z';

describe('the watch-over speaker (covers S0-01, S0-25, S0-43)', () => {
  it('plays a message once when somebody enters, and not again at the next enter', async () => {
    const { speaker, clock } = await household();
    await speaker.connect();
    const messageId = await speaker.register({ text: 'Welcome home', playOn: 'enter' });
    await clock.until(speaker.detect('enter', t1));
    await clock.advance(1_000);
    await clock.until(speaker.detect('enter', t2));
    await clock.advance(60_000);
    assert.deepEqual(
      speaker.told.map(told => [told.messageId, told.text]),
      [[messageId, 'Welcome home']],
    );
    assert.deepEqual(await speaker.types(), ['enter', 'played', 'enter']);
  });

  it('plays everything that waits, which is no list read piece by piece', async () => {
    const { backend, speaker, clock } = await household();
    await speaker.connect();
    for (let count = 0; count < 12; count++) await speaker.register({ text: `Message ${count}`, playOn: 'enter' });
    await clock.until(speaker.detect('enter', t1));
    await clock.advance(10_000);
    assert.equal(speaker.told.length, 12);
    assert.deepEqual(backend.capacity().nPlusOne, []);
    const detected = backend.capacity().patterns.filter(({ functionName }) => functionName === 'whenPersonDetected');
    const callsOf = (name: string) => detected.find(({ accessPattern }) => accessPattern === name)?.calls;
    assert.deepEqual([callsOf('Message.due'), callsOf('Message.getMany'), callsOf('play-message.send')], [2, 1, 12]);
  });

  it('plays a leave message on leave only, and a now message at once', async () => {
    const { speaker, clock } = await household();
    await speaker.connect();
    await speaker.register({ text: 'Take your keys', playOn: 'leave' });
    await clock.until(speaker.detect('enter', t1));
    await clock.advance(1_000);
    assert.equal(speaker.told.length, 0);
    await speaker.register({ text: 'Dinner', playOn: 'now' });
    await clock.advance(1_000);
    await clock.until(speaker.detect('leave', t2));
    await clock.advance(1_000);
    assert.deepEqual(
      speaker.told.map(told => told.text),
      ['Dinner', 'Take your keys'],
    );
  });

  it('acknowledges a detection only when it is durable', async () => {
    const { backend, speaker, clock } = await household();
    await speaker.connect();
    await clock.advance(1_000);
    backend.world.disk.failNext({ operation: 'sync', code: 'EIO' });
    const answer = speaker.detect('enter', t1).then(
      () => 'acknowledged',
      error => error.code,
    );
    assert.equal(await clock.until(answer), 'device.refused');
    assert.equal(backend.failures.length, 1);
  });

  it('keeps a detection that comes twice once', async () => {
    const { speaker, clock } = await household();
    await speaker.connect();
    await clock.until(Promise.all([speaker.detect('enter', t1), speaker.detect('enter', t1)]));
    await clock.advance(1_000);
    assert.deepEqual(await speaker.types(), ['enter']);
  });

  it('gives an offline speaker its message when it returns', async () => {
    const { speaker, clock } = await household();
    await speaker.register({ text: 'Hello', playOn: 'now' });
    await clock.advance(3_600_000);
    assert.equal(speaker.told.length, 0);
    await speaker.connect();
    await clock.advance(1_000);
    assert.equal(speaker.told.length, 1);
    assert.deepEqual(await speaker.types(), ['played']);
  });

  it('does not give an offline speaker a message that has expired, and says so', async () => {
    const { speaker, clock } = await household();
    const expiresAt = new Date(clock.nowMs() + 60_000).toISOString();
    await speaker.register({ text: 'Hello', playOn: 'now', expiresAt });
    await clock.advance(120_000);
    await speaker.connect();
    await clock.advance(60_000);
    assert.equal(speaker.told.length, 0);
    assert.deepEqual(
      (await speaker.events()).map(({ type, detail }) => [type, detail]),
      [['failed', 'expired before it could be played']],
    );
  });

  it('asks again when there is no answer, and gives up after three attempts', async () => {
    const { speaker, clock } = await household();
    await speaker.connect();
    speaker.answer = 'nothing';
    await speaker.register({ text: 'Hello', playOn: 'now' });
    await clock.advance(15_000);
    assert.equal(speaker.told.length, 2);
    await clock.advance(60_000);
    assert.equal(speaker.told.length, 3);
    assert.equal(new Set(speaker.told.map(told => told.sessionId)).size, 1);
    assert.deepEqual(
      (await speaker.events()).map(({ type, detail }) => [type, detail]),
      [['failed', 'no answer']],
    );
  });

  it('tells what the speaker said when it failed', async () => {
    const { speaker, clock } = await household();
    await speaker.connect();
    speaker.answer = 'failed';
    await speaker.register({ text: 'Hello', playOn: 'now' });
    await clock.advance(1_000);
    assert.deepEqual(await speaker.types(), ['failed']);
  });

  it('never plays a deleted message, not even to a speaker that was offline', async () => {
    const { backend, speaker, clock, messagesPath } = await household();
    const messageId = await speaker.register({ text: 'Hello', playOn: 'now' });
    const deleted = await backend.request('alice', 'DELETE', `${messagesPath}/${messageId}`);
    assert.equal(deleted.status, 204);
    await speaker.connect();
    await clock.advance(60_000);
    assert.equal(speaker.told.length, 0);
    assert.equal((await backend.request('alice', 'DELETE', `${messagesPath}/${messageId}`)).status, 404);
  });

  it('never says what was deleted an instant ago, although the list still shows it (covers S2-10)', async () => {
    const { backend, speaker, clock, messagesPath } = await household();
    await speaker.connect();
    const messageId = await speaker.register({ text: 'Hello', playOn: 'leave' });
    const deleted = await backend.request('alice', 'DELETE', `${messagesPath}/${messageId}`);
    assert.equal(deleted.status, 204);
    const { body } = await backend.request('alice', 'GET', messagesPath);
    assert.equal(body.items.length, 1); // As on AWS, for an instant.
    await clock.until(speaker.detect('leave', t1));
    await clock.advance(60_000);
    assert.equal(speaker.told.length, 0);
    assert.deepEqual(await speaker.types(), ['leave']);
  });

  it('keeps what is pending over a restart', async () => {
    const world = new TestWorld();
    const before = await OneThreadBackend.start(app, world);
    const speaker = await TestSpeaker.register(before);
    await speaker.register({ text: 'Hello', playOn: 'now' });
    await before.stop();
    const after = await OneThreadBackend.start(app, world);
    await speaker.connect(after);
    await world.clock.advance(1_000);
    assert.equal(speaker.told.length, 1);
    assert.deepEqual(
      (await speaker.events(after)).map(({ type }) => type),
      ['played'],
    );
  });

  it('pages through events, newest first, without gap or repetition', async () => {
    const { backend, speaker, clock } = await household();
    await speaker.connect();
    for (const at of [t1, t2, t3]) {
      await clock.until(speaker.detect('enter', at));
      await clock.advance(1_000);
    }
    const path = `/v1/speakers/${speaker.speakerId}/events?limit=2`;
    const first = await backend.request('alice', 'GET', path);
    const second = await backend.request('alice', 'GET', `${path}&next=${first.body.next}`);
    const seen = [...first.body.items, ...second.body.items].map(event => event.at);
    assert.deepEqual(seen, [t3, t2, t1]);
    assert.equal(second.body.next, undefined);
  });
});

describe('who may do what with a speaker (covers S0-28, S0-29)', () => {
  it("answers 404 for another user's speaker, wherever it is named", async () => {
    const { backend, speaker, messagesPath } = await household();
    const body = { text: 'Hello', playOn: 'now' };
    const tries = [
      await backend.request('bob', 'GET', `/v1/speakers/${speaker.speakerId}`),
      await backend.request('bob', 'GET', `/v1/speakers/${speaker.speakerId}/events`),
      await backend.request('bob', 'GET', messagesPath),
      await backend.request('bob', 'POST', messagesPath, body),
      await backend.request('bob', 'DELETE', `${messagesPath}/x`),
    ];
    for (const { status, body: problem } of tries) assert.deepEqual([status, problem.code], [404, 'api.notFound']);
    assert.deepEqual((await backend.request('bob', 'GET', '/v1/speakers')).body.items, []);
  });

  it('does not let one speaker answer for another, or publish under its name', async () => {
    const { backend, speaker, clock } = await household();
    await speaker.connect();
    speaker.answer = 'nothing';
    await speaker.register({ text: 'Hello', playOn: 'now' });
    await clock.advance(1_000);
    const { sessionId } = speaker.told[0];
    const other = await TestSpeaker.register(backend, 'bob');
    await other.connect();
    const answer = JSON.stringify({ sessionId, status: 'played' });
    const foreign = `cmd/speaker-app/play-message/${speaker.speakerId}/res`;
    await assert.rejects(clock.until(other.client?.publish(foreign, answer) ?? assert.fail()), {
      code: 'device.refused',
    });
    const own = `cmd/speaker-app/play-message/${other.speakerId}/res`;
    await clock.until(other.client?.publish(own, answer) ?? assert.fail());
    await clock.advance(1_000);
    assert.deepEqual(await speaker.types(), []);
    assert.equal(backend.runtime.counters.get('functions.deadLettered'), 1);
  });

  it("does not let one device's worthless answers hold up another's", async () => {
    const { backend, speaker, clock } = await household();
    await speaker.connect();
    const bad = await TestSpeaker.register(backend, 'bob');
    await bad.connect();
    const topic = `cmd/speaker-app/play-message/${bad.speakerId}/res`;
    const answers = Array.from({ length: 60 }, (_, n) => JSON.stringify({ sessionId: `none-${n}`, status: 'played' }));
    answers.push('{"sessionId":"x","status":"played","detail":"\\ud800"}', 'no JSON', '{}');
    const flood = Promise.all(answers.map(answer => bad.client?.publish(topic, answer)));
    await speaker.register({ text: 'Hello', playOn: 'now' });
    await clock.until(flood);
    await clock.advance(1_000);
    assert.deepEqual(await speaker.types(), ['played']);
    assert.equal(speaker.told.length, 1);
    assert.equal(backend.runtime.counters.get('functions.deadLettered'), answers.length);
  });

  it('sets aside a detection that does not fit its schema and goes on with the next', async () => {
    const { backend, speaker, clock } = await household();
    await speaker.connect();
    await clock.until(speaker.detect('enter', 'yesterday'));
    await clock.until(speaker.detect('enter', t2));
    await clock.advance(1_000);
    assert.deepEqual(await speaker.types(), ['enter']);
    assert.equal(backend.runtime.counters.get('functions.deadLettered'), 1);
  });
});
