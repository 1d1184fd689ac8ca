import pino from 'pino';
import type { Clock } from './clock.ts';
import { systemClock } from './clock.ts';

/** Structured lines: facts first, then one plain sentence. Values are JSON, so nothing from outside can forge a line. */
export interface Log {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

/** From the least to the most urgent. */
export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

/**
 * What the handlers of an app write to. Who runs, for which request, thing and event, is added to each line. None of these
 * throws, whatever it is given.
 */
export interface AppLog extends Log {
  /** Kept only where somebody has asked for it: of a thing, a function, a share of all requests. */
  debug: LogMethod;
  info: LogMethod;
  warn: LogMethod;
  error: LogMethod;
  /**
   * A channel of its own, e.g. `business`: kept as long as it says, apart from all else, and readable as a stream. What
   * the first call for a name says of its retention holds. Throws `logs.channelNotValid`.
   */
  channel(name: string, retention?: ChannelRetention): AppLog;
}

/** An error among the facts is written with its code, its stack and its causes. */
export interface LogMethod {
  (message: string): void;
  (facts: object, message: string): void;
}

export interface ChannelRetention {
  readonly days?: number;
  readonly megabytesMax?: number;
}

/** Lines of JSON on standard error; standard output belongs to the command's own answers. */
export function openLog(level: 'info' | 'warn' | 'error' | 'silent' = 'warn'): Log {
  return limited(pino({ level, base: undefined, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination(2)));
}

/** Puts lines on standard error that are JSON already; at most so many a second of one message. */
export function errorLines(): (line: string, message: string) => void {
  const output = pino.destination(2);
  const bound = new RepetitionBound(linesPerSecondMax, systemClock);
  return (line, message) => {
    if (bound.admit(message) !== undefined) output.write(`${line}\n`);
  };
}

export const silentLog: Log = { info: () => {}, warn: () => {}, error: () => {} };

/** Writes to a plain log what handlers say: debugging is left out, and every channel is the same. */
export function appLogOn(log: Log): AppLog {
  const method = (level: keyof Log): LogMethod => {
    return (first: object | string, message?: string) =>
      typeof first === 'string' ? log[level]({}, first) : log[level](first, message ?? '');
  };
  const own: AppLog = {
    debug: () => {},
    info: method('info'),
    warn: method('warn'),
    error: method('error'),
    channel: () => own,
  };
  return own;
}

const linesPerSecondMax = 20; // ours, per message: an attacker must not be able to fill the disk

/** At most so many lines a second of one kind; the next line after a pause says how many were left out. */
function limited(log: Log): Log {
  const bound = new RepetitionBound(linesPerSecondMax, systemClock);
  const pass = (level: 'info' | 'warn' | 'error', facts: object, message: string) => {
    const leftOut = bound.admit(message);
    if (leftOut !== undefined) log[level](leftOut > 0 ? { ...facts, leftOut } : facts, message);
  };
  return {
    info: (facts, message) => pass('info', facts, message),
    warn: (facts, message) => pass('warn', facts, message),
    error: (facts, message) => pass('error', facts, message),
  };
}

const kindsMax = 1_000; // ours: further messages share one bound

interface Kind {
  second: number;
  lines: number;
  leftOut: number;
}

/** So many a second of each kind, whatever the sum. */
export class RepetitionBound {
  readonly #perSecondMax: number;
  readonly #clock: Clock;
  readonly #kinds = new Map<string, Kind>();
  readonly #others: Kind = { second: 0, lines: 0, leftOut: 0 };

  constructor(perSecondMax: number, clock: Clock) {
    this.#perSecondMax = perSecondMax;
    this.#clock = clock;
  }

  /** How many of its kind were refused since the last one that was not; undefined: this one is refused, too. */
  admit(name: string): number | undefined {
    const kind = this.#kindOf(name);
    const second = Math.floor(this.#clock.monotonicMs() / 1_000);
    if (kind.second !== second) {
      kind.second = second;
      kind.lines = 0;
    }
    if (kind.lines >= this.#perSecondMax) {
      kind.leftOut++;
      return undefined;
    }
    kind.lines++;
    const { leftOut } = kind;
    kind.leftOut = 0;
    return leftOut;
  }

  #kindOf(name: string): Kind {
    let kind = this.#kinds.get(name);
    if (kind !== undefined) return kind;
    if (this.#kinds.size >= kindsMax) return this.#others;
    kind = { second: 0, lines: 0, leftOut: 0 };
    this.#kinds.set(name, kind);
    return kind;
  }
}
