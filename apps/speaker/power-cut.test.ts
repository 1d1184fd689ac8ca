import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { MqttClient } from '../../src/device/index.ts';
import { seededRandom } from '../../src/kernel/random.ts';
import { OneThreadBackend, TestWorld } from '../../src/local/one-thread.ts';
import { testScale } from '../../test/support.ts';
import app from './app.ts';

interface Registered {
  readonly speakerId: string;
  readonly credentials: { clientId: string; username: string; password: string };
}

/** Publishes one detection after the other until the connection is cut; tells which were acknowledged. */
async function detect(
  client: MqttClient,
  speakerId: string,
  times: Iterator<string>,
  acknowledged: Set<string>,
): Promise<void> {
  for (;;) {
    const at: string = times.next().value;
    await client.publish(`dt/speaker-app/detect-person/${speakerId}/enter`, JSON.stringify({ at }));
    acknowledged.add(at);
  }
}

function* everySecond(): Generator<string, never> {
  for (let ms = Date.UTC(2026, 0, 1); ; ms += 1_000) yield new Date(ms).toISOString();
}

/** One world, many power cuts, and in the end what the phone sees. */
async function campaign(
  seed: number,
  cuts: number,
): Promise<{ acknowledged: Set<string>; seen: string[]; played: number; told: number }> {
  const random = seededRandom(seed);
  const world = new TestWorld(seed);
  let backend = await OneThreadBackend.start(app, world);
  const { body } = await backend.request('alice', 'POST', '/v1/speakers', { name: 'Kitchen' });
  const { speakerId, credentials }: Registered = body;
  const times = everySecond();
  const acknowledged = new Set<string>();
  const told = new Set<string>();
  let registered = 0;
  for (let cut = 0; cut <= cuts; cut++) {
    const client: MqttClient = await backend.connect({
      ...credentials,
      onMessage: (_topic, payload) => {
        const { sessionId } = JSON.parse(Buffer.from(payload).toString());
        told.add(sessionId);
        const answer = JSON.stringify({ sessionId, status: 'played' });
        client.publish(`cmd/speaker-app/play-message/${speakerId}/res`, answer).catch(() => {});
      },
    });
    await world.clock.until(client.subscribe(`cmd/speaker-app/play-message/${speakerId}/req`));
    const message = { text: `Message ${cut}`, playOn: 'enter' };
    const answer = await backend.request('alice', 'POST', `/v1/speakers/${speakerId}/messages`, message);
    if (answer.status === 201) registered++;
    const load = Promise.all([1, 2, 3].map(() => detect(client, speakerId, times, acknowledged))).catch(() => {});
    await world.clock.advance(random.integer(80));
    if (cut === cuts) break;
    backend.powerCut();
    await world.clock.until(load);
    await world.clock.advance(5);
    backend = await OneThreadBackend.start(app, world);
  }
  await backend.stop();
  backend = await OneThreadBackend.start(app, world);
  await world.clock.advance(60_000);
  const seen: string[] = [];
  let played = 0;
  for (let next = ''; ; ) {
    const page = await backend.request('alice', 'GET', `/v1/speakers/${speakerId}/events?limit=100${next}`);
    for (const event of page.body.items) {
      if (event.type === 'enter') seen.push(event.at);
      else played++;
    }
    if (!page.body.next) break;
    next = `&next=${page.body.next}`;
  }
  await backend.stop();
  assert.equal(played <= registered, true, `${played} plays of ${registered} messages`);
  return { acknowledged, seen, played, told: told.size };
}

describe('the watch-over speaker when the power goes', () => {
  it('keeps every acknowledged detection, once, and plays no message twice (hostile T02)', async t => {
    const campaigns = testScale(10, 300);
    const firstSeed = Number(process.env.SEED ?? Date.now() % 1_000_000);
    t.diagnostic(`seeds ${firstSeed} to ${firstSeed + campaigns - 1}, 8 cuts each`);
    let total = 0;
    for (let seed = firstSeed; seed < firstSeed + campaigns; seed++) {
      const { acknowledged, seen, played, told } = await campaign(seed, 8);
      const counts = new Map<string, number>();
      for (const at of seen) counts.set(at, (counts.get(at) ?? 0) + 1);
      for (const at of acknowledged)
        assert.equal(counts.get(at), 1, `seed ${seed}: ${at} is there ${counts.get(at)} times`);
      for (const [at, count] of counts) assert.equal(count, 1, `seed ${seed}: ${at} is there ${count} times`);
      assert(played > 0 && told >= played, `seed ${seed}: ${played} plays, ${told} sessions told`);
      total += acknowledged.size;
    }
    t.diagnostic(`${total} detections acknowledged`);
  });
});
