// Tests of the speaker app, timed one after the other in a process of their own, as a test file is one.
import { busyEvening } from '../../apps/speaker/busy-evening.ts';
import { startApp } from '../../src/testing/index.ts';
import { serveParent } from '../generators/generator-child.ts';
import { LatencyHistogram } from '../histogram.ts';

export type ToAppTests = { kind: 'start' | 'evening'; count: number };

export interface AppTestsResult {
  /** The first one, before anything is warm. */
  firstMs: number;
  p50Ms: number;
  p99Ms: number;
}

const speaker = new URL('../../apps/speaker/app.ts', import.meta.url);

/** With a fresh set of the app's modules, as strict as by default. */
async function start(): Promise<number> {
  const beganMs = performance.now();
  const app = await startApp(speaker);
  const tookMs = performance.now() - beganMs;
  await app[Symbol.asyncDispose]();
  return tookMs;
}

async function evening(): Promise<number> {
  const beganMs = performance.now();
  await busyEvening();
  return performance.now() - beganMs;
}

serveParent<ToAppTests, AppTestsResult>(async ({ kind, count }) => {
  const run = kind === 'start' ? start : evening;
  const firstMs = await run();
  const histogram = new LatencyHistogram();
  for (let index = 0; index < count; index++) histogram.record(await run());
  return { firstMs, p50Ms: histogram.percentileMs(50), p99Ms: histogram.percentileMs(99) };
});
