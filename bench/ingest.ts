// The ingest benchmark: how many QoS 1 messages per second Mimamori takes in, makes durable, acknowledges, decodes and
// stores, beside brokers that route the same messages.
import { temporaryFolder } from './cleanup.ts';
import { type Identity, ingestLoads, type Load } from './load.ts';
import { describeDataDisk, describeMachine } from './machine.ts';
import { measure } from './measure.ts';
import { checkMimamori, createThings, startMimamori } from './mimamori-server.ts';
import { commonFigures, type Report, tableLegend } from './report.ts';
import { formatMicros, formatThousands } from './report-cells.ts';
import type { ServerKind } from './server-kind.ts';
import type { Peer } from './server-process.ts';
import { lineUpPeers, startAll, stopAll } from './servers.ts';
import { type Benchmark, chooseLoads, progress, type Settings, settingsOf } from './settings.ts';
import { type Contender, type Figure, type RatioDefinition, takeTurns, type Values } from './turns.ts';

const method = [
  'Each of N connections keeps K QoS 1 publishes in flight. Mimamori acknowledges one when it is durable (fdatasync),',
  'then decodes the JSON and stores the reading; its stored rate counts until everything is stored. Mosquitto and Aedes',
  'acknowledge on routing, in memory; NATS when its JetStream has taken the message; none has a subscriber or checks a',
  'password, and their rates count until the last acknowledgement. They take turns under the same bytes from one',
  "generator process on the same machine. The ratio `acked x` is of the rates of acknowledgements, Mimamori's durable;",
  '`stored x` is Mimamori stored to peer acknowledged.',
  tableLegend,
].join('\n');

export const ingestFigures: readonly Figure[] = [
  { name: 'storedPerSecond', head: 'stored k/s', summary: 'spread', format: formatThousands },
  { name: 'acknowledgedPerSecond', head: 'acked k/s', summary: 'spread', format: formatThousands },
  commonFigures.p50,
  commonFigures.p99,
  { name: 'serverCpuMicrosPerMessage', head: 'µs/msg', summary: 'median', format: formatMicros },
  commonFigures.serverShare,
  commonFigures.generatorShare,
];

/** The stored ratio comes first: a server that stores is judged by it. Who stores nothing counts as acknowledged. */
const stored: RatioDefinition = {
  name: 'stored',
  head: 'stored x',
  better: 'more',
  valueOf: values => values.storedPerSecond ?? values.acknowledgedPerSecond,
};
export const acknowledged: RatioDefinition = {
  name: 'acknowledged',
  head: 'acked x',
  better: 'more',
  valueOf: values => values.acknowledgedPerSecond,
};

export function ingestContender(
  peer: Peer,
  role: ServerKind['role'],
  identities: readonly Identity[],
  { payloadBytes, duration }: Settings,
): Contender<Load> {
  const turn = async ({ connections, inFlightPerConnection }: Load): Promise<Values> => {
    const plan = {
      port: peer.mqttPort,
      payloadBytes,
      inFlightPerConnection,
      identities: identities.slice(0, connections),
    };
    return measure(peer, plan, duration);
  };
  return { name: peer.name, role, turn };
}

async function run(settings: Settings): Promise<Report> {
  checkMimamori();
  const machine = describeMachine();
  const startedAt = new Date().toISOString();
  const dataFolder = temporaryFolder(settings.dataRoot);
  const dataDisk = describeDataDisk(dataFolder);
  const { kinds, versions, skipped } = lineUpPeers(settings);
  const loads = chooseLoads(ingestLoads, settings);
  const thingsCount = Math.max(...loads.map(load => load.connections));

  progress(`creating ${thingsCount} things in ${dataFolder}`);
  const identities = await createThings(dataFolder, thingsCount);
  const subject = await startMimamori(dataFolder);
  const peers = await startAll(kinds.map(kind => onDisk(kind, settings.dataRoot)));
  const contenders = [
    ingestContender(subject, 'subject', identities, settings),
    ...peers.map(({ peer }) => ingestContender(peer, 'peer', identities, settings)),
  ];
  const ratios = [stored, acknowledged];
  const { rounds } = settings;
  const results = await takeTurns({ loads, rounds, contenders, figures: ingestFigures, ratios, progress });
  await Promise.all([subject.stop(), stopAll(peers)]);
  return {
    benchmark: 'ingest',
    startedAt,
    method,
    settings: settingsOf(settings),
    machine,
    dataDisk,
    versions,
    skipped,
    notes: [],
    tables: [{ figures: ingestFigures, ratios, results }],
  };
}

/** NATS cannot do without a disk: it gets the same one as Mimamori. The others keep nothing, and stay in memory. */
function onDisk(kind: ServerKind, dataRoot: string): ServerKind {
  if (kind.name !== 'nats') return kind;
  return { ...kind, start: options => kind.start({ ...options, dataFolder: temporaryFolder(dataRoot) }) };
}

export const ingest: Benchmark = {
  name: 'ingest',
  summary: 'QoS 1 messages durably taken in and stored per second',
  loads: ingestLoads,
  counts: [],
  run,
};
