// In the place of worker.ts: comes to case 77 and no further, in the way its seed says.
import { workerData } from 'node:worker_threads';
import type { RunOrder } from './run.ts';
import { SharedState } from './shared-state.ts';

const { order, buffer } = workerData as { order: RunOrder; buffer: SharedArrayBuffer }; // As watchRun sends it.
const state = new SharedState(buffer);
state.begin('packets');
state.nextCase(77);
if (order.seed === 1) for (;;) state.read();
if (order.seed === 2) throw new RangeError('out of range');
const kept: string[] = [];
for (;;) kept.push(Array(1_000).fill(kept.length).join(' '));
