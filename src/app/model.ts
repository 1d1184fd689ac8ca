import type { z } from 'zod';
import type { PartitionKeyStrategy } from '../iot/port.ts';
import type { FunctionBudget } from '../platform/functions/index.ts';
import type { BatchResponse, ConsumerSettings } from '../platform/stream/index.ts';
import type {
  AppContext,
  CommandResult,
  EntityChange,
  RouteAnswer,
  RouteRequest,
  ScheduledEvent,
  StreamEvent,
  TelemetryEvent,
} from './context.ts';
import type { EntityMap } from './entities/index.ts';
import { appNotValid } from './errors.ts';
import type { PresenceEvent } from './messages.ts';
import type { LoggedLine } from './triggers/log-lines.ts';
import type { ClosedWindow, WindowTimes } from './triggers/stream-trigger.ts';

/** The kinds of message of one context, by their last topic level: `dt/<application>/<context>/<thing>/<type>`. */
export type TelemetryTypes = Readonly<Record<string, z.ZodType>>;
export type TelemetryMap = Readonly<Record<string, TelemetryTypes>>;

/** One message down that wants an answer: `cmd/<application>/<command>/<thing>/req`, answered on `…/res`. */
export interface CommandDefinition {
  readonly request: z.ZodObject;
  readonly response: z.ZodObject;
  /** How long one attempt may take; then it is sent again. Default 10 s. */
  readonly timeoutMs?: number;
  /** Attempts while the thing is connected; an offline thing costs none. Default 3. */
  readonly attemptsMax?: number;
}
export type CommandMap = Readonly<Record<string, CommandDefinition>>;

/** A function that is called by its name, with an input, by others: `context.functions.<name>.invoke(input)`. */
export interface DirectDefinition {
  readonly input: z.ZodType;
  /** What it answers; absent = nothing. */
  readonly output?: z.ZodType;
}
export type DirectMap = Readonly<Record<string, DirectDefinition>>;

/** A stream of JSON records that others write to, over Kinesis' API: a carrier's funnel, an agent, a service. */
export interface StreamDefinition {
  /** What one record is. Others are dead-lettered. */
  readonly record: z.ZodType;
  /** Default 1. */
  readonly shards?: number;
  /** Which key a record gets. Default `keep`. */
  readonly partitionKey?: PartitionKeyStrategy | 'keep';
}
export type StreamMap = Readonly<Record<string, StreamDefinition>>;

export interface FunctionOptions {
  /** One invocation may take this long. Default 3 s, Lambda's. */
  readonly timeoutMs?: number;
  /** Default 3; then the record is dead-lettered. */
  readonly attemptsMax?: number;
  /** So many invocations at once at most; further ones wait, or are refused where nobody can. Default: what the app has. */
  readonly reservedConcurrency?: number;
  /** What it may use in a minute before it is stopped, until it is reset or the minute is over. */
  readonly budget?: FunctionBudget;
  /** Runs in a worker of its own, which it cannot leave: for work that is heavy, or not trusted to end. Default: not. */
  readonly isolated?: boolean;
  /** Of an isolated function: the heap it may use. Default 128 MB, Lambda's. */
  readonly memoryMegabytes?: number;
}

/** Of a function that others or the clock call: it is stored, and run until it succeeds or is given up. */
export interface LaterFunctionOptions<Name extends string = string> extends FunctionOptions {
  /** What could not be done this long after it was due is given up. Default 6 h, Lambda's. */
  readonly eventAgeMsMax?: number;
  /** The function that is called with a record (`destinationRecord`) of each invocation that has succeeded. */
  readonly onSuccess?: Name;
  /** The same for each that has been given up; it lies in the dead letters nevertheless. */
  readonly onFailure?: Name;
}

/** When a schedule calls its function: every so often, or at the times of a cron expression. */
export type ScheduleTimes =
  | { readonly everyMs: number }
  /** Five or six fields, in `timeZone` (IANA name, default UTC). */
  | { readonly cron: string; readonly timeZone?: string };

/** Of functions that are fed from a stream: what an event source mapping of Lambda has. */
export interface StreamFunctionOptions
  extends FunctionOptions,
    Pick<
      ConsumerSettings,
      'startingPosition' | 'filter' | 'recordAgeMsMax' | 'parallelizationFactor' | 'failureBlocks' | 'retryDelayMs'
    > {}

