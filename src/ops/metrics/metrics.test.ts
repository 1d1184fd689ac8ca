import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { asCaller } from '../../kernel/callers.ts';
import { MimamoriError } from '../../kernel/errors.ts';
import { silentLog } from '../../kernel/log.ts';
import type { Metrics } from '../../kernel/metrics.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import type { StreamReader, StreamRecord } from '../../platform/stream/index.ts';
import { metricLimits } from '../limits.ts';
import {
  AppMetrics,
  consumerSource,
  counter,
  counterSource,
  type EmfDocument,
  EmfMetrics,
  emfLine,
  FunctionMetrics,
  gauge,
  Histogram,
  KeySkew,
  MetricCollector,
  type MetricSource,
  OtlpPusher,
  otlpBody,
  prometheusText,
  quantile,
  type Sample,
} from './index.ts';

const source = (...samples: Sample[]): MetricSource => ({ collect: () => samples });
const valuesOf = (samples: Iterable<Sample>, name: string) =>
  [...samples].filter(sample => sample.name === name).map(({ labels, value }) => [labels, value]);

/** What handlers measure with on either side. */
function measure(metrics: Metrics): void {
  asCaller({ functionName: 'onOrder', requestId: 'r1' }, () => {
    metrics.count('orders', 2, { dimensions: { kind: 'tea' } });
    metrics.gauge('queued', 7);
    metrics.duration('brewing', 250);
  });
}

describe('what handlers measure', () => {
  it('is a series for each function and set of dimensions (covers S1-12)', () => {
    const metrics = new AppMetrics();
    measure(metrics);
    measure(metrics);
    metrics.count('orders');
    const samples = [...metrics.collect()];
    assert.deepEqual(valuesOf(samples, 'orders_total'), [
      [{ function: 'onOrder', kind: 'tea' }, 4],
      [{}, 1],
    ]);
    assert.deepEqual(valuesOf(samples, 'queued'), [[{ function: 'onOrder' }, 7]]);
    const [brewing] = samples.filter(({ name }) => name === 'brewing_seconds');
    assert(brewing.kind === 'histogram');
    assert.deepEqual([brewing.value.count, brewing.value.sum, quantile(brewing.value, 0.5)], [2, 0.5, 0.25]);
  });

  it('has a bound in every direction, and loses no count', () => {
    const metrics = new AppMetrics();
    for (let id = 0; id < 10_000; id++) metrics.count('perId', 1, { dimensions: { id: `${id}`.repeat(1_000) } });
    const series = valuesOf(metrics.collect(), 'perId_total');
    assert.equal(series.length, metricLimits.seriesMax + 1);
    assert.deepEqual(series.at(-1), [{ id: '(others)' }, 10_000 - metricLimits.seriesMax]);
    for (let index = 1; index < metricLimits.namesMax; index++) metrics.count(`name${index}`);
    assert.throws(() => metrics.count('oneMore'), { code: 'metrics.notValid' });
  });

  it('is refused when a name or a dimension is none, and left out when a value is none', () => {
    const metrics = new AppMetrics();
    metrics.count('good');
    const wrong: (() => void)[] = [
      () => metrics.count('not good'),
      () => metrics.count('mimamori_own'),
      () => metrics.count('x_bucket'),
      () => metrics.count('x'.repeat(200)),
      () => metrics.count('good', -1),
      () => metrics.gauge('good', 1),
      () => metrics.count('good', 1, { dimensions: { le: '1' } }),
      () => metrics.count('good', 1, { dimensions: { function: '1' } }),
      () => metrics.count('good', 1, { dimensions: { a: '1', b: '1', c: '1', d: '1' } }),
    ];
    for (const call of wrong) assert.throws(call, { code: 'metrics.notValid' }, String(call));
    metrics.count('good', Number.NaN);
    metrics.count('good', Number.POSITIVE_INFINITY);
    assert.deepEqual(valuesOf(metrics.collect(), 'good_total'), [[{}, 1]]);
    assert.deepEqual(valuesOf(metrics.collect(), 'mimamori_metric_values_dropped_total'), [[{}, 2]]);
  });

  it('becomes a line of the embedded metric format on AWS', () => {
    const clock = new VirtualClock(1_574_109_732_004);
    const lines: string[] = [];
    measure(new EmfMetrics({ namespace: 'tea-room', clock, write: line => void lines.push(line) }));
    assert.deepEqual(JSON.parse(lines[0]), {
      requestId: 'r1',
      function: 'onOrder',
      kind: 'tea',
      orders: 2,
      _aws: {
        Timestamp: 1_574_109_732_004,
        CloudWatchMetrics: [
          { Namespace: 'tea-room', Dimensions: [['function', 'kind']], Metrics: [{ Name: 'orders', Unit: 'Count' }] },
        ],
      },
    });
    assert.deepEqual(
      lines.map(line => JSON.parse(line)._aws.CloudWatchMetrics[0].Metrics[0].Unit),
      ['Count', 'None', 'Milliseconds'],
    );
    for (const line of lines) assertIsEmf(line);
  });
});

