import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { temporaryFolder, testScale } from '../../../test/support.ts';
import { systemAppendFiles } from '../../kernel/append-files.ts';
import { asCaller } from '../../kernel/callers.ts';
import { seededRandom } from '../../kernel/random.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import { LogReader, LogStore } from './index.ts';

const writerPath = fileURLToPath(new URL('./log-writer.test-process.ts', import.meta.url));

/** Runs a writer until it has said so much, kills it, and returns the last line it has said to be written. */
async function killed(folder: string, afterBytes: number): Promise<number> {
  const child = spawn(process.execPath, [writerPath, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', bytes => {
    said += bytes;
    if (said.length > afterBytes) child.kill('SIGKILL');
  });
  await once(child, 'close');
  return Number(said.slice(0, said.lastIndexOf('\n')).split('\n').at(-1));
}

describe('a log whose process is killed with SIGKILL', () => {
  it('has every line whose call had returned, each findable, and goes on behind them', async () => {
    const random = seededRandom(5);
    for (let round = 0; round < testScale(2, 50); round++) {
      const folder = temporaryFolder();
      const last = await killed(folder, 1_000 + random.integer(testScale(60_000, 300_000)));
      const world = { files: systemAppendFiles, directory: folder, clock: new VirtualClock() };
      const store = new LogStore({ ...world, writer: 'app' });
      store.app.info('after');
      const reader = new LogReader(world);
      let next = 0;
      for await (const { line } of reader.all({ functionName: 'write' })) assert.equal(line.facts?.index, next++);
      assert(next > last, `${next} of ${last + 1} lines`);
      for (const index of [0, last >> 1, last]) {
        assert.equal((await reader.lines({ requestId: `r${index}` })).length, 1);
      }
      assert.equal((await reader.lines({ grep: 'after' })).length, 1);
    }
  });
});

describe('many lines', () => {
  it('are searched for a device and a time in less than 100 ms (covers S1-08)', async () => {
    const count = testScale(40_000, 1_000_000);
    const folder = temporaryFolder();
    const clock = new VirtualClock();
    const world = { files: systemAppendFiles, directory: folder, clock };
    const store = new LogStore({ ...world, writer: 'app', retention: { app: { megabytesMax: 4_000 } } });
    const startMs = clock.nowMs();
    for (let index = 0; index < count; index++) {
      const caller = { functionName: `f${index % 20}`, thingName: `t${index % 5_000}`, requestId: `request-${index}` };
      asCaller(caller, () => store.app.info({ index }, `It happened (${index % 500}).`));
      if (index % 1_000 === 999) await clock.advance(1_000);
    }
    const wanted = Math.floor(count / 2) + 77;
    const atMs = startMs + Math.floor(wanted / 1_000) * 1_000;
    const reader = new LogReader(world);
    const tookMs: number[] = [];
    for (let turn = 0; turn < 3; turn++) {
      const before = performance.now();
      const found = await reader.lines({ thingName: `t${wanted % 5_000}`, sinceMs: atMs, untilMs: atMs + 999 });
      tookMs.push(performance.now() - before);
      assert.deepEqual(
        found.map(({ facts }) => facts?.index),
        [wanted],
      );
    }
    assert(Math.min(...tookMs) < 100, `${tookMs}`); // The machine may be busy with other tests.
  });
});
