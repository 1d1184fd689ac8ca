/** What all functions that are fed from a stream have in common: how one becomes a consumer, and what its invocations are told. */
import { type Cause, deepest, fromOutside } from '../../kernel/causes.ts';
import type { InvocationCall, LoopGuard, Trigger } from '../../platform/functions/index.ts';
import {
  type BatchContext,
  type BatchHandler,
  type ConsumerOptions,
  consumerDefaults,
  eachRecord,
  type Outcome,
  type Selected,
  type ShardId,
  type StreamRecord,
} from '../../platform/stream/index.ts';
import type { BatchFunctionOptions } from '../model.ts';

/** How a consumer is to be run, besides what all of them share. */
export interface StreamTrigger<Event> extends Pick<ConsumerOptions<Event>, 'wants' | 'select'> {
  readonly run: BatchHandler<Event>;
  readonly limits: Pick<ConsumerOptions<Event>, 'attemptsMax' | 'batchRecordsMax' | 'batchWindowMs'>;
}

/** Runs handlers, each in an invocation of its own. */
export interface Runner {
  readonly loopGuard: LoopGuard;
  /** `work` is given the context of the app, as it is for this invocation. */
  invoke<T>(call: InvocationCall, work: (context: unknown) => Promise<T>): Promise<T>;
}

/** A declared function, whatever it is for. */
export interface StreamFunction<Event> {
  readonly functionName: string;
  readonly trigger: Trigger;
  readonly options: BatchFunctionOptions;
  readonly handler: StreamHandler<Event>;
  /** The event a record means to it, or undefined when it is none of its business. */
  readonly select: (record: StreamRecord) => Event | undefined;
  readonly wants?: ConsumerOptions<Event>['wants'];
}

export type StreamHandler<Event> =
  | { readonly each: (event: Event, context: unknown) => Promise<void> }
  | { readonly batch: (events: Event[], context: unknown) => Promise<void> };

/** What a function learns of is an event; who made it, if a function did, travels with it. */
interface CausedEvent {
  readonly cause?: Cause;
  readonly thingName?: string;
}

export function streamTrigger<Event extends CausedEvent>(
  declared: StreamFunction<Event>,
  runner: Runner,
): StreamTrigger<Event> {
  const { functionName, options, handler, wants } = declared;
  const { attemptsMax, batchItemsMax, batchWindowMs } = options;
  const select = (record: StreamRecord) => {
    const event = declared.select(record);
    if (event?.cause !== undefined) runner.loopGuard.check(functionName, event.cause);
    return event;
  };
  if ('each' in handler) {
    const { each } = handler;
    const run = eachRecord<Event>((selected, batch) =>
      runner.invoke(callForOne(declared, selected, batch), context => each(selected.event, context)),
    );
    return { select, wants, run, limits: { attemptsMax, batchRecordsMax: consumerDefaults.eachRecordsMax } };
  }
  const { batch: all } = handler;
  const run: BatchHandler<Event> = async (batch, batchContext) => {
    const events = batch.map(({ event }) => event);
    await runner.invoke(callForBatch(declared, batch, batchContext), context => all(events, context));
    return allDone;
  };
  return { select, wants, run, limits: { attemptsMax, batchRecordsMax: batchItemsMax, batchWindowMs } };
}

export const allDone: Outcome = { failed: new Map(), skipped: new Set() };

function callForOne<Event extends CausedEvent>(
  { functionName, trigger, options: { timeoutMs } }: StreamFunction<Event>,
  { record: { sequenceNumber }, event: { cause, thingName } }: Selected<Event>,
  { shardId, attempt }: BatchContext,
): InvocationCall {
  const eventId = eventIdOf(shardId, sequenceNumber);
  return { functionName, trigger, timeoutMs, attempt, eventId, thingName, cause: cause ?? fromOutside(eventId) };
}

/** What a batch makes is caused by the event of it that has come furthest: the guard must not lose sight of that one. */
function callForBatch<Event extends CausedEvent>(
  { functionName, trigger, options: { timeoutMs } }: StreamFunction<Event>,
  batch: Selected<Event>[],
  { shardId, attempt }: BatchContext,
): InvocationCall {
  const [first, last] = [batch[0].record.sequenceNumber, batch[batch.length - 1].record.sequenceNumber];
  const cause = deepestOf(batch) ?? fromOutside(eventIdOf(shardId, first));
  return { functionName, trigger, timeoutMs, attempt, cause, records: { shardId, first, last, count: batch.length } };
}

function deepestOf(batch: Selected<CausedEvent>[]): Cause | undefined {
  const causes: Cause[] = [];
  for (const { event } of batch) if (event.cause !== undefined) causes.push(event.cause);
  return causes.length === 0 ? undefined : deepest(causes);
}

export function eventIdOf(shardId: ShardId, sequenceNumber: bigint): string {
  return `${shardId}:${sequenceNumber}`;
}
