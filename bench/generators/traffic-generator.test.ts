import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { forkGenerator, GeneratorTestServer } from './generator-test-server.ts';
import type { TrafficPlan, TrafficRequest, TrafficResult } from './traffic.ts';

const seconds = 0.1;

describe('the traffic generator', () => {
  let server: GeneratorTestServer;
  let port: number;
  let generator: ReturnType<typeof forkGenerator<TrafficRequest, TrafficResult>>;

  beforeEach(async () => {
    server = new GeneratorTestServer();
    port = await server.listen();
    generator = forkGenerator('traffic-generator.ts');
  });
  afterEach(async () => {
    await generator.end();
    server.close();
  });

  /** Two publishers of two topics each; every topic has `subscribers` subscribers. */
  const planFor = (qos: 0 | 1, subscribers: number): TrafficPlan => ({
    port,
    qos,
    payloadBytes: 200,
    subscribers: Array.from({ length: subscribers }, (_, index) => ({
      clientId: `sub-${index}`,
      topicFilters: ['t/0', 't/1', 't/2', 't/3'],
    })),
    publishers: [
      { clientId: 'pub-0', topics: ['t/0', 't/1'] },
      { clientId: 'pub-1', topics: ['t/2', 't/3'] },
    ],
    deliveriesPerMessage: subscribers,
    window: 5,
  });

  for (const qos of [0, 1] as const) {
    it(`counts every delivery of QoS ${qos} once, however it is cut, and waits for the last`, async () => {
      assert.equal((await generator.ask({ kind: 'open', plan: planFor(qos, 3) })).kind, 'done');
      const first = await generator.ask({ kind: 'go', seconds });
      const second = await generator.ask({ kind: 'go', seconds });
      assert(first.kind === 'done' && second.kind === 'done');
      const messages = first.result.messages + second.result.messages;
      assert(second.result.messages > 50);
      assert.equal(server.received, messages);
      assert.equal(first.result.deliveries + second.result.deliveries, messages * 3);
      assert(second.result.p50Ms > 0 && second.result.p99Ms >= second.result.p50Ms);
    });
  }

  it('acknowledges each message it receives with QoS 1', { timeout: 10_000 }, async () => {
    await generator.ask({ kind: 'open', plan: planFor(1, 1) });
    const run = await generator.ask({ kind: 'go', seconds });
    assert(run.kind === 'done');
    await server.pubacksReached(run.result.deliveries); // the last ones may still be on their way
  });

  it('gives up on a message that comes twice', async () => {
    server.copies = 2;
    await generator.ask({ kind: 'open', plan: planFor(0, 1) });
    const run = await generator.ask({ kind: 'go', seconds });
    assert(run.kind === 'failed');
    assert.match(run.message, /did not expect, or had already/);
  });

  it('gives up on a subscription that is refused, or granted less than was asked', async () => {
    server.granted = 0x80;
    const answer = await generator.ask({ kind: 'open', plan: planFor(1, 1) });
    assert(answer.kind === 'failed');
    assert.match(answer.message, /The answer to SUBSCRIBE of sub-0 was 0x900600018080/);
  });

  it('gives up when the server goes away', async () => {
    await generator.ask({ kind: 'open', plan: planFor(0, 1) });
    const running = generator.ask({ kind: 'go', seconds: 60 });
    server.close();
    const run = await running;
    assert(run.kind === 'failed');
    assert.match(run.message, /closed connection|broke/);
  });
});
