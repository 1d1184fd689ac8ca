// One measurement of publishers and subscribers on one server, with a fresh generator.
import { withLastWords } from './errors.ts';
import { GeneratorProcess } from './generator-process.ts';
import type { TrafficPlan, TrafficRequest, TrafficResult } from './generators/traffic.ts';
import type { Duration } from './measure.ts';
import { cpuMsOf, settledResidentBytesOf } from './process-usage.ts';
import { commonFigures } from './report.ts';
import { formatMicros } from './report-cells.ts';
import type { Peer } from './server-process.ts';
import type { RunningServer } from './servers.ts';
import type { Contender, Figure, RatioDefinition, Values } from './turns.ts';

type TrafficGenerator = GeneratorProcess<TrafficRequest, TrafficResult>;

export const trafficFigures: readonly Figure[] = [
  commonFigures.deliveries,
  commonFigures.p50,
  commonFigures.p99,
  { name: 'serverCpuMicrosPerDelivery', head: 'µs/delivery', summary: 'median', format: formatMicros },
  commonFigures.serverShare,
  commonFigures.generatorShare,
];

export const deliveriesRatio: RatioDefinition = {
  name: 'deliveries',
  head: 'delivered x',
  better: 'more',
  valueOf: values => values.deliveriesPerSecond,
};

export const p50Ratio: RatioDefinition = {
  name: 'p50',
  head: 'p50 x',
  better: 'less',
  valueOf: values => values.p50Ms,
};

/** A server that stays up for the whole benchmark, under the traffic each load stands for. */
export function trafficContender<Load>(
  { kind, peer }: RunningServer,
  planFor: (load: Load) => Omit<TrafficPlan, 'port'>,
  duration: Duration,
): Contender<Load> {
  return {
    name: kind.name,
    role: kind.role,
    turn: load => measureTraffic(peer, planFor(load), duration),
    canTake: load => kind.role !== 'limit' || planFor(load).qos === 0, // the bare server knows no other
  };
}

export async function measureTraffic(peer: Peer, plan: Omit<TrafficPlan, 'port'>, duration: Duration): Promise<Values> {
  return withGenerator(peer, async generator => {
    await generator.ask({ kind: 'open', plan: { ...plan, port: peer.mqttPort } });
    return runTraffic(peer, generator, duration);
  });
}

/** The same on a server that nobody has used yet, and what its memory grew by with the connections and subscriptions. */
export async function measureGrowth(
  peer: Peer,
  plan: Omit<TrafficPlan, 'port'>,
  duration: Duration | undefined, // undefined: memory only
): Promise<Values> {
  return withGenerator(peer, async generator => {
    const emptyBytes = await settledResidentBytesOf(peer.pid);
    await generator.ask({ kind: 'open', plan: { ...plan, port: peer.mqttPort } });
    const loadedBytes = await settledResidentBytesOf(peer.pid);
    const known = emptyBytes !== undefined && loadedBytes !== undefined;
    const memory = { emptyBytes, loadedBytes, grownBytes: known ? loadedBytes - emptyBytes : undefined };
    return duration === undefined ? memory : { ...memory, ...(await runTraffic(peer, generator, duration)) };
  });
}

async function withGenerator(peer: Peer, work: (generator: TrafficGenerator) => Promise<Values>): Promise<Values> {
  const generator: TrafficGenerator = new GeneratorProcess('generators/traffic-generator.ts');
  try {
    return await work(generator);
  } catch (error) {
    throw withLastWords(error, peer);
  } finally {
    await generator.end();
  }
}

async function runTraffic(peer: Peer, generator: TrafficGenerator, duration: Duration): Promise<Values> {
  await generator.ask({ kind: 'go', seconds: duration.warmUpSeconds });
  const cpuBeforeMs = cpuMsOf(peer.pid);
  const result = await generator.ask({ kind: 'go', seconds: duration.seconds });
  const cpuAfterMs = cpuMsOf(peer.pid);
  const cpuMs = cpuBeforeMs === undefined || cpuAfterMs === undefined ? undefined : cpuAfterMs - cpuBeforeMs;
  return {
    messages: result.messages,
    deliveries: result.deliveries,
    deliveriesPerSecond: (result.deliveries * 1_000) / result.elapsedMs,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
    serverCpuMicrosPerDelivery: cpuMs && (cpuMs * 1_000) / result.deliveries,
    serverCpuShare: cpuMs && cpuMs / result.elapsedMs,
    generatorCpuShare: result.cpuMs / result.elapsedMs,
  };
}
