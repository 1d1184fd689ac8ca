/** The functions of an app for whoever looks after it: what they do and use, starting a stopped one again, calling one. */
import type { Context } from 'hono';
import { z } from 'zod';
import { ApiError, type AppFunctionReport, problemsOf, type Runtime } from '../../app/index.ts';
import { codeOf, MimamoriError, messageOf } from '../../kernel/errors.ts';
import { lambdaPrices } from '../../platform/functions/index.ts';
import { inputNotValid, problemOf } from '../problems.ts';
import type { OperatorRoute } from './operator.ts';
import { functionsPath } from './paths.ts';

export interface FunctionsAnswer {
  readonly functions: readonly AppFunctionReport[];
  /** What the costs of the advice are reckoned with. Estimates, never a bill. */
  readonly prices: typeof lambdaPrices;
}

export interface InvokeAnswer {
  /** Absent when the function answers nothing. */
  readonly output?: unknown;
}

export function functionRoutes(functions: Runtime['functions']): OperatorRoute[] {
  const name = (c: Context) => c.req.param('name') ?? ''; // The routes below have it.
  return [
    {
      method: 'GET',
      path: functionsPath,
      answer: c => c.json({ functions: functions.reports(), prices: lambdaPrices } satisfies FunctionsAnswer),
    },
    {
      method: 'POST',
      path: `${functionsPath}/:name/reset`,
      answer: c => {
        functions.reset(name(c));
        return c.json({ reset: name(c) });
      },
    },
    {
      method: 'POST',
      path: `${functionsPath}/:name/invoke`,
      answer: async c => {
        const parsed = invokeShape.safeParse(await c.req.json().catch(() => undefined));
        if (!parsed.success) throw inputNotValid('body', problemsOf(parsed.error));
        try {
          const output = await functions.invokeByName(name(c), parsed.data.input);
          return c.json({ output } satisfies InvokeAnswer); // Throws for what is no JSON.
        } catch (error) {
          return throwAsItIs(error);
        }
      },
    },
  ];
}

/** Whoever looks after an app may know what its functions fail with. */
function throwAsItIs(error: unknown): never {
  if (problemOf(error).code !== 'api.internal') throw error;
  const fix = error instanceof MimamoriError ? error.fix : 'See `mimamori logs` for what led to it.';
  throw new ApiError(500, { code: codeOf(error), message: messageOf(error), fix });
}

const invokeShape = z.object({ input: z.unknown() });
