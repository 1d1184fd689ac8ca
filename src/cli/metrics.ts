import { Command } from 'commander';
import type { MetricsAnswer } from '../http/index.ts';
import { metricsPath } from '../http/operator/paths.ts';
import type { Sample } from '../ops/index.ts';
import { prometheusText, quantile } from '../ops/metrics/index.ts';
import { askOperator, type OperatorTarget, urlOption } from './operator.ts';
import { dataOption, jsonOption } from './options.ts';
import { endWithReader, print } from './output.ts';
import { printable } from './report.ts';
import { columns } from './table-text.ts';

interface MetricsOptions extends OperatorTarget {
  readonly prometheus?: true;
  readonly all?: true;
  readonly json?: true;
}

export function metricsCommand(): Command {
  return new Command('metrics')
    .description('Print what a running app and its backend measure.')
    .argument('[name]', 'only metrics with this text in their name')
    .addOption(dataOption())
    .addOption(urlOption())
    .option('--all', 'also those that are zero')
    .option('--prometheus', "in Prometheus' text format, as /operator/metrics gives it")
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  npx mimamori metrics function')
    .action(async (name: string | undefined, options: MetricsOptions) => {
      endWithReader();
      const { samples } = await askOperator<MetricsAnswer>(options, `${metricsPath}?format=json`);
      const wanted = samples.filter(sample => name === undefined || sample.name.includes(name));
      if (options.prometheus) return print(prometheusText(wanted).trimEnd());
      if (options.json) {
        for (const sample of wanted) await print(JSON.stringify(sample));
        return;
      }
      await print(metricsText(options.all ? wanted : wanted.filter(isSomething)));
    });
}

function isSomething({ kind, value }: Sample): boolean {
  return kind === 'histogram' ? value.count > 0 : value !== 0;
}

/** One line for each series; of a distribution how many there were, the middle and the slow end. */
export function metricsText(samples: readonly Sample[]): string {
  if (samples.length === 0) return 'Nothing was measured.';
  const rows = samples.map(sample => [printable(sample.name), labelsText(sample.labels), valueText(sample)]);
  return columns([['metric', 'of', 'value'], ...rows], 2).join('\n');
}

function labelsText(labels: Sample['labels']): string {
  const parts = Object.entries(labels).map(([name, value]) => `${printable(name, 60)}=${printable(value, 60)}`);
  return parts.join(' ');
}

function valueText(sample: Sample): string {
  if (sample.kind !== 'histogram') return numberText(sample.value);
  const { count, sum } = sample.value;
  const [middle, slow] = [0.5, 0.99].map(part => quantile(sample.value, part));
  const mean = count === 0 ? 0 : sum / count;
  const upTo = (value: number | undefined) => (value === undefined ? '-' : value === null ? 'more' : numberText(value));
  return `${numberText(count)} (mean ${numberText(mean)}, p50 ≤ ${upTo(middle)}, p99 ≤ ${upTo(slow)})`;
}

function numberText(value: number | null): string {
  if (value === null || !Number.isFinite(value)) return 'infinite'; // JSON has no word for it.
  if (Math.abs(value) >= 100 || Number.isInteger(value)) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(3)));
}
