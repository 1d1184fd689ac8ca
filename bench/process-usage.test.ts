import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { it } from 'node:test';
import { cpuMsOf, readResidentBytes, residentBytesOf } from './process-usage.ts';

const hasProc = existsSync('/proc/self/task');

it('reads the resident memory out of a status file', () => {
  assert.equal(readResidentBytes('Name:\tnode\nVmHWM:\t  999 kB\nVmRSS:\t   1024 kB\nThreads:\t11\n'), 1_048_576);
  assert.equal(readResidentBytes('Name:\tkthreadd\n'), Number.NaN); // a kernel thread has none
});

it('counts a process with its children', { skip: hasProc ? false : 'there is no /proc here' }, async () => {
  const alone = residentBytesOf(process.pid);
  const child = spawn('sleep', ['60']);
  await once(child, 'spawn');
  assert(child.pid !== undefined);
  const childBytes = residentBytesOf(child.pid);
  const together = residentBytesOf(process.pid);
  child.kill();
  await once(child, 'exit');
  assert(alone !== undefined && childBytes !== undefined && together !== undefined);
  assert(childBytes > 0 && together > childBytes);
  assert((cpuMsOf(process.pid) ?? 0) > 0);
});

it('says that it does not know, of a process that is gone', () => {
  assert.equal(residentBytesOf(2 ** 31 - 1), undefined);
  assert.equal(cpuMsOf(2 ** 31 - 1), undefined);
});
