/** The ledger for whoever looks after an app: what was received and what became of it, and the story of one message. */
import type { Context } from 'hono';
import { z } from 'zod';
import {
  type Explainer,
  type Ledger,
  type LedgerQuestion,
  ledgerRows,
  ledgerTotals,
  type MessageQuestion,
  problemsOf,
} from '../../app/index.ts';
import { inputNotValid } from '../problems.ts';
import { lineStream } from './line-stream.ts';
import type { OperatorRoute } from './operator.ts';
import { explainPath, ledgerPath } from './paths.ts';

export function ledgerRoutes({ ledger, explainer }: { ledger: Ledger; explainer: Explainer }): OperatorRoute[] {
  return [
    {
      method: 'GET',
      path: ledgerPath,
      answer: async c => {
        const totals = await ledgerTotals(ledger, readQuery(c, questionShape));
        return c.json({ totals, imbalances: await ledger.alarms.list() });
      },
    },
    {
      method: 'GET',
      path: `${ledgerPath}/rows`,
      answer: c => {
        const question = readQuery(c, questionShape);
        return lineStream(() => asLines(ledgerRows(ledger, question)), { isLive: false });
      },
    },
    // Long in coming where the log is large: a line now and then shows that it goes on.
    {
      method: 'GET',
      path: `${ledgerPath}/check`,
      answer: () => lineStream(() => asLines(ledger.audit()), { isLive: true }),
    },
    {
      method: 'GET',
      path: explainPath,
      answer: async c => {
        const { thing, ...which } = readQuery(c, explainShape);
        return c.json(await explainer.explain(thing, messageIn(which)));
      },
    },
  ];
}

async function* asLines(values: AsyncGenerator<unknown>): AsyncGenerator<string> {
  for await (const value of values) yield JSON.stringify(value);
}

const name = z.string().min(1).max(256);
const instantMs = z.coerce.number().int().min(0).max(8.64e15); // the last instant a Date can say

const questionShape = z.strictObject({
  thingName: name.optional(),
  consumer: name.optional(),
  sinceMs: instantMs.optional(),
  untilMs: instantMs.optional(),
}) satisfies z.ZodType<LedgerQuestion>;

const explainShape = z.strictObject({
  thing: name,
  atMs: instantMs.optional(),
  /** `<shardId>:<sequenceNumber>`, or the sequence number alone. */
  id: z
    .string()
    .regex(/^(shardId-\d{12}:)?\d{1,20}$/)
    .optional(),
});

function readQuery<Shape extends z.ZodType>(c: Context, shape: Shape): z.output<Shape> {
  const parsed = shape.safeParse(c.req.query());
  if (!parsed.success) throw inputNotValid('query', problemsOf(parsed.error));
  return parsed.data;
}

function messageIn({ atMs, id }: Omit<z.output<typeof explainShape>, 'thing'>): MessageQuestion {
  if ((atMs === undefined) === (id === undefined)) throw inputNotValid('query', 'it needs one of atMs and id');
  if (id === undefined) return { atMs: atMs ?? 0 };
  const [number, shardId] = id.split(':').reverse();
  return { sequenceNumber: BigInt(number), ...(shardId !== undefined && { shardId }) };
}
