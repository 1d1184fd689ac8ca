import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, it } from 'node:test';
import { testScale } from '../support.ts';
import { packetCaseOf } from './packets.ts';
import { ProgressReport } from './progress.ts';
import { watchRun } from './watch-run.ts';

describe('a thread that fuzzes', { skip: testScale(1, 0) === 1 && 'part of npm run test:long' }, () => {
  const watch = (seed: number, silentMs: number) =>
    watchRun(
      { seed, packets: { first: 0, count: 1_000 }, sessions: { first: 0, count: 0 } },
      {
        progress: new ProgressReport(new PassThrough() as unknown as NodeJS.WriteStream), // It only writes.
        stop: new AbortController().signal,
        worker: new URL('failing.test-worker.ts', import.meta.url),
        silentMs,
      },
    );
  const ends = [
    { seed: 1, how: 'hangs', silentMs: 500, oracle: 'every case comes to its end', message: /500 ms/ },
    { seed: 2, how: 'throws', silentMs: 60_000, oracle: 'no case takes the thread with it', message: /out of range/ },
    {
      seed: 3,
      how: 'runs out of memory',
      silentMs: 60_000,
      oracle: 'no case takes the thread with it',
      message: /memory/,
    },
  ];
  for (const { seed, how, silentMs, oracle, message } of ends) {
    it(`that ${how} is a finding with the case it was at`, async () => {
      const { result } = await watch(seed, silentMs);
      const [finding] = result.findings;
      assert.equal(finding.oracle, oracle);
      assert.match(finding.message, message);
      assert.equal(finding.index, 77);
      assert.deepEqual(finding.packet, packetCaseOf(seed, 77));
      assert.equal(finding.replay, `npm run fuzz -- mqtt --seed ${seed} --only 77`);
    });
  }
});
