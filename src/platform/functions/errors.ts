import type { Cause } from '../../kernel/causes.ts';
import { MimamoriError } from '../../kernel/errors.ts';

export const functionTimedOut = (functionName: string, timeoutMs: number) =>
  new MimamoriError({
    code: 'function.timedOut',
    message: `${functionName} took longer than ${timeoutMs} ms.`,
    fix: 'Make it faster, or give it a longer timeoutMs; hand long work to something else.',
    retryable: true,
  });

export const functionLoop = (functionName: string, { depth, originId, path }: Cause) =>
  new MimamoriError({
    code: 'function.loop',
    message: `${functionName} was not run: ${depth} functions have run because of one another since ${originId} (${path.join(' → ')}).`,
    fix: 'Let what a function makes not lead back to it, or only under a condition that ends; then redrive the dead letter.',
  });
