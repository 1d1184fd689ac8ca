/** Dead letters for whoever looks after an app: list, search, look, edit, delete, export, redrive. */
import type { Context } from 'hono';
import { z } from 'zod';
import {
  type DeadLetter,
  type DeadLetters,
  deadLetterLimits,
  type LetterFilter,
  type LetterSummary,
  payloadText,
  problemsOf,
  redriveLimits,
} from '../../app/index.ts';
import { codeOf } from '../../kernel/errors.ts';
import { inputNotValid } from '../problems.ts';
import { lineStream } from './line-stream.ts';
import type { OperatorRoute } from './operator.ts';
import { deadLettersPath, redrivesPath } from './paths.ts';

/** Text as it is; bytes that are none as base64. */
export interface ShownPayload {
  readonly text?: string;
  readonly base64?: string;
}

/** A whole letter, as JSON has it. */
export interface ShownLetter extends LetterSummary {
  /** What a redrive gives. */
  readonly payload: ShownPayload;
  /** What came, of an edited letter. */
  readonly original?: ShownPayload;
}

export function deadLetterRoutes(dead: DeadLetters): OperatorRoute[] {
  const { letters, redrives, redriver } = dead;
  const id = (c: Context) => c.req.param('id') ?? ''; // The routes below have it.
  return [
    {
      method: 'GET',
      path: deadLettersPath,
      answer: async c => {
        const { before, limit, ...filter } = readQuery(c);
        return c.json(await letters.page(filter, { before, limit }));
      },
    },
    {
      method: 'GET',
      path: `${deadLettersPath}/counts`,
      answer: async c => c.json({ counts: await letters.counts(), bounds: dead.bounds }),
    },
    { method: 'GET', path: `${deadLettersPath}/export`, answer: c => exported(dead, readQuery(c)) },
    {
      method: 'POST',
      path: `${deadLettersPath}/delete`,
      answer: async c => c.json(await dead.deleteAll(await readBody(c, filterShape))),
    },
    { method: 'GET', path: `${deadLettersPath}/:id`, answer: async c => c.json(shownLetter(await letters.get(id(c)))) },
    {
      method: 'PATCH',
      path: `${deadLettersPath}/:id`,
      answer: async c => {
        await letters.edit(id(c), payloadIn(await readBody(c, editShape)));
        return c.json(shownLetter(await letters.get(id(c))));
      },
    },
    {
      method: 'DELETE',
      path: `${deadLettersPath}/:id`,
      answer: async c => {
        await dead.delete(id(c));
        return c.json({ deleted: 1 });
      },
    },
    {
      method: 'POST',
      path: redrivesPath,
      answer: async c => c.json(await redriver.start(await readBody(c, redriveShape)), 202),
    },
    { method: 'GET', path: redrivesPath, answer: async c => c.json({ redrives: await redrives.list() }) },
    { method: 'GET', path: `${redrivesPath}/:id`, answer: async c => c.json(await redrives.get(id(c))) },
    { method: 'POST', path: `${redrivesPath}/:id/stop`, answer: async c => c.json(await redriver.stop(id(c))) },
  ];
}

const name = z.string().min(1).max(deadLetterLimits.nameCharactersMax);
const instantMs = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

const filterShape = z.strictObject({
  consumer: name.optional(),
  thingName: name.optional(),
  code: name.optional(),
  sinceMs: instantMs.optional(),
  untilMs: instantMs.optional(),
  text: name.optional(),
});

const queryShape = filterShape.extend({
  before: name.optional(),
  limit: z.coerce.number().int().min(1).max(deadLetterLimits.pageLettersMax).optional(),
});

const editShape = z.strictObject({
  text: z.string().optional(),
  base64: z.base64().optional(),
  restore: z.literal(true).optional(),
});

const redriveShape = z.strictObject({
  filter: filterShape.optional(),
  ids: z.array(name).max(redriveLimits.idsMax).optional(),
  to: name.optional(),
  perSecond: z.number().positive().max(redriveLimits.perSecondMax).optional(),
  redrivesMax: z.number().int().min(1).optional(),
});

function readQuery(c: Context): z.output<typeof queryShape> {
  const parsed = queryShape.safeParse(c.req.query());
  if (!parsed.success) throw inputNotValid('query', problemsOf(parsed.error));
  return parsed.data;
}

async function readBody<Shape extends z.ZodType>(c: Context, shape: Shape): Promise<z.output<Shape>> {
  const parsed = shape.safeParse(await c.req.json().catch(() => undefined));
  if (!parsed.success) throw inputNotValid('body', problemsOf(parsed.error));
  return parsed.data;
}

/** Undefined: back to the original. */
function payloadIn({ text, base64, restore }: z.output<typeof editShape>): Uint8Array | undefined {
  if ([text, base64, restore].filter(given => given !== undefined).length !== 1)
    throw inputNotValid('body', 'it needs one of text, base64 and restore');
  if (restore) return undefined;
  return text === undefined ? Buffer.from(base64 ?? '', 'base64') : Buffer.from(text);
}

function shownLetter({ payload, original, ...summary }: DeadLetter): ShownLetter {
  const shown = (bytes: Uint8Array) => shownPayload(summary, bytes);
  return {
    ...summary,
    payload: shown(payload),
    ...(summary.editedAtMs !== undefined && { original: shown(original) }),
  };
}

function shownPayload({ kind }: LetterSummary, bytes: Uint8Array): ShownPayload {
  if (kind === 'change') return { text: payloadText(kind, bytes) };
  try {
    return { text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch {
    return { base64: Buffer.from(bytes).toString('base64') };
  }
}

/** A line of JSON for each, newest first: read as fast as it is taken. */
function exported({ letters }: DeadLetters, filter: LetterFilter): Response {
  async function* lines() {
    for await (const letter of letters.newest(filter)) {
      if (!(await letters.fits(letter, filter))) continue;
      const whole = await letters.get(letter.SK, letter.Consumer).catch(ifGone);
      if (whole) yield JSON.stringify(shownLetter(whole));
    }
  }
  return lineStream(lines, { isLive: false });
}

/** It was redriven or deleted meanwhile. */
function ifGone(error: unknown): undefined {
  if (codeOf(error) !== 'letter.notFound') throw error;
  return undefined;
}
