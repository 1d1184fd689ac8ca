/** The app as the backend is given it: each handler runs in one of several copies, and what it does is watched. */
import type { App } from '../../app/index.ts';
import type { AppFunction, Route } from '../../app/model.ts';
import type { Activity } from './activity.ts';
import { AwaitedWork, type HandlerContext } from './awaited-work.ts';

export interface WatchedAppOptions {
  readonly activity: Activity;
  readonly isStrict: boolean;
  readonly onProblem: (error: Error) => void;
}

/** Whatever a handler takes; the schemas it was typed by have been checked by whoever calls it. */
type AnyHandler = (input: unknown, context: unknown) => Promise<unknown>;

/** @param copies  of the same app; the first one's model is the model */
export function watchedApp(copies: readonly App[], options: WatchedAppOptions): App {
  const [app] = copies;
  const functions = Object.entries(app.functions).map(([name, declared]): [string, AppFunction] => {
    const handlers = copies.map(copy => copy.functions[name].handler);
    return [name, { ...declared, handler: watchedHandler(name, handlers, options) } as AppFunction]; // Of the same kind.
  });
  const routes = app.routes.map((route, index): Route => {
    const handlers = copies.map(copy => copy.routes[index].handler as AnyHandler);
    const name = `${route.method} ${route.path}`;
    return { ...route, handler: inTurns(name, handlers, options) };
  });
  return { ...app, functions: Object.fromEntries(functions), routes };
}

/** Handlers of a function are functions, or one of two forms that hold one. */
function watchedHandler(
  name: string,
  handlers: readonly AppFunction['handler'][],
  options: WatchedAppOptions,
): unknown {
  for (const form of ['each', 'batch'] as const) {
    if (form in handlers[0]) {
      const inner = handlers.map(handler => Reflect.get(handler, form) as AnyHandler);
      return { [form]: inTurns(name, inner, options) };
    }
  }
  return inTurns(name, handlers as readonly AnyHandler[], options);
}

/** Each invocation runs in another copy than the one before. */
function inTurns(name: string, handlers: readonly AnyHandler[], options: WatchedAppOptions): AnyHandler {
  let invocations = 0;
  return (input, context) => {
    const handler = handlers[invocations++ % handlers.length];
    return runWatched(name, context as HandlerContext, options, watched => handler(input, watched)); // As all contexts are.
  };
}

async function runWatched(
  name: string,
  context: HandlerContext,
  { activity, isStrict, onProblem }: WatchedAppOptions,
  run: (context: HandlerContext) => Promise<unknown>,
): Promise<unknown> {
  const running = activity.handlerBegins(name);
  const work = new AwaitedWork({ running, isStrict, onProblem });
  const end = (outcome: 'succeeded' | 'failed') => {
    activity.handlerEnds(running);
    work.end(outcome);
  };
  context.invocation.signal.addEventListener('abort', () => end('failed'), { once: true });
  try {
    const answer = await run(work.contextFrom(context));
    end('succeeded');
    return answer;
  } catch (error) {
    end('failed');
    throw error;
  }
}
