import type { z } from 'zod';
import type { AppContext, CommandResult, EntityChange, RouteAnswer, RouteRequest, TelemetryEvent } from './context.ts';
import type { EntityMap } from './entities/index.ts';
import { appNotValid } from './errors.ts';

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

export interface FunctionOptions {
  /** One invocation may take this long. Default 3 s, Lambda's. */
  readonly timeoutMs?: number;
  /** Default 3; then the record is dead-lettered. */
  readonly attemptsMax?: number;
}

export interface BatchFunctionOptions extends FunctionOptions {
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
  readonly handler:
    | { readonly each: (event: never, context: never) => Promise<void> }
    | { readonly batch: (events: never, context: never) => Promise<void> };
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
  readonly handler:
    | { readonly each: (change: never, context: never) => Promise<void> }
    | { readonly batch: (changes: never, context: never) => Promise<void> };
}

export type AppFunction = TelemetryFunction | CommandResultFunction | EntityChangeFunction;

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
export class Model<T extends TelemetryMap, C extends CommandMap, E extends EntityMap> {
  readonly application: string;
  readonly telemetry: T;
  readonly commands: C;
  readonly entities: E;

  constructor(application: string, parts: { telemetry: T; commands: C; entities: E }) {
    this.application = application;
    this.telemetry = parts.telemetry;
    this.commands = parts.commands;
    this.entities = parts.entities;
  }

  /** A function for each message of a context. Messages of one thing come in order, one at a time. */
  onTelemetry<Name extends keyof T & string>(
    context: Name,
    handler: (event: TelemetryEvent<T[Name]>, context: AppContext<C, E>) => Promise<void>,
    options: FunctionOptions = {},
  ): TelemetryFunction {
    return { kind: 'telemetry', context, options, handler: { each: handler } };
  }

  /** A function for whole batches, across things, for work that is cheaper together. Throwing fails the batch. */
  onTelemetryBatch<Name extends keyof T & string>(
    context: Name,
    handler: (events: TelemetryEvent<T[Name]>[], context: AppContext<C, E>) => Promise<void>,
    options: BatchFunctionOptions = {},
  ): TelemetryFunction {
    return { kind: 'telemetry', context, options, handler: { batch: handler } };
  }

  /** A function for the end of each command, whichever it is: an answer, a time-out, or expiry while offline. */
  onCommandResult<Name extends keyof C & string>(
    command: Name,
    handler: (result: CommandResult<C[Name]>, context: AppContext<C, E>) => Promise<void>,
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
    handler: (change: EntityChange<E[Name]>, context: AppContext<C, E>) => Promise<void>,
    options: FunctionOptions = {},
  ): EntityChangeFunction {
    return { kind: 'entityChange', entity, options, handler: { each: handler } };
  }

  /** A function for whole batches of changes, in order, for work that is cheaper together. Throwing fails the batch. */
  onEntityChangeBatch<Name extends keyof E & string>(
    entity: Name,
    handler: (changes: EntityChange<E[Name]>[], context: AppContext<C, E>) => Promise<void>,
    options: BatchFunctionOptions = {},
  ): EntityChangeFunction {
    return { kind: 'entityChange', entity, options, handler: { batch: handler } };
  }

  /** An HTTP route. The path's parameters, the query and the body are validated and typed; all need a bearer token. */
  route<const Path extends string, const O extends RouteOptions>(
    methodAndPath: `${HttpMethod} ${Path}`,
    options: O,
    handler: (request: RouteRequest<Path, O>, context: AppContext<C, E>) => Promise<RouteAnswer<O>>,
  ): Route {
    const [method, path] = methodAndPath.split(' ', 2);
    return { method: method as HttpMethod, path, options, handler }; // The template literal type has checked the method.
  }
}

/** Throws `app.notValid` when a name cannot be a level of a topic. */
export function defineModel<const T extends TelemetryMap, const C extends CommandMap, const E extends EntityMap>(
  application: string,
  parts: { telemetry: T; commands: C; entities: E },
): Model<T, C, E> {
  checkName('application', application);
  for (const [context, types] of Object.entries(parts.telemetry)) {
    checkName('telemetry context', context);
    for (const type of Object.keys(types)) checkName('telemetry type', type);
  }
  for (const command of Object.keys(parts.commands)) checkName('command', command);
  return new Model(application, parts);
}

/** The whitepaper's advice for topic levels: lower case letters, digits and dashes. */
function checkName(kind: string, name: string): void {
  if (!/^[a-z0-9][a-z0-9-]{0,63}$/.test(name)) {
    throw appNotValid(`The ${kind} "${name}" cannot be a topic level.`, 'Use 1–64 of a-z, 0-9 and "-".');
  }
}
