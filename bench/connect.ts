// The connect benchmark: how fast clients come (plain and TLS), and how fast their sessions are back after a crash.
import { type CertificateFiles, createCertificate } from './certificates.ts';
import { temporaryFolder } from './cleanup.ts';
import { fitConnections } from './descriptors.ts';
import { withLastWords } from './errors.ts';
import { GeneratorProcess } from './generator-process.ts';
import type { ConnectRequest, ConnectResult } from './generators/connecting.ts';
import { describeDataDisk, describeMachine } from './machine.ts';
import { cpuMsOf } from './process-usage.ts';
import { commonFigures, type Report, tableLegend } from './report.ts';
import { formatCount, formatMicros, formatMillis, formatThousands } from './report-cells.ts';
import type { ServerKind } from './server-kind.ts';
import type { Peer } from './server-process.ts';
import { lineUpBrokers, type RunningServer, startAll, stopAll } from './servers.ts';
import { type Benchmark, type CountFlag, chooseLoads, progress, type Settings, settingsOf } from './settings.ts';
import { type Contender, type Figure, type RatioDefinition, takeTurns, type Values } from './turns.ts';

const method = [
  '`plain`, `tls`: connections made per second, A at a time: TCP (and a full TLS handshake: ECDSA P-256, the version the',
  'two agree on, no session resumed), CONNECT, CONNACK. They stay until C are open; then for each new one the oldest',
  'sends DISCONNECT and the server closes it, which is part of the work. Latency is from connect(2) to CONNACK. A client',
  'does about as much for a handshake as a server, so with TLS the generator is as much the limit as the server.',
  '`recovery`: N persistent sessions, each with one subscription and one QoS 1 message waiting, none connected; then',
  '(when what it keeps is kept, see below) kill -9 and a new start on the same folder. `all back` is from that start',
  'until every client has a CONNACK with session present and its message; `listening` is the part of it until the first',
  'connection is accepted. Who lost sessions has no time.',
  tableLegend,
].join('\n');

interface RateLoad {
  name: 'plain' | 'tls';
}

const rateLoads: readonly RateLoad[] = [{ name: 'plain' }, { name: 'tls' }];
const recoveryLoads = [{ name: 'recovery' }];

const counts: readonly CountFlag[] = [
  { name: 'atOnce', flag: '--at-once <count>', what: 'connections being made', usual: 64, quick: 64, min: 1, max: 100 },
  {
    name: 'open',
    flag: '--open <count>',
    what: 'connections that stay',
    usual: 5_000,
    quick: 200,
    min: 100,
    max: 60_000,
  },
  {
    name: 'sessions',
    flag: '--sessions <count>',
    what: 'to be recovered',
    usual: 10_000,
    quick: 300,
    min: 1,
    max: 60_000,
  },
];

const rateFigures: readonly Figure[] = [
  { name: 'connectsPerSecond', head: 'connects k/s', summary: 'spread', format: formatThousands },
  commonFigures.p50,
  commonFigures.p99,
  { name: 'serverCpuMicrosPerConnect', head: 'µs/connect', summary: 'median', format: formatMicros },
  commonFigures.serverShare,
  commonFigures.generatorShare,
];
const rateRatios: readonly RatioDefinition[] = [
  { name: 'connects', head: 'connects x', better: 'more', valueOf: values => values.connectsPerSecond },
];

const recoveryFigures: readonly Figure[] = [
  { name: 'allBackMs', head: 'all back ms', summary: 'spread', format: formatMillis },
  { name: 'listeningMs', head: 'listening ms', summary: 'median', format: formatMillis },
  { name: 'sessionsBack', head: 'sessions', summary: 'median', format: formatKept },
  { name: 'messagesBack', head: 'messages', summary: 'median', format: formatKept },
  commonFigures.generatorShare,
];
const recoveryRatios: readonly RatioDefinition[] = [
  { name: 'recovery', head: 'all back x', better: 'less', valueOf: values => values.allBackMs },
];

function formatKept(count: number): string {
  return count === 0 ? 'lost' : formatCount(count);
}

type ConnectGenerator = GeneratorProcess<ConnectRequest, ConnectResult>;

async function withGenerator<T>(work: (generator: ConnectGenerator) => Promise<T>): Promise<T> {
  const generator: ConnectGenerator = new GeneratorProcess('generators/connect-generator.ts');
  try {
    return await work(generator);
  } finally {
    await generator.end();
  }
}

async function measureRate(peer: Peer, isTls: boolean, settings: Settings): Promise<Values> {
  const { atOnce, open: openMax } = settings.counts;
  const { warmUpSeconds, seconds } = settings.duration;
  const request = { kind: 'rate', target: { port: peer.mqttPort, isTls }, atOnce, openMax } as const;
  try {
    return await withGenerator(async generator => {
      await generator.ask({ ...request, seconds: warmUpSeconds });
      const cpuBeforeMs = cpuMsOf(peer.pid);
      const { connects, elapsedMs, p50Ms, p99Ms, cpuMs } = await generator.ask({ ...request, seconds });
      const cpuAfterMs = cpuMsOf(peer.pid);
      const serverMs = cpuBeforeMs === undefined || cpuAfterMs === undefined ? undefined : cpuAfterMs - cpuBeforeMs;
      return {
        connects,
        connectsPerSecond: (connects * 1_000) / elapsedMs,
        p50Ms,
        p99Ms,
        serverCpuMicrosPerConnect: serverMs && (serverMs * 1_000) / connects,
        serverCpuShare: serverMs && serverMs / elapsedMs,
        generatorCpuShare: cpuMs / elapsedMs,
      };
    });
  } catch (error) {
    throw withLastWords(error, peer);
  }
}

