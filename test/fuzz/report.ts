import { inMib, memoryLimits } from './memory-watch.ts';
import type { CampaignResult, RunOrder } from './run.ts';
import type { WatchedRun } from './watch-run.ts';

/** One document with everything that was counted, measured and found. */
export function toJson({ seed }: RunOrder, { result, wasStopped }: WatchedRun): object {
  return { seed, stopped: wasStopped, ...result, memoryLimits };
}

/** The same for a person. */
export function toText({ seed }: RunOrder, { result, wasStopped }: WatchedRun): string {
  const lines = [`seed ${seed}${wasStopped ? ', stopped before the end' : ''}`];
  const { packets, sessions, findings } = result;
  if (packets) {
    const { cases, accepted, refused, undecided, secondOpinions } = packets.counts;
    lines.push(
      `packets   ${speedOf(cases, packets)}`,
      `          ${inWords({ accepted, refused, undecided, secondOpinions })}`,
      ...memoryLines(packets),
    );
  }
  if (sessions) {
    const { sessions: count, worlds: gateways, ...rest } = sessions.counts;
    lines.push(`sessions  ${speedOf(count, sessions)}`, `          ${inWords({ gateways, ...rest })}`);
    lines.push(...memoryLines(sessions));
  }
  for (const { campaign, index, oracle, message, replay, packet, conversations } of findings) {
    lines.push('', `FOUND in ${campaign} ${index}: ${oracle}`, `  ${message.slice(0, shownCharactersMax)}`);
    if (packet) {
      const { version, from, packetBytesMax, hex } = packet;
      lines.push(`  MQTT version ${version}, from the ${from}, at most ${packetBytesMax} bytes: ${hex}`);
    }
    for (const steps of conversations ?? []) for (const step of steps) lines.push(`  ${JSON.stringify(step)}`);
    lines.push(`  replay: ${replay}`);
  }
  lines.push('', findings.length === 0 ? 'Every promise held.' : `${findings.length} found.`);
  return lines.join('\n');
}

const shownCharactersMax = 2_000; // ours: of what was seen; the bytes and steps are shown whole

function speedOf(count: number, { seconds }: CampaignResult<unknown>): string {
  const perSecond = Math.round(count / seconds).toLocaleString('en');
  return `${count.toLocaleString('en')} in ${seconds.toFixed(1)} s (${perSecond}/s)`;
}

function inWords(counts: Record<string, number>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${name} ${count.toLocaleString('en')}`)
    .join(', ');
}

function memoryLines({ memory }: CampaignResult<unknown>): string[] {
  if (!memory) return ['          memory: too short a run to say'];
  const { warmResidentBytes, peakResidentBytes, warmHeapBytes, endHeapBytes } = memory;
  return [
    `          resident ${inMib(warmResidentBytes)} MiB when warm, ${inMib(peakResidentBytes)} MiB at most since`,
    `          live objects ${inMib(warmHeapBytes)} MiB when warm, ${inMib(endHeapBytes)} MiB at the end`,
  ];
}
