import type { z } from 'zod';
import type { Iot } from '../iot/port.ts';
import type { Clock } from '../kernel/clock.ts';
import type { AppLog } from '../kernel/log.ts';
import type { Metrics } from '../kernel/metrics.ts';
import type { Invocation } from '../platform/functions/index.ts';
import type { Table } from '../platform/table/index.ts';
import type { AttributesOf, EntityDefinition, EntityMap, Repositories } from './entities/index.ts';
import type {
  CommandDefinition,
  CommandMap,
  DirectDefinition,
  DirectMap,
  Model,
  RouteOptions,
  StreamDefinition,
  TelemetryMap,
  TelemetryTypes,
} from './model.ts';
import type { ParallelOptions, Settled } from './parallel.ts';

/** Everything a handler may touch. Time and ids come from here too, so that a test can own them. */
export interface AppContext<C extends CommandMap, E extends EntityMap, F extends DirectMap = DirectMap> {
  readonly entities: Repositories<E>;
  readonly commands: { readonly [Name in keyof C]: CommandSender<C[Name]> };
  /** Functions of this app that are called by name. */
  readonly functions: { readonly [Name in keyof F]: FunctionCaller<F[Name]> };
  /** The invocation that the handler runs in. */
  readonly invocation: Invocation;
  /** Does what must not be done again when its event is told again. */
  readonly once: Once;
  readonly iot: Iot;
  /** The table itself, for what entities do not cover. */
  readonly table: Table;
  readonly clock: Clock;
  /** A new id that sorts by time. */
  readonly newId: () => string;
  /** Work on many items, a few at a time; what fails is tried again, and told beside what succeeded. */
  readonly inParallel: <Item, Result>(
    items: readonly Item[],
    work: (item: Item) => Promise<Result>,
    options?: Omit<ParallelOptions<Item>, 'clock' | 'random'>,
  ) => Promise<Settled<Result>[]>;
  readonly log: AppLog;
  /** What is worth counting, shown by `mimamori metrics` and to Prometheus. */
  readonly metrics: Metrics;
  /** Tells whoever watches `audience` (an open page, the terminal) what has just happened. Not stored. */
  readonly announce: (audience: string, announcement: Announcement) => void;
}

/** The context that handlers of a model work in: `ContextOf<typeof model>`. */
export type ContextOf<M> = M extends Model<TelemetryMap, infer C, infer E, infer F> ? AppContext<C, E, F> : never;

export interface Announcement {
  readonly type: string;
  readonly [fact: string]: string | number | boolean | undefined;
}

/** One message of a device, decoded and valid. `type` tells which of the context's schemas `payload` fits. */
export type TelemetryEvent<Types extends TelemetryTypes> = {
  [Type in keyof Types & string]: {
    readonly type: Type;
    readonly payload: z.output<Types[Type]>;
    readonly thingName: string;
    readonly topic: string;
    /** When the backend received it, Unix epoch milliseconds. */
    readonly receivedAtMs: number;
    /** Identifies the message: the same again when it is redelivered. */
    readonly sequenceNumber: bigint;
  };
}[keyof Types & string];

/** One record that was put into a stream, decoded and valid. */
export interface StreamEvent<D extends StreamDefinition> {
  readonly record: z.output<D['record']>;
  readonly partitionKey: string;
  /** When the stream took it, Unix epoch milliseconds. */
  readonly arrivalAtMs: number;
  /** Identifies the record within its shard: the same again when it is redelivered. */
  readonly sequenceNumber: bigint;
}

/** One time of a schedule. */
export interface ScheduledEvent {
  /** The time it is for, Unix epoch milliseconds; it may be later by now. The same again when it is tried again. */
  readonly scheduledAtMs: number;
}

