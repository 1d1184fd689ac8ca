import { appNotValid } from './errors.ts';
import { checkFunctionOptions } from './function-options.ts';
import type { AppFunction, Route } from './model.ts';
import type { AnyModel } from './topics.ts';

export interface AppParts {
  /** The name of each function is its key here: it names the consumer's checkpoint, so renaming starts it over. */
  readonly functions: Readonly<Record<string, AppFunction>>;
  readonly routes: readonly Route[];
  /** An HTML file shown at `/`. */
  readonly page?: URL;
}

/** A whole app as one value: everything else (topics, policies, consumers, HTTP API, OpenAPI) is derived from it. */
export interface App extends AppParts {
  readonly model: AnyModel;
}

/** Gathers an app and checks that its parts fit together. Throws `app.notValid`. */
export function defineApp(model: { readonly application: string }, parts: AppParts): App {
  const app: App = { model: model as AnyModel, ...parts }; // Models differ only in what their parts are typed as.
  checkFunctions(app);
  checkFunctionOptions(app.model, app.functions);
  checkRoutes(app);
  if (Object.keys(app.model.streams).length > appLimits.streamsMax) {
    throw appNotValid('The app declares too many streams.', `Declare at most ${appLimits.streamsMax}.`);
  }
  return app;
}

export const appLimits = {
  streamsMax: 16, // ours: declared streams; each has words of the threads' shared memory
  consumerFunctionsMax: 63, // ours: each is a consumer that reads a stream for itself and is watched for hanging
} as const;

function checkFunctions({ model, functions }: App): void {
  const readsNothing = new Set(['commandResult', 'direct', 'schedule']);
  const consumers = Object.values(functions).filter(({ kind }) => !readsNothing.has(kind)).length;
  if (consumers > appLimits.consumerFunctionsMax) {
    const fix = `Let one function handle several types of a context; at most ${appLimits.consumerFunctionsMax} read a stream.`;
    throw appNotValid(`The app has ${consumers} functions for telemetry and changes.`, fix);
  }
  const resultOf = new Map<string, string>();
  for (const [name, declared] of Object.entries(functions)) {
    if (!isInModel(model, declared))
      throw appNotValid(`The function ${name} is for something the model lacks.`, 'Declare it in the model.');
    if (declared.kind !== 'commandResult') continue;
    const other = resultOf.get(declared.command);
    if (other) {
      throw appNotValid(`${other} and ${name} both take the results of ${declared.command}.`, 'Keep one of them.');
    }
    resultOf.set(declared.command, name);
  }
}

function isInModel(model: AnyModel, declared: AppFunction): boolean {
  switch (declared.kind) {
    case 'telemetry':
      return Object.hasOwn(model.telemetry, declared.context);
    case 'entityChange':
      return Object.hasOwn(model.entities, declared.entity);
    case 'commandResult':
      return Object.hasOwn(model.commands, declared.command);
    case 'direct':
      return Object.hasOwn(model.functions, declared.name);
    case 'records':
      return Object.hasOwn(model.streams, declared.stream);
    case 'presence':
    case 'schedule':
    case 'logs':
      return true;
  }
}

/** Two routes are ambiguous when one request could be either: the same method and shape of path. */
function checkRoutes({ routes }: App): void {
  const seen = new Map<string, string>();
  for (const { method, path } of routes) {
    if (!/^(\/([a-z0-9._-]+|\{[a-zA-Z]+\}))+$/.test(path)) {
      throw appNotValid(`The path ${path} is not valid.`, 'Write it like /v1/speakers/{speakerId}.');
    }
    const shape = `${method} ${path.replaceAll(/\{[^}]+\}/g, '{}')}`;
    const other = seen.get(shape);
    if (other) throw appNotValid(`${method} ${path} and ${other} are the same route.`, 'Remove or rename one of them.');
    seen.set(shape, path);
  }
}
