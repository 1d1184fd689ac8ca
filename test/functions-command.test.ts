import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { BackendProcess, temporaryFolder } from './support.ts';

function functions(...args: string[]): { code: number | null; out: string; complaint: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['bin/mimamori.js', 'functions', ...args], {
    encoding: 'utf8',
  });
  return { code: status, out: stdout, complaint: stderr };
}

describe('mimamori functions', () => {
  it('calls functions of a running app, isolated ones too, and tells what they did', async () => {
    const folder = temporaryFolder();
    const backend = await BackendProcess.start(folder, { app: 'test/apps/isolated.ts' });
    const at = ['--data', folder];
    assert.equal(functions('invoke', 'outer', '--input', '{"value":21}', ...at).out, '42\n');
    assert.equal(functions('invoke', 'behave', '--input', '{"how":"well"}', ...at).out, '"invocation 1"\n');
    const ended = functions('invoke', 'behave', '--input', '{"how":"exit"}', ...at);
    assert.equal(ended.code, 1);
    assert.match(ended.complaint, /behave ended its thread: it exited with 3 .*\n.*\[function\.exited\]/);
    assert.match(
      functions('invoke', 'outer', '--input', '{"value":"x"}', ...at).complaint,
      /\[function\.inputNotValid\]/,
    );
    assert.match(functions('reset', 'nobody', ...at).complaint, /\[function\.notFound\]/);
    assert.match(functions('reset', 'outer', ...at).out, /outer may run/);
    const text = functions(...at).out;
    assert.match(text, /outer +direct +1 +0 /);
    assert.match(text, /behave +direct, isolated +2 +1 /);
    const reports = functions('--json', ...at)
      .out.trim()
      .split('\n')
      .map(line => JSON.parse(line));
    const behave = reports.find(({ functionName }) => functionName === 'behave');
    assert.deepEqual([behave.invocations, behave.coldStarts.count, behave.breaker], [2, 1, 'closed']);
    await backend.kill('SIGTERM');
  });
});
