import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { model } from '../apps/speaker/model.ts';
import { readRecording, startApp } from '../src/testing/index.ts';
import { BackendProcess, temporaryFolder } from './support.ts';

const cli = ['bin/mimamori.js', 'record'];

describe('mimamori record (covers S0-43)', () => {
  it('turns what happens to a running backend into a test that does it again', async () => {
    const folder = temporaryFolder();
    const data = path.join(folder, 'data');
    const out = path.join(folder, 'evening.jsonl');
    const backend = await BackendProcess.start(data);
    try {
      const token = BackendProcess.token(data, 'alice');
      await backend.call(token, 'POST', '/v1/speakers', { name: 'Before' });
      const stopped = new Recording(['--data', data, '--for', '1m', '--out', path.join(folder, 'stopped.jsonl')]);
      const recording = new Recording(['--data', data, '--for', '2s', '--entities', '10', '--out', out, '--as-test']);
      await Promise.all([recording.begun, stopped.begun]);
      const { speakerId } = await backend.call(token, 'POST', '/v1/speakers', { name: 'Kitchen' });
      await backend.call(token, 'POST', `/v1/speakers/${speakerId}/messages`, { text: 'Hello', playOn: 'now' });
      assert.equal((await stopped.end('SIGINT')).ended, 'stopped'); // As Ctrl-C: what was recorded is kept.
      const { event, ended, leftOut, entries } = await recording.end();
      assert.deepEqual([event, ended, leftOut, entries], ['recorded', 'done', 0, 3]);
    } finally {
      await backend.kill('SIGTERM');
    }
    assert.equal(statSync(out).mode & 0o777, 0o600);
    assert.match(readFileSync(path.join(folder, 'evening.test.ts'), 'utf8'), /app\.replay\(recording\)/);
    const recording = await readRecording(pathToFileURL(out));
    await using app = await startApp(new URL('../apps/speaker/app.ts', import.meta.url), { model });
    assert.deepEqual((await app.replay(recording)).differences, []);
    (await app.items('Speaker')).count(2);
    (await app.commands()).one({ outcome: 'pending' });
  });

  it('says what is wrong, and replaces nothing', () => {
    const folder = temporaryFolder();
    const refused = (...args: string[]) => {
      const { status, stdout } = spawnSync(process.execPath, [...cli, '--json', ...args], { encoding: 'utf8' });
      assert.equal(status, 1);
      return JSON.parse(stdout).code;
    };
    assert.equal(refused('--data', path.join(folder, 'none')), 'operator.notRunning');
    assert.equal(existsSync('recording.jsonl'), false);
    const wrong = spawnSync(process.execPath, [...cli, '--for', 'a while'], { encoding: 'utf8' });
    assert.match(wrong.stderr, /such as 30s/);
  });
});

/** The command, while it runs. */
class Recording {
  readonly begun: Promise<unknown>;
  readonly #lines: string[] = [];
  readonly #ended: Promise<unknown>;
  readonly #child;

  constructor(args: string[]) {
    this.#child = spawn(process.execPath, [...cli, '--json', ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    const lines = createInterface({ input: this.#child.stdout });
    lines.on('line', line => this.#lines.push(line));
    this.begun = once(lines, 'line');
    this.#ended = once(lines, 'close');
  }

  /** What it says in the end. */
  async end(signal?: 'SIGINT') {
    if (signal) this.#child.kill(signal);
    await this.#ended;
    return JSON.parse(this.#lines.at(-1) ?? '{}');
  }
}