export interface FunctionCaller<D extends DirectDefinition> {
  /**
   * Runs it now and resolves with its answer. Throws what it throws, `function.throttled`, `function.budgetExceeded`,
   * `function.inputNotValid` and `function.loop`.
   */
  invoke(input: z.input<D['input']>): Promise<D['output'] extends z.ZodType ? z.output<D['output']> : undefined>;
  /**
   * Stores the call, then runs it: soon, or when `delayMs` is over. What fails is tried again, then dead-lettered. Resolves
   * when it is stored. A second call with the same `idempotencyKey` within 24 h does nothing. The input must be JSON. Throws
   * `function.inputNotValid`, `function.inputTooLarge` and `function.queueFull`.
   */
  invokeLater(
    input: z.input<D['input']>,
    options?: { readonly delayMs?: number; readonly idempotencyKey?: string },
  ): Promise<void>;
}

/**
 * Does `work` once and keeps what it answers, as JSON; whoever comes later with the same effect and key gets that answer. One
 * that comes while it is under way waits for it, until its own time is over, and is refused with `function.inProgress`
 * then. What throws is not kept, and is done again. Throws `function.keyMissing`, `function.resultNotValid`.
 * @param effect  what it does, e.g. `charge`: its name within the function
 */
export type Once = <Result>(effect: string, work: () => Promise<Result>, options?: OnceOptions) => Promise<Result>;

export interface OnceOptions {
  /** Of what it is about. Default: the event of the invocation, which is the same when it is told again. */
  readonly key?: string;
  /** How long it is kept. Default 24 h. */
  readonly ttlMs?: number;
}

/** What happened to one entity. Told at least once, in the order of the changes of that entity. */
export type EntityChange<D extends EntityDefinition> = {
  /** When it was made, Unix epoch milliseconds. */
  readonly changedAtMs: number;
  /** Identifies the change: the same again when it is told again. */
  readonly sequenceNumber: bigint;
} & (
  | { readonly type: 'INSERT'; readonly newImage: AttributesOf<D>; readonly oldImage: undefined }
  | { readonly type: 'MODIFY'; readonly newImage: AttributesOf<D>; readonly oldImage: AttributesOf<D> }
  | {
      readonly type: 'REMOVE';
      readonly newImage: undefined;
      readonly oldImage: AttributesOf<D>;
      /** Removed because its time to live was over, not by anybody. */
      readonly isExpired: boolean;
    }
);

export interface CommandSender<D extends CommandDefinition> {
  /**
   * Stores the command, then sends it; an offline thing gets it when it returns. Resolves when it is stored.
   * A second call with the same `sessionId` does nothing, so a redelivered event may repeat it.
   */
  send(command: {
    readonly thingName: string;
    readonly sessionId: string;
    /** The request without its sessionId, which is added. */
    readonly request: Omit<z.input<D['request']>, 'sessionId'>;
    /** Not sent any more after this; default 24 h from now. */
    readonly expiresAtMs?: number;
  }): Promise<void>;
  /** The command is not sent any more; its result function is not called. Content when it has ended already. */
  cancel(sessionId: string): Promise<void>;
}

/** How a command ended. */
export type CommandResult<D extends CommandDefinition> = {
  readonly thingName: string;
  readonly sessionId: string;
  readonly request: z.output<D['request']>;
  readonly sentAtMs: number;
} & (
  | { readonly outcome: 'answered'; readonly response: z.output<D['response']> }
  | { readonly outcome: 'timedOut' | 'expired'; readonly response: undefined }
);

type PathParameters<Path extends string> = Path extends `${string}{${infer Name}}${infer Rest}`
  ? Name | PathParameters<Rest>
  : never;

export interface RouteRequest<Path extends string, O extends RouteOptions> {
  readonly params: { readonly [Name in PathParameters<Path>]: string };
  readonly query: O['query'] extends z.ZodType ? z.output<O['query']> : undefined;
  readonly body: O['body'] extends z.ZodType ? z.output<O['body']> : undefined;
  /** The subject of the bearer token. */
  readonly user: string;
}

// biome-ignore lint/suspicious/noConfusingVoidType: it is only ever what a handler returns.
export type RouteAnswer<O extends RouteOptions> = O['answer'] extends z.ZodType ? z.input<O['answer']> : void;
