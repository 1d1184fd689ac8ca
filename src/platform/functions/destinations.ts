/** Whom the end of an invocation is told to: another function, called with a record of it, as Lambda's destinations are. */
import { causedBy, fromOutside } from '../../kernel/causes.ts';
import { codeOf, messageOf } from '../../kernel/errors.ts';
import type { DestinationRecord, LaterCondition, LaterInvocation } from './later.ts';

export type LaterEnd = { readonly condition: 'Success'; readonly answer: unknown } | GivenUp;

export interface GivenUp {
  readonly condition: Exclude<LaterCondition, 'Success'>;
  readonly error: unknown;
}

/** The call of `destination` that `invocation` ends with. */
export function toldTo(
  destination: string,
  invocation: LaterInvocation,
  end: LaterEnd,
  { id, nowMs }: { id: string; nowMs: number },
): LaterInvocation {
  const { functionName, cause = fromOutside(invocation.id) } = invocation;
  return {
    id,
    functionName: destination,
    trigger: 'direct',
    input: recordOf(invocation, end, nowMs),
    eventId: id,
    cause: causedBy(functionName, cause),
    dueAtMs: nowMs,
    attempts: 0,
  };
}

/** As JSON. An answer that is none, or makes it too large to be stored, is left out, and says so. */
function recordOf({ id, functionName, input, attempts }: LaterInvocation, end: LaterEnd, nowMs: number): string {
  const { condition } = end;
  const record: DestinationRecord = {
    version: '1.0',
    timestamp: new Date(nowMs).toISOString(),
    requestContext: { requestId: id, functionName, condition, approximateInvokeCount: attempts },
    requestPayload: JSON.parse(input),
    responseContext: { statusCode: 200, ...(condition !== 'Success' && { functionError: 'Unhandled' }) },
    responsePayload: end.condition === 'Success' ? (end.answer ?? null) : errorPayload(end.error),
  };
  const leaving = (reason: string) => JSON.stringify({ ...record, responsePayload: { leftOut: reason } });
  try {
    const json = JSON.stringify(record);
    const bytes = Buffer.byteLength(json);
    return bytes <= recordBytesMax ? json : leaving(`with it the record would be ${bytes} bytes`);
  } catch (error) {
    return leaving(messageOf(error).slice(0, 200)); // It refers to itself, or holds a bigint.
  }
}

const recordBytesMax = 320 * 1024; // ours: an input of the largest size, and something beside it; an item holds 400 KB

function errorPayload(error: unknown): Record<string, unknown> {
  const errorType = error instanceof Error ? error.name : typeof error;
  return { errorType, errorMessage: messageOf(error).slice(0, 1_000), code: codeOf(error) };
}
