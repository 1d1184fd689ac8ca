import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LedgerRow } from '../src/app/index.ts';
import { MqttClient } from '../src/device/index.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { seededRandom } from '../src/kernel/random.ts';
import { systemSockets } from '../src/kernel/sockets.ts';
import { BackendProcess, eventually, mimamori, temporaryFolder, testScale } from './support.ts';

interface Speaker {
  readonly speakerId: string;
  readonly credentials: { clientId: string; username: string; password: string };
  /** Detections that were acknowledged, by their time. */
  readonly acknowledged: Set<string>;
  /** The one under way when the connection was lost: sent again with the same time. */
  unsure: string | undefined;
}

describe('a backend that is killed', () => {
  it('shows every acknowledged detection exactly once (hostile T01)', async t => {
    const rounds = testScale(6, 200);
    const seed = Number(process.env.SEED ?? Date.now() % 100_000);
    t.diagnostic(`seed ${seed}, ${rounds} rounds`);
    const random = seededRandom(seed);
    const folder = temporaryFolder();
    let backend = await BackendProcess.start(folder);
    t.after(() => backend.kill());
    const token = BackendProcess.token(folder, 'alice');
    const speakers: Speaker[] = [];
    for (let index = 0; index < 4; index++) {
      const made = await backend.call(token, 'POST', '/v1/speakers', { name: `Speaker ${index}` });
      speakers.push({ ...made, acknowledged: new Set(), unsure: undefined });
    }
    let tick = Date.UTC(2026, 0, 1);
    const nextTime = () => new Date(tick++).toISOString();
    for (let round = 0; round < rounds; round++) {
      const loads = speakers.map(speaker => detectUntilCut(backend, speaker, nextTime));
      await new Promise(resolve => setTimeout(resolve, 30 + random.integer(150)));
      await backend.kill();
      await Promise.all(loads);
      backend = await BackendProcess.start(folder);
    }
    for (const speaker of speakers) await detectUntilCut(backend, speaker, nextTime, 1); // Settles what was unsure.
    const total = speakers.reduce((sum, { acknowledged }) => sum + acknowledged.size, 0);
    t.diagnostic(`${total} detections acknowledged`);
    assert(total > rounds, 'the load was real');
    for (const speaker of speakers) {
      const expected = [...speaker.acknowledged].sort();
      await eventually(
        'all acknowledged detections are in the events',
        async () => {
          const seen = await allDetections(backend, token, speaker);
          if (seen.length < expected.length) return undefined;
          assert.deepEqual(seen.sort(), expected);
          return true;
        },
        120_000,
      ); // In a long campaign much has gathered that no round was long enough to handle.
    }
    const { ingest } = await backend.call(token, 'GET', '/healthz');
    assert.equal(ingest.deadLettered, 0);
    assertBalanced(folder, total);
  });
});

/** Every record that was received came to an end for every consumer, and is counted once. */
function assertBalanced(folder: string, acknowledged: number): void {
  const checked = mimamori('ledger', '--check', '--json', '--data', folder);
  assert.equal(checked.code, 0, checked.out + checked.complaint);
  const sums = new Map<string, { received: number; settled: number }>();
  for (const line of mimamori('ledger', '--since', '1d', '--json', '--data', folder).out.trim().split('\n')) {
    const row: LedgerRow = JSON.parse(line);
    const sum = sums.get(row.consumer) ?? { received: 0, settled: 0 };
    sum.received += row.received;
    sum.settled += row.handled + row.filtered + row.deadLettered + row.expired;
    sums.set(row.consumer, sum);
  }
  assert(sums.size > 1);
  for (const [consumer, { received, settled }] of sums) {
    assert(received >= acknowledged, `${consumer}: ${received} of ${acknowledged}`);
    assert.equal(settled, received, consumer);
  }
}

/** Publishes one detection after the other until the connection is lost, or `count` are done. */
async function detectUntilCut(
  backend: BackendProcess,
  speaker: Speaker,
  nextTime: () => string,
  count = Number.POSITIVE_INFINITY,
): Promise<void> {
  const topic = `dt/speaker-app/detect-person/${speaker.speakerId}/enter`;
  try {
    const client = await MqttClient.connect({
      ...speaker.credentials,
      sockets: systemSockets,
      clock: systemClock,
      host: '127.0.0.1',
      port: backend.mqttPort,
    });
    for (let done = 0; done < count; done++) {
      const at = speaker.unsure ?? nextTime();
      speaker.unsure = at;
      await client.publish(topic, JSON.stringify({ at }));
      speaker.acknowledged.add(at);
      speaker.unsure = undefined;
    }
    client.disconnect();
  } catch {
    // Cut: what was under way stays unsure and is sent again in the next round.
  }
}

async function allDetections(backend: BackendProcess, token: string, { speakerId }: Speaker): Promise<string[]> {
  const seen: string[] = [];
  for (let next = ''; ; ) {
    const page = await backend.call(token, 'GET', `/v1/speakers/${speakerId}/events?limit=100${next}`);
    for (const event of page.items) if (event.type === 'enter') seen.push(event.at);
    if (!page.next) return seen;
    next = `&next=${page.next}`;
  }
}
