/** What an app under test has done and said: invocations, log lines, alarms. */
import type { Alarm, Alarms } from '../../kernel/alarms.ts';
import { codeOf, messageOf } from '../../kernel/errors.ts';
import type { Log } from '../../kernel/log.ts';
import type { InvocationReport } from '../../platform/functions/index.ts';
import { Newest } from './newest.ts';

/** An invocation that has ended. */
export interface SeenInvocation extends Omit<InvocationReport, 'error'> {
  /** What it failed with. */
  readonly code?: string;
  readonly message?: string;
}

export interface SeenLine {
  readonly level: 'info' | 'warn' | 'error';
  readonly message: string;
  readonly facts: object;
  /** Unix epoch milliseconds of the app's clock. */
  readonly atMs: number;
}

export interface SeenAlarm extends Alarm {
  readonly isActive: boolean;
}

export class NotedInvocations {
  readonly #newest = new Newest<SeenInvocation>();

  note({ error, ...report }: InvocationReport): void {
    const failure = error === undefined ? {} : { code: codeOf(error), message: messageOf(error) };
    this.#newest.add({ ...report, use: { ...report.use }, ...failure });
  }

  all(): readonly SeenInvocation[] {
    return this.#newest.all();
  }
}

/** Keeps the lines of a log, and hands them on. */
export class NotedLog implements Log {
  readonly #newest = new Newest<SeenLine>();
  readonly #nowMs: () => number;
  readonly #next: Log | undefined;

  constructor(nowMs: () => number, next: Log | undefined) {
    this.#nowMs = nowMs;
    this.#next = next;
  }

  info(facts: object, message: string): void {
    this.#note('info', facts, message);
  }

  warn(facts: object, message: string): void {
    this.#note('warn', facts, message);
  }

  error(facts: object, message: string): void {
    this.#note('error', facts, message);
  }

  all(): readonly SeenLine[] {
    return this.#newest.all();
  }

  #note(level: SeenLine['level'], facts: object, message: string): void {
    this.#newest.add({ level, message, facts, atMs: this.#nowMs() });
    this.#next?.[level](facts, message);
  }
}

export class NotedAlarms implements Alarms {
  /** In the order they were first raised. */
  readonly #alarms = new Map<string, SeenAlarm>();

  raise(alarm: Alarm): void {
    if (this.#alarms.size < alarmsKept)
      this.#alarms.set(keyOf(alarm.name, alarm.subject), { ...alarm, isActive: true });
  }

  clear(name: string, subject: string): void {
    const alarm = this.#alarms.get(keyOf(name, subject));
    if (alarm) this.#alarms.set(keyOf(name, subject), { ...alarm, isActive: false });
  }

  all(): SeenAlarm[] {
    return [...this.#alarms.values()];
  }
}

const alarmsKept = 10_000; // ours: of one app under test

function keyOf(name: string, subject: string): string {
  return JSON.stringify([name, subject]);
}