/** The JSON schema of "Specification: Embedded metric format", and its rule that targets are members of the root. */
function assertIsEmf(line: string): void {
  const root = JSON.parse(line);
  assert(!line.includes('\n'));
  assert(Number.isSafeInteger(root._aws.Timestamp) && root._aws.Timestamp >= 0);
  assert(root._aws.CloudWatchMetrics.length >= 1);
  for (const { Namespace, Dimensions, Metrics, ...rest } of root._aws.CloudWatchMetrics) {
    assert.deepEqual(rest, {});
    assert(Namespace.length >= 1 && Namespace.length <= 1_024);
    assert(Dimensions.length >= 1);
    for (const set of Dimensions) {
      assert(set.length <= 30);
      for (const name of set) assert(typeof root[name] === 'string' && root[name].length <= 1_024);
    }
    assert(Metrics.length <= 100);
    for (const { Name, Unit, ...others } of Metrics) {
      assert.deepEqual(others, {});
      assert(typeof root[Name] === 'number' && Unit.length > 0);
    }
  }
}

describe('a line of the embedded metric format', () => {
  const document = {
    namespace: 'n',
    timestampMs: 1.6,
    dimensions: {},
    metrics: [{ name: 'm', unit: 'Bytes', value: 1 }],
  } as const;

  it('holds up to a hundred metrics and thirty dimensions', () => {
    const metrics = Array.from(
      { length: 100 },
      (_, index) => ({ name: `m${index}`, unit: 'Count', value: index }) as const,
    );
    const dimensions = Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`d${index}`, 'v']));
    assertIsEmf(emfLine({ ...document, metrics, dimensions, properties: { requestId: 'r' } }));
    assertIsEmf(emfLine(document));
  });

  it('is refused where CloudWatch would drop it without a word', () => {
    const [metric] = document.metrics;
    const refused: EmfDocument[] = [
      { ...document, namespace: '' },
      { ...document, metrics: [] },
      { ...document, metrics: Array.from({ length: 101 }, (_, index) => ({ ...metric, name: `m${index}` })) },
      { ...document, metrics: [metric, metric] },
      { ...document, metrics: [{ ...metric, value: Number.NaN }] },
      { ...document, dimensions: { d: '' } },
      { ...document, dimensions: { m: 'the name of the metric' } },
      { ...document, dimensions: { d: 'x'.repeat(1_025) } },
      { ...document, dimensions: Object.fromEntries(Array.from({ length: 31 }, (_, index) => [`d${index}`, 'v'])) },
    ];
    for (const line of refused) assert.throws(() => emfLine(line), { code: 'metrics.notValid' });
  });
});

