/** Samples as OpenTelemetry takes them over HTTP in JSON, and who sends them there. Off unless an address is given. */
import type { Clock, Timer } from '../../kernel/clock.ts';
import { messageOf } from '../../kernel/errors.ts';
import type { Log } from '../../kernel/log.ts';
import { metricLimits } from '../limits.ts';
import type { MetricCollector } from './collector.ts';
import type { Sample } from './sample.ts';

const cumulative = 2; // AGGREGATION_TEMPORALITY_CUMULATIVE [opentelemetry-proto metrics.proto]

export interface OtlpOptions {
  readonly serviceName: string;
  /** When counting began. */
  readonly sinceMs: number;
  readonly nowMs: number;
}

/** The body of an ExportMetricsServiceRequest; 64-bit numbers are texts in it [OTLP "JSON Protobuf Encoding"]. */
export function otlpBody(samples: readonly Sample[], { serviceName, sinceMs, nowMs }: OtlpOptions): object {
  const times = { startTimeUnixNano: nano(sinceMs), timeUnixNano: nano(nowMs) };
  const byName = Map.groupBy(samples, ({ name }) => name);
  const metrics = [...byName].map(([name, of]) => ({ name, description: of[0].help, ...dataOf(of, times) }));
  const resource = { attributes: attributes({ 'service.name': serviceName }) };
  return { resourceMetrics: [{ resource, scopeMetrics: [{ scope: { name: 'mimamori' }, metrics }] }] };
}

function dataOf(samples: readonly Sample[], times: { startTimeUnixNano: string; timeUnixNano: string }): object {
  const { kind } = samples[0];
  const dataPoints = samples.map(sample => {
    const common = { attributes: attributes(sample.labels), ...times };
    if (sample.kind !== 'histogram') return { ...common, asDouble: sample.value };
    const { count, sum, bounds, counts } = sample.value;
    return { ...common, count: String(count), sum, bucketCounts: counts.map(String), explicitBounds: bounds };
  });
  if (kind === 'gauge') return { gauge: { dataPoints } };
  if (kind === 'counter') return { sum: { aggregationTemporality: cumulative, isMonotonic: true, dataPoints } };
  return { histogram: { aggregationTemporality: cumulative, dataPoints } };
}

function attributes(labels: Readonly<Record<string, string>>): object[] {
  return Object.entries(labels).map(([key, value]) => ({ key, value: { stringValue: value } }));
}

function nano(ms: number): string {
  return `${BigInt(Math.round(ms)) * 1_000_000n}`;
}

/** POSTs JSON; resolves with the status. */
export type PostJson = (url: string, body: string, timeoutMs: number) => Promise<number>;

export interface OtlpPusherOptions {
  /** As `OTEL_EXPORTER_OTLP_ENDPOINT`: the metrics go to `/v1/metrics` below it. */
  readonly endpoint: string;
  readonly serviceName: string;
  readonly collector: MetricCollector;
  readonly clock: Clock;
  readonly post: PostJson;
  readonly log: Log;
}

/** Sends everything once a minute. What does not arrive is not sent again: the next one says as much. */
export class OtlpPusher {
  readonly #options: OtlpPusherOptions;
  readonly #sinceMs: number;
  #timer: Timer | undefined;
  #hasFailed = false;

  constructor(options: OtlpPusherOptions) {
    this.#options = options;
    this.#sinceMs = options.clock.nowMs();
    this.#later();
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #later(): void {
    this.#timer = this.#options.clock.setTimer(metricLimits.pushMs, () => {
      this.#push().then(() => {
        if (this.#timer !== undefined) this.#later();
      });
    });
  }

  async #push(): Promise<void> {
    const { endpoint, serviceName, collector, clock, post, log } = this.#options;
    const url = `${endpoint.replace(/\/$/, '')}/v1/metrics`;
    try {
      const samples = await collector.collect();
      const body = otlpBody(samples, { serviceName, sinceMs: this.#sinceMs, nowMs: clock.nowMs() });
      const status = await post(url, JSON.stringify(body), metricLimits.pushTimeoutMs);
      if (status >= 300) throw new Error(`it answered ${status}`);
      this.#hasFailed = false;
    } catch (error) {
      if (!this.#hasFailed)
        log.warn({ url, reason: messageOf(error) }, 'Metrics cannot be sent; said once until they can.');
      this.#hasFailed = true;
    }
  }
}
