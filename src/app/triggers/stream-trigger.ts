/** What all functions that are fed from a stream have in common: how one becomes a consumer, and what its invocations are told. */
import assert from 'node:assert/strict';
import { type Cause, deepest, fromOutside } from '../../kernel/causes.ts';
import type { InvocationCall, LoopGuard, Trigger } from '../../platform/functions/index.ts';
import {
  type BatchContext,
  type BatchHandler,
  type ConsumerOptions,
  type ConsumerSettings,
  consumerDefaults,
  eachRecord,
  type Selected,
  type ShardId,
  type StreamRecord,
} from '../../platform/stream/index.ts';
import type { BatchAnswered, BatchFunctionOptions } from '../model.ts';

/** How a consumer is to be run, besides what all of them share. */
export interface StreamTrigger<Event> extends Pick<ConsumerOptions<Event>, 'wants' | 'select'> {
  readonly run: BatchHandler<Event>;
  readonly settings: ConsumerSettings;
  /** What `select` gives, without looking for loops: for who asks what was an event, and handles none. Default: `select`. */
  readonly meaningOf?: (record: StreamRecord) => Event | undefined;
  /** The JSON of a record that a filter looks at. Default: its data. */
  readonly filteredData?: (record: StreamRecord) => Buffer | undefined;
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
  readonly filteredData?: StreamTrigger<Event>['filteredData'];
}

export type StreamHandler<Event> =
  | { readonly each: (event: Event, context: unknown) => Promise<void> }
  | { readonly batch: (events: Event[], context: unknown) => Promise<BatchAnswered> }
  | WindowHandler<Event>;

/** Folds what comes in a window into one state; `close` is given what it has come to. */
export interface WindowHandler<Event> {
  readonly windowMs: number;
  readonly add: (state: unknown, event: Event) => unknown;
  readonly close: (closed: ClosedWindow, context: unknown) => Promise<void>;
}

/** A window that is over, and what it has come to. */
export interface ClosedWindow {
  readonly state: unknown;
  readonly window: WindowTimes;
}

/** Unix epoch milliseconds; what came at `endAtMs` is of the next one. */
export interface WindowTimes {
  readonly startAtMs: number;
  readonly endAtMs: number;
  readonly shardId: ShardId;
}

/** What a function learns of is an event; who made it, if a function did, travels with it. */
export interface CausedEvent {
  readonly cause?: Cause;
  readonly thingName?: string;
}

export function streamTrigger<Event extends CausedEvent>(
  declared: StreamFunction<Event>,
  runner: Runner,
): StreamTrigger<Event> {
  const { functionName, options, handler, wants, filteredData } = declared;
  const select = (record: StreamRecord) => {
    const event = declared.select(record);
    if (event?.cause !== undefined) runner.loopGuard.check(functionName, event.cause);
    return event;
  };
  const fed = { select, meaningOf: declared.select, wants, filteredData };
  const settings = settingsOf(options);
  if ('each' in handler) {
    const { each } = handler;
    const run = eachRecord<Event>((selected, batch) =>
      runner.invoke(callForOne(declared, selected, batch), context => each(selected.event, context)),
    );
    return { ...fed, run, settings: { ...settings, batchRecordsMax: consumerDefaults.eachRecordsMax } };
  }
  if ('windowMs' in handler) {
    return {
      ...fed,
      run: windowRun(declared, handler, runner),
      settings: { ...settings, tumblingWindowMs: handler.windowMs },
    };
  }
  const { batch: all } = handler;
  const run: BatchHandler<Event> = (batch, batchContext) => {
    const events = batch.map(({ event }) => event);
    return runner.invoke(callForBatch(declared, batch, batchContext), context => all(events, context));
  };
  return { ...fed, run, settings };
}

/** Adding is pure and needs no invocation; what is made of a window is one. */
function windowRun<Event extends CausedEvent>(
  declared: StreamFunction<Event>,
  { add, close }: WindowHandler<Event>,
  runner: Runner,
): BatchHandler<Event> {
  const {
    functionName,
    trigger,
    options: { timeoutMs },
  } = declared;
  return async (
    batch,
    { state: before, window, isFinalInvokeForWindow, isWindowTerminatedEarly, shardId, attempt },
  ) => {
    assert(window !== undefined); // The settings say so.
    // As it was returned below, {} to begin with. A copy: a batch that fails is folded again.
    let { folded } = structuredClone(before) as { folded?: unknown };
    for (const { event } of batch) folded = add(folded, event);
    if (isFinalInvokeForWindow || isWindowTerminatedEarly) {
      const times = { startAtMs: Date.parse(window.start), endAtMs: Date.parse(window.end), shardId };
      const eventId = `${shardId}:${window.start}`;
      const cause = fromOutside(eventId);
      const call = { functionName, trigger, timeoutMs, attempt, eventId, cause };
      if (folded !== undefined) await runner.invoke(call, context => close({ state: folded, window: times }, context));
      return {};
    }
    return { state: folded === undefined ? {} : { folded } };
  };
}

function settingsOf({ batchItemsMax: batchRecordsMax, ...options }: BatchFunctionOptions): ConsumerSettings {
  const { attemptsMax, batchWindowMs, batchBytesMax, startingPosition, filter, recordAgeMsMax } = options;
  const { parallelizationFactor, failureBlocks, retryDelayMs, bisectBatchOnError, reportsBatchItemFailures } = options;
  return {
    attemptsMax,
    batchRecordsMax,
    batchWindowMs,
    batchBytesMax,
    startingPosition,
    filter,
    recordAgeMsMax,
    parallelizationFactor,
    failureBlocks,
    retryDelayMs,
    bisectBatchOnError,
    reportsBatchItemFailures,
  };
}

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
