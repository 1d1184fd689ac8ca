import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { App } from '../app/index.ts';
import { MimamoriError, messageOf } from '../kernel/errors.ts';

/** Finds the module of an app given as a folder (its `app.ts` or `app.js`) or as a file. Throws `app.notFound`. */
export function findAppModule(appPath: string): URL {
  const absolute = path.resolve(appPath);
  const candidates = [absolute, path.join(absolute, 'app.ts'), path.join(absolute, 'app.js')];
  const found = candidates.find(candidate => existsSync(candidate) && statSync(candidate).isFile());
  if (!found) throw appNotFound(appPath);
  return pathToFileURL(found);
}

/** The simulation that belongs to an app, if it has one: `simulation.ts` beside it. */
export function findSimulation(appUrl: URL): URL | undefined {
  const extension = path.extname(appUrl.pathname);
  const url = new URL(`./simulation${extension}`, appUrl);
  return existsSync(fileURLToPath(url)) ? url : undefined;
}

/** Throws `app.notLoadable`, and what the app's definition is refused with. */
export async function loadApp(appUrl: string): Promise<App> {
  let module: { default?: App };
  try {
    module = await import(appUrl);
  } catch (cause) {
    if (cause instanceof MimamoriError) throw cause; // It says what is wrong with the app, and what to do, better than we can.
    throw appNotLoadable(appUrl, messageOf(cause), cause);
  }
  if (!module.default?.model) throw appNotLoadable(appUrl, 'its default export is not made with defineApp', undefined);
  return module.default;
}

const appNotFound = (appPath: string) =>
  new MimamoriError({
    code: 'app.notFound',
    message: `There is no app at ${appPath}.`,
    fix: 'Give the folder that holds app.ts, or the file itself.',
  });

const appNotLoadable = (appUrl: string, reason: string, cause: unknown) =>
  new MimamoriError({
    code: 'app.notLoadable',
    message: `${appUrl} cannot be loaded: ${reason}.`,
    fix: 'Correct the module; `npx tsc` shows type errors.',
    cause,
  });
