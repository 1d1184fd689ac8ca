/** What is asked of the logs, and whether a line answers it. */
import { type LogLevel, logLevels } from '../../kernel/log.ts';
import { questionNotValid } from '../errors.ts';
import { logLimits } from '../limits.ts';
import { type Block, levelsFrom, mayHold, type Terms } from './block.ts';
import { jsonText } from './facts-text.ts';
import { idText, type LogLine, parseLine, termNames } from './line.ts';

/** A line answers when it fits everything that is given. */
export interface LogQuestion extends Terms {
  /** This one and those that are more urgent. */
  readonly level?: LogLevel;
  readonly channel?: string;
  /** Unix epoch milliseconds, inclusive. */
  readonly sinceMs?: number;
  readonly untilMs?: number;
  /** Stands somewhere in the line, as JSON writes it. */
  readonly grep?: string;
}

export interface FoundLine {
  readonly line: LogLine;
  /** As it was written. */
  readonly text: string;
  readonly atMs: number;
}

/** By time, then as their thread has written them. */
export function compareLines(left: FoundLine, right: FoundLine): number {
  return left.atMs - right.atMs || (left.line.order ?? 0) - (right.line.order ?? 0);
}

export class Matcher {
  readonly question: LogQuestion;
  readonly #levels: number;
  /** Each must stand in the text: most lines are refused without being parsed. */
  readonly #needles: readonly string[];

  constructor(question: LogQuestion) {
    this.question = question;
    this.#levels = levelsFrom(question.level ?? 'debug');
    const terms = termNames.flatMap(name => {
      const term = question[name];
      return term === undefined ? [] : [`"${name}":${jsonText(idText(term))}`];
    });
    this.#needles = question.grep === undefined ? terms : [...terms, jsonText(question.grep).slice(1, -1)];
  }

  /** False: no line of the block answers. */
  mayHold(block: Block): boolean {
    const { sinceMs = Number.NEGATIVE_INFINITY, untilMs = Number.POSITIVE_INFINITY } = this.question;
    if (block.maxMs < sinceMs || block.minMs > untilMs || (block.levels & this.#levels) === 0) return false;
    return mayHold(block, this.question);
  }

  /** Undefined when it does not answer, or is no line. */
  find(text: string): FoundLine | undefined {
    for (const needle of this.#needles) if (!text.includes(needle)) return undefined;
    const line = parseLine(text);
    if (line === undefined) return undefined;
    const { question } = this;
    const atMs = Date.parse(line.time);
    if (question.sinceMs !== undefined && !(atMs >= question.sinceMs)) return undefined;
    if (question.untilMs !== undefined && !(atMs <= question.untilMs)) return undefined;
    if ((this.#levels & (1 << logLevels.indexOf(line.level))) === 0) return undefined;
    for (const name of termNames) {
      const term = question[name];
      if (term !== undefined && line[name] !== idText(term)) return undefined;
    }
    return { line, text, atMs };
  }
}

/** A question from outside, by the names of its parts. Throws `logs.questionNotValid`. */
export function readQuestion(value: (name: string) => string | undefined): LogQuestion {
  const text = (name: string) => {
    const given = value(name);
    if (given !== undefined && given.length > questionCharactersMax) throw questionNotValid(`${name} is too long`);
    return given === '' ? undefined : given;
  };
  const time = (name: string) => {
    const given = text(name);
    if (given === undefined) return undefined;
    const ms = Number(given);
    if (!Number.isFinite(ms)) throw questionNotValid(`${name} is no number of milliseconds`);
    return ms;
  };
  const level = text('level');
  if (level !== undefined && !isLevel(level)) throw questionNotValid(`a level is one of ${logLevels.join(', ')}`);
  return {
    functionName: text('function'),
    thingName: text('thing'),
    requestId: text('request'),
    eventId: text('event'),
    level,
    channel: text('channel'),
    sinceMs: time('sinceMs'),
    untilMs: time('untilMs'),
    grep: text('grep'),
  };
}

/** The same for whoever asks over HTTP. */
export function questionParameters(question: LogQuestion): URLSearchParams {
  const { functionName, thingName, requestId, eventId, level, channel, sinceMs, untilMs, grep } = question;
  const named = { function: functionName, thing: thingName, request: requestId, event: eventId, level, channel, grep };
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...named, sinceMs, untilMs })) {
    if (value !== undefined) parameters.set(name, String(value));
  }
  return parameters;
}

const questionCharactersMax = logLimits.idCharactersMax * 4;

export function isLevel(text: string): text is LogLevel {
  return (logLevels as readonly string[]).includes(text);
}
