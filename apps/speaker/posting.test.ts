import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { dataPlaneLimits } from '../../src/iot/http/index.ts';
import { bites } from '../../src/kernel/bites.ts';
import { OneThreadBackend, TestWorld } from '../../src/local/one-thread.ts';
import app from './app.ts';

/** A speaker on a battery: it wakes up, posts, does what the answer says, and sleeps. */
class PostingSpeaker {
  readonly speakerId: string;
  backend: OneThreadBackend;
  readonly #credentials: { username: string; password: string };

  private constructor(backend: OneThreadBackend, answer: { speakerId: string; credentials: never }) {
    this.backend = backend;
    this.speakerId = answer.speakerId;
    this.#credentials = answer.credentials;
  }

  static async register(backend: OneThreadBackend): Promise<PostingSpeaker> {
    const { body } = await backend.request('alice', 'POST', '/v1/speakers', { name: 'Kitchen' });
    return new PostingSpeaker(backend, body);
  }

  /** Posts a detection; gives what the answer carries. */
  async detect(type: 'enter' | 'leave', at: string, query = ''): Promise<Carried[]> {
    return this.#post(`dt/speaker-app/detect-person/${this.speakerId}/${type}`, { at }, query);
  }

  /** Posts what became of a play, and that it has the message. */
  async played({ id, sessionId }: Carried): Promise<Carried[]> {
    const topic = `cmd/speaker-app/play-message/${this.speakerId}/res`;
    return this.#post(topic, { sessionId, status: 'played' }, `&ack=${id}`);
  }

  async #post(topic: string, body: object, query: string): Promise<Carried[]> {
    const url = `/topics/${encodeURIComponent(topic)}?qos=1&pending=10${query}`;
    const { status, body: answer } = await this.backend.post(this.#credentials, url, body);
    assert.equal(status, 200, JSON.stringify(answer));
    return answer.pending.map(({ id, topic, payload, duplicate }: Record<string, string>) => {
      const { sessionId, text } = JSON.parse(Buffer.from(payload, 'base64').toString());
      return { id, topic, sessionId, text, duplicate };
    });
  }

  async say(message: object): Promise<void> {
    const path = `/v1/speakers/${this.speakerId}/messages`;
    assert.equal((await this.backend.request('alice', 'POST', path, message)).status, 201);
    await this.backend.indexesCatchUp();
  }

  async events(): Promise<string[]> {
    const { body } = await this.backend.request('alice', 'GET', `/v1/speakers/${this.speakerId}/events?limit=100`);
    return body.items.map(({ type }: { type: string }) => type);
  }
}

interface Carried {
  readonly id: number;
  readonly topic: string;
  readonly sessionId: string;
  readonly text: string;
  readonly duplicate: boolean;
}

const hourMs = 3_600_000;
const now = ({ world }: OneThreadBackend) => new Date(world.clock.nowMs()).toISOString();

describe('a speaker that only posts (covers S3-08)', () => {
  const getsItsCommand = async () => {
    const backend = await OneThreadBackend.start(app);
    const { clock } = backend.world;
    const speaker = await PostingSpeaker.register(backend);
    assert.deepEqual(await speaker.detect('enter', now(backend)), []);
    await clock.advance(hourMs);
    await speaker.say({ text: 'Dinner', playOn: 'now' });
    await clock.advance(5 * hourMs);
    const carried = await speaker.detect('leave', now(backend));
    const [play] = carried;
    assert.deepEqual(
      carried.map(({ topic, text, duplicate }) => [topic, text, duplicate]),
      [[`cmd/speaker-app/play-message/${speaker.speakerId}/req`, 'Dinner', false]],
    );
    await clock.advance(3_000);
    assert.deepEqual(await speaker.played(play), []);
    await clock.advance(hourMs);
    assert.deepEqual(await speaker.detect('enter', now(backend)), []); // It is not told again.
    assert.deepEqual(await speaker.events(), ['enter', 'played', 'leave', 'enter']);
    const counters = await backend.gateway.counters();
    assert.equal(counters['mqtt.connections'], 0);
  };
  it('gets its command in the answer to its next post, hours later, and resolves it by another', async () => {
    await getsItsCommand();
    // What makes it so: the app is given the time to hear that the speaker is there.
    await bites(dataPlaneLimits, 'waitMsDefault', { value: 0 }, getsItsCommand);
  });

  it('gets in the answer what its own post has caused', async () => {
    const backend = await OneThreadBackend.start(app);
    const speaker = await PostingSpeaker.register(backend);
    await speaker.say({ text: 'Welcome home', playOn: 'enter' });
    const startedAtMs = backend.world.clock.nowMs();
    const [welcome] = await speaker.detect('enter', now(backend));
    assert.equal(welcome.text, 'Welcome home');
    assert(backend.world.clock.nowMs() - startedAtMs < 500); // It is not made to wait when there is something.
    await speaker.played(welcome);
    await backend.world.clock.advance(1_000);
    assert.deepEqual(await speaker.events(), ['played', 'enter']);
  });

  it('gets it again when it has not said that it has it, and resolves it hours after it was sent', async () => {
    const backend = await OneThreadBackend.start(app);
    const { clock } = backend.world;
    const speaker = await PostingSpeaker.register(backend);
    await speaker.say({ text: 'Dinner', playOn: 'now' });
    const [lost] = await speaker.detect('enter', now(backend)); // The answer never arrives.
    await clock.advance(2_000);
    const again = await speaker.detect('leave', now(backend));
    assert.deepEqual(again, [{ ...lost, duplicate: true }]);
    await clock.advance(2 * hourMs); // It plays slowly.
    assert.deepEqual(await speaker.played(again[0]), []); // The answer counts before the post does as a return.
    await clock.advance(60_000);
    assert.deepEqual(await speaker.events(), ['played', 'leave', 'enter']);
  });

  it('gets what waited before the power went', async () => {
    const world = new TestWorld();
    const before = await OneThreadBackend.start(app, world);
    const speaker = await PostingSpeaker.register(before);
    await speaker.detect('enter', now(before));
    await speaker.say({ text: 'Dinner', playOn: 'now' });
    await world.clock.advance(1_000);
    before.powerCut();
    speaker.backend = await OneThreadBackend.start(app, world);
    await world.clock.advance(hourMs);
    const carried = await speaker.detect('leave', now(speaker.backend));
    assert.deepEqual(
      carried.map(({ text }) => text),
      ['Dinner'],
    );
  });
});