export interface BatchFunctionOptions
  extends StreamFunctionOptions,
    Pick<ConsumerSettings, 'batchBytesMax' | 'bisectBatchOnError' | 'reportsBatchItemFailures'> {
  /** At most so many messages at once; default 10,000. */
  readonly batchItemsMax?: number;
  /** Waits this long for a batch to fill once something is there; default 0, which takes what is there. */
  readonly batchWindowMs?: number;
}

export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface RouteOptions {
  /** One line for the API reference. */
  readonly summary: string;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodObject;
  /** Status when all went well; refusals are thrown. Default 200, or 204 when there is no `answer`. */
  readonly status?: 200 | 201 | 202;
  /** The body of the answer; absent = none. */
  readonly answer?: z.ZodType;
}

/*
 * Declared functions, with their types forgotten: whatever a handler takes, `never` is assignable to it, so the
 * declarations need no cast. The dispatcher, which has validated the input against the schema, makes the one there is.
 */
export interface TelemetryFunction {
  readonly kind: 'telemetry';
  readonly context: string;
  readonly options: BatchFunctionOptions;
  readonly handler: EachHandler | BatchedHandler | WindowedHandler;
}

interface EachHandler {
  readonly each: (event: never, context: never) => Promise<void>;
}

interface BatchedHandler {
  readonly batch: (events: never, context: never) => Promise<BatchAnswered>;
}

interface WindowedHandler {
  readonly windowMs: number;
  readonly add: (state: unknown, event: never) => unknown;
  readonly close: (closed: ClosedWindow, context: never) => Promise<void>;
}

/** With `reportsBatchItemFailures` a function may name what it could not handle, as Lambda lets it. */
// biome-ignore lint/suspicious/noConfusingVoidType: it is only ever what a handler returns.
export type BatchAnswered = BatchResponse | void;

/** A window of a stream: what came in it is folded into one state, which must be plain JSON of at most 1 MB. */
export interface Windowed<Event, State, Context> {
  /** Windows begin at multiples of it, by the time of arrival. Up to 15 minutes, Lambda's. */
  readonly windowMs: number;
  readonly initial: () => State;
  /** Pure: it is repeated after a crash. */
  readonly add: (state: State, event: Event) => State;
  /** Called once the window is over, at least once; of one that nothing came in, never. */
  readonly close: (state: State, window: WindowTimes, context: Context) => Promise<void>;
}

export interface CommandResultFunction {
  readonly kind: 'commandResult';
  readonly command: string;
  readonly options: FunctionOptions;
  readonly handler: (result: never, context: never) => Promise<void>;
}

export interface EntityChangeFunction {
  readonly kind: 'entityChange';
  readonly entity: string;
  readonly options: BatchFunctionOptions;
  readonly handler: EachHandler | BatchedHandler;
}

export interface PresenceFunction {
  readonly kind: 'presence';
  readonly options: FunctionOptions;
  readonly handler: { readonly each: (event: never, context: never) => Promise<void> };
}

export interface ScheduleFunction {
  readonly kind: 'schedule';
  readonly times: ScheduleTimes;
  readonly options: LaterFunctionOptions;
  readonly handler: (event: never, context: never) => Promise<void>;
}

export interface DirectFunction {
  readonly kind: 'direct';
  readonly name: string;
  readonly options: LaterFunctionOptions;
  readonly handler: (input: never, context: never) => Promise<unknown>;
}

export interface LogsFunction {
  readonly kind: 'logs';
  readonly channel: string;
  readonly options: BatchFunctionOptions;
  readonly handler: EachHandler | BatchedHandler;
}

export interface RecordsFunction {
  readonly kind: 'records';
  readonly stream: string;
  readonly options: BatchFunctionOptions;
  readonly handler: EachHandler | BatchedHandler;
}

export type AppFunction =
  | TelemetryFunction
  | CommandResultFunction
  | EntityChangeFunction
  | PresenceFunction
  | ScheduleFunction
  | DirectFunction
  | RecordsFunction
  | LogsFunction;

export interface Route {
  readonly method: HttpMethod;
  /** With parameters in braces, as OpenAPI writes them: `/v1/speakers/{speakerId}`. */
  readonly path: string;
  readonly options: RouteOptions;
  readonly handler: (request: never, context: never) => Promise<unknown>;
}

/**
 * What the product's data is: the messages up, the messages down, what is stored. Functions and routes are written
 * against it, each a value of its own in whatever file suits; `defineApp` gathers them.
 */
export class Model<
  T extends TelemetryMap,
  C extends CommandMap,
  E extends EntityMap,
  F extends DirectMap = DirectMap,
  S extends StreamMap = StreamMap,
