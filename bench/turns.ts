// Servers under the same loads, taking turns: A B C A B C, so that a noisy minute falls on all of them.
import { setTimeout as sleep } from 'node:timers/promises';
import { BenchError } from './errors.ts';
import type { ServerKind } from './server-kind.ts';
import { medianOf, type Spread, spreadOf } from './statistics.ts';

const pauseMsUsual = 300; // for what the one before left running: closing sockets, flushing pages

/** What one measurement gave, by name; undefined: not known here. */
export type Values = Record<string, number | undefined>;

/** A figure of the report: a value over the rounds. */
export interface Figure {
  name: string; // of the value
  head: string; // of its column
  summary: 'spread' | 'median';
  format: (value: number) => string;
}

/** What is compared. A ratio above 1 means that the subject is better, whether more is better or less. */
export interface RatioDefinition {
  name: string;
  head: string; // of its column
  better: 'more' | 'less';
  valueOf: (values: Values) => number | undefined;
}

export interface Contender<Load> {
  name: string;
  role: ServerKind['role'];
  turn: (load: Load) => Promise<Values>;
  /** Whether it can do that at all; absent: everything. */
  canTake?: (load: Load) => boolean;
}

export interface ServerSummary {
  server: string;
  role: ServerKind['role'];
  figures: Record<string, Spread | number | undefined>; // a number when the figure's summary is its median
  rounds: Values[];
  failure: string | undefined; // why it has no figures, or fewer rounds than the others
}

export interface Ratio {
  byServer: Record<string, number>; // subject : server, median over the rounds; servers without the value are left out
  bestPeer: number | undefined; // the least of the peers' ratios; undefined when there is no peer to compare with
}

export interface LoadSummary<Load> {
  load: Load;
  servers: ServerSummary[];
  ratios: Record<string, Ratio>;
}

export interface Tournament<Load> {
  loads: readonly Load[];
  rounds: number;
  contenders: readonly Contender<Load>[];
  figures: readonly Figure[];
  ratios: readonly RatioDefinition[];
  progress: (line: string) => void;
  pauseMs?: number; // before each turn
}

export async function takeTurns<Load extends { name: string }>(
  tournament: Tournament<Load>,
): Promise<LoadSummary<Load>[]> {
  const summaries: LoadSummary<Load>[] = [];
  for (const load of tournament.loads) summaries.push(await takeTurnsAt(load, tournament));
  return summaries;
}

async function takeTurnsAt<Load extends { name: string }>(load: Load, tournament: Tournament<Load>) {
  const { rounds, contenders, figures, progress, pauseMs = pauseMsUsual } = tournament;
  const able = contenders.filter(contender => contender.canTake?.(load) ?? true);
  const results = able.map(contender => ({
    contender,
    values: [] as Values[],
    failure: undefined as string | undefined,
  }));
  for (let round = 1; round <= rounds; round++) {
    for (const result of results) {
      if (result.failure !== undefined) continue; // once is enough to know, and may have taken its time
      await sleep(pauseMs);
      const who = `${load.name}, round ${round} of ${rounds}, ${result.contender.name}`;
      try {
        const values = await result.contender.turn(load);
        result.values.push(values);
        progress(`${who}: ${describe(values, figures)}`);
      } catch (error) {
        result.failure = failureOf(result.contender.role, error);
        progress(`${who}: failed: ${result.failure}`);
      }
    }
  }
  const servers = results.map(({ contender, values, failure }) => summarize(contender, values, failure, figures));
  return {
    load,
    servers,
    ratios: Object.fromEntries(tournament.ratios.map(each => [each.name, compare(each, servers)])),
  };
}

/** A peer that cannot carry a load is a result, and said; ours that cannot is the end of the run. */
function failureOf(role: ServerKind['role'], error: unknown): string {
  if (role === 'subject' || !(error instanceof BenchError)) throw error;
  return `${error.message} ${error.fix}`;
}

function describe(values: Values, figures: readonly Figure[]): string {
  const known = figures.flatMap(({ name, head, format }) => {
    const value = values[name];
    return value === undefined ? [] : [`${head} ${format(value)}`];
  });
  return known.slice(0, 3).join(', ');
}

function summarize<Load>(
  { name, role }: Contender<Load>,
  rounds: Values[],
  failure: string | undefined,
  figures: readonly Figure[],
): ServerSummary {
  const summaries = figures.map(figure => {
    const known = rounds.flatMap(values => values[figure.name] ?? []);
    if (known.length === 0) return [figure.name, undefined];
    return [figure.name, figure.summary === 'spread' ? spreadOf(known) : medianOf(known)];
  });
  return { server: name, role, figures: Object.fromEntries(summaries), rounds, failure };
}

/** Round by round, for what disturbs one round mostly disturbs all who are measured in it. */
function compare(ratio: RatioDefinition, servers: readonly ServerSummary[]): Ratio {
  const subject = servers.find(server => server.role === 'subject');
  const byServer: Record<string, number> = {};
  for (const { server, role, rounds } of servers) {
    if (role === 'subject' || subject === undefined) continue;
    const ratios = rounds.flatMap((values, round) => {
      const [ours, theirs] = [ratio.valueOf(subject.rounds[round] ?? {}), ratio.valueOf(values)];
      if (!ours || !theirs) return []; // 0 of something is no measurement
      return ratio.better === 'more' ? ours / theirs : theirs / ours;
    });
    if (ratios.length > 0) byServer[server] = medianOf(ratios);
  }
  const ofPeers = servers.flatMap(({ server, role }) => (role === 'peer' ? (byServer[server] ?? []) : []));
  return { byServer, bestPeer: ofPeers.length > 0 ? Math.min(...ofPeers) : undefined };
}
