// The idle benchmark: what a connection that does nothing costs in memory.
import { fitConnections } from './descriptors.ts';
import type { TrafficPlan } from './generators/traffic.ts';
import { describeMachine } from './machine.ts';
import { measureGrowth } from './measure-traffic.ts';
import { type Report, tableLegend } from './report.ts';
import { formatCount, formatMebibytes } from './report-cells.ts';
import type { ServerKind } from './server-kind.ts';
import { lineUpBrokers } from './servers.ts';
import { type Benchmark, type CountFlag, chooseLoads, progress, type Settings } from './settings.ts';
import { type Contender, type Figure, type RatioDefinition, takeTurns, type Values } from './turns.ts';

const method = [
  'N connections with one subscription each, every one to a topic of its own, that do nothing. Memory is resident memory',
  '(VmRSS, with children) of a server just started, and again with the connections, each read when it has not changed',
  'for 2 s. Memory of the kernel, which is the same for all, is not in it. Each measurement has a new server. bare is a',
  'Node socket server that remembers sockets by topic: what of it is Node.',
  tableLegend,
].join('\n');

const idleLoads = [{ name: 'idle' }];

const counts: readonly CountFlag[] = [
  {
    name: 'connections',
    flag: '--connections <count>',
    what: 'that idle',
    usual: 10_000,
    quick: 500,
    min: 1,
    max: 60_000,
  },
];

const figures: readonly Figure[] = [
  { name: 'bytesPerConnection', head: 'B/connection', summary: 'spread', format: formatCount },
  { name: 'emptyBytes', head: 'empty MiB', summary: 'median', format: formatMebibytes },
  { name: 'loadedBytes', head: 'with them MiB', summary: 'median', format: formatMebibytes },
];

const ratios: readonly RatioDefinition[] = [
  { name: 'memory', head: 'memory x', better: 'less', valueOf: values => values.bytesPerConnection },
];

function planFor(connections: number, payloadBytes: number): Omit<TrafficPlan, 'port'> {
  const subscribers = Array.from({ length: connections }, (_, index) => ({
    clientId: `bench-idle-${index}`,
    topicFilters: [`bench/idle/${index}`],
  }));
  return { qos: 0, payloadBytes, subscribers, publishers: [], deliveriesPerMessage: 1, window: 1 };
}

function contenderFor(kind: ServerKind, connections: number, payloadBytes: number): Contender<{ name: string }> {
  const turn = async (): Promise<Values> => {
    const peer = await kind.start({});
    try {
      const memory = await measureGrowth(peer, planFor(connections, payloadBytes), undefined);
      const { grownBytes } = memory;
      return { ...memory, bytesPerConnection: grownBytes === undefined ? undefined : grownBytes / connections };
    } finally {
      await peer.stop();
    }
  };
  return { name: kind.name, role: kind.role, turn };
}

async function run(settings: Settings): Promise<Report> {
  const machine = describeMachine();
  const startedAt = new Date().toISOString();
  const { connections, notes } = fitConnections(settings.counts.connections);
  const { kinds, versions, skipped } = lineUpBrokers(settings, { withLimit: true });
  const contenders = kinds.map(kind => contenderFor(kind, connections, settings.payloadBytes));
  const { rounds } = settings;
  const loads = chooseLoads(idleLoads, settings);
  const results = await takeTurns({ loads, rounds, contenders, figures, ratios, progress });
  return {
    benchmark: 'idle',
    startedAt,
    method,
    settings: { rounds, connections },
    machine,
    versions,
    skipped,
    notes,
    tables: [{ figures, ratios, results }],
  };
}

export const idle: Benchmark = {
  name: 'idle',
  summary: 'memory of a connection that does nothing',
  loads: idleLoads,
  counts,
  run,
};
