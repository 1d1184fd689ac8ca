/**
 * Which lines are kept below the usual level, or only above it: of one thing, of one function, of a share of all requests,
 * for a while. Changed while the backend runs, and remembered over a restart, for what is looked for may be what ends it.
 */
import type { AppendFiles } from '../../kernel/append-files.ts';
import type { Caller } from '../../kernel/callers.ts';
import type { Clock } from '../../kernel/clock.ts';
import { joinPath } from '../../kernel/files.ts';
import { type LogLevel, logLevels } from '../../kernel/log.ts';
import { questionNotValid } from '../errors.ts';
import { logLimits } from '../limits.ts';

/** Holds for the lines that fit everything it names. */
export interface LevelRule {
  readonly level: LogLevel;
  readonly functionName?: string;
  readonly thingName?: string;
  /** Of all requests, above 0 up to 1: the same requests for every line. */
  readonly share?: number;
  readonly untilMs: number;
}

export class LevelRules {
  readonly #files: AppendFiles;
  readonly #path: string;
  readonly #clock: Clock;
  #rules: LevelRule[];

  constructor(options: { files: AppendFiles; directory: string; clock: Clock }) {
    this.#files = options.files;
    this.#path = joinPath(options.directory, 'levels.json');
    this.#clock = options.clock;
    this.#rules = this.#read();
  }

  /** Those that hold now. */
  all(): readonly LevelRule[] {
    const nowMs = this.#clock.nowMs();
    if (this.#rules.some(({ untilMs }) => untilMs <= nowMs))
      this.#rules = this.#rules.filter(rule => rule.untilMs > nowMs);
    return this.#rules;
  }

  /** Takes the place of one about the same. Throws `logs.questionNotValid`. */
  set(rule: LevelRule): void {
    const problem = problemOf(rule, this.#clock.nowMs());
    if (problem !== undefined) throw questionNotValid(problem);
    const others = this.all().filter(({ functionName, thingName, share }) => {
      return functionName !== rule.functionName || thingName !== rule.thingName || share !== rule.share;
    });
    if (others.length >= logLimits.levelRulesMax) throw questionNotValid(`there are ${others.length} levels already`);
    this.#rules = [...others, rule];
    this.#save();
  }

  /** From now on everything is as usual. */
  reset(): void {
    this.#rules = [];
    this.#save();
  }

  /** Whether a line of `level` is kept that `caller` writes. Of several rules that fit, the one that keeps most holds. */
  keeps(level: LogLevel, usual: LogLevel, caller: Caller | undefined): boolean {
    if (this.#rules.length === 0) return logLevels.indexOf(level) >= logLevels.indexOf(usual);
    let least: number | undefined;
    for (const rule of this.all()) {
      if (!fits(rule, caller)) continue;
      const asked = logLevels.indexOf(rule.level);
      if (least === undefined || asked < least) least = asked;
    }
    return logLevels.indexOf(level) >= (least ?? logLevels.indexOf(usual));
  }

  #read(): LevelRule[] {
    try {
      const text = this.#files.readAll(this.#path)?.toString() ?? '[]';
      const rules: unknown = JSON.parse(text);
      if (!Array.isArray(rules)) return [];
      return rules.filter(rule => problemOf(rule, this.#clock.nowMs()) === undefined).slice(0, logLimits.levelRulesMax);
    } catch {
      return []; // Not ours any more: the usual level holds.
    }
  }

  #save(): void {
    try {
      this.#files.replace(this.#path, Buffer.from(JSON.stringify(this.#rules)));
    } catch {
      // They hold until the next start; a full disk is told by the lines it refuses.
    }
  }
}

/** Also for what comes from outside, whatever its type. */
function problemOf(rule: LevelRule, nowMs: number): string | undefined {
  const { level, functionName, thingName, share, untilMs } = rule;
  const isId = (text: unknown) =>
    text === undefined || (typeof text === 'string' && text.length <= logLimits.idCharactersMax);
  if (!logLevels.includes(level)) return `a level is one of ${logLevels.join(', ')}`;
  if (!isId(functionName) || !isId(thingName)) return `a name has at most ${logLimits.idCharactersMax} characters`;
  if (share !== undefined && !(typeof share === 'number' && share > 0 && share <= 1))
    return 'a share is above 0 up to 1';
  const isTime = typeof untilMs === 'number' && untilMs - nowMs <= logLimits.levelRuleMsMax && untilMs > nowMs;
  return isTime ? undefined : `a level holds for at most ${logLimits.levelRuleMsMax / 3_600_000} h`;
}

function fits({ functionName, thingName, share }: LevelRule, caller: Caller | undefined): boolean {
  if (functionName !== undefined && functionName !== caller?.functionName) return false;
  if (thingName !== undefined && thingName !== caller?.thingName) return false;
  return share === undefined || share >= 1 || partOf(caller?.requestId) < share;
}

/** The same number from 0 to below 1 for the same request, so that all its lines are kept or none. */
function partOf(requestId: string | undefined): number {
  if (requestId === undefined) return 1;
  let hash = 0x811c9dc5;
  for (let at = 0; at < requestId.length; at++) hash = Math.imul(hash ^ requestId.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x45d9f3b);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
