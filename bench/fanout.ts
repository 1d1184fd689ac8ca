// The fanout benchmark: messages from one publisher to very many subscribers of one topic.
import { fitConnections } from './descriptors.ts';
import { type TrafficPlan, windowMax } from './generators/traffic.ts';
import { describeMachine } from './machine.ts';
import { deliveriesRatio, p50Ratio, trafficContender, trafficFigures } from './measure-traffic.ts';
import { type Report, tableLegend } from './report.ts';
import { lineUpBrokers, startAll, stopAll } from './servers.ts';
import { type Benchmark, type CountFlag, chooseLoads, progress, type Settings, settingsOf } from './settings.ts';
import { takeTurns } from './turns.ts';

const method = [
  'One publisher, N subscribers of its topic. `single`: the next message is published when the last subscriber has the',
  'one before; p50 and p99 are the time to the last one. `stream`: the publisher keeps W messages under way. Nothing has',
  'a reason to be dropped, and nothing may be: every delivery is checked to be one that was awaited. Nothing is kept on',
  'disk, but for NATS, which has no QoS 1 without. The generator reads as many sockets as the server writes, so it is',
  'as much the limit as a good server is: see its share.',
  tableLegend,
].join('\n');

interface FanoutLoad {
  name: string;
  isStream: boolean;
}

const fanoutLoads: readonly FanoutLoad[] = [
  { name: 'single', isStream: false },
  { name: 'stream', isStream: true },
];

const counts: readonly CountFlag[] = [
  {
    name: 'subscribers',
    flag: '--subscribers <count>',
    what: 'of the one topic',
    usual: 10_000,
    quick: 500,
    min: 1,
    max: 60_000,
  },
  {
    name: 'window',
    flag: '--window <count>',
    what: 'messages under way in the stream',
    usual: 8,
    quick: 8,
    min: 1,
    max: windowMax,
  },
  { name: 'qos', flag: '--qos <0|1>', what: 'of publisher and subscribers', usual: 0, quick: 0, min: 0, max: 1 },
];

function planFor({ isStream }: FanoutLoad, subscribers: number, settings: Settings): Omit<TrafficPlan, 'port'> {
  const { payloadBytes, counts: flags } = settings;
  const topic = 'bench/fanout/all';
  return {
    qos: flags.qos === 1 ? 1 : 0,
    payloadBytes,
    subscribers: Array.from({ length: subscribers }, (_, index) => ({
      clientId: `bench-sub-${index}`,
      topicFilters: [topic],
    })),
    publishers: [{ clientId: 'bench-pub', topics: [topic] }],
    deliveriesPerMessage: subscribers,
    window: isStream ? flags.window : 1,
  };
}

async function run(settings: Settings): Promise<Report> {
  const machine = describeMachine();
  const startedAt = new Date().toISOString();
  const { connections: subscribers, notes } = fitConnections(settings.counts.subscribers);
  const { kinds, versions, skipped } = lineUpBrokers(settings, { withLimit: true });
  const servers = await startAll(kinds);
  const contenders = servers.map(server =>
    trafficContender(server, (load: FanoutLoad) => planFor(load, subscribers, settings), settings.duration),
  );
  const { rounds } = settings;
  const ratios = [deliveriesRatio, p50Ratio];
  const loads = chooseLoads(fanoutLoads, settings);
  const results = await takeTurns({ loads, rounds, contenders, figures: trafficFigures, ratios, progress });
  await stopAll(servers);
  return {
    benchmark: 'fanout',
    startedAt,
    method,
    settings: { ...settingsOf(settings), subscribers },
    machine,
    versions,
    skipped,
    notes,
    tables: [{ figures: trafficFigures, ratios, results }],
  };
}

export const fanout: Benchmark = {
  name: 'fanout',
  summary: 'messages from one publisher to thousands of subscribers: deliveries per second, and time to the last one',
  loads: fanoutLoads,
  counts,
  run,
};
