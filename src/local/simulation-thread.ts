/** Runs an app's simulated devices on a thread of their own; they come in by the same doors as real ones. */
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../kernel/clock.ts';
import { systemRandom } from '../kernel/random.ts';
import { systemSockets } from '../kernel/sockets.ts';
import type { Simulation } from './simulation.ts';

const { simulationUrl, ...place } = workerData;
const { simulate }: { simulate: Simulation } = await import(simulationUrl);
await simulate({
  ...place,
  sockets: systemSockets,
  clock: systemClock,
  random: systemRandom,
  tell: announcement => parentPort?.postMessage(announcement),
});
