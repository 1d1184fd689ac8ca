/**
 * A line of the CloudWatch embedded metric format: what a function on AWS writes to its log so that its metrics appear
 * there. Follows "Specification: Embedded metric format" of the CloudWatch documentation.
 */
import { currentCaller } from '../../kernel/callers.ts';
import type { Clock } from '../../kernel/clock.ts';
import type { MetricOptions, Metrics } from '../../kernel/metrics.ts';
import { metricsNotValid } from '../errors.ts';
import { metricLimits } from '../limits.ts';

export type EmfUnit = 'Count' | 'Milliseconds' | 'Seconds' | 'Bytes' | 'Percent' | 'None';

export interface EmfMetric {
  readonly name: string;
  readonly unit: EmfUnit;
  readonly value: number;
}

export interface EmfDocument {
  readonly namespace: string;
  readonly timestampMs: number;
  readonly dimensions: Readonly<Record<string, string>>;
  readonly metrics: readonly EmfMetric[];
  /** Written beside them, and no metrics: a request id, say. */
  readonly properties?: Readonly<Record<string, unknown>>;
}

/** One line without its end. Throws `metrics.notValid` for what CloudWatch would pass over in silence. */
export function emfLine({ namespace, timestampMs, dimensions, metrics, properties = {} }: EmfDocument): string {
  const { emfMetricsMax, emfDimensionsMax, emfTextCharactersMax } = metricLimits;
  const isText = (text: string) => text.length >= 1 && text.length <= emfTextCharactersMax;
  const names = Object.keys(dimensions);
  if (!isText(namespace)) throw metricsNotValid('a namespace has 1 to 1024 characters');
  if (metrics.length < 1 || metrics.length > emfMetricsMax)
    throw metricsNotValid(`a line has 1 to ${emfMetricsMax} metrics`);
  if (names.length > emfDimensionsMax) throw metricsNotValid(`there are at most ${emfDimensionsMax} dimensions`);
  if (![...names, ...Object.values(dimensions), ...metrics.map(({ name }) => name)].every(isText)) {
    throw metricsNotValid('names and dimensions have 1 to 1024 characters');
  }
  const values = metrics.map(({ name, value }) => [name, value] as const);
  const members = new Set([...names, ...metrics.map(({ name }) => name)]);
  if (members.size < names.length + metrics.length || members.has('_aws')) {
    throw metricsNotValid('a name stands for one metric or one dimension');
  }
  if (!metrics.every(({ value }) => Number.isFinite(value))) throw metricsNotValid('a value is a number');
  const directive = {
    Namespace: namespace,
    Dimensions: [names],
    Metrics: metrics.map(({ name, unit }) => ({ Name: name, Unit: unit })),
  };
  const _aws = { Timestamp: Math.round(timestampMs), CloudWatchMetrics: [directive] };
  return JSON.stringify({ ...properties, ...dimensions, ...Object.fromEntries(values), _aws });
}

/** The same calls as `AppMetrics` takes, each of them a line. For functions on AWS. */
export class EmfMetrics implements Metrics {
  readonly #options: { namespace: string; clock: Clock; write: (line: string) => void };

  constructor(options: { namespace: string; clock: Clock; write: (line: string) => void }) {
    this.#options = options;
  }

  count(name: string, value = 1, options?: MetricOptions): void {
    this.#write({ name, unit: 'Count', value }, options);
  }

  gauge(name: string, value: number, options?: MetricOptions): void {
    this.#write({ name, unit: 'None', value }, options);
  }

  duration(name: string, valueMs: number, options?: MetricOptions): void {
    this.#write({ name, unit: 'Milliseconds', value: valueMs }, options);
  }

  #write(metric: EmfMetric, { dimensions = {} }: MetricOptions = {}): void {
    const { namespace, clock, write } = this.#options;
    if (!Number.isFinite(metric.value)) return;
    const { functionName, requestId } = currentCaller() ?? {};
    const all = functionName === undefined ? dimensions : { function: functionName, ...dimensions };
    const properties = requestId === undefined ? {} : { requestId };
    write(emfLine({ namespace, timestampMs: clock.nowMs(), dimensions: all, metrics: [metric], properties }));
  }
}
