/**
 * What the operator looks at, of the gateway thread: its lines, and the book of alarms, which is here because this thread
 * outlives what a function does to the other.
 */
import { systemAppendFiles } from '../kernel/append-files.ts';
import { systemClock } from '../kernel/clock.ts';
import { joinPath } from '../kernel/files.ts';
import { errorLines, type LogLevel } from '../kernel/log.ts';
import { postJson } from '../kernel/post-json.ts';
import {
  AlarmBook,
  type AlarmChange,
  type AlarmHook,
  type AlarmMessage,
  LogStore,
  type LogStoreOptions,
  logLimits,
  Notifier,
  quietMs,
  webhook,
} from '../ops/index.ts';
import { logsDirectory } from './directories.ts';

export interface GatewayOperationsOptions {
  readonly dataDirectory: string;
  readonly logLevel?: LogLevel | 'silent';
  readonly redactKeys?: readonly string[];
  /** Told of each change, too. Throws `alarms.webhookNotValid`. */
  readonly alarmWebhook?: string;
  readonly onAlarm?: (change: AlarmChange) => void;
}

const quietCheckMs = 30_000;

export class GatewayOperations {
  readonly logs: LogStore;
  readonly book: AlarmBook;
  readonly #timers: NodeJS.Timeout[];
  readonly #notifiers: Notifier[];

  constructor(options: GatewayOperationsOptions) {
    const { dataDirectory, redactKeys, alarmWebhook, onAlarm, logLevel } = options;
    const hooks: AlarmHook[] = onAlarm === undefined ? [] : [onAlarm];
    if (alarmWebhook !== undefined) hooks.push(webhook(alarmWebhook, postJson));
    const world = { files: systemAppendFiles, clock: systemClock, redactKeys };
    const directory = joinPath(dataDirectory, logsDirectory);
    this.logs = new LogStore({ ...world, directory, writer: 'gateway', show: showFrom(logLevel) });
    this.book = new AlarmBook({ ...world, directory: dataDirectory, quietMs });
    this.#notifiers = hooks.map(hook => new Notifier({ hook, clock: systemClock, log: this.logs.system }));
    for (const notifier of this.#notifiers) this.book.onChange(change => notifier.notify(change));
    this.#timers = [
      setInterval(() => this.book.clearQuiet(), quietCheckMs),
      setInterval(() => this.logs.retain(), logLimits.retentionCheckMs),
    ];
  }

  /** From the app thread. */
  receive(message: AlarmMessage): void {
    if (message.action === 'raise') return this.book.raise(message.alarm, message.times);
    const { action, name, subject } = message;
    if (action === 'clear') return this.book.clear(name, subject);
    const isActive = this.book
      .list()
      .some(alarm => alarm.name === name && alarm.subject === subject && alarm.state === 'raised');
    if (isActive) this.book.acknowledge(name, subject); // It may be over by now.
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
    for (const notifier of this.#notifiers) notifier.close();
    this.book.close();
    this.logs.close();
  }
}

/** Urgent lines also appear where the backend was started. */
export function showFrom(level: LogLevel | 'silent' = 'warn'): LogStoreOptions['show'] {
  return level === 'silent' ? undefined : { from: level, line: errorLines() };
}
