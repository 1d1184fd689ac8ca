import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CallCounter, callCounterLimits } from './call-counter.ts';
import { asCaller, currentCaller } from './callers.ts';

describe('callers', () => {
  it('go with the asynchronous context, the inner one adding to the outer', async () => {
    const seen = await asCaller({ functionName: 'play' }, async () => {
      await Promise.resolve();
      return asCaller({ accessPattern: 'byOwner' }, async () => {
        await Promise.resolve();
        return currentCaller();
      });
    });
    assert.deepEqual(seen, { functionName: 'play', accessPattern: 'byOwner' });
    assert.equal(currentCaller(), undefined);
  });
});

describe('N+1 detector', () => {
  it('finds the tenth equal call of an invocation, and counts on', () => {
    const calls = new CallCounter('listSpeakers');
    for (let count = 0; count < 9; count++) calls.count('get', 'app');
    calls.count('query', 'app');
    assert.deepEqual(calls.findings(), []);
    for (let count = 0; count < 91; count++) calls.count('get', 'app');
    const [finding, ...others] = calls.findings();
    assert.deepEqual(others, []);
    assert.equal(finding.calls, 100);
    assert.equal(finding.functionName, 'listSpeakers');
    assert.equal(finding.operation, 'get');
  });

  it('follows so many kinds of calls, and adds up what is used by all of them', () => {
    const calls = new CallCounter('everything');
    for (let kind = 0; kind < callCounterLimits.kindsMax + 5; kind++) {
      for (let count = 0; count < 10; count++) calls.count('get', `table-${kind}`);
    }
    assert.equal(calls.findings().length, callCounterLimits.kindsMax);
    calls.noteCall();
    calls.noteUnits('read', 0.5);
    calls.noteUnits('read', 1);
    calls.noteUnits('write', 2);
    assert.deepEqual(calls.use, { calls: 1, readUnits: 1.5, writeUnits: 2 });
  });
});
