/**
 * The functions of a running app: where their handlers run, who may call them, and what is called later or by the clock. How
 * the records of streams come to them is the consumers' business.
 */
import type { Alarms } from '../kernel/alarms.ts';
import type { CallCounter } from '../kernel/call-counter.ts';
import { fromOutside } from '../kernel/causes.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Counters } from '../kernel/counters.ts';
import type { Log } from '../kernel/log.ts';
import type { Random } from '../kernel/random.ts';
import type { ThreadUsage } from '../kernel/usage.ts';
import {
  FunctionHost,
  type FunctionReport,
  functionLimits,
  functionNotFound,
  functionNotInvocable,
  type Invocation,
  type InvocationCall,
  type InvocationReport,
  type Invocations,
  type Isolation,
  isolatedRoom,
  type LaterInvocation,
  LaterQueue,
  type LaterSettings,
  type LoopGuard,
  laterLimits,
  type Place,
} from '../platform/functions/index.ts';
import type { Table } from '../platform/table/index.ts';
import type { AppContext } from './context.ts';
import { letterHandlerMissing, type RedrivenEvent } from './dead-letters/index.ts';
import type { App } from './define-app.ts';
import type { EntityMap } from './entities/index.ts';
import { FunctionStops } from './function-stops.ts';
import type { Served } from './isolated-context.ts';
import type { KeptRecords } from './kept-records.ts';
import { LaterTable } from './later-store.ts';
import type { AppFunction, CommandMap } from './model.ts';
import { Effects } from './once.ts';
import { directCallers, directOf, runStored } from './triggers/direct.ts';
import { Schedules } from './triggers/schedule.ts';

export type AnyContext = AppContext<CommandMap, EntityMap>;

/** What every handler is, its types forgotten: it is given what it was declared for. */
export type Handler = (input: unknown, context: AnyContext) => Promise<unknown>;

/** What a composition may choose of how functions run. */
export interface FunctionsChoices {
  /** Runs isolated functions, which are served with this. Default: they run as the others do. */
  readonly isolation?: (served: Served) => Isolation;
  /** Invocations at once. Default 1,000. */
  readonly concurrencyMax?: number;
  /** Invocations of isolated functions at once: each has a thread. Default 4. */
  readonly isolatedConcurrencyMax?: number;
  /** Default: no processor time is told of functions that are not isolated. */
  readonly usage?: ThreadUsage;
  /** The handler of a function, e.g. of another instance of the app's module. Asked for each invocation that runs here. */
  readonly resolveHandler?: (functionName: string) => Handler | Promise<Handler>;
  /** Every invocation that has ended, was refused, or could not be begun. */
  readonly onInvocation?: (report: InvocationReport) => void;
}

export interface AppFunctionsOptions extends FunctionsChoices {
  readonly app: App;
  readonly table: Table;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly alarms: Alarms;
  readonly counters: Counters;
  readonly newId: () => string;
  readonly loopGuard: LoopGuard;
  readonly invocations: Invocations;
  readonly kept: KeptRecords;
  /** What isolated functions are served with, besides the context. */
  readonly served: Omit<Served, 'context' | 'life' | 'workersMax'>;
  /** What every invocation's context is made of. */
  readonly context: () => Omit<AnyContext, 'invocation' | 'once'>;
  /** Storage has failed. */
  readonly onFailure: (error: unknown) => void;
}

type RedrivenCall = Extract<RedrivenEvent, { readonly functionName: string }>;

/** A function as the operator sees it. */
export interface AppFunctionReport extends FunctionReport {
  /** What it was declared for; a route is one. */
  readonly kind: AppFunction['kind'] | 'route';
  /** Calls that are stored for it and have not ended. */
  readonly queued: number;
}

export class AppFunctions {
  readonly host: FunctionHost;
  /** For the context of handlers. */
  readonly callers: AnyContext['functions'];
  readonly #options: AppFunctionsOptions;
  readonly #queue: LaterQueue;
  readonly #schedules: Schedules;
  readonly #effects: Effects;
  readonly #stops: FunctionStops;

