import type { Cause } from '../../kernel/causes.ts';
import { type ErrorDescription, MimamoriError } from '../../kernel/errors.ts';
import { functionLimits, laterLimits, onceLimits } from './limits.ts';

/** An invocation that was not begun. Whoever can wait should ask again after `retryAfterMs`; it costs no attempt. */
export class FunctionRefusal extends MimamoriError {
  readonly functionName: string;
  /** Undefined: not before somebody has done something about it. */
  readonly retryAfterMs: number | undefined;

  constructor(functionName: string, retryAfterMs: number | undefined, description: ErrorDescription) {
    super(description);
    this.functionName = functionName;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Whether `error` says that this function was not begun, and not that one it called was not. */
export function isRefusalOf(functionName: string, error: unknown): boolean {
  return error instanceof FunctionRefusal && error.functionName === functionName;
}

export const functionThrottled = (functionName: string, concurrencyMax: number) =>
  new FunctionRefusal(functionName, functionLimits.throttledRetryMs, {
    code: 'function.throttled',
    message: `${functionName} was not run: ${concurrencyMax} invocations at once are the most it may have.`,
    fix: 'Ask again in a moment; raise reservedConcurrency if it happens often, or call it later instead of now.',
    retryable: true,
  });

export const functionStopping = (functionName: string) =>
  new FunctionRefusal(functionName, functionLimits.throttledRetryMs, {
    code: 'function.throttled',
    message: `${functionName} was not run, or not to its end: the app is stopping.`,
    fix: 'Ask again when it has started.',
    retryable: true,
  });

export const budgetExceeded = (functionName: string, reason: string, retryAfterMs: number | undefined) =>
  new FunctionRefusal(functionName, retryAfterMs, {
    code: 'function.budgetExceeded',
    message: `${functionName} was not run: ${reason}.`,
    fix: resumeAdvice(functionName, retryAfterMs === undefined),
    retryable: true,
  });

export function resumeAdvice(functionName: string, byHand: boolean): string {
  const reset = `\`mimamori functions reset ${functionName}\` lets it run again`;
  return byHand
    ? `Find out who calls it so often, then ${reset}.`
    : `It runs again in the next minute. Find out who calls it so often, or raise its budget; ${reset} at once.`;
}

/** What is known of an invocation that had to be ended. */
export interface EndedFacts {
  readonly functionName: string;
  /** What it ran for. */
  readonly eventId?: string;
  readonly durationMs?: number;
  readonly memoryBytes?: number;
}

export const functionTimedOut = (timeoutMs: number, ended: EndedFacts) =>
  new MimamoriError({
    code: 'function.timedOut',
    message: `${ended.functionName} took longer than ${timeoutMs} ms${circumstances({ ...ended, durationMs: undefined })}.`,
    fix: 'Make it faster, or give it a longer timeoutMs; hand long work to something else.',
    retryable: true,
  });

export const functionOutOfMemory = (memoryMegabytes: number, ended: EndedFacts) =>
  new MimamoriError({
    code: 'function.outOfMemory',
    message: `${ended.functionName} needed more than its ${memoryMegabytes} MB of memory${circumstances(ended)}.`,
    fix: 'Find what it keeps, or give it more memoryMegabytes.',
    retryable: true,
  });

export const functionExited = (reason: string, ended: EndedFacts) =>
  new MimamoriError({
    code: 'function.exited',
    message: `${ended.functionName} ended its thread: ${reason}${circumstances(ended)}.`,
    fix: 'Let it return or throw instead: no process.exit, every promise awaited, every listener with its errors caught.',
    retryable: true,
  });

function circumstances({ eventId, durationMs, memoryBytes }: EndedFacts): string {
  const parts = [
    eventId !== undefined && `for ${eventId}`,
    durationMs !== undefined && `after ${Math.round(durationMs)} ms`,
    memoryBytes !== undefined && `with ${Math.round(memoryBytes / 2 ** 20)} MB of heap in use`,
  ].filter(part => part !== false);
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`;
}

export const functionNotLoadable = (functionName: string, reason: string) =>
  new MimamoriError({
    code: 'function.notLoadable',
    message: `The worker of ${functionName} could not load the app: ${reason}.`,
    fix: "Let the app's module load anywhere, and in the memory that the function has.",
    retryable: true,
  });

export const tooManyCalls = (functionName: string, callsMax: number) =>
  new MimamoriError({
    code: 'function.tooManyCalls',
    message: `${functionName} has more than ${callsMax} calls under way at once.`,
    fix: 'Await calls instead of starting them all at once; context.inParallel does so.',
  });

export const functionLoop = (functionName: string, { depth, originId, path }: Cause) =>
  new MimamoriError({
    code: 'function.loop',
    message: `${functionName} was not run: ${depth} functions have run because of one another since ${originId} (${path.join(' → ')}).`,
    fix: 'Let what a function makes not lead back to it, or only under a condition that ends; then redrive the dead letter.',
  });

/** The same refusal: who meets it need not know which of the two it is. */
export const functionSpreads = (functionName: string, { depth, originId, path }: Cause) =>
  new MimamoriError({
    code: 'function.loop',
    message: `${functionName} was not run: what began with ${originId} has come back to it more than a thousand times, ${depth} functions deep so far (${path.join(' → ')}).`,
    fix: 'It makes more events for itself than it handles: let what it makes not lead back to it; then redrive the dead letters.',
  });

export const inputNotValid = (functionName: string, problems: string) =>
  new MimamoriError({
    code: 'function.inputNotValid',
    message: `${functionName} cannot take this input: ${problems}.`,
    fix: 'Give what the input schema of the function says; what is called later must be JSON.',
  });

export const inputTooLarge = (functionName: string, bytes: number) =>
  new MimamoriError({
    code: 'function.inputTooLarge',
    message: `The input of ${functionName} is ${bytes} bytes of JSON, more than ${laterLimits.inputBytesMax}.`,
    fix: 'Store the large part, and give its key.',
  });

export const outputNotValid = (functionName: string, problems: string) =>
  new MimamoriError({
    code: 'function.outputNotValid',
    message: `${functionName} answered what its schema does not allow: ${problems}.`,
    fix: 'Correct the function, or its output schema.',
  });

export const queueFull = (functionName: string, queued: number) =>
  new MimamoriError({
    code: 'function.queueFull',
    message: `${functionName} was not called: ${queued} calls wait for it already.`,
    fix: 'Call again later; let fewer calls be made, or more of them run at once.',
    retryable: true,
  });

export const delayNotValid = (functionName: string, delayMs: number) =>
  new MimamoriError({
    code: 'function.delayNotValid',
    message: `${functionName} cannot be called in ${delayMs} ms.`,
    fix: `Give a delayMs from 0 to ${laterLimits.delayMsMax}.`,
  });

export const invocationInterrupted = (functionName: string) =>
  new MimamoriError({
    code: 'function.interrupted',
    message: `The app ended each time ${functionName} was at work on this.`,
    fix: 'Find the endless loop, the leak or the exit that it leads to; declare the function isolated meanwhile.',
  });

export const eventTooOld = (functionName: string, ageMsMax: number) =>
  new MimamoriError({
    code: 'function.eventTooOld',
    message: `${functionName} could not be run within ${ageMsMax} ms.`,
    fix: 'Let more of its invocations run at once, or give it a longer eventAgeMsMax; then redrive the dead letter.',
  });

export const effectInProgress = (effect: string) =>
  new MimamoriError({
    code: 'function.inProgress',
    message: `Another invocation is doing ${effect}, and has not said that it is done.`,
    fix: 'Try again: it is done then, or may be begun anew.',
    retryable: true,
  });

export const effectKeyMissing = (effect: string) =>
  new MimamoriError({
    code: 'function.keyMissing',
    message: `Nothing tells ${effect} of this invocation from that of another.`,
    fix: 'Give a `key`: an invocation of a batch, a route or a direct call has no event of its own.',
  });

export const effectKeyNotValid = (effect: string) =>
  new MimamoriError({
    code: 'function.keyNotValid',
    message: `The key of ${effect} is empty or too long, or its ttlMs is not a second to a year.`,
    fix: `Use 1 to ${onceLimits.keyCharactersMax} characters for the effect and its key together.`,
  });

export const effectResultNotValid = (effect: string, reason: string) =>
  new MimamoriError({
    code: 'function.resultNotValid',
    message: `What ${effect} has answered cannot be kept: ${reason}.`,
    fix: `Answer with JSON of at most ${onceLimits.resultBytesMax} bytes, or with nothing. The effect is done and is not repeated.`,
  });

export const concurrencyNotValid = (reserved: number, reservableMax: number) =>
  new MimamoriError({
    code: 'function.concurrencyNotValid',
    message: `The functions reserve ${reserved} invocations at once, and ${reservableMax} can be reserved.`,
    fix: 'Reserve less, or let the app have more.',
  });

export const functionNotFound = (functionName: string) =>
  new MimamoriError({
    code: 'function.notFound',
    message: `The app has no function ${functionName}.`,
    fix: '`mimamori functions` lists them.',
  });

export const functionNotInvocable = (functionName: string) =>
  new MimamoriError({
    code: 'function.notInvocable',
    message: `${functionName} is not called by its name.`,
    fix: 'Send what it listens to. Functions made with onInvoke and onSchedule can be invoked.',
  });