describe('the measures of functions', () => {
  it('are counts, durations and memory of each (covers S1-11)', () => {
    const metrics = new FunctionMetrics();
    const of = {
      functionName: 'play',
      trigger: 'telemetry',
      outcome: 'succeeded',
      durationMs: 40,
      attempt: 1,
      measures: {},
    } as const;
    metrics.note({ ...of, measures: { memoryBytes: 5e6, cpuMs: 20 } });
    metrics.note({ ...of, outcome: 'failed', attempt: 2, measures: { memoryBytes: 9e6, cpuMs: 30 }, coldStartMs: 80 });
    metrics.note({ ...of, outcome: 'timedOut', durationMs: 3_000 });
    const refusal = (code: string) => new MimamoriError({ code, message: 'No.', fix: 'Wait.' });
    metrics.note({ ...of, outcome: 'refused', error: refusal('function.throttled') });
    metrics.note({ ...of, outcome: 'refused', error: refusal('function.loop') });
    const samples = [...metrics.collect()];
    const labels = { function: 'play', trigger: 'telemetry' };
    assert.deepEqual(valuesOf(samples, 'mimamori_function_invocations_total'), [[labels, 3]]);
    assert.deepEqual(
      valuesOf(samples, 'mimamori_function_errors_total').map(([, value]) => value),
      [1, 1],
    );
    assert.deepEqual(valuesOf(samples, 'mimamori_function_throttles_total'), [[labels, 1]]);
    assert.deepEqual(valuesOf(samples, 'mimamori_function_stops_total'), [[labels, 1]]);
    assert.deepEqual(valuesOf(samples, 'mimamori_function_cpu_seconds_total'), [[labels, 0.05]]);
    assert.deepEqual(valuesOf(samples, 'mimamori_function_memory_bytes'), [[labels, 9e6]]);
    const duration = samples.find(({ name }) => name === 'mimamori_function_duration_seconds');
    assert(duration?.kind === 'histogram');
    assert.deepEqual([duration.value.count, quantile(duration.value, 0.5), quantile(duration.value, 1)], [3, 0.05, 5]);
  });

  it('count what a route refuses as an answer, and what it breaks on as an error', () => {
    const metrics = new FunctionMetrics();
    const of = {
      functionName: 'GET /a',
      trigger: 'route',
      outcome: 'failed',
      durationMs: 1,
      attempt: 1,
      measures: {},
    } as const;
    metrics.note({ ...of, error: new MimamoriError({ code: 'api.notFound', message: 'None.', fix: 'None.' }) });
    metrics.note({ ...of, error: new TypeError('undefined is no function') });
    const [[, failed]] = valuesOf(metrics.collect(), 'mimamori_function_errors_total');
    assert.equal(failed, 1);
  });
});

