// The match benchmark: whether a publish costs more because of subscriptions that do not match it.
import { fitConnections } from './descriptors.ts';
import { GeneratorProcess } from './generator-process.ts';
import { type TrafficPlan, windowMax } from './generators/traffic.ts';
import { describeMachine } from './machine.ts';
import { dealOut, filterOf, scattered, topicOf } from './match-filters.ts';
import type { TreeRequest, TreeResult } from './match-tree-process.ts';
import { deliveriesRatio, measureGrowth, trafficFigures } from './measure-traffic.ts';
import { type Report, tableLegend } from './report.ts';
import { formatCount, formatThousands } from './report-cells.ts';
import type { ServerKind } from './server-kind.ts';
import { lineUpBrokers } from './servers.ts';
import { type Benchmark, type CountFlag, chooseLoads, progress, type Settings, settingsOf } from './settings.ts';
import { type Contender, type Figure, type RatioDefinition, takeTurns, type Values } from './turns.ts';

const method = [
  '`wire`: S subscriptions (half exact, a quarter with `+` at the end, a quarter with `+` in the middle) over C',
  'connections; 10 publishers send QoS 0 to topics all over the place, each of which matches exactly one, with K messages',
  'of each under way. Deliveries are publishes, each checked. B/subscription is what the resident memory of a new server',
  'grew by, connections included, divided by the subscriptions. `tree`: the topic tree of Mimamori alone, in process.',
  tableLegend,
].join('\n');

const wireLoads = [{ name: 'wire' }];
const treeLoads = [{ name: 'tree' }];
const publishersCount = 10;
const treeHeapMib = 8_192; // the strings of a million topics beside the tree

const counts: readonly CountFlag[] = [
  {
    name: 'subscriptions',
    flag: '--subscriptions <count>',
    what: 'over the wire',
    usual: 100_000,
    quick: 5_000,
    min: 100,
    max: 10_000_000,
  },
  {
    name: 'connections',
    flag: '--connections <count>',
    what: 'that hold them',
    usual: 1_000,
    quick: 50,
    min: 1,
    max: 60_000,
  },
  {
    name: 'inFlight',
    flag: '--in-flight <count>',
    what: 'of each publisher',
    usual: 50,
    quick: 50,
    min: 1,
    max: windowMax,
  },
  {
    name: 'treeSubscriptions',
    flag: '--tree-subscriptions <count>',
    what: 'in process',
    usual: 1_000_000,
    quick: 50_000,
    min: 100,
    max: 20_000_000,
  },
];

const wireFigures: readonly Figure[] = [
  ...trafficFigures,
  { name: 'bytesPerSubscription', head: 'B/subscription', summary: 'median', format: formatCount },
];
const wireRatios: readonly RatioDefinition[] = [
  deliveriesRatio,
  { name: 'memory', head: 'memory x', better: 'less', valueOf: values => values.bytesPerSubscription },
];

const treeFigures: readonly Figure[] = [
  { name: 'matchesPerSecond', head: 'matches k/s', summary: 'spread', format: formatThousands },
  { name: 'addsPerSecond', head: 'adds k/s', summary: 'spread', format: formatThousands },
  { name: 'heapBytesPerSubscription', head: 'B/subscription', summary: 'median', format: formatCount },
];

function planFor(subscriptions: number, connections: number, settings: Settings): Omit<TrafficPlan, 'port'> {
  const order = scattered(subscriptions);
  return {
    qos: 0,
    payloadBytes: settings.payloadBytes,
    subscribers: dealOut(order, connections).map((indexes, connection) => ({
      clientId: `bench-sub-${connection}`,
      topicFilters: indexes.map(filterOf),
    })),
    publishers: dealOut(order, publishersCount).map((indexes, publisher) => ({
      clientId: `bench-pub-${publisher}`,
      topics: indexes.map(topicOf),
    })),
    deliveriesPerMessage: 1,
    window: settings.counts.inFlight,
  };
}

function wireContender(
  kind: ServerKind,
  plan: Omit<TrafficPlan, 'port'>,
  settings: Settings,
): Contender<{ name: string }> {
  const turn = async (): Promise<Values> => {
    const peer = await kind.start({});
    try {
      const values = await measureGrowth(peer, plan, settings.duration);
      const { grownBytes } = values;
      return { ...values, bytesPerSubscription: grownBytes && grownBytes / settings.counts.subscriptions };
    } finally {
      await peer.stop();
    }
  };
  return { name: kind.name, role: kind.role, turn };
}

async function measureTree(request: TreeRequest): Promise<Values> {
  const flags = ['--expose-gc', `--max-old-space-size=${treeHeapMib}`];
  const tree = new GeneratorProcess<TreeRequest, TreeResult>('match-tree-process.ts', flags);
  try {
    return await tree.ask(request);
  } finally {
    await tree.end();
  }
}

async function run(settings: Settings): Promise<Report> {
  const machine = describeMachine();
  const startedAt = new Date().toISOString();
  const { rounds, duration, counts: flags } = settings;
  const { connections, notes } = fitConnections(flags.connections);
  const loads = chooseLoads(wireLoads, settings);
  const treeChosen = chooseLoads(treeLoads, settings);
  const seconds = duration.seconds;
  const tree: Contender<{ name: string }> = {
    name: 'mimamori',
    role: 'subject',
    turn: () => measureTree({ subscriptions: flags.treeSubscriptions, seconds }),
  };
  const trees = await takeTurns({
    loads: treeChosen,
    rounds,
    contenders: [tree],
    figures: treeFigures,
    ratios: [],
    progress,
  });

  // The bare server has no wildcards. A run of the tree alone needs no broker.
  const { kinds, versions, skipped } =
    loads.length === 0 ? { kinds: [], versions: {}, skipped: [] } : lineUpBrokers(settings, { withLimit: false });
  const plan = planFor(flags.subscriptions, connections, settings);
  const contenders = kinds.map(kind => wireContender(kind, plan, settings));
  const wires = await takeTurns({ loads, rounds, contenders, figures: wireFigures, ratios: wireRatios, progress });
  return {
    benchmark: 'match',
    startedAt,
    method,
    settings: { ...settingsOf(settings), connections },
    machine,
    versions,
    skipped,
    notes,
    tables: [
      { figures: wireFigures, ratios: wireRatios, results: wires },
      { figures: treeFigures, ratios: [], results: trees },
    ],
  };
}

export const match: Benchmark = {
  name: 'match',
  summary: 'publishes per second that match one of very many subscriptions, and their memory',
  loads: [...wireLoads, ...treeLoads],
  counts,
  run,
};
