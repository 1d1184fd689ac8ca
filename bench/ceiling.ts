// The ceiling benchmark: what the load generator reaches against a server that only acknowledges. A result of the
// other benchmarks near this one says more about the generator than about the server.
import { compare } from './compare.ts';
import { describeMachine } from './machine.ts';
import { startBareServer } from './peers/bare.ts';
import { startMosquitto } from './peers/mosquitto.ts';
import { cpuColumns, type Report } from './report.ts';
import { progress, type Settings } from './settings.ts';

const method = [
  'The ingest load on a bare Node socket server, which acknowledges every publish and keeps nothing, and on Mosquitto,',
  'taking turns. Rates and latencies are medians over the rounds (min-max); ratio is bare / Mosquitto.',
  cpuColumns,
].join('\n');

export async function ceiling(settings: Settings): Promise<Report> {
  const machine = describeMachine();
  const startedAt = new Date().toISOString();
  const connections = Math.max(...settings.loads.map(load => load.connections));
  const identities = Array.from({ length: connections }, (_, index) => {
    const clientId = `bench-${index}`;
    return { clientId, username: clientId, password: 'not-checked' };
  });

  const subject = await startBareServer();
  const yardstick = await startMosquitto();
  const { loads, rounds, duration, payloadBytes } = settings;
  const results = await compare({ loads, rounds, duration, payloadBytes, subject, yardstick, identities }, progress);
  await Promise.all([subject.stop(), yardstick.stop()]);
  return { benchmark: 'ceiling', startedAt, method, settings: { rounds, ...duration, payloadBytes }, machine, results };
}