describe('a collection', () => {
  it('has each series once and each name in one kind, and leaves out a source that fails or hangs', async () => {
    const clock = new VirtualClock();
    const collector = new MetricCollector(clock);
    collector.register('good', source(counter('b_total', 'B.', 1, { x: '1' }), gauge('a', 'A.', 2)));
    collector.register('same', source(counter('b_total', 'B.', 9, { x: '1' }), gauge('b_total', 'B.', 9, { x: '2' })));
    collector.register('late', { collect: () => new Promise(() => {}) });
    collector.register('bad', {
      collect: () => {
        throw new Error('no');
      },
    });
    collector.register(
      'counters',
      counterSource(async () => ({ 'mqtt.dropped.qos1': 3, 'mqtt.connections': 2 })),
    );
    const samples = await clock.until(collector.collect());
    assert.deepEqual(
      samples.map(({ name, labels, value }) => `${name} ${Object.values(labels)} ${value}`),
      [
        'a  2',
        'b_total 1 1',
        'mimamori_metric_source_failures_total good 0',
        'mimamori_metric_source_failures_total same 0',
        'mimamori_metric_source_failures_total late 1',
        'mimamori_metric_source_failures_total bad 1',
        'mimamori_metric_source_failures_total counters 0',
        'mimamori_mqtt_connections  2',
        'mimamori_mqtt_dropped_total qos1 3',
      ],
    );
  });

  it('is text that Prometheus takes, whatever the labels are', async () => {
    const clock = new VirtualClock();
    const collector = new MetricCollector(clock);
    const metrics = new AppMetrics();
    measure(metrics);
    metrics.gauge('odd', -1.5e-9, { dimensions: { text: 'a"b\\c\nd\ud800é' } });
    const functions = new FunctionMetrics();
    const route = { functionName: 'GET /v1/{id}', trigger: 'route', outcome: 'succeeded' } as const;
    functions.note({ ...route, durationMs: 7, attempt: 1, measures: {} });
    const counts = {
      invocations: 3,
      retries: 1,
      failures: 1,
      throttles: 0,
      handled: 10,
      filtered: 2,
      deadLettered: 1,
      expired: 0,
    };
    const shard = { shardId: 's0', iteratorAgeMs: 1_500, recordsBehind: 4, batchRecordsMost: 5, ...counts };
    for (const [name, of] of Object.entries({
      metrics,
      functions,
      consumers: consumerSource(() => [{ consumer: 'play', shards: [shard] }]),
      infinite: source(gauge('huge', 'Line\nbreak \\ .', Number.POSITIVE_INFINITY)),
    })) {
      collector.register(name, of);
    }
    const text = prometheusText(await clock.until(collector.collect()));
    const parsed = parsePrometheus(text);
    assert.equal(parsed.get('orders_total{function="onOrder",kind="tea"}'), 2);
    assert.equal(parsed.get('mimamori_consumer_iterator_age_seconds{consumer="play",shard="s0"}'), 1.5);
    assert.equal(parsed.get('odd{text="a\\"b\\\\c\\nd\ufffdé"}'), -1.5e-9);
    assert.equal(parsed.get('brewing_seconds_bucket{function="onOrder",le="+Inf"}'), 1);
    assert.equal(prometheusText([]), '');
  });
});

/**
 * The text format as its grammar says ["Exposition formats"], and what `promtool check metrics` asks for beyond: help for
 * each, counters that end in _total, distributions whose buckets rise to their count.
 */