> {
  readonly application: string;
  readonly telemetry: T;
  readonly commands: C;
  readonly entities: E;
  readonly functions: F;
  readonly streams: S;
  /** Of the messages of devices, by context. */
  readonly partitionKeys: Readonly<Partial<Record<string, PartitionKeyStrategy>>>;

  constructor(application: string, parts: ModelParts<T, C, E, F, S>) {
    this.application = application;
    this.telemetry = parts.telemetry;
    this.commands = parts.commands;
    this.entities = parts.entities;
    this.functions = parts.functions ?? ({} as F); // Whoever declares none has the type of none.
    this.streams = parts.streams ?? ({} as S);
    this.partitionKeys = parts.partitionKeys ?? {};
  }

  /** A function for each message of a context. Messages of one thing come in order, one at a time. */
  onTelemetry<Name extends keyof T & string>(
    context: Name,
    handler: (event: TelemetryEvent<T[Name]>, context: AppContext<C, E, F>) => Promise<void>,
    options: StreamFunctionOptions = {},
  ): TelemetryFunction {
    return { kind: 'telemetry', context, options, handler: { each: handler } };
  }

  /** A function for whole batches, across things, for work that is cheaper together. Throwing fails the batch. */
  onTelemetryBatch<Name extends keyof T & string>(
    context: Name,
    handler: (events: TelemetryEvent<T[Name]>[], context: AppContext<C, E, F>) => Promise<BatchAnswered>,
    options: BatchFunctionOptions = {},
  ): TelemetryFunction {
    return { kind: 'telemetry', context, options, handler: { batch: handler } };
  }

  /**
   * A function for what comes of a context within each stretch of time: counts, sums, percentiles, top lists
   * (`aggregates`). There is one state per shard; what comes late counts in the window it arrives in.
   */
  onTelemetryWindow<Name extends keyof T & string, State>(
    context: Name,
    { windowMs, initial, add, close }: Windowed<TelemetryEvent<T[Name]>, State, AppContext<C, E, F>>,
    options: StreamFunctionOptions = {},
  ): TelemetryFunction {
    const handler: WindowedHandler = {
      windowMs,
      // What was kept is what `initial` and `add` have made; the consumer gives it back as it was.
      add: (state, event) => add((state ?? initial()) as State, event),
      close: ({ state, window }, appContext) => close(state as State, window, appContext),
    };
    return { kind: 'telemetry', context, options, handler };
  }

  /** A function for the end of each command, whichever it is: an answer, a time-out, or expiry while offline. */
  onCommandResult<Name extends keyof C & string>(
    command: Name,
    handler: (result: CommandResult<C[Name]>, context: AppContext<C, E, F>) => Promise<void>,
    options: FunctionOptions = {},
  ): CommandResultFunction {
    return { kind: 'commandResult', command, options, handler };
  }

  /**
   * A function for each change of an entity: created, updated, deleted or expired, whoever did it. Changes of one entity
   * come in order, one at a time, at least once, within 24 hours. A function that writes to the entity it listens to is
   * called again for that write: it must come to an end by itself.
   */
  onEntityChange<Name extends keyof E & string>(
    entity: Name,
    handler: (change: EntityChange<E[Name]>, context: AppContext<C, E, F>) => Promise<void>,
    options: StreamFunctionOptions = {},
  ): EntityChangeFunction {
    return { kind: 'entityChange', entity, options, handler: { each: handler } };
  }

  /** A function for whole batches of changes, in order, for work that is cheaper together. Throwing fails the batch. */
  onEntityChangeBatch<Name extends keyof E & string>(
    entity: Name,
    handler: (changes: EntityChange<E[Name]>[], context: AppContext<C, E, F>) => Promise<BatchAnswered>,
    options: BatchFunctionOptions = {},
  ): EntityChangeFunction {
    return { kind: 'entityChange', entity, options, handler: { batch: handler } };
  }

  /**
   * A function for devices that come and go. AWS IoT Core tells it at least once and not always in order: compare
   * `versionNumber`, or what a late disconnect tells is not true any more.
   */
  onPresence(
    handler: (event: PresenceEvent, context: AppContext<C, E, F>) => Promise<void>,
    options: StreamFunctionOptions = {},
  ): PresenceFunction {
    return { kind: 'presence', options, handler: { each: handler } };
  }

  /**
   * A function that is called by the clock, once per time, also when the app was restarted meanwhile; of the times that
   * passed while it was stopped, while it still ran or while it was tried again, only the last one counts. Never two at once.
   */
  onSchedule(
    times: ScheduleTimes,
    handler: (event: ScheduledEvent, context: AppContext<C, E, F>) => Promise<void>,
    options: LaterFunctionOptions<keyof F & string> = {},
  ): ScheduleFunction {
    return { kind: 'schedule', times, options, handler };
  }

  /** The function that is called by this name, now or later. */
  onInvoke<Name extends keyof F & string>(
    name: Name,
    handler: (input: z.output<F[Name]['input']>, context: AppContext<C, E, F>) => Promise<DirectAnswer<F[Name]>>,
    options: LaterFunctionOptions<keyof F & string> = {},
  ): DirectFunction {
    return { kind: 'direct', name, options, handler };
  }

  /**
   * A function for each line that the app has written to a named channel of its log, `context.log.channel('business')`,
   * while the system's log stays apart. Lines of one thing come in order.
   */
  onLogLine(
    channel: string,
    handler: (line: LoggedLine, context: AppContext<C, E, F>) => Promise<void>,
    options: StreamFunctionOptions = {},
  ): LogsFunction {
    return { kind: 'logs', channel, options, handler: { each: handler } };
  }

  /** A function for each record that others have put into a declared stream. Records of one key come in order. */
  onRecords<Name extends keyof S & string>(
    stream: Name,
    handler: (event: StreamEvent<S[Name]>, context: AppContext<C, E, F>) => Promise<void>,
    options: StreamFunctionOptions = {},
  ): RecordsFunction {
    return { kind: 'records', stream, options, handler: { each: handler } };
  }

  /** The same for whole batches. Throwing fails the batch. */
  onRecordsBatch<Name extends keyof S & string>(
    stream: Name,
    handler: (events: StreamEvent<S[Name]>[], context: AppContext<C, E, F>) => Promise<BatchAnswered>,
    options: BatchFunctionOptions = {},
  ): RecordsFunction {
    return { kind: 'records', stream, options, handler: { batch: handler } };
  }

  /** An HTTP route. The path's parameters, the query and the body are validated and typed; all need a bearer token. */
  route<const Path extends string, const O extends RouteOptions>(
    methodAndPath: `${HttpMethod} ${Path}`,
    options: O,
    handler: (request: RouteRequest<Path, O>, context: AppContext<C, E, F>) => Promise<RouteAnswer<O>>,
  ): Route {
    const [method, path] = methodAndPath.split(' ', 2);
    return { method: method as HttpMethod, path, options, handler }; // The template literal type has checked the method.
  }
}

