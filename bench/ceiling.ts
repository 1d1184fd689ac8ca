// The ceiling benchmark: what the load generator reaches against a server that only acknowledges. A result of the
// ingest benchmark near this one says more about the generator than about the server.
import { acknowledged, ingestContender, ingestFigures } from './ingest.ts';
import { ingestLoads } from './load.ts';
import { describeMachine } from './machine.ts';
import { startBareServer } from './peers/bare.ts';
import { type Report, tableLegend } from './report.ts';
import { lineUpPeers, startAll, stopAll } from './servers.ts';
import { type Benchmark, chooseLoads, progress, type Settings, settingsOf } from './settings.ts';
import { takeTurns } from './turns.ts';

const method = [
  'The ingest load on a bare Node socket server, which acknowledges every publish and keeps nothing, and on the peers,',
  'taking turns.',
  tableLegend,
].join('\n');

async function run(settings: Settings): Promise<Report> {
  const machine = describeMachine();
  const startedAt = new Date().toISOString();
  const loads = chooseLoads(ingestLoads, settings);
  const identities = Array.from({ length: Math.max(...loads.map(load => load.connections)) }, (_, index) => {
    const clientId = `bench-${index}`;
    return { clientId, username: clientId, password: 'not-checked' };
  });

  const { kinds, versions, skipped } = lineUpPeers(settings);
  const subject = await startBareServer();
  const peers = await startAll(kinds);
  const contenders = [
    ingestContender(subject, 'subject', identities, settings),
    ...peers.map(({ peer }) => ingestContender(peer, 'peer', identities, settings)),
  ];
  const figures = ingestFigures.filter(figure => figure.name !== 'storedPerSecond');
  const ratios = [acknowledged];
  const results = await takeTurns({ loads, rounds: settings.rounds, contenders, figures, ratios, progress });
  await Promise.all([subject.stop(), stopAll(peers)]);
  return {
    benchmark: 'ceiling',
    startedAt,
    method,
    settings: settingsOf(settings),
    machine,
    versions,
    skipped,
    notes: [],
    tables: [{ figures, ratios, results }],
  };
}

export const ceiling: Benchmark = {
  name: 'ceiling',
  summary: 'what the load generator of ingest itself reaches',
  loads: ingestLoads,
  counts: [],
  run,
};
