// One measurement of ingest: one load on one server, with a fresh load generator.
import { setTimeout as sleep } from 'node:timers/promises';
import { BenchError, withLastWords } from './errors.ts';
import { GeneratorProcess } from './generator-process.ts';
import type { GeneratorPlan, GeneratorResult, ToGenerator } from './load.ts';
import { cpuMsOf } from './process-usage.ts';
import type { Peer } from './server-process.ts';

type IngestGenerator = GeneratorProcess<ToGenerator, GeneratorResult | undefined>;

const storedTimeoutMs = 120_000;
const storedPollMs = 5;

export interface Duration {
  warmUpSeconds: number; // unmeasured, on the same connections
  seconds: number;
}

/** A type and not an interface, so that it is also a record of values. */
export type Measurement = {
  messages: number;
  acknowledgedPerSecond: number; // until the last PUBACK
  storedPerSecond: number | undefined; // until everything was also decoded and stored; undefined: stores nothing
  p50Ms: number;
  p99Ms: number;
  serverCpuMicrosPerMessage: number | undefined; // all its threads; undefined where there is no /proc
  serverCpuShare: number | undefined; // of one core; near 1: a server with one thread was itself the limit
  generatorCpuShare: number; // of one core; near 1: the generator may have been the limit
};

export async function measure(peer: Peer, plan: GeneratorPlan, duration: Duration): Promise<Measurement> {
  const generator: IngestGenerator = new GeneratorProcess('load-generator.ts');
  try {
    await generator.ask({ kind: 'open', plan });
    await runAndStore(peer, generator, duration.warmUpSeconds);
    const cpuBeforeMs = cpuMsOf(peer.pid);
    const { result, storedMs } = await runAndStore(peer, generator, duration.seconds);
    const cpuAfterMs = cpuMsOf(peer.pid);
    const cpuMs = cpuBeforeMs === undefined || cpuAfterMs === undefined ? undefined : cpuAfterMs - cpuBeforeMs;
    return {
      messages: result.messages,
      acknowledgedPerSecond: (result.messages * 1_000) / result.elapsedMs,
      storedPerSecond: peer.storedCount && (result.messages * 1_000) / storedMs,
      p50Ms: result.p50Ms,
      p99Ms: result.p99Ms,
      serverCpuMicrosPerMessage: cpuMs && (cpuMs * 1_000) / result.messages,
      serverCpuShare: cpuMs && cpuMs / (peer.storedCount ? storedMs : result.elapsedMs),
      generatorCpuShare: result.cpuMs / result.elapsedMs,
    };
  } catch (error) {
    throw withLastWords(error, peer);
  } finally {
    await generator.end();
  }
}

interface StoredResult {
  result: GeneratorResult;
  storedMs: number; // from 'go' until everything was acknowledged and, by a server that stores, also stored
}

async function runAndStore(peer: Peer, generator: IngestGenerator, seconds: number): Promise<StoredResult> {
  const storedBefore = (await peer.storedCount?.()) ?? 0;
  const startedAtMs = performance.now();
  const result = await generator.ask({ kind: 'go', seconds });
  if (result === undefined) throw new BenchError('The load generator gave no result.', 'This is a mistake in bench/.');
  const giveUpAtMs = performance.now() + storedTimeoutMs;
  while (peer.storedCount !== undefined) {
    const stored = (await peer.storedCount()) - storedBefore;
    if (stored >= result.messages) break;
    if (performance.now() > giveUpAtMs) throw neverStored(peer, stored, result.messages);
    await sleep(storedPollMs);
  }
  return { result, storedMs: performance.now() - startedAtMs };
}

const neverStored = (peer: Peer, stored: number, published: number) =>
  new BenchError(
    `${peer.name} acknowledged ${published} messages and had stored ${stored} of them ${storedTimeoutMs / 1_000} s later.`,
    'If the number still grows, measure for less time with --seconds; if not, messages were lost.',
  );
