// The thread that fuzzes. It may hang or die of what it finds; main.ts sees to it that somebody hears of that.
import { parentPort, workerData } from 'node:worker_threads';
import { type RunOrder, runFuzz } from './run.ts';
import { SharedState } from './shared-state.ts';

const { order, buffer } = workerData as { order: RunOrder; buffer: SharedArrayBuffer }; // As watchRun sends it.
parentPort?.postMessage(await runFuzz(order, new SharedState(buffer)));
