import type { Context } from 'hono';
import { z } from 'zod';
import { problemsOf } from '../../app/index.ts';
import {
  type FoundLine,
  type LevelRule,
  type LogQuestion,
  type LogReader,
  logLimits,
  opsProblems,
  type Positions,
  readQuestion,
} from '../../ops/index.ts';
import { inputNotValid } from '../problems.ts';
import { lineStream } from './line-stream.ts';
import type { OperatorRoute } from './operator.ts';
import { levelsPath, logsPath } from './paths.ts';

/** Sets levels; those of the app thread, for its handlers write the lines that are debugged. */
export interface LevelSwitch {
  all(): readonly LevelRule[];
  set(rule: LevelRule): void;
  reset(): void;
}

export interface LogRoutesOptions {
  readonly reader: LogReader;
  readonly levels: LevelSwitch;
  readonly nowMs: () => number;
}

/** The first line of an answer: it tells that there is one, however long the next takes. */
export interface LogHead {
  readonly head: { readonly nowMs: number };
}

export function logRoutes({ reader, levels, nowMs }: LogRoutesOptions): OperatorRoute[] {
  let followers = 0;
  const answerLines: OperatorRoute['answer'] = async c => {
    const question = readQuestion(name => c.req.query(name));
    const limit = readLimit(c.req.query('limit'));
    const head = JSON.stringify({ head: { nowMs: nowMs() } } satisfies LogHead);
    if (c.req.query('follow') === undefined) {
      const lines = limit === 'all' ? reader.all(question) : await reader.newest(question, limit);
      return lineStream(() => textsOf(head, lines), { isLive: false });
    }
    if (followers >= logLimits.followersMax) throw opsProblems.tooManyFollowers(logLimits.followersMax);
    followers++; // Given back when the reader is gone, and before that if there is never one.
    const onGone = () => void followers--;
    try {
      const from = await reader.end(question);
      const before = await reader.newest(question, limit === 'all' ? logLimits.linesMax : limit, from);
      return lineStream(signal => followed(head, before, { reader, question, from, signal }), {
        isLive: true,
        onEnd: onGone,
      });
    } catch (error) {
      onGone();
      throw error;
    }
  };
  return [
    { method: 'GET', path: logsPath, answer: answerLines },
    { method: 'GET', path: levelsPath, answer: c => c.json({ levels: levels.all() }) },
    { method: 'POST', path: levelsPath, answer: c => setLevel(c, levels, nowMs()) },
    {
      method: 'DELETE',
      path: levelsPath,
      answer: c => {
        levels.reset();
        return c.json({ levels: levels.all() });
      },
    },
  ];
}

async function* textsOf(head: string, lines: AsyncGenerator<FoundLine> | readonly FoundLine[]): AsyncGenerator<string> {
  yield head;
  for await (const { text } of lines) yield text;
}

interface Followed {
  readonly reader: LogReader;
  readonly question: LogQuestion;
  readonly from: Positions;
  readonly signal: AbortSignal;
}

async function* followed(head: string, before: readonly FoundLine[], options: Followed): AsyncGenerator<string> {
  const { reader, question, from, signal } = options;
  yield [head, ...before.map(({ text }) => text)].join('\n');
  for await (const { text } of reader.follow(question, from, signal)) yield text;
}

function readLimit(text: string | undefined): number | 'all' {
  if (text === undefined) return logLimits.linesDefault;
  if (text === 'all') return 'all';
  const limit = Number(text);
  if (!Number.isInteger(limit) || limit < 0) throw opsProblems.questionNotValid('limit is no number of lines');
  return limit;
}

const levelBody = z.strictObject({
  level: z.enum(['debug', 'info', 'warn', 'error']),
  functionName: z.string().min(1).optional(),
  thingName: z.string().min(1).optional(),
  share: z.number().optional(),
  forMs: z.number().positive(),
});

async function setLevel(c: Context, levels: LevelSwitch, nowMs: number): Promise<Response> {
  const parsed = levelBody.safeParse(await c.req.json().catch(() => undefined));
  if (!parsed.success) throw inputNotValid('body', problemsOf(parsed.error));
  const { forMs, ...rule } = parsed.data;
  levels.set({ ...rule, untilMs: nowMs + forMs });
  return c.json({ levels: levels.all() });
}
