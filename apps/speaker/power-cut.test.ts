import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type StartOptions, startApp, type VirtualDevice } from 'mimamori/testing';
import { seededRandom } from '../../src/kernel/random.ts';
import { testScale } from '../../test/support.ts';
import { model } from './model.ts';

const lenient: StartOptions<typeof model>['lenient'] = {
  recycledInstances: 'the app is started thousands of times, and other tests look for hidden state',
  cloudLimits: 'the more is under way when the power goes, the better',
};

/** Publishes one detection after the other until the connection is cut; tells which were acknowledged. */
async function detect(
  speaker: VirtualDevice<typeof model>,
  times: Iterator<string>,
  acknowledged: Set<string>,
): Promise<void> {
  for (;;) {
    const at: string = times.next().value;
    await speaker.publish('detect-person', 'enter', { at });
    acknowledged.add(at);
  }
}

function* everySecond(): Generator<string, never> {
  for (let ms = Date.UTC(2026, 0, 1); ; ms += 1_000) yield new Date(ms).toISOString();
}

/** One world, many power cuts, and in the end what the phone sees. */
async function campaign(seed: number, cuts: number) {
  const random = seededRandom(seed);
  await using app = await startApp(new URL('./app.ts', import.meta.url), { model, seed, lenient });
  const alice = app.user('alice');
  const { speakerId } = await alice.post('/v1/speakers', { name: 'Kitchen' });
  const speaker = await app.device(speakerId, { isConnected: false });
  speaker.onCommand('play-message', () => ({ status: 'played' }));
  const times = everySecond();
  const acknowledged = new Set<string>();
  let registered = 0;
  for (let cut = 0; cut <= cuts; cut++) {
    await speaker.connect();
    const message = { text: `Message ${cut}`, playOn: 'enter' };
    const answer = await alice.ask('POST', `/v1/speakers/${speakerId}/messages`, message);
    if (answer.status === 201) registered++;
    const load = Promise.all([1, 2, 3].map(() => detect(speaker, times, acknowledged))).catch(() => {});
    await app.advance(random.integer(80));
    if (cut === cuts) await app.restart();
    else await app.cutPower();
    await load;
  }
  await app.advance('1m');
  const seen: string[] = [];
  let played = 0;
  for (let next: string | undefined = ''; next !== undefined; ) {
    const page: { items: { type: string; at: string }[]; next?: string } = await alice.get(
      `/v1/speakers/${speakerId}/events?limit=100${next && `&next=${next}`}`,
    );
    for (const event of page.items) {
      if (event.type === 'enter') seen.push(event.at);
      else played++;
    }
    next = page.next;
  }
  const told = new Set(speaker.requests('play-message').map(({ sessionId }) => sessionId)).size;
  return { acknowledged, seen, played, told, registered };
}

describe('the watch-over speaker when the power goes', () => {
  it('keeps every acknowledged detection, once, and plays no message twice (hostile T02)', async t => {
    const campaigns = testScale(5, 300);
    const firstSeed = Number(process.env.SEED ?? Date.now() % 1_000_000);
    t.diagnostic(`seeds ${firstSeed} to ${firstSeed + campaigns - 1}, 8 cuts each`);
    let total = 0;
    for (let seed = firstSeed; seed < firstSeed + campaigns; seed++) {
      const { acknowledged, seen, played, told, registered } = await campaign(seed, 8);
      const counts = new Map<string, number>();
      for (const at of seen) counts.set(at, (counts.get(at) ?? 0) + 1);
      for (const at of acknowledged)
        assert.equal(counts.get(at), 1, `seed ${seed}: ${at} is there ${counts.get(at)} times`);
      for (const [at, count] of counts) assert.equal(count, 1, `seed ${seed}: ${at} is there ${count} times`);
      assert(played > 0 && told >= played, `seed ${seed}: ${played} plays, ${told} sessions told`);
      assert(played <= registered, `seed ${seed}: ${played} plays of ${registered} messages`);
      total += acknowledged.size;
    }
    t.diagnostic(`${total} detections acknowledged`);
  });
});
