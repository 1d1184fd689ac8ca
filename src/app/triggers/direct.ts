/** Functions that are called by their name: now, for an answer, or later. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { currentCaller } from '../../kernel/callers.ts';
import { currentCause } from '../../kernel/causes.ts';
import type { Clock } from '../../kernel/clock.ts';
import { messageOf } from '../../kernel/errors.ts';
import {
  delayNotValid,
  functionNotFound,
  inputNotValid,
  inputTooLarge,
  type LaterInvocation,
  type LaterQueue,
  laterLimits,
  outputNotValid,
} from '../../platform/functions/index.ts';
import type { FunctionCaller } from '../context.ts';
import type { App } from '../define-app.ts';
import type { DirectDefinition, DirectFunction } from '../model.ts';
import { problemsOf } from '../problems.ts';
import type { Runner } from './stream-trigger.ts';

export interface DirectOptions {
  readonly app: App;
  readonly runner: Runner;
  readonly queue: Pick<LaterQueue, 'put'>;
  readonly clock: Clock;
  readonly newId: () => string;
  /** Runs the handler of a function, wherever it is to run. */
  readonly handle: (functionName: string, input: unknown, context: unknown) => Promise<unknown>;
}

/** One that the model declares and the app has a function for. */
interface Direct extends DirectDefinition {
  readonly functionName: string;
  readonly timeoutMs: number | undefined;
}

/** What is told of the end of an invocation to the function that `onSuccess` or `onFailure` names: its input. */
export const destinationRecord = z.object({
  version: z.literal('1.0'),
  timestamp: z.string(),
  requestContext: z.object({
    requestId: z.string(),
    functionName: z.string(),
    condition: z.enum(['Success', 'RetriesExhausted', 'EventAgeExceeded']),
    approximateInvokeCount: z.number(),
  }),
  requestPayload: z.unknown(),
  responseContext: z.object({ statusCode: z.number(), functionError: z.string().optional() }),
  responsePayload: z.unknown(),
});

/** What handlers call: `context.functions`. */
export function directCallers(options: DirectOptions): Record<string, FunctionCaller<DirectDefinition>> {
  const names = Object.keys(options.app.model.functions);
  return Object.fromEntries(names.map(name => [name, callerOf(directOf(options.app, name), options)]));
}

/** The function of the app that has this name in the model. Throws `function.notFound`. */
export function directOf({ model, functions }: App, name: string): Direct {
  for (const [functionName, declared] of Object.entries(functions)) {
    if (!isDirect(declared, name)) continue;
    return { ...model.functions[name], functionName, timeoutMs: declared.options.timeoutMs };
  }
  throw functionNotFound(name);
}

function isDirect(declared: App['functions'][string], name: string): declared is DirectFunction {
  return declared.kind === 'direct' && declared.name === name;
}

function callerOf(direct: Direct, options: DirectOptions): FunctionCaller<DirectDefinition> {
  return {
    // The answer fits `output`: what the caller's type was made from.
    invoke: input => invokeNow(direct, input, options) as Promise<undefined>,
    invokeLater: (input, how = {}) => invokeLater(direct, { input, ...how }, options),
  };
}

async function invokeNow(direct: Direct, input: unknown, { runner, handle }: DirectOptions): Promise<unknown> {
  const { functionName, timeoutMs } = direct;
  const parsed = parseInput(direct, input);
  const cause = currentCause();
  if (cause !== undefined) runner.loopGuard.check(functionName, cause);
  const { thingName } = currentCaller() ?? {};
  const call = { functionName, trigger: 'direct', cause, thingName, timeoutMs } as const;
  return runner.invoke(call, async context => parseOutput(direct, await handle(functionName, parsed, context)));
}

interface LaterCall {
  readonly input: unknown;
  readonly delayMs?: number;
  readonly idempotencyKey?: string;
}

async function invokeLater(direct: Direct, call: LaterCall, { queue, clock, newId }: DirectOptions): Promise<void> {
  const { functionName } = direct;
  const { input, delayMs = 0, idempotencyKey } = call;
  const isDelay = delayMs >= 0 && delayMs <= laterLimits.delayMsMax; // not for NaN
  if (!isDelay) throw delayNotValid(functionName, delayMs);
  const json = asJson(functionName, input);
  parseInput(direct, JSON.parse(json)); // Whoever gives what is not valid, or not JSON, learns of it here.
  const nowMs = clock.nowMs();
  const id = idempotencyKey === undefined ? newId() : idOfKey(functionName, idempotencyKey);
  const invocation: LaterInvocation = {
    id,
    functionName,
    trigger: 'direct',
    input: json,
    eventId: id,
    cause: currentCause(),
    dueAtMs: nowMs + delayMs,
    attempts: 0,
    ...(idempotencyKey !== undefined && { keptUntilMs: nowMs + delayMs + laterLimits.idempotencyMs }),
  };
  await queue.put(invocation);
}

/** Runs one that was stored, in a context that is made for this attempt. Throws `function.inputNotValid` and what the handler throws. */
export async function runStored(
  direct: Direct,
  { input }: LaterInvocation,
  run: (parsed: unknown) => Promise<unknown>,
): Promise<unknown> {
  return parseOutput(direct, await run(parseInput(direct, JSON.parse(input))));
}

/** Throws `function.inputNotValid`. */
function parseInput({ functionName, input: schema }: Direct, input: unknown): unknown {
  const parsed = schema.safeParse(input);
  if (!parsed.success) throw inputNotValid(functionName, problemsOf(parsed.error));
  return parsed.data;
}

function parseOutput({ functionName, output: schema }: Direct, output: unknown): unknown {
  if (schema === undefined) return undefined;
  const parsed = schema.safeParse(output);
  if (!parsed.success) throw outputNotValid(functionName, problemsOf(parsed.error));
  return parsed.data;
}

function asJson(functionName: string, input: unknown): string {
  let json: string | undefined;
  try {
    json = JSON.stringify(input);
  } catch (error) {
    throw inputNotValid(functionName, messageOf(error).slice(0, 200));
  }
  const bytes = Buffer.byteLength(json ?? 'null');
  if (bytes > laterLimits.inputBytesMax) throw inputTooLarge(functionName, bytes);
  return json ?? 'null';
}

/** Of any length and any characters; an id has few of them. */
function idOfKey(functionName: string, idempotencyKey: string): string {
  return createHash('sha256')
    .update(JSON.stringify([functionName, idempotencyKey]))
    .digest('hex')
    .slice(0, 40);
}
