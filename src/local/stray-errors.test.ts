import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';

/** What a thread tells on which an error is left behind, and what ends it. */
async function afterwards(left: string, by: 'function' | 'nobody') {
  const worker = new Worker(new URL('../../test/apps/stray.ts', import.meta.url), { workerData: { left, by } });
  const told: object[] = [];
  const errors: string[] = [];
  worker.on('message', facts => told.push(facts));
  worker.on('error', error => errors.push(String(error)));
  await new Promise(resolve => worker.on('exit', resolve));
  return { told, errors };
}

describe('an error that nobody caught', () => {
  const careless = { functionName: 'careless', requestId: 'request-1' };

  it('is the failure of the function that left it, and the thread goes on', async () => {
    const [rejection, timer] = await Promise.all([
      afterwards('rejection', 'function'),
      afterwards('timer', 'function'),
    ]);
    assert.deepEqual(rejection, { told: [{ ...careless, error: 'Error: not awaited' }, { goesOn: true }], errors: [] });
    assert.deepEqual(timer, { told: [{ ...careless, error: 'Error: from a timer' }, { goesOn: true }], errors: [] });
  });

  it('ends the thread when it is nobody’s, or when code of ours was cut short by it, or may have been', async () => {
    const ended = await Promise.all([
      afterwards('rejection', 'nobody'),
      afterwards('timer', 'nobody'),
      afterwards('throughOurs', 'function'),
      afterwards('text', 'function'),
    ]);
    const errors = ['Error: not awaited', 'Error: from a timer', 'Error: from a timer', 'only text'];
    assert.deepEqual(
      ended,
      errors.map(error => ({ told: [], errors: [error] })),
    );
  });
});
