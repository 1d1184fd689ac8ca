/** Asks every source, and gives what they say: each series once, each name with one kind. */
import { type Clock, delay } from '../../kernel/clock.ts';
import { metricLimits } from '../limits.ts';
import { counter, type MetricSource, type Sample } from './sample.ts';

export class MetricCollector {
  readonly #clock: Clock;
  readonly #sources = new Map<string, MetricSource>();
  readonly #failures = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes the place of the source that had this name. */
  register(name: string, source: MetricSource): void {
    this.#sources.set(name, source);
    if (!this.#failures.has(name)) this.#failures.set(name, 0);
  }

  /** Sorted by name. A source that fails, or takes too long, is left out and counted. */
  async collect(): Promise<Sample[]> {
    const asked = [...this.#sources].map(async ([name, source]) => {
      const samples = await this.#ask(source).catch(() => undefined);
      if (samples === undefined) this.#failures.set(name, (this.#failures.get(name) ?? 0) + 1);
      return samples ?? [];
    });
    const all = (await Promise.all(asked)).flat();
    const help = 'How often a source of metrics failed to answer.';
    for (const [source, failures] of this.#failures) {
      all.push(counter('mimamori_metric_source_failures_total', help, failures, { source }));
    }
    return distinct(all).sort((left, right) => (left.name < right.name ? -1 : left.name > right.name ? 1 : 0));
  }

  async #ask(source: MetricSource): Promise<Sample[]> {
    const answer = source.collect();
    if (!(answer instanceof Promise)) return [...answer];
    const tooLate = new AbortController();
    const waiting = delay(this.#clock, metricLimits.collectMs, tooLate.signal);
    try {
      const samples = await Promise.race([answer, waiting]);
      if (samples === undefined) throw new Error('it took too long');
      return [...samples];
    } finally {
      tooLate.abort();
    }
  }
}

/** The first of each series stays, and the first of a name says of what kind it is. */
function distinct(samples: readonly Sample[]): Sample[] {
  const kinds = new Map<string, Sample['kind']>();
  const seen = new Set<string>();
  return samples.filter(({ name, kind, labels }) => {
    const known = kinds.get(name);
    if (known === undefined) kinds.set(name, kind);
    const series = `${name}${JSON.stringify(Object.entries(labels).sort(([left], [right]) => (left < right ? -1 : 1)))}`;
    if ((known ?? kind) !== kind || seen.has(series) || seen.size >= metricLimits.samplesMax) return false;
    seen.add(series);
    return true;
  });
}
