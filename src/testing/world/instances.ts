/**
 * Copies of an app's modules. AWS runs a function in several instances, and ends them when it likes: what one invocation
 * leaves in memory is not there for the next. Here each start of an app imports its own files anew, several times, so that
 * what is hidden in a module's variables shows. The package and dependencies are shared by all copies.
 */
import { registerHooks } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { App } from '../../app/index.ts';
import { loadApp } from '../../local/index.ts';
import { testingLimits } from '../limits.ts';

const parameter = 'mimamori-instance';
const packageSources = new URL('../../', import.meta.url).href;

let isHooked = false;
let made = 0;

/** Fresh copies of the app at `appUrl`, as many as `count`. Throws `app.notLoadable`. */
export async function importInstances(appUrl: URL, count: number): Promise<App[]> {
  if (!isHooked) registerHooks({ resolve: resolveInstance });
  isHooked = true;
  const apps: App[] = [];
  for (let index = 0; index < count; index++) {
    const url = new URL(appUrl);
    url.searchParams.set(parameter, String(made++ % testingLimits.instancesMax));
    apps.push(await loadApp(url.href));
  }
  return apps;
}

type Resolve = NonNullable<Parameters<typeof registerHooks>[0]['resolve']>;

/** A file of the app that is imported by one of a copy belongs to that copy, too. */
const resolveInstance: Resolve = (specifier, context, nextResolve) => {
  const resolved = nextResolve(specifier, context);
  const parent = context.parentURL;
  const instance = parent?.startsWith('file:') ? new URL(parent).searchParams.get(parameter) : null;
  if (instance === null || !isOwnFile(resolved.url)) return resolved;
  const url = new URL(resolved.url);
  url.searchParams.set(parameter, instance);
  return { ...resolved, url: url.href };
};

function isOwnFile(url: string): boolean {
  if (!url.startsWith('file:') || url.startsWith(packageSources)) return false;
  const file = fileURLToPath(url);
  return /\.[cm]?[jt]s$/.test(file) && !file.includes(`${path.sep}node_modules${path.sep}`);
}
