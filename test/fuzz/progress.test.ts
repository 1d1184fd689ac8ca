import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, it } from 'node:test';
import { judgeMemory, memoryLimits } from './memory-watch.ts';
import { ProgressReport } from './progress.ts';

describe('memory', () => {
  const use = { warmResidentBytes: 1e9, peakResidentBytes: 1e9, warmHeapBytes: 1e8, endHeapBytes: 1e8 };

  it('is flat up to the limits, and not beyond', () => {
    const { residentGrowthBytesMax, heapGrowthBytesMax } = memoryLimits;
    for (const campaign of ['packets', 'sessions'] as const) {
      const grown = (resident: number, heap: number) =>
        judgeMemory({ ...use, peakResidentBytes: 1e9 + resident, endHeapBytes: 1e8 + heap }, campaign);
      const max = residentGrowthBytesMax[campaign];
      assert.equal(grown(max, heapGrowthBytesMax), undefined);
      assert.match(grown(max + 1, 0) ?? '', /resident/);
      assert.match(grown(0, heapGrowthBytesMax + 1) ?? '', /live objects/);
    }
  });
});

describe('progress', () => {
  const progress = { what: 'packets', done: 500, total: 1_000, perSecond: 100 };
  const shown = (isTTY: boolean, times: number[]) => {
    const out = Object.assign(new PassThrough(), { isTTY });
    const report = new ProgressReport(out as unknown as NodeJS.WriteStream); // It writes, and asks whether it is one.
    for (const nowMs of times) report.show(progress, nowMs);
    report.clear();
    return String(out.read());
  };

  it('is a bar on a terminal, cleared at the end', () => {
    const text = shown(true, [0, 200]);
    assert.equal(text.match(/\[#{15}\.{15}\] packets 500 of 1,000 \(50 %, 100\/s\)/g)?.length, 2);
    assert(text.endsWith('\r\x1b[2K'));
  });

  it('is now and then a line elsewhere', () => {
    assert.equal(shown(false, [0, 200, 4_900, 5_000]), 'packets 500 of 1,000 (50 %, 100/s)\n'.repeat(2));
  });
});
