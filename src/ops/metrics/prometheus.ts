/** Samples in the text format of Prometheus, version 0.0.4 ["Exposition formats"]. */
import type { Sample } from './sample.ts';

export const prometheusContentType = 'text/plain; version=0.0.4; charset=utf-8';

/** @param samples  those of one name behind each other, as a collection gives them */
export function prometheusText(samples: readonly Sample[]): string {
  const lines: string[] = [];
  let name: string | undefined;
  for (const sample of samples) {
    if (sample.name !== name) {
      name = sample.name;
      lines.push(`# HELP ${name} ${escapeHelp(sample.help)}`, `# TYPE ${name} ${sample.kind}`);
    }
    if (sample.kind === 'histogram') lines.push(...histogramLines(sample.name, sample.labels, sample.value));
    else lines.push(`${sample.name}${labelsText(sample.labels)} ${numberText(sample.value)}`);
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

type DistributionOf = Extract<Sample, { kind: 'histogram' }>['value'];

function histogramLines(name: string, labels: Sample['labels'], value: DistributionOf): string[] {
  let below = 0;
  const lines = value.counts.map((inIt, bucket) => {
    below += inIt;
    const le = bucket < value.bounds.length ? numberText(value.bounds[bucket]) : '+Inf';
    return `${name}_bucket${labelsText({ ...labels, le })} ${below}`;
  });
  const all = labelsText(labels);
  return [...lines, `${name}_sum${all} ${numberText(value.sum)}`, `${name}_count${all} ${value.count}`];
}

function labelsText(labels: Sample['labels']): string {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return parts.length === 0 ? '' : `{${parts.join(',')}}`;
}

function escapeLabel(value: string): string {
  return value.toWellFormed().replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function escapeHelp(help: string): string {
  return help.toWellFormed().replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  return String(value);
}
