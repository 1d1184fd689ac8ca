import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { CapacityReport } from '../src/app/index.ts';
import { BackendProcess, temporaryFolder } from './support.ts';

function capacity(...args: string[]): { code: number | null; out: string; complaint: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['bin/mimamori.js', 'capacity', ...args], {
    encoding: 'utf8',
  });
  return { code: status, out: stdout, complaint: stderr };
}

async function registerSpeaker({ httpUrl }: BackendProcess, folder: string): Promise<void> {
  const headers = {
    Authorization: `Bearer ${BackendProcess.token(folder, 'alice')}`,
    'Content-Type': 'application/json',
  };
  const answer = await fetch(`${httpUrl}/v1/speakers`, { method: 'POST', headers, body: '{"name":"Kitchen"}' });
  assert.equal(answer.status, 201);
}

describe('mimamori capacity', () => {
  it('asks the backend of a data directory, as its operator', async () => {
    const folder = temporaryFolder();
    const backend = await BackendProcess.start(folder);
    await registerSpeaker(backend, folder);
    const report: CapacityReport = JSON.parse(capacity('--data', folder, '--json').out);
    const created = report.patterns.find(({ accessPattern }) => accessPattern === 'Speaker.create');
    assert.deepEqual(
      [created?.functionName, created?.calls, created?.writeUnits],
      ['POST /v1/speakers', 1, 5], // two records at 2 units, an index entry at 1
    );
    assert.match(capacity('--data', folder, '--url', backend.httpUrl).out, /Speaker\.create +POST \/v1\/speakers +1 /);
    const bearer = { Authorization: `Bearer ${BackendProcess.token(folder, 'operator')}` };
    const answer = await fetch(`${backend.httpUrl}/operator/capacity`, { headers: bearer });
    assert.equal(answer.status, 401);
    await backend.kill('SIGTERM');
    const { code, complaint } = capacity('--data', folder);
    assert.equal(code, 1);
    assert.match(complaint, /operator\.notRunning/);
  });

  it('is not needed to see what a request costs, and how lists lag, with --trace and --strict', async () => {
    const folder = temporaryFolder();
    const backend = await BackendProcess.start(folder, { args: ['--trace', '--strict'] });
    const headers = { Authorization: `Bearer ${BackendProcess.token(folder, 'alice')}` };
    const list = async () => {
      const answer = await fetch(`${backend.httpUrl}/v1/speakers`, { headers });
      const { items } = (await answer.json()) as { items: unknown[] };
      return { items, consumed: answer.headers.get('Mimamori-Consumed') };
    };
    let hasLagged = false;
    for (let count = 1; count <= 20 && !hasLagged; count++) {
      await registerSpeaker(backend, folder);
      hasLagged = (await list()).items.length < count; // On a busy machine the 50 ms may have passed.
    }
    assert(hasLagged);
    assert.match(String((await list()).consumed), /^calls=1, read=[0-9.]+, write=0$/);
    await backend.kill('SIGTERM');
  });

  it('says when there is nobody to ask, or nothing to tell', async () => {
    const folder = path.join(temporaryFolder(), 'never');
    assert.match(capacity('--data', folder).complaint, /operator\.notRunning/);
    assert(!existsSync(folder));
    const other = temporaryFolder();
    const backend = await BackendProcess.start(other, { env: { MIMAMORI_CAPACITY: '0' } });
    assert.match(capacity('--data', other).complaint, /capacity\.off/);
    await backend.kill('SIGKILL');
    assert.match(capacity('--data', other).complaint, /operator\.notAnswering/); // Its address is still there.
    writeFileSync(path.join(other, 'http-url'), 'nonsense');
    assert.match(capacity('--data', other).complaint, /operator\.notAnswering/);
  });
});
