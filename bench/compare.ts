// Two servers under the same loads, taking turns: A B A B, so that a noisy minute falls on both.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Identity, Load } from './load.ts';
import { type Duration, type Measurement, measure } from './measure.ts';
import type { Peer } from './server-process.ts';
import { medianOf, type Spread, spreadOf } from './statistics.ts';

const pauseMs = 300; // for what the other server left running: closing sockets, flushing pages

export interface Comparison {
  loads: readonly Load[];
  rounds: number;
  duration: Duration;
  payloadBytes: number;
  subject: Peer;
  yardstick: Peer;
  identities: readonly Identity[]; // at least as many as the largest load has connections
}

export interface ServerSummary {
  server: string;
  storedPerSecond: Spread | undefined;
  acknowledgedPerSecond: Spread;
  p50Ms: number; // medians over the rounds
  p99Ms: number;
  serverCpuMicrosPerMessage: number | undefined;
  serverCpuShare: number | undefined;
  generatorCpuShare: number;
  rounds: Measurement[];
}

export interface LoadSummary {
  load: Load;
  servers: [subject: ServerSummary, yardstick: ServerSummary];
  ratio: number; // median over the rounds of subject / yardstick, each by the strictest rate it has
}

export async function compare(comparison: Comparison, progress: (line: string) => void): Promise<LoadSummary[]> {
  const summaries: LoadSummary[] = [];
  for (const load of comparison.loads) {
    const ofSubject: Measurement[] = [];
    const ofYardstick: Measurement[] = [];
    for (let round = 1; round <= comparison.rounds; round++) {
      const turn = async (peer: Peer) => {
        const measurement = await measureTurn(comparison, load, peer);
        const perSecond = Math.round(rateOf(measurement)).toLocaleString('en-US');
        progress(`${load.name}, round ${round} of ${comparison.rounds}, ${peer.name}: ${perSecond}/s`);
        return measurement;
      };
      ofSubject.push(await turn(comparison.subject));
      ofYardstick.push(await turn(comparison.yardstick));
    }
    summaries.push(summarize(comparison, load, ofSubject, ofYardstick));
  }
  return summaries;
}

async function measureTurn(comparison: Comparison, load: Load, peer: Peer): Promise<Measurement> {
  const { payloadBytes, identities, duration } = comparison;
  await sleep(pauseMs);
  const plan = {
    port: peer.mqttPort,
    payloadBytes,
    inFlightPerConnection: load.inFlightPerConnection,
    identities: identities.slice(0, load.connections),
  };
  return measure(peer, plan, duration);
}

/** A server that stores is judged by what it has stored, one that does not by what it has acknowledged. */
function rateOf(measurement: Measurement): number {
  return measurement.storedPerSecond ?? measurement.acknowledgedPerSecond;
}

function summarize(comparison: Comparison, load: Load, subject: Measurement[], yardstick: Measurement[]): LoadSummary {
  const ratios = subject.map((measurement, round) => {
    const other = yardstick[round];
    return other === undefined ? Number.NaN : rateOf(measurement) / rateOf(other);
  });
  return {
    load,
    servers: [summarizeServer(comparison.subject, subject), summarizeServer(comparison.yardstick, yardstick)],
    ratio: medianOf(ratios),
  };
}

function summarizeServer(peer: Peer, rounds: Measurement[]): ServerSummary {
  const stored = rounds.flatMap(round => round.storedPerSecond ?? []);
  const cpuMicros = rounds.flatMap(round => round.serverCpuMicrosPerMessage ?? []);
  const cpuShares = rounds.flatMap(round => round.serverCpuShare ?? []);
  return {
    server: peer.name,
    storedPerSecond: stored.length > 0 ? spreadOf(stored) : undefined,
    acknowledgedPerSecond: spreadOf(rounds.map(round => round.acknowledgedPerSecond)),
    p50Ms: medianOf(rounds.map(round => round.p50Ms)),
    p99Ms: medianOf(rounds.map(round => round.p99Ms)),
    serverCpuMicrosPerMessage: cpuMicros.length > 0 ? medianOf(cpuMicros) : undefined,
    serverCpuShare: cpuShares.length > 0 ? medianOf(cpuShares) : undefined,
    generatorCpuShare: medianOf(rounds.map(round => round.generatorCpuShare)),
    rounds,
  };
}
