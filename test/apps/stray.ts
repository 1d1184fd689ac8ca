/** A thread on which errors are left behind, by a function or by nobody: what it was told of them, and whether it goes on. */
import { parentPort, workerData } from 'node:worker_threads';
import { asCaller } from '../../src/kernel/callers.ts';
import { silentLog } from '../../src/kernel/log.ts';
import { watchStrayErrors } from '../../src/local/stray-errors.ts';

const tell = (facts: object) => parentPort?.postMessage(facts);
watchStrayErrors({
  onStray: (functionName, requestId, error) => tell({ functionName, requestId, error: String(error) }),
  log: silentLog,
});

const leaves: Readonly<Record<string, () => void>> = {
  rejection: () => void Promise.reject(new Error('not awaited')),
  timer: () => void setTimeout(fail),
  text: () => void setTimeout(failWithText),
  throughOurs: () => void setTimeout(() => asCaller({}, fail)), // `asCaller` is cut short.
};

function fail(): never {
  throw new Error('from a timer');
}

function failWithText(): never {
  throw 'only text';
}

const { left, by } = workerData as { left: string; by: 'function' | 'nobody' }; // The test says so.
if (by === 'nobody') leaves[left]();
else asCaller({ functionName: 'careless', requestId: 'request-1' }, leaves[left]);
setTimeout(() => tell({ goesOn: true }), 30);
