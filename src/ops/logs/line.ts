/** One line of a log, and how it is written: a line of JSON. */
import type { Caller } from '../../kernel/callers.ts';
import type { LogLevel } from '../../kernel/log.ts';
import { logLimits } from '../limits.ts';
import { errorText, factsText, jsonText } from './facts-text.ts';
import type { Redactor } from './redactor.ts';

export interface LogLine {
  /** ISO 8601, to the millisecond. */
  readonly time: string;
  /** Of the lines that one thread wrote in the same millisecond; absent: the first. */
  readonly order?: number;
  readonly level: LogLevel;
  /** `system` (of the platform), `app`, or a named one. */
  readonly channel: string;
  readonly functionName?: string;
  readonly thingName?: string;
  readonly requestId?: string;
  readonly eventId?: string;
  /** How many functions have run, one because of the other, for it. */
  readonly depth?: number;
  readonly message: string;
  readonly facts?: Readonly<Record<string, unknown>>;
  readonly error?: LoggedError;
}

export interface LoggedError {
  readonly code: string;
  readonly name?: string;
  readonly message: string;
  readonly fix?: string;
  /** The frames, one a line, without the message. */
  readonly stack?: string;
  readonly cause?: LoggedError | readonly LoggedError[] | string;
}

/** What is written. */
export interface LogEntry {
  readonly atMs: number;
  readonly order: number;
  readonly level: LogLevel;
  readonly channel: string;
  readonly caller: Caller | undefined;
  readonly facts: object;
  readonly message: string;
}

/** The names under which a line is looked up. */
export const termNames = ['functionName', 'thingName', 'requestId', 'eventId'] as const;
export type TermName = (typeof termNames)[number];

/** One line without its end. Never throws, and never longer than `logLimits.lineBytesMax`. */
export function encodeLine(entry: LogEntry, redactor: Redactor): string {
  const { order, level, channel, caller } = entry;
  const place = order === 0 ? '' : `,"order":${order}`;
  let head = `{"time":"${isoTime(entry.atMs)}"${place},"level":"${level}","channel":"${channel}"`;
  if (caller !== undefined) {
    for (const name of termNames) {
      const value = caller[name];
      if (value !== undefined) head += `,"${name}":${jsonText(idText(value))}`;
    }
    if (caller.cause !== undefined) head += `,"depth":${caller.cause.depth}`;
  }
  head += `,"message":${jsonText(redactor.text(String(entry.message), logLimits.messageCharactersMax))}`;
  const error = errorOf(entry.facts);
  const facts = error === entry.facts ? undefined : factsText(entry.facts, redactor);
  const errorPart = error === undefined ? '' : `,"error":${errorText(error, redactor)}`;
  const line = `${head}${facts === undefined ? '' : `,"facts":${facts}`}${errorPart}}`;
  // Characters that take several bytes, or six as an escape: all the limits above are of characters.
  if (line.length * 3 <= logLimits.lineBytesMax || fits(line)) return line;
  const withoutFacts = `${head},"facts":{"…":"too large"}${errorPart}}`;
  if (fits(withoutFacts)) return withoutFacts;
  return `${head.slice(0, head.indexOf(',"message":'))},"message":"[too large]"}`;
}

/** What a term is looked up by is what was written of it. */
export function idText(value: string): string {
  return value.length <= logLimits.idCharactersMax ? value : value.slice(0, logLimits.idCharactersMax);
}

/** Undefined for what is no line of ours: a torn one, or what a power cut has left. */
export function parseLine(text: string): LogLine | undefined {
  try {
    const line: unknown = JSON.parse(text);
    const isLine = typeof line === 'object' && line !== null && 'time' in line && 'message' in line;
    return isLine ? (line as LogLine) : undefined; // We wrote it.
  } catch {
    return undefined;
  }
}

function errorOf(facts: object): Error | undefined {
  try {
    if (facts instanceof Error) return facts;
    return 'error' in facts && facts.error instanceof Error ? facts.error : undefined;
  } catch {
    return undefined; // A getter that throws.
  }
}

function fits(line: string): boolean {
  return Buffer.byteLength(line) < logLimits.lineBytesMax;
}

let lastMs = Number.NaN;
let lastText = '';

/** Most lines are of the same millisecond as the one before, or of the next. */
function isoTime(atMs: number): string {
  if (atMs !== lastMs) {
    lastText = new Date(atMs).toISOString();
    lastMs = atMs;
  }
  return lastText;
}