interface RateServers {
  kind: ServerKind;
  plain: RunningServer | undefined; // undefined: that load was not asked for
  tls: RunningServer | undefined;
}

/** One server for each transport: NATS has a single MQTT listener, and so all are treated alike. */
async function startForRates(kinds: readonly ServerKind[], loads: readonly RateLoad[], certificate: CertificateFiles) {
  const asked = loads.map(load => load.name);
  const plain = asked.includes('plain') ? await startAll(kinds) : [];
  const tls = asked.includes('tls') ? await startAll(kinds, { certificate }) : [];
  return kinds.map((kind, index): RateServers => ({ kind, plain: plain[index], tls: tls[index] }));
}

function rateContender({ kind, plain, tls }: RateServers, settings: Settings): Contender<RateLoad> {
  const turn = ({ name }: RateLoad) => {
    const server = name === 'tls' ? tls : plain;
    if (server === undefined) throw new Error(`No server was started for ${name}.`); // chosen loads have theirs
    return measureRate(server.peer, name === 'tls', settings);
  };
  return { name: kind.name, role: kind.role, turn };
}

async function measureRecovery(kind: ServerKind, sessions: number, settings: Settings): Promise<Values> {
  const dataFolder = temporaryFolder(settings.dataRoot);
  const { payloadBytes } = settings;
  const { atOnce } = settings.counts;
  const before = await kind.start({ dataFolder });
  let after: Peer | undefined;
  try {
    return await withGenerator(async generator => {
      const request = { sessions, atOnce, payloadBytes };
      await generator.ask({ kind: 'prepare', target: { port: before.mqttPort, isTls: false }, ...request });
      await before.settled?.();
      await before.kill();
      const startedAtMs = performance.now();
      after = await kind.start({ dataFolder });
      const listeningMs = performance.now() - startedAtMs;
      const target = { port: after.mqttPort, isTls: false };
      const { sessionsPresent, messagesReceived, elapsedMs, cpuMs } = await generator.ask({
        kind: 'resume',
        target,
        ...request,
      });
      const isComplete = sessionsPresent === sessions && messagesReceived === sessions;
      return {
        allBackMs: isComplete ? listeningMs + elapsedMs : undefined,
        listeningMs,
        sessionsBack: sessionsPresent,
        messagesBack: messagesReceived,
        generatorCpuShare: cpuMs / elapsedMs,
      };
    });
  } catch (error) {
    throw withLastWords(error, after ?? before);
  } finally {
    await before.kill();
    await after?.stop();
  }
}

async function run(settings: Settings): Promise<Report> {
  const machine = describeMachine();
  const startedAt = new Date().toISOString();
  const folder = temporaryFolder(settings.dataRoot);
  const dataDisk = describeDataDisk(folder);
  const { kinds, versions, skipped } = lineUpBrokers(settings, { withLimit: true });
  const { rounds } = settings;
  const open = fitConnections(settings.counts.open);
  const sessions = fitConnections(settings.counts.sessions);
  const fitted: Settings = {
    ...settings,
    counts: { ...settings.counts, open: open.connections, sessions: sessions.connections },
  };

  const chosen = chooseLoads(rateLoads, fitted);
  const servers = await startForRates(kinds, chosen, await createCertificate(folder));
  const contenders = servers.map(each => rateContender(each, fitted));
  const rates = await takeTurns({
    loads: chosen,
    rounds,
    contenders,
    figures: rateFigures,
    ratios: rateRatios,
    progress,
  });
  await stopAll(servers.flatMap(({ plain, tls }) => [plain ?? [], tls ?? []].flat()));

  const keepers = kinds.filter(kind => kind.role !== 'limit'); // the bare server has no sessions to lose
  const recoveries = await takeTurns({
    loads: chooseLoads(recoveryLoads, fitted),
    rounds,
    contenders: keepers.map(kind => ({
      name: kind.name,
      role: kind.role,
      turn: () => measureRecovery(kind, sessions.connections, fitted),
    })),
    figures: recoveryFigures,
    ratios: recoveryRatios,
    progress,
  });
  return {
    benchmark: 'connect',
    startedAt,
    method,
    settings: settingsOf(fitted),
    machine,
    dataDisk,
    versions,
    skipped,
    notes: [
      ...open.notes,
      ...sessions.notes,
      ...keepers.map(kind => `After kill -9 ${kind.name} keeps ${kind.keepsAfterKill}.`),
    ],
    tables: [
      { figures: rateFigures, ratios: rateRatios, results: rates },
      { figures: recoveryFigures, ratios: recoveryRatios, results: recoveries },
    ],
  };
}

export const connect: Benchmark = {
  name: 'connect',
  summary: 'connections made per second, plain and TLS, and the time until persistent sessions are back after a crash',
  loads: [...rateLoads, ...recoveryLoads],
  counts,
  run,
};
