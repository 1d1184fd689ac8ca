/** What the operator looks at, of the app thread: its lines, its metrics, the rules over them, and the routes to ask. */
import type { Runtime, RuntimeOptions } from '../app/index.ts';
import { alarmRoutes, logRoutes, metricRoutes, type OperatorRoute } from '../http/index.ts';
import type { Iot } from '../iot/port.ts';
import type { Alarms } from '../kernel/alarms.ts';
import type { AppendFiles } from '../kernel/append-files.ts';
import type { Clock } from '../kernel/clock.ts';
import { diskSpace } from '../kernel/disk-space.ts';
import { joinPath } from '../kernel/files.ts';
import { postJson } from '../kernel/post-json.ts';
import {
  type AlarmControl,
  AlarmEvaluator,
  type AlarmState,
  AppMetrics,
  consumerSource,
  counterSource,
  diskSource,
  FailedInvocations,
  FunctionMetrics,
  functionSource,
  KeySkew,
  LogChannelReader,
  LogReader,
  LogStore,
  type LogStoreOptions,
  logLimits,
  logSource,
  MetricCollector,
  type MetricSource,
  OtlpPusher,
  processSource,
} from '../ops/index.ts';
import type { InvocationReport } from '../platform/functions/index.ts';
import { logsDirectory } from './directories.ts';

export interface AppOperationsOptions extends Pick<LogStoreOptions, 'show' | 'redactKeys'> {
  readonly files: AppendFiles;
  readonly dataDirectory: string;
  readonly clock: Clock;
  readonly alarms: Alarms;
  readonly control: AlarmControl;
  /** Those that were known when they were saved last. */
  readonly listAlarms: () => readonly AlarmState[];
  /** Those that are known now, from who keeps them. Default: what was saved. */
  readonly askAlarms?: () => Promise<readonly AlarmState[]>;
}

export class AppOperations {
  readonly logs: LogStore;
  readonly reader: LogReader;
  readonly metrics = new AppMetrics();
  readonly collector: MetricCollector;
  readonly evaluator: AlarmEvaluator;
  readonly skew: KeySkew;
  readonly #options: AppOperationsOptions;
  readonly #functions = new FunctionMetrics();
  readonly #failed: FailedInvocations;

  constructor(options: AppOperationsOptions) {
    const { files, dataDirectory, clock, alarms, listAlarms } = options;
    const directory = joinPath(dataDirectory, logsDirectory);
    this.#options = options;
    this.logs = new LogStore({ ...options, directory, writer: 'app' });
    this.reader = new LogReader({ files, directory, clock, onWritten: listener => this.logs.onWritten(listener) });
    this.skew = new KeySkew(clock);
    this.collector = new MetricCollector(clock);
    this.evaluator = new AlarmEvaluator({ collector: this.collector, alarms, clock, active: listAlarms() });
    this.#failed = new FailedInvocations({ alarms, log: this.logs });
    const logs = logSource(() => this.logs.counters.all());
    this.#register({ app: this.metrics, functions: this.#functions, keys: this.skew, logs });
  }

  /** An invocation has ended. */
  noteInvocation(report: InvocationReport): void {
    this.#functions.note(report);
    this.#failed.note(report);
  }

  /** What the app is run with. */
  get forRuntime(): Pick<RuntimeOptions, 'log' | 'appLog' | 'metrics' | 'alarms' | 'functions' | 'openChannel'> {
    const onInvocation = (report: InvocationReport) => this.noteInvocation(report);
    const { alarms } = this.#options;
    return {
      log: this.logs.system,
      appLog: this.logs.app,
      metrics: this.metrics,
      alarms,
      functions: { onInvocation },
      openChannel: channel => this.#openChannel(channel),
    };
  }

  #openChannel(channel: string): LogChannelReader {
    const { files, dataDirectory, clock } = this.#options;
    const directory = joinPath(dataDirectory, logsDirectory);
    const onWritten = (listener: () => void) => this.logs.onWritten(listener);
    return new LogChannelReader({ files, directory, clock, channel, onWritten });
  }

  /** What is known once there is an app. */
  follow(runtime: Runtime, iot: Iot): void {
    this.#register({
      gateway: counterSource(() => iot.counters()),
      runtime: counterSource(() => runtime.counters.all()),
      functionStates: functionSource(() => runtime.functions.reports()),
      consumers: consumerSource(() => runtime.consumers()),
    });
  }

  routes(): OperatorRoute[] {
    const { clock, control, listAlarms, askAlarms = listAlarms } = this.#options;
    return [
      ...logRoutes({ reader: this.reader, levels: this.logs.levels, nowMs: () => clock.nowMs() }),
      ...metricRoutes(this.collector),
      ...alarmRoutes({ list: askAlarms, control }),
    ];
  }

  /**
   * What a real backend does now and then, and a test when it wants to: looks at the rules, removes old lines, sends
   * metrics. Returns how to stop it.
   */
  run({ application, otlpEndpoint }: { application: string; otlpEndpoint?: string }): () => void {
    const { clock, dataDirectory } = this.#options;
    const startedAtMs = Date.now() - process.uptime() * 1_000;
    const disk = diskSource(() => diskSpace(dataDirectory));
    this.#register({ disk, process: processSource('app', startedAtMs) });
    this.evaluator.start();
    const retaining = setInterval(() => this.logs.retain(), logLimits.retentionCheckMs);
    const { collector } = this;
    const log = this.logs.system;
    const pushing = otlpEndpoint && { endpoint: otlpEndpoint, serviceName: application, collector, clock, log };
    const pusher = pushing ? new OtlpPusher({ ...pushing, post: postJson }) : undefined;
    return () => {
      clearInterval(retaining);
      pusher?.close();
      this.close();
    };
  }

  close(): void {
    this.evaluator.close();
    this.logs.close();
  }

  #register(sources: Readonly<Record<string, MetricSource>>): void {
    for (const [name, source] of Object.entries(sources)) this.collector.register(name, source);
  }
}
