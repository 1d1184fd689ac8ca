/** What handlers measure. Collected and shown by `ops/metrics`. */
export interface Metrics {
  /** Adds to a count, e.g. of orders placed. Throws `metrics.notValid`, as do the others. */
  count(name: string, value?: number, options?: MetricOptions): void;
  /** How much there is now, e.g. in a queue. */
  gauge(name: string, value: number, options?: MetricOptions): void;
  /** How long something took. Shown as a distribution. */
  duration(name: string, valueMs: number, options?: MetricOptions): void;
}

export interface MetricOptions {
  /** Few, with few values each: a kind, a region; never an id. The function that measures is added to them. */
  readonly dimensions?: Readonly<Record<string, string>>;
}

/** For whoever has nobody to tell. */
export const noMetrics: Metrics = { count: () => {}, gauge: () => {}, duration: () => {} };