function parsePrometheus(text: string): Map<string, number> {
  const values = new Map<string, number>();
  const kinds = new Map<string, string>();
  const helped = new Set<string>();
  let current = '';
  assert(text.endsWith('\n'));
  for (const line of text.split('\n').slice(0, -1)) {
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line);
    if (comment !== null) {
      const [, what, name, rest] = comment;
      if (what === 'HELP') helped.add(name);
      else {
        assert(!kinds.has(name) && helped.has(name), line); // Samples of a name stand together, behind one TYPE.
        assert(['counter', 'gauge', 'histogram'].includes(rest), line);
        assert.equal(rest === 'counter', name.endsWith('_total'), line);
        kinds.set(name, rest);
        current = name;
      }
      continue;
    }
    const label = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"';
    const sample = new RegExp(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(\\{${label}(?:,${label})*\\})? (\\S+)$`, 'u').exec(line);
    assert(sample, line);
    const [, name, labels = '', number] = sample;
    const isPart = kinds.get(current) === 'histogram' && /_(bucket|sum|count)$/.test(name);
    assert.equal(isPart ? name.replace(/_(bucket|sum|count)$/, '') : name, current, line);
    const value = Number(number.replace('Inf', 'Infinity'));
    assert(!Number.isNaN(value), line);
    assert(!values.has(name + labels), line);
    values.set(name + labels, value);
  }
  for (const [name, kind] of kinds) if (kind === 'histogram') assertRises(name, values);
  return values;
}

function assertRises(name: string, values: Map<string, number>): void {
  const buckets = [...values].filter(([series]) => series.startsWith(`${name}_bucket{`));
  const bySeries = Map.groupBy(buckets, ([series]) => series.replace(/,?le="[^"]+"/, ''));
  for (const [series, of] of bySeries) {
    const counts = of.map(([, count]) => count);
    assert.deepEqual(
      counts,
      counts.toSorted((left, right) => left - right),
    );
    assert(of.at(-1)?.[0].includes('le="+Inf"'));
    const all = values.get(series.replace('_bucket', '_count').replace('{}', ''));
    assert.equal(counts.at(-1), all);
  }
}

describe('metrics for OpenTelemetry', () => {
  it('are sums, gauges and histograms with their times, as JSON', () => {
    const histogram = new Histogram([1, 2]);
    for (const value of [0.5, 1, 1.5, 9]) histogram.observe(value);
    const samples: Sample[] = [
      counter('a_total', 'A.', 3, { x: 'y' }),
      { kind: 'histogram', name: 'h_seconds', help: 'H.', labels: {}, value: histogram.value() },
    ];
    const times = { startTimeUnixNano: '1000000', timeUnixNano: '2000000' };
    const attributes = [{ key: 'x', value: { stringValue: 'y' } }];
    const sum = { aggregationTemporality: 2, isMonotonic: true, dataPoints: [{ attributes, ...times, asDouble: 3 }] };
    const point = {
      attributes: [],
      ...times,
      count: '4',
      sum: 12,
      bucketCounts: ['2', '1', '1'],
      explicitBounds: [1, 2],
    };
    const metrics = [
      { name: 'a_total', description: 'A.', sum },
      { name: 'h_seconds', description: 'H.', histogram: { aggregationTemporality: 2, dataPoints: [point] } },
    ];
    const resource = { attributes: [{ key: 'service.name', value: { stringValue: 'tea' } }] };
    assert.deepEqual(otlpBody(samples, { serviceName: 'tea', sinceMs: 1, nowMs: 2 }), {
      resourceMetrics: [{ resource, scopeMetrics: [{ scope: { name: 'mimamori' }, metrics }] }],
    });
  });

  it('are sent once a minute, and a collector that is away is said once', async () => {
    const clock = new VirtualClock();
    const said: string[] = [];
    const sent: string[] = [];
    let status = 200;
    const pusher = new OtlpPusher({
      endpoint: 'http://otel:4318/',
      serviceName: 'tea',
      collector: new MetricCollector(clock),
      clock,
      post: async url => {
        sent.push(url);
        return status;
      },
      log: { ...silentLog, warn: (_facts, message) => void said.push(message) },
    });
    await clock.advance(metricLimits.pushMs * 2);
    status = 503;
    await clock.advance(metricLimits.pushMs * 3);
    assert.deepEqual([sent.length, sent[0], said.length], [5, 'http://otel:4318/v1/metrics', 1]);
    pusher.close();
    await clock.advance(metricLimits.pushMs * 3);
    assert.equal(sent.length, 5);
  });
});

describe('the skew of partition keys', () => {
  const record = (partitionKey: string) => ({ partitionKey }) as StreamRecord; // Only its key is looked at.
  const share = (skew: KeySkew) => valuesOf(skew.collect(), 'mimamori_stream_hot_key_share');

  it('names a key that has more than its share, and forgets it (covers S1-19)', async () => {
    const clock = new VirtualClock();
    const skew = new KeySkew(clock);
    const batches = Array.from({ length: 2_000 }, (_, index) => [
      record('hot'),
      record(`cold-${index % 100}`),
      record('hot'),
    ]);
    const reader = skew.watching({ read: async () => batches.shift() ?? [] } as unknown as StreamReader);
    while (batches.length > 0) await reader.read('s', null, 1);
    const [[labels, part]] = share(skew);
    assert.deepEqual(labels, { key: 'hot' });
    assert(Number(part) > 0.6 && Number(part) < 0.72, `${part}`);
    await clock.advance(3_600_000);
    assert.deepEqual(share(skew), []);
  });

  it('says nothing of an even load, of few devices, or of few records', () => {
    const even = new KeySkew(new VirtualClock());
    const few = new KeySkew(new VirtualClock());
    const early = new KeySkew(new VirtualClock());
    for (let index = 0; index < 8_000; index++) {
      even.note([record(`k${index % 1_000}`)]);
      few.note([record(`k${(index >> 3) % 3}`)]);
      if (index < 300) early.note([record('first')]);
    }
    assert.deepEqual([share(even), share(few), share(early)], [[], [], []]);
  });
});
