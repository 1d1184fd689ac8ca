// The ingest benchmark: how many QoS 1 messages per second Mimamori takes in, makes durable, acknowledges, decodes and
// stores, beside Mosquitto routing the same messages in memory.
import { temporaryFolder } from './cleanup.ts';
import { compare } from './compare.ts';
import { describeDataDisk, describeMachine } from './machine.ts';
import { checkMimamori, createThings, startMimamori } from './mimamori-server.ts';
import { startMosquitto } from './peers/mosquitto.ts';
import { cpuColumns, type Report } from './report.ts';
import { progress, type Settings } from './settings.ts';

const method = [
  'Each of N connections keeps K QoS 1 publishes in flight. Mimamori acknowledges one when it is durable (fdatasync),',
  'then decodes the JSON and stores the reading; its rate counts until everything is stored. Mosquitto acknowledges on',
  'routing, in memory, with no subscriber and no passwords; its rate counts until the last acknowledgement. They take',
  'turns under the same bytes from one generator process on the same machine. Rates and latencies are medians over the',
  'rounds (min-max); ratio is the median of the per-round ratios, Mimamori stored / Mosquitto acknowledged.',
  cpuColumns,
].join('\n');

export async function ingest(settings: Settings): Promise<Report> {
  checkMimamori();
  const machine = describeMachine();
  const startedAt = new Date().toISOString();
  const dataFolder = temporaryFolder(settings.dataRoot);
  const dataDisk = describeDataDisk(dataFolder);
  const thingsCount = Math.max(...settings.loads.map(load => load.connections));

  progress(`creating ${thingsCount} things in ${dataFolder}`);
  const identities = await createThings(dataFolder, thingsCount);
  const subject = await startMimamori(dataFolder);
  const yardstick = await startMosquitto();
  const { loads, rounds, duration, payloadBytes } = settings;
  const results = await compare({ loads, rounds, duration, payloadBytes, subject, yardstick, identities }, progress);
  await Promise.all([subject.stop(), yardstick.stop()]);
  return {
    benchmark: 'ingest',
    startedAt,
    method,
    settings: { rounds, ...duration, payloadBytes },
    machine,
    dataDisk,
    results,
  };
}