interface ModelParts<
  T extends TelemetryMap,
  C extends CommandMap,
  E extends EntityMap,
  F extends DirectMap,
  S extends StreamMap,
> {
  readonly telemetry: T;
  readonly commands: C;
  readonly entities: E;
  /** Functions that are called by name. Default: none. */
  readonly functions?: F;
  /** Streams that others write to. Default: none. */
  readonly streams?: S;
  /** By context: what decides which of its messages stay in order. Default: `thing` for all. */
  readonly partitionKeys?: { readonly [Context in keyof T]?: PartitionKeyStrategy };
}

// biome-ignore lint/suspicious/noConfusingVoidType: it is only ever what a handler returns.
type DirectAnswer<D extends DirectDefinition> = D['output'] extends z.ZodType ? z.input<D['output']> : void;

/** Throws `app.notValid` when a name cannot be a level of a topic. */
export function defineModel<
  const T extends TelemetryMap,
  const C extends CommandMap,
  const E extends EntityMap,
  const F extends DirectMap = Readonly<Record<never, never>>,
  const S extends StreamMap = Readonly<Record<never, never>>,
>(application: string, parts: ModelParts<T, C, E, F, S>): Model<T, C, E, F, S> {
  checkName('application', application);
  for (const [context, types] of Object.entries(parts.telemetry)) {
    checkName('telemetry context', context);
    for (const type of Object.keys(types)) checkName('telemetry type', type);
  }
  for (const command of Object.keys(parts.commands)) checkName('command', command);
  for (const name of Object.keys(parts.functions ?? {})) checkName('function', name);
  for (const stream of Object.keys(parts.streams ?? {})) checkName('stream', stream);
  return new Model(application, parts);
}

/** The whitepaper's advice for topic levels: lower case letters, digits and dashes. */
function checkName(kind: string, name: string): void {
  if (!/^[a-z0-9][a-z0-9-]{0,63}$/.test(name)) {
    throw appNotValid(`The ${kind} "${name}" cannot be a topic level.`, 'Use 1–64 of a-z, 0-9 and "-".');
  }
}
