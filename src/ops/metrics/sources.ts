/** What other rooms know, as samples. Each takes a plain snapshot: nobody needs to know of metrics to be measured. */
import { memoryUsage } from 'node:process';
import { counter, gauge, type MetricSource, type Sample } from './sample.ts';

/** What a consumer tells of itself; `ConsumerSnapshot` of the stream has all of it. */
export interface ConsumerMeasures {
  readonly consumer: string;
  /** Nobody lets it run. */
  readonly isPaused?: boolean;
  readonly shards: readonly ShardMeasures[];
}

export interface ShardMeasures {
  readonly shardId: string;
  readonly iteratorAgeMs: number;
  readonly recordsBehind?: number;
  readonly invocations: number;
  readonly retries: number;
  readonly failures: number;
  readonly throttles: number;
  readonly handled: number;
  readonly filtered: number;
  readonly deadLettered: number;
  readonly expired: number;
  readonly waiting?: number;
  readonly batchRecordsMost: number;
}

export function consumerSource(snapshots: () => Iterable<ConsumerMeasures>): MetricSource {
  return {
    *collect() {
      for (const { consumer, isPaused = false, shards } of snapshots()) {
        const help = 'Whether a consumer is paused.';
        yield gauge('mimamori_consumer_paused', help, isPaused ? 1 : 0, { consumer });
        for (const shard of shards) yield* shardSamples(shard, { consumer, shard: shard.shardId });
      }
    },
  };
}

function* shardSamples(shard: ShardMeasures, labels: Record<string, string>): Generator<Sample> {
  const age = 'How long ago the oldest record came in that is not done.';
  yield gauge('mimamori_consumer_iterator_age_seconds', age, shard.iteratorAgeMs / 1_000, labels);
  if (shard.recordsBehind !== undefined) {
    yield gauge('mimamori_consumer_records_behind', 'Records that are not done.', shard.recordsBehind, labels);
  }
  yield gauge('mimamori_consumer_records_waiting', 'Records that wait to be tried again.', shard.waiting ?? 0, labels);
  const largest = 'Records in the largest batch so far.';
  yield gauge('mimamori_consumer_batch_records_most', largest, shard.batchRecordsMost, labels);
  const invocations = 'Batches handed out.';
  yield counter('mimamori_consumer_invocations_total', invocations, shard.invocations, labels);
  yield counter(
    'mimamori_consumer_retries_total',
    'Batches with records of an earlier attempt.',
    shard.retries,
    labels,
  );
  yield counter('mimamori_consumer_failures_total', 'Batches that failed.', shard.failures, labels);
  yield counter('mimamori_consumer_throttles_total', 'Batches there was no room to run.', shard.throttles, labels);
  const records = 'Records by what became of them.';
  for (const fate of ['handled', 'filtered', 'expired'] as const) {
    yield counter('mimamori_consumer_records_total', records, shard[fate], { ...labels, fate });
  }
  yield counter('mimamori_dead_letters_total', 'Records set aside as dead letters.', shard.deadLettered, labels);
}

/** What a function is at the moment; `FunctionReport` of the functions has all of it. */
export interface FunctionState {
  readonly functionName: string;
  readonly running: number;
  readonly waiting: number;
  readonly concurrencyMax: number;
  readonly strayErrors: number;
  /** Of its budget, 0 to 1. */
  readonly budgetUsedShare: number;
}

export function functionSource(states: () => Iterable<FunctionState>): MetricSource {
  return {
    *collect() {
      for (const { functionName, running, waiting, concurrencyMax, strayErrors, budgetUsedShare } of states()) {
        const labels = { function: functionName };
        yield gauge('mimamori_function_running', 'Invocations at the moment.', running, labels);
        yield gauge('mimamori_function_waiting', 'Invocations that wait for room.', waiting, labels);
        yield gauge('mimamori_function_concurrency_max', 'Invocations there is room for.', concurrencyMax, labels);
        yield gauge('mimamori_function_budget_used_share', 'Used of the budget, 0 to 1.', budgetUsedShare, labels);
        const stray = 'Errors that nobody caught, of what a function left running.';
        yield counter('mimamori_function_stray_errors_total', stray, strayErrors, labels);
      }
    },
  };
}

const gaugesOfGateway = new Set(['mqtt.connections', 'mqtt.subscriptions', 'mqtt.retained']);

/** Counters by name, such as the gateway's: `mqtt.dropped.qos1` is `mimamori_mqtt_dropped_total{reason="qos1"}`. */
export function counterSource(counts: () => Record<string, number> | Promise<Record<string, number>>): MetricSource {
  return {
    async collect() {
      return Object.entries(await counts()).map(([name, value]) => {
        const [area, what = 'events', ...rest] = name.split('.').map(snakeCase);
        const labels: Record<string, string> = rest.length === 0 ? {} : { reason: rest.join('_') };
        const metric = `mimamori_${area}_${what}`;
        if (gaugesOfGateway.has(name)) return gauge(metric, `How many ${what} of ${area} there are.`, value, labels);
        return counter(`${metric}_total`, `Counted by ${area}: ${what}.`, value, labels);
      });
    },
  };
}

/** A source of one value, read when it is asked for; undefined: there is none. */
export function gaugeSource(
  name: string,
  help: string,
  read: () => number | undefined | Promise<number | undefined>,
): MetricSource {
  return {
    async collect() {
      const value = await read();
      return value === undefined ? [] : [gauge(name, help, value)];
    },
  };
}

/** The lines a log store has written and dropped, by channel. */
export function logSource(counts: () => Record<string, number>): MetricSource {
  return {
    *collect() {
      for (const [name, value] of Object.entries(counts())) {
        const [channel, what, reason] = name.split('.');
        if (what === 'written') yield counter('mimamori_log_lines_total', 'Log lines written.', value, { channel });
        else yield counter('mimamori_log_lines_dropped_total', 'Log lines dropped.', value, { channel, reason });
      }
    },
  };
}

/** How full the disk is that a directory lies on. */
export interface DiskSpace {
  readonly freeBytes: number;
  readonly totalBytes: number;
}

export function diskSource(space: () => Promise<DiskSpace>): MetricSource {
  return {
    async collect() {
      const { freeBytes, totalBytes } = await space();
      return [
        gauge('mimamori_disk_free_bytes', 'Room left on the disk of the data directory.', freeBytes),
        gauge('mimamori_disk_total_bytes', 'Size of the disk of the data directory.', totalBytes),
      ];
    },
  };
}

/** The process and the heap of this thread, under the names that Prometheus' own clients give. */
export function processSource(thread: string, startedAtMs: number): MetricSource {
  return {
    *collect() {
      const { rss, heapUsed } = memoryUsage();
      yield gauge('process_resident_memory_bytes', 'Memory of the process.', rss);
      yield gauge('process_start_time_seconds', 'When it was started, Unix epoch.', startedAtMs / 1_000);
      yield gauge('nodejs_heap_size_used_bytes', 'Heap in use of a thread.', heapUsed, { thread });
    },
  };
}

function snakeCase(text: string): string {
  return text.replaceAll(/[A-Z]/g, letter => `_${letter.toLowerCase()}`).replaceAll(/[^a-z0-9_]/g, '_');
}
