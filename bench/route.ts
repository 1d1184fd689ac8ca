// The route benchmark: messages from one publisher to one subscriber, many such pairs at once.
import type { TrafficPlan } from './generators/traffic.ts';
import { windowMax } from './generators/traffic.ts';
import { describeMachine } from './machine.ts';
import { deliveriesRatio, p50Ratio, trafficContender, trafficFigures } from './measure-traffic.ts';
import { type Report, tableLegend } from './report.ts';
import { lineUpBrokers, startAll, stopAll } from './servers.ts';
import { type Benchmark, type CountFlag, chooseLoads, progress, type Settings, settingsOf } from './settings.ts';
import { takeTurns } from './turns.ts';

const method = [
  'P publishers, each with a topic and a subscriber of its own, keep K messages under way: published and not received',
  'yet or, with QoS 1, not acknowledged yet. So nothing has a reason to be dropped, and nothing may be: every delivery',
  'is checked to be one that was awaited. The rate counts until the last one was received; latencies are from write to',
  'read, at that load. Nothing is kept on disk, but for NATS, which has no QoS 1 without.',
  tableLegend,
].join('\n');

interface RouteLoad {
  name: string;
  qos: 0 | 1;
}

const routeLoads: readonly RouteLoad[] = [
  { name: 'qos0', qos: 0 },
  { name: 'qos1', qos: 1 },
];

const counts: readonly CountFlag[] = [
  {
    name: 'pairs',
    flag: '--pairs <count>',
    what: 'publishers, and subscribers',
    usual: 100,
    quick: 20,
    min: 1,
    max: 5_000,
  },
  {
    name: 'inFlight',
    flag: '--in-flight <count>',
    what: 'messages under way of each publisher',
    usual: 10,
    quick: 10,
    min: 1,
    max: windowMax,
  },
];

function planFor(
  { qos }: RouteLoad,
  { payloadBytes, counts: { pairs, inFlight } }: Settings,
): Omit<TrafficPlan, 'port'> {
  const names = Array.from({ length: pairs }, (_, index) => String(index).padStart(4, '0'));
  return {
    qos,
    payloadBytes,
    subscribers: names.map(name => ({ clientId: `bench-sub-${name}`, topicFilters: [`bench/route/${name}`] })),
    publishers: names.map(name => ({ clientId: `bench-pub-${name}`, topics: [`bench/route/${name}`] })),
    deliveriesPerMessage: 1,
    window: inFlight,
  };
}

async function run(settings: Settings): Promise<Report> {
  const machine = describeMachine();
  const startedAt = new Date().toISOString();
  const { kinds, versions, skipped } = lineUpBrokers(settings, { withLimit: true });
  const servers = await startAll(kinds);
  const contenders = servers.map(server =>
    trafficContender(server, (load: RouteLoad) => planFor(load, settings), settings.duration),
  );
  const { rounds } = settings;
  const ratios = [deliveriesRatio, p50Ratio];
  const loads = chooseLoads(routeLoads, settings);
  const results = await takeTurns({ loads, rounds, contenders, figures: trafficFigures, ratios, progress });
  await stopAll(servers);
  return {
    benchmark: 'route',
    startedAt,
    method,
    settings: settingsOf(settings),
    machine,
    versions,
    skipped,
    notes: [],
    tables: [{ figures: trafficFigures, ratios, results }],
  };
}

export const route: Benchmark = {
  name: 'route',
  summary: 'messages from one publisher to one subscriber per second, many pairs at once',
  loads: routeLoads,
  counts,
  run,
};
