import type { StreamRecord } from '../port.ts';
import type { BatchHandler } from './batch.ts';
import { judge } from './verdict.ts';

/** What a single record is given to a handler with, outside of a consumer. */
export interface OneRecord<Event> {
  readonly consumer: string;
  readonly shardId: string;
  readonly record: StreamRecord;
  readonly event: Event;
  readonly signal: AbortSignal;
}

/** Gives a handler one record as a batch of its own, marked as redelivered. Rejects with what it failed with. */
export async function handleOne<Event>(handler: BatchHandler<Event>, given: OneRecord<Event>): Promise<void> {
  const { consumer, shardId, record, event, signal } = given;
  const selected = { record, event };
  const answer = await handler([selected], {
    consumer,
    shardId,
    attempt: 1,
    isRedelivered: true,
    iteratorAgeMs: 0,
    signal,
  });
  const verdict = judge(answer, [selected], true);
  if (verdict.kind === 'thrown') throw verdict.error;
  if (verdict.kind === 'partial') throw verdict.outcome.failed.get(0); // It can only be this one.
}
