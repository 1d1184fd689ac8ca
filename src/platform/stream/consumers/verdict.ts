/** What an invocation's answer means for the records of its batch. Pure: nothing is invoked or stored here. */
import assert from 'node:assert/strict';
import { reportedFailed, responseNotValid } from '../errors.ts';
import type { StreamRecord } from '../port.ts';
import type { Outcome } from './batch.ts';

export type Verdict =
  /** Everything is done. */
  | { readonly kind: 'done'; readonly state?: unknown }
  /** The batch failed as a whole. */
  | { readonly kind: 'thrown'; readonly error: unknown }
  /** Some are done, some failed, some were not tried. */
  | { readonly kind: 'partial'; readonly outcome: Outcome; readonly state?: unknown };

interface Answered {
  readonly record: StreamRecord;
}

/** Judges what a handler returned. `heedsFailures`: it may name the records that failed, as Lambda lets it. */
export function judge(answer: unknown, batch: readonly Answered[], heedsFailures: boolean): Verdict {
  if (isOutcome(answer)) return judgeOutcome(answer, batch.length);
  if (typeof answer !== 'object' || answer === null) return { kind: 'done' };
  const { state, batchItemFailures } = answer as { state?: unknown; batchItemFailures?: unknown };
  if (!heedsFailures || batchItemFailures === undefined || batchItemFailures === null) return { kind: 'done', state };
  if (!Array.isArray(batchItemFailures)) return notValid('batchItemFailures is not a list');
  if (batchItemFailures.length === 0) return { kind: 'done', state };
  const lowest = lowestOf(batchItemFailures, batch);
  if (typeof lowest === 'string') return notValid(lowest);
  const failed = new Map<number, unknown>([[lowest, reportedFailed(batch[lowest].record.sequenceNumber)]]);
  const skipped = new Set<number>();
  // Everything behind it is given again, also what the function has done: it may have stopped at the first failure.
  for (let index = lowest + 1; index < batch.length; index++) skipped.add(index);
  return { kind: 'partial', outcome: { failed, skipped }, state };
}

function isOutcome(answer: unknown): answer is Outcome {
  return typeof answer === 'object' && answer !== null && 'failed' in answer && answer.failed instanceof Map;
}

function judgeOutcome(outcome: Outcome, count: number): Verdict {
  const { failed, skipped } = outcome;
  if (failed.size === 0 && skipped.size === 0) return { kind: 'done' };
  assert(failed.size > 0); // Something failed, or what is skipped would be tried for ever.
  const isOfBatch = (index: number) => Number.isInteger(index) && index >= 0 && index < count;
  for (const index of failed.keys()) assert(isOfBatch(index)); // Or it would count as handled.
  for (const index of skipped) assert(isOfBatch(index) && !failed.has(index));
  return { kind: 'partial', outcome };
}

/** The index of the first record that failed, or what is wrong with the list. */
function lowestOf(failures: readonly unknown[], batch: readonly Answered[]): number | string {
  const named = new Set<string>();
  for (const failure of failures) {
    const identifier =
      typeof failure === 'object' && failure !== null && 'itemIdentifier' in failure
        ? failure.itemIdentifier
        : undefined;
    if (typeof identifier !== 'string' && typeof identifier !== 'bigint') {
      return 'an item of batchItemFailures has no itemIdentifier that is a text';
    }
    named.add(String(identifier));
  }
  let lowest: number | undefined;
  for (const [index, { record }] of batch.entries()) {
    if (named.delete(String(record.sequenceNumber))) lowest ??= index;
  }
  const [unknown] = named;
  if (lowest === undefined || unknown !== undefined) {
    return `the itemIdentifier ${JSON.stringify(unknown?.slice(0, 100))} is not a sequence number of the batch`;
  }
  return lowest;
}

function notValid(reason: string): Verdict {
  return { kind: 'thrown', error: responseNotValid(reason) };
}
