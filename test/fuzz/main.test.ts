import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { testScale } from '../support.ts';

/** Each starts processes that load the whole gateway. */
const isShort = testScale(1, 0) === 1 && 'part of npm run test:long';

function start(...args: string[]) {
  const child = spawn(process.execPath, ['test/fuzz/main.ts', 'mqtt', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const texts = { out: '', err: '' };
  child.stdout.on('data', bytes => {
    texts.out += bytes;
  });
  child.stderr.on('data', bytes => {
    texts.err += bytes;
  });
  const exited = once(child, 'close').then(([code]) => ({ code, ...texts }));
  return { child, exited, texts };
}

describe('npm run fuzz -- mqtt', () => {
  it('says what it did and that every promise held', async () => {
    const { code, out, err } = await start('--count', '500', '--sessions', '1', '--seed', '5', '--json').exited;
    const report = JSON.parse(out);
    assert.equal(report.seed, 5);
    assert.equal(report.packets.counts.cases, 500);
    assert.equal(report.sessions.counts.sessions, 1);
    assert.deepEqual(report.findings, []);
    assert.equal(code, 0);
    assert.match(err, /^seed 5\n/);
    assert.doesNotMatch(err, /\r/); // Lines, not a bar: this is no terminal.
  });

  it('prints the seed of a run by chance', { skip: isShort }, async () => {
    const { code, out, err } = await start('--count', '10', '--sessions', '0').exited;
    assert.equal(code, 0);
    const [, seed] = /^seed (\d+)$/m.exec(err) ?? [];
    assert.match(out, new RegExp(`^seed ${seed}$`, 'm'));
    assert.match(out, /Every promise held/);
  });

  it('replays one case of a seed, and wants to know the seed', { skip: isShort }, async () => {
    const { code, out } = await start('--seed', '5', '--only', '12', '--json').exited;
    assert.equal(code, 0);
    assert.equal(JSON.parse(out).packets.counts.cases, 1);
    const without = await start('--only', '1234').exited;
    assert.equal(without.code, 2);
    assert.match(without.err, /--seed/);
  });

  it('refuses numbers that are none', { skip: isShort }, async () => {
    for (const args of [
      ['--count', 'many'],
      ['--seed', '-1'],
      ['--sessions', '1e99'],
    ]) {
      const { code, err } = await start(...args).exited;
      assert.equal(code, 2);
      assert.match(err, /cannot be used/);
    }
  });

  it('stops at Ctrl-C with the counts so far', async () => {
    const { child, exited, texts } = start('--count', '900000000', '--json');
    while (!/packets [\d,]+ of/.test(texts.err)) await once(child.stderr, 'data');
    child.kill('SIGINT');
    const { code, out } = await exited;
    assert.equal(code, 130);
    const report = JSON.parse(out);
    assert.equal(report.stopped, true);
    assert(report.packets.counts.cases < 900_000_000);
  });
});