  constructor(options: AppFunctionsOptions) {
    const { app, table, clock, newId, log, counters, kept, onFailure } = options;
    const store = new LaterTable({ table, clock });
    this.#options = options;
    this.#stops = new FunctionStops({ table, onFailure });
    const life = newId();
    this.#effects = new Effects({ table, clock, newId, life });
    const settings = Object.fromEntries(
      Object.entries(app.functions).map(([name, declared]) => [name, declared.options]),
    );
    const { isolatedConcurrencyMax = functionLimits.isolatedConcurrencyMaxDefault } = options;
    const workersMax = isolatedRoom(Object.values(settings), isolatedConcurrencyMax);
    this.host = new FunctionHost({
      ...options,
      isolation: options.isolation?.({ ...options.served, context: options.context, life, workersMax }),
      settings,
      onEnd: (calls, report) => this.#noteEnd(calls, report),
      onNotRun: report => options.onInvocation?.(report),
      onStopped: (functionName, stop) => this.#stops.note(functionName, stop),
    });
    this.#queue = new LaterQueue({
      ...options,
      store,
      host: this.host,
      settingsOf: functionName => this.#laterSettings(functionName),
      run: (place, invocation) => this.#runLater(place, invocation),
      deadLetter: letter => kept.deadInvocation(letter),
      onIdle: functionName => this.#schedules.look(functionName),
    });
    this.#schedules = new Schedules({ store, queue: this.#queue, clock, counters, log, onFailure });
    const { loopGuard } = options;
    this.callers = directCallers({
      app,
      clock,
      newId,
      queue: this.#queue,
      runner: { loopGuard, invoke: (call, work) => this.invoke(call, work) },
      handle: (functionName, input, context) => this.#handle(functionName, input, context as AnyContext), // `invoke`'s
    });
  }

  /** Takes up what was open when the app ended. */
  async start(): Promise<void> {
    this.host.restore(await this.#stops.load());
    await this.#queue.resume();
    for (const [functionName, declared] of Object.entries(this.#options.app.functions)) {
      if (declared.kind === 'schedule') await this.#schedules.start(functionName, declared);
    }
  }

  /** Runs one of the app's handlers, in the context that is made for it. `onEnd` is told of it before its answer is. */
  invoke<T>(
    call: InvocationCall,
    work: (context: AnyContext) => Promise<T>,
    onEnd?: (calls: CallCounter) => void,
  ): Promise<T> {
    return this.host.invoke(call, invocation => work(this.#contextOf(invocation, call.eventId)), onEnd);
  }

  /** The same function, its handler run where it is to run. */
  hosted<F extends AppFunction>(functionName: string, declared: F): F {
    const run: Handler = (input, context) => this.#handle(functionName, input, context);
    const { handler } = declared;
    return { ...declared, handler: hostedHandler(handler, run) }; // It takes what the declared one takes.
  }

  /** What is known of all functions and routes that are declared or have run. */
  reports(): AppFunctionReport[] {
    const { functions } = this.#options.app;
    return this.host.reports().map(report => ({
      ...report,
      kind: Object.hasOwn(functions, report.functionName) ? functions[report.functionName].kind : 'route',
      queued: this.#queue.queued(report.functionName),
    }));
  }

  /** Throws `function.notFound`. */
  reset(functionName: string): void {
    this.host.reset(functionName);
  }

  /**
   * Runs a function for an operator, and resolves with what it answers. A schedule is run for this moment. Throws
   * `function.notFound`, `function.notInvocable`, `function.inputNotValid` and what the function throws.
   */
  async invokeByName(name: string, input: unknown): Promise<unknown> {
    const { app, clock } = this.#options;
    const byModel = Object.hasOwn(app.model.functions, name) ? directOf(app, name).functionName : name;
    const declared = Object.hasOwn(app.functions, byModel) ? app.functions[byModel] : undefined;
    if (declared === undefined) throw functionNotFound(name);
    if (declared.kind === 'direct') {
      const caller: { invoke(input: unknown): Promise<unknown> } = this.callers[declared.name];
      return caller.invoke(input);
    }
    if (declared.kind !== 'schedule') throw functionNotInvocable(name);
    const event = { scheduledAtMs: clock.nowMs() };
    const call = { functionName: byModel, trigger: 'direct', timeoutMs: declared.options.timeoutMs } as const;
    return this.invoke(call, context => this.#handle(byModel, event, context));
  }

  /** Gives a call that was set aside to its function again, once. Rejects with what that throws, and `letter.noHandler`. */
  async redrive({ kind, functionName, eventId, event, cause }: RedrivenCall): Promise<void> {
    if (this.#laterSettings(functionName) === undefined) throw letterHandlerMissing(functionName);
    const trigger = kind === 'tick' ? 'schedule' : 'direct';
    const input = JSON.stringify(event);
    const dueAtMs = this.#options.clock.nowMs();
    const place = await this.host.enter(functionName);
    await this.#runLater(place, { id: eventId, functionName, trigger, input, eventId, cause, dueAtMs, attempts: 1 });
  }

  /** Nothing is begun that would have to wait. */
  stop(): void {
    this.#schedules.stop();
    this.#queue.stop();
    this.host.stop();
  }

  /** Waits for what is at work. */
  async close(): Promise<void> {
    this.stop();
    await this.#queue.close();
    await this.#stops.close();
    await this.host.close();
  }

  async #handle(functionName: string, input: unknown, context: AnyContext): Promise<unknown> {
    const { invocation } = context;
    const worker = this.host.workerOf(invocation);
    if (worker !== undefined) return worker.run({ input, invocation });
    const { resolveHandler = name => handlerOf(this.#options.app.functions[name]) } = this.#options;
    const handler = await resolveHandler(functionName);
    return handler(input, context);
  }

  #contextOf(invocation: Invocation, eventId: string | undefined): AnyContext {
    return { ...this.#options.context(), invocation, once: this.#effects.onceFor(invocation, eventId) };
  }

  #noteEnd(calls: CallCounter, report: InvocationReport): void {
    this.#options.invocations.note(calls);
    this.#options.onInvocation?.(report);
  }

  // --- What is called later ---------------------------------------------------------------------------------------

  #laterSettings(functionName: string): LaterSettings | undefined {
    const { app } = this.#options;
    const declared = Object.hasOwn(app.functions, functionName) ? app.functions[functionName] : undefined;
    if (declared?.kind !== 'direct' && declared?.kind !== 'schedule') return undefined;
    const { attemptsMax, eventAgeMsMax, onSuccess, onFailure } = declared.options;
    return {
      attemptsMax: attemptsMax ?? laterLimits.attemptsMaxDefault,
      eventAgeMsMax: eventAgeMsMax ?? laterLimits.eventAgeMsMaxDefault,
      ...(onSuccess !== undefined && { onSuccess: directOf(app, onSuccess).functionName }),
      ...(onFailure !== undefined && { onFailure: directOf(app, onFailure).functionName }),
    };
  }

  #runLater(place: Place, stored: LaterInvocation): Promise<unknown> {
    const { app } = this.#options;
    const { functionName, trigger, eventId, cause = fromOutside(stored.id), attempts: attempt } = stored;
    const declared = app.functions[functionName];
    const { timeoutMs } = declared.options;
    const call = { functionName, trigger, eventId, cause, attempt, timeoutMs };
    return place.invoke(call, invocation => {
      const context = this.#contextOf(invocation, eventId);
      const run = (input: unknown) => this.#handle(functionName, input, context);
      return declared.kind === 'direct'
        ? runStored(directOf(app, declared.name), stored, run)
        : run(JSON.parse(stored.input));
    });
  }
}

/** As the app declares it. The dispatcher has validated what it is given. */
export function handlerOf({ handler }: AppFunction): Handler {
  return runOf(handler) as Handler; // It is only given what it was declared for.
}

function runOf(handler: AppFunction['handler']): unknown {
  if (typeof handler === 'function') return handler;
  if ('each' in handler) return handler.each;
  return 'batch' in handler ? handler.batch : handler.close;
}

/** What a window adds up is pure and stays here; only what is made of it is run as a function. */
function hostedHandler(handler: AppFunction['handler'], run: Handler): unknown {
  if (typeof handler === 'function') return run;
  if ('each' in handler) return { each: run };
  return 'batch' in handler ? { batch: run } : { ...handler, close: run };
}
