import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { delay } from '../../../kernel/clock.ts';
import { hasCode } from '../contract.ts';
import { adviseBatch, type BatchQuestion } from './advise.ts';
import { ConsumersWorld } from './consumer-world.ts';

/** What a consumer does with so many records that come by chance. */
async function measure(question: Required<BatchQuestion>, records: number) {
  const { recordsPerSecond, perBatchMs, perRecordMs, concurrency, batchRecordsMax, batchWindowMs } = question;
  const world = new ConsumersWorld(5);
  let [busyMs, batches, latencyMs, handled] = [0, 0, 0, 0];
  const life = world.start(
    async batch => {
      const workMs = perBatchMs + perRecordMs * batch.length;
      await delay(world.clock, workMs);
      busyMs += workMs;
      batches++;
      handled += batch.length;
      for (const { record } of batch) latencyMs += world.clock.nowMs() - record.arrivalAtMs;
    },
    { parallelizationFactor: concurrency, batchRecordsMax, batchWindowMs },
  );
  let atMs = 0;
  for (let index = 0; index < records; index++) {
    atMs -= (Math.log((world.random.integer(1e6) + 1) / 1e6) * 1_000) / recordsPerSecond;
    const key = `k${world.random.integer(5_000)}`;
    world.clock.setTimer(atMs, () => void world.stream.put(key, key));
  }
  await world.clock.advance(atMs);
  const totalMs = world.clock.monotonicMs();
  await world.clock.advance(60_000);
  await life.stop();
  assert.equal(handled, records);
  return {
    recordsPerBatch: handled / batches,
    latencyMsMean: latencyMs / handled,
    utilisation: busyMs / totalMs / concurrency,
  };
}

describe('advice on batches (covers S3-14)', () => {
  const base = {
    recordsPerSecond: 200,
    perBatchMs: 20,
    perRecordMs: 2,
    concurrency: 1,
    batchRecordsMax: 100,
    batchWindowMs: 0,
  };
  const questions: Readonly<Record<string, Required<BatchQuestion>>> = {
    'without a window': base,
    'with a window that is never full': { ...base, recordsPerSecond: 40, batchWindowMs: 500 },
    'with batches full before their window': { ...base, batchRecordsMax: 20, batchWindowMs: 1_000 },
    'in four lanes': { ...base, recordsPerSecond: 600, concurrency: 4, batchWindowMs: 100 },
  };
  for (const [what, question] of Object.entries(questions)) {
    it(`is within 20 % of what a consumer does: ${what}`, async () => {
      const advice = adviseBatch(question);
      const measured = await measure(question, 2_000);
      for (const figure of ['recordsPerBatch', 'latencyMsMean', 'utilisation'] as const) {
        const ratio = advice[figure] / measured[figure];
        assert.ok(ratio > 0.8 && ratio < 1.2, `${figure}: advised ${advice[figure]}, measured ${measured[figure]}`);
      }
    });
  }

  it('says when more comes than can be handled, and what it would need', () => {
    const question = { recordsPerSecond: 5_000, perBatchMs: 10, perRecordMs: 1, batchRecordsMax: 90 };
    const advice = adviseBatch(question);
    assert.equal(advice.latencyMsMean, Number.POSITIVE_INFINITY);
    assert.equal(advice.utilisation, 1);
    assert.equal(advice.recordsPerSecondMax, 900);
    assert.equal(advice.concurrencyNeeded, 7);
    const enough = adviseBatch({ ...question, concurrency: 7 });
    assert.ok(enough.utilisation > 0.7 && enough.utilisation < 1);
    assert.ok(enough.latencyMsP99 < 2_000);
  });

  it('refuses a question without an answer', () => {
    const question = { recordsPerSecond: 100, perBatchMs: 10, perRecordMs: 1, batchRecordsMax: 90 };
    const wrong = [
      { recordsPerSecond: 0 },
      { recordsPerSecond: Number.POSITIVE_INFINITY },
      { perBatchMs: -1 },
      { perRecordMs: Number.NaN },
      { concurrency: 0.5 },
      { batchRecordsMax: 0 },
      { batchWindowMs: -1 },
    ];
    for (const change of wrong)
      assert.throws(() => adviseBatch({ ...question, ...change }), hasCode('stream.sampleNotValid'));
  });
});
