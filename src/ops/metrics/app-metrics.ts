/** What the handlers of an app measure, in few series: what is too many is added up as `(others)`. */
import { currentCaller } from '../../kernel/callers.ts';
import type { MetricOptions, Metrics } from '../../kernel/metrics.ts';
import { metricsNotValid } from '../errors.ts';
import { metricLimits } from '../limits.ts';
import { Histogram, type MetricSource, type Sample } from './sample.ts';

type Kind = 'count' | 'gauge' | 'duration';

interface Series {
  readonly labels: Readonly<Record<string, string>>;
  value: number;
  readonly histogram?: Histogram;
}

interface Metric {
  readonly kind: Kind;
  readonly series: Map<string, Series>;
}

export class AppMetrics implements Metrics, MetricSource {
  readonly #metrics = new Map<string, Metric>();
  /** Values that were no numbers, which says something about the app. */
  #dropped = 0;

  count(name: string, value = 1, options?: MetricOptions): void {
    if (value < 0) throw metricsNotValid(`${shown(name)} is a count, and a count only grows`);
    this.#note('count', name, value, options);
  }

  gauge(name: string, value: number, options?: MetricOptions): void {
    this.#note('gauge', name, value, options);
  }

  duration(name: string, valueMs: number, options?: MetricOptions): void {
    this.#note('duration', name, valueMs, options);
  }

  *collect(): Generator<Sample> {
    for (const [name, { kind, series }] of this.#metrics) {
      const help = `Measured by the app as ${name}.`;
      for (const { labels, value, histogram } of series.values()) {
        if (histogram !== undefined) {
          yield { kind: 'histogram', name: suffixed(name, '_seconds'), help, labels, value: histogram.value() };
        } else if (kind === 'count') yield { kind: 'counter', name: suffixed(name, '_total'), help, labels, value };
        else yield { kind: 'gauge', name, help, labels, value };
      }
    }
    const help = 'Values of metrics that were no numbers.';
    yield { kind: 'counter', name: 'mimamori_metric_values_dropped_total', help, labels: {}, value: this.#dropped };
  }

  #note(kind: Kind, name: string, value: number, { dimensions = {} }: MetricOptions = {}): void {
    const metric = this.#metrics.get(name) ?? this.#declare(kind, name);
    if (metric.kind !== kind) throw metricsNotValid(`${shown(name)} is a ${metric.kind}, and cannot be a ${kind}, too`);
    if (!Number.isFinite(value)) {
      this.#dropped++;
      return;
    }
    const series = this.#seriesOf(metric, dimensions);
    if (series.histogram !== undefined) series.histogram.observe(value / 1_000);
    else if (kind === 'count') series.value += value;
    else series.value = value;
  }

  #declare(kind: Kind, name: string): Metric {
    checkName(name);
    const full = this.#metrics.size >= metricLimits.namesMax;
    if (full)
      throw metricsNotValid(`${shown(name)} is one more than the ${metricLimits.namesMax} that an app may have`);
    const metric = { kind, series: new Map<string, Series>() };
    this.#metrics.set(name, metric);
    return metric;
  }

  #seriesOf({ kind, series }: Metric, dimensions: Readonly<Record<string, string>>): Series {
    const functionName = currentCaller()?.functionName;
    // The commonest series has no key to be made.
    const key = `${functionName ?? ''}${dimensionsKey(dimensions)}`;
    const known = series.get(key);
    if (known !== undefined) return known;
    const labels = {
      ...(functionName === undefined ? {} : { function: functionName }),
      ...checkDimensions(dimensions),
    };
    if (series.size < metricLimits.seriesMax) return addSeries(kind, series, key, labels);
    const others = Object.fromEntries(Object.keys(labels).map(label => [label, '(others)']));
    return series.get(othersKey) ?? addSeries(kind, series, othersKey, others);
  }
}

const othersKey = '\u0002'; // as no set of dimensions has it

function addSeries(
  kind: Kind,
  series: Map<string, Series>,
  key: string,
  labels: Readonly<Record<string, string>>,
): Series {
  const added: Series = { labels, value: 0, histogram: kind === 'duration' ? new Histogram() : undefined };
  series.set(key, added);
  return added;
}

function dimensionsKey(dimensions: Readonly<Record<string, string>>): string {
  let key = '';
  for (const name in dimensions) key += `\u0000${name}\u0001${dimensions[name]}`;
  return key;
}

/** The names are code's, and checked; a value may come from outside, and is cut. */
function checkDimensions(dimensions: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Object.entries(dimensions);
  const max = metricLimits.dimensionsMax - 1; // The function is one of them.
  if (entries.length > max) throw metricsNotValid(`it has ${entries.length} dimensions, and may have ${max}`);
  for (const [name] of entries) {
    const isGood = /^[a-zA-Z_][a-zA-Z0-9_]{0,49}$/.test(name) && !name.startsWith('__');
    if (!isGood || name === 'function' || name === 'le') throw metricsNotValid(`${shown(name)} is no dimension`);
  }
  return Object.fromEntries(
    entries.map(([name, value]) => [name, String(value).slice(0, metricLimits.dimensionCharactersMax)]),
  );
}

function checkName(name: string): void {
  const isGood = /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name) && name.length <= metricLimits.nameCharactersMax;
  if (!isGood) throw metricsNotValid(`${shown(name)} is no name`);
  if (/^(mimamori|process|nodejs)_/.test(name)) throw metricsNotValid(`${shown(name)} begins as the platform's own do`);
  if (/_(bucket|sum|count)$/.test(name)) throw metricsNotValid(`${shown(name)} ends as a part of a distribution does`);
}

function shown(name: unknown): string {
  return JSON.stringify(String(name).slice(0, metricLimits.nameCharactersMax));
}

function suffixed(name: string, suffix: string): string {
  return name.endsWith(suffix) ? name : `${name}${suffix}`;
}
