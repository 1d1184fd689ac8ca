// Callers and consumers of a stream, in a process of their own: with the engine when it is measured in process, beside the
// server when there is one.
import { serveParent } from '../generators/generator-child.ts';
import { LatencyHistogram } from '../histogram.ts';
import { openEndpointStream } from './endpoint-stream.ts';
import { openMimamoriStream } from './mimamori-stream.ts';
import { openNatsStream } from './nats-stream.ts';
import { openRedisStream } from './redis-stream.ts';
import type { BatchSettings, StreamUnderLoad } from './stream-under-load.ts';

const engines = {
  mimamori: openMimamoriStream,
  endpoint: openEndpointStream,
  nats: openNatsStream,
  redis: openRedisStream,
};
export type StreamEngine = keyof typeof engines;

export type ToStream =
  /** `place`: a folder, a port or a URL. */
  | { kind: 'open'; engine: StreamEngine; place: string; recordBytes: number }
  | { kind: 'append'; callers: number; seconds: number }
  | { kind: 'latency'; perSecond: number; seconds: number }
  | { kind: 'batches'; perSecond: number; seconds: number; settings: BatchSettings }
  | { kind: 'fill' | 'drain'; records: number };

/** What there is of it depends on what was asked. */
export interface StreamResult {
  records: number;
  elapsedMs: number;
  cpuMs: number;
  p50Ms: number;
  p99Ms: number;
  batches?: number;
  sizes?: { p50: number; min: number; max: number };
}

const tickMs = 5; // how often records are appended that come at a rate
const settleMs = 1_000; // for what is under way at the end

let stream: StreamUnderLoad | undefined;
let record = Buffer.alloc(0);

serveParent(async (request: ToStream): Promise<StreamResult | undefined> => {
  if (request.kind === 'open') {
    stream = await engines[request.engine](request.place);
    record = Buffer.alloc(request.recordBytes, 'x');
    return undefined;
  }
  if (stream === undefined) throw new Error('The stream is opened before it is used.');
  if (request.kind === 'append') return append(stream, request.callers, request.seconds);
  if (request.kind === 'latency') return latency(stream, request.perSecond, request.seconds);
  if (request.kind === 'batches') return batches(stream, request);
  if (request.kind === 'fill') return fill(stream, request.records);
  return drain(stream, request.records);
});

async function measured(work: () => Promise<Omit<StreamResult, 'elapsedMs' | 'cpuMs'>>): Promise<StreamResult> {
  const cpuBefore = process.cpuUsage();
  const startedAtMs = performance.now();
  const result = await work();
  const elapsedMs = performance.now() - startedAtMs;
  const { user, system } = process.cpuUsage(cpuBefore);
  return { elapsedMs, cpuMs: (user + system) / 1_000, ...result };
}

/** Callers of which each appends the next record when the one before is durable. */
function append(target: StreamUnderLoad, callers: number, seconds: number): Promise<StreamResult> {
  const latencies = new LatencyHistogram();
  let records = 0;
  return measured(async () => {
    const endsAtMs = performance.now() + seconds * 1_000;
    const caller = async () => {
      for (let nowMs = performance.now(); nowMs < endsAtMs; ) {
        await target.append(record);
        const afterMs = performance.now();
        latencies.record(afterMs - nowMs);
        nowMs = afterMs;
        records++;
      }
    };
    await Promise.all(Array.from({ length: callers }, caller));
    return { records, p50Ms: latencies.percentileMs(50), p99Ms: latencies.percentileMs(99) };
  });
}

/** From the call of append until the consumer has the record. */
async function latency(target: StreamUnderLoad, perSecond: number, seconds: number): Promise<StreamResult> {
  if (!target.follow) throw new Error('It cannot be followed.');
  const latencies = new LatencyHistogram();
  let records = 0;
  await target.follow(batch => {
    const nowMs = performance.now();
    for (const data of batch) {
      const sentAtMs = sentAtMsOf(data);
      if (sentAtMs <= 0) continue; // not one of this measurement
      latencies.record(nowMs - sentAtMs);
      records++;
    }
  });
  return measured(async () => {
    const sent = await appendAtRate(target, perSecond, seconds);
    for (let waitedMs = 0; records < sent && waitedMs < settleMs; waitedMs += tickMs) await pause(tickMs);
    if (records !== sent) throw new Error(`Of ${sent} records ${records} were handed over.`);
    return { records, p50Ms: latencies.percentileMs(50), p99Ms: latencies.percentileMs(99) };
  });
}

/** What a consumer with a batching window gets, and how late. */
async function batches(
  target: StreamUnderLoad,
  { perSecond, seconds, settings }: Extract<ToStream, { kind: 'batches' }>,
): Promise<StreamResult> {
  if (!('follow' in target)) throw new Error('It cannot be followed.');
  const follow = target.follow as (
    onRecords: (records: readonly Buffer[]) => void,
    settings: BatchSettings,
  ) => Promise<void>; // Only ours is asked this.
  const delays = new LatencyHistogram();
  const sizes: number[] = [];
  let records = 0;
  await follow(batch => {
    delays.record(performance.now() - sentAtMsOf(batch[0])); // The first of a batch waits longest.
    sizes.push(batch.length);
    records += batch.length;
  }, settings);
  return measured(async () => {
    const sent = await appendAtRate(target, perSecond, seconds);
    for (let waitedMs = 0; records < sent && waitedMs < settleMs + settings.batchWindowMs; waitedMs += tickMs) {
      await pause(tickMs);
    }
    if (records !== sent) throw new Error(`Of ${sent} records ${records} were handed over.`);
    sizes.sort((left, right) => left - right);
    return {
      records,
      p50Ms: delays.percentileMs(50),
      p99Ms: delays.percentileMs(99),
      batches: sizes.length,
      sizes: { p50: sizes[sizes.length >> 1], min: sizes[0], max: sizes[sizes.length - 1] },
    };
  });
}

async function fill(target: StreamUnderLoad, records: number): Promise<undefined> {
  if (!target.fill) throw new Error('It cannot be filled.');
  await target.fill(record, records);
}

/** How fast a consumer hands over what is there, to somebody who does nothing with it. */
function drain(target: StreamUnderLoad, records: number): Promise<StreamResult> {
  return measured(async () => {
    if (!target.drain) throw new Error('It cannot be drained.');
    await target.drain(records);
    return { records, p50Ms: 0, p99Ms: 0 };
  });
}

/** Whatever the engine takes for it: a slow one has more under way, and is not asked less often. */
async function appendAtRate(target: StreamUnderLoad, perSecond: number, seconds: number): Promise<number> {
  const startedAtMs = performance.now();
  const appends: Promise<unknown>[] = [];
  for (let elapsedMs = 0; elapsedMs < seconds * 1_000; elapsedMs = performance.now() - startedAtMs) {
    for (const due = Math.floor((elapsedMs * perSecond) / 1_000); appends.length < due; ) {
      const data = Buffer.from(record);
      data.write(performance.now().toFixed(3));
      appends.push(target.append(data));
    }
    await pause(tickMs);
  }
  await Promise.all(appends);
  return appends.length;
}

function sentAtMsOf(data: Buffer): number {
  return Number.parseFloat(data.toString('latin1', 0, 24));
}

function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms));
}
