/** What isolated functions ask for, done on the thread of the app, on behalf of the invocation that asks. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { isolatedCalls, type Served } from '../app/index.ts';
import { asCaller } from '../kernel/callers.ts';
import { MimamoriError } from '../kernel/errors.ts';
import type { AppLog } from '../kernel/log.ts';
import { tooManyCalls } from '../platform/functions/index.ts';
import { inward, outward } from './crossing.ts';
import type { ToApp, ToIsolated } from './isolated-messages.ts';

export const isolatedCallsMax = 1_000; // ours: of one worker, under way at once; each may hold a megabyte

type Method = (...args: readonly unknown[]) => unknown;

/** The calls of one invocation. */
export class IsolatedCalls {
  readonly #served: Served;
  readonly #functionName: string;
  readonly #post: (message: ToIsolated) => void;
  /** Runs as the invocation that this was made in. */
  readonly #onBehalf = AsyncLocalStorage.snapshot();
  #underWay = 0;

  constructor(served: Served, functionName: string, post: (message: ToIsolated) => void) {
    this.#served = served;
    this.#functionName = functionName;
    this.#post = post;
  }

  async answer({ id, path, args, accessPattern, isCounted }: Extract<ToApp, { type: 'call' }>): Promise<void> {
    this.#underWay++;
    try {
      if (this.#underWay > isolatedCallsMax) throw tooManyCalls(this.#functionName, isolatedCallsMax);
      const make = () => asCaller({ accessPattern, isCounted }, async () => this.#call(path, args));
      const value = outward(await this.#onBehalf(make));
      this.#post({ type: 'answer', id, value });
    } catch (error) {
      this.#post({ type: 'refusal', id, error: outward(error) });
    } finally {
      this.#underWay--;
    }
  }

  note({ path, args }: Extract<ToApp, { type: 'note' }>): void {
    this.#onBehalf(() => void this.#call(path, args));
  }

  #call(path: readonly string[], args: unknown): unknown {
    const method = this.#methodAt(path);
    if (method === undefined) throw noSuchCall(path);
    return method(...(inward(args) as readonly unknown[])); // As the other side posts them.
  }

  /** Only what an isolated function may call. */
  #methodAt([port, name = '', method = '']: readonly string[]): Method | undefined {
    const { table } = this.#served;
    const context = this.#served.context();
    if (port === 'table') return methodOf(table, name, isolatedCalls.table);
    if (port === 'iot') return methodOf(context.iot, name, isolatedCalls.iot);
    if (port === 'metrics') return methodOf(context.metrics, name, isolatedCalls.metrics);
    if (port === 'channel') return (of, ...line) => channelMethod(context.log, of, name)?.(...line);
    if (port === 'log') return methodOf(context.log, name, isolatedCalls.log);
    if (port === 'announce') return context.announce as Method;
    if (port === 'commands') return methodOf(ownOf(context.commands, name), method, isolatedCalls.command);
    if (port === 'functions') return methodOf(ownOf(context.functions, name), method, isolatedCalls.function);
    return undefined;
  }
}

/** @param of  the channel's name and retention */
function channelMethod(log: AppLog, of: unknown, level: string): Method | undefined {
  return methodOf(log.channel(...(of as Parameters<AppLog['channel']>)), level, isolatedCalls.log); // As the context gives it.
}

function ownOf(parts: object, name: string): object | undefined {
  return Object.hasOwn(parts, name) ? (parts as Record<string, object>)[name] : undefined; // Each is an object of methods.
}

function methodOf(of: object | undefined, name: string, names: readonly string[]): Method | undefined {
  if (of === undefined || !names.includes(name)) return undefined;
  const method: unknown = Reflect.get(of, name);
  return typeof method === 'function' ? (...args) => Reflect.apply(method, of, args) : undefined;
}

const noSuchCall = (path: readonly string[]) =>
  new MimamoriError({
    code: 'function.noSuchCall',
    message: `An isolated function cannot call ${path.join('.').slice(0, 200)}.`,
    fix: 'Declare what it calls in the model; see the README of functions for what there is.',
  });
