/**
 * The thread of an isolated function: loads the app itself, and runs one invocation at a time. It may hang, leak or exit:
 * the thread of the app ends it and starts another.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { handlerOf, isolatedContexts } from '../app/index.ts';
import { asCaller, currentCaller } from '../kernel/callers.ts';
import { systemClock } from '../kernel/clock.ts';
import { messageOf } from '../kernel/errors.ts';
import { systemRandom } from '../kernel/random.ts';
import { systemUsage } from '../kernel/usage.ts';
import type { Invocation } from '../platform/functions/index.ts';
import { loadApp } from './app-module.ts';
import { inward, outward } from './crossing.ts';
import type { IsolatedThreadData, ToApp, ToIsolated } from './isolated-messages.ts';

const { appUrl, functionName, cursorKey, life } = workerData as IsolatedThreadData; // Given by IsolatedThread.
const port = parentPort;
if (!port) throw new Error('This module is the entry of the thread of an isolated function.');
const post = (message: ToApp) => port.postMessage(message);

const calls = new Map<
  number,
  { readonly resolve: (value: unknown) => void; readonly reject: (error: unknown) => void }
>();
let nextId = 1;
let aborting = new AbortController();
let building: Readonly<Record<string, number>> = {};

const app = await loadApp(appUrl).catch((error: unknown) => {
  post({ type: 'notLoadable', reason: messageOf(error) });
  throw error;
});
const handler = handlerOf(app.functions[functionName]);
const contextFor = isolatedContexts({
  app,
  clock: systemClock,
  random: systemRandom,
  cursorKey,
  life,
  call,
  note: (path, args) => post({ type: 'note', path, args: outward(args) }),
  buildingOf: part => building[part],
});
port.on('message', (message: ToIsolated) => {
  if (message.type === 'run') void run(message);
  else if (message.type === 'abort') aborting.abort(inward(message.reason));
  else settle(message);
});
post({ type: 'ready' });

async function run(message: Extract<ToIsolated, { type: 'run' }>): Promise<void> {
  const { input, requestId, attempt, depth, remainingMs, caller } = message;
  const startedMs = systemClock.monotonicMs();
  const cpuMs = systemUsage.cpuMs();
  aborting = new AbortController();
  const { signal } = aborting;
  building = message.building;
  const invocation: Invocation = {
    requestId,
    functionName,
    attempt,
    depth,
    signal,
    remainingMs: () => Math.max(0, startedMs + remainingMs - systemClock.monotonicMs()),
  };
  const measures = () => ({ cpuMs: systemUsage.cpuMs() - cpuMs, memoryBytes: systemUsage.memoryBytes() });
  try {
    const handle = async () => handler(inward(input), contextFor(invocation, caller.eventId));
    const value = outward(await asCaller({ ...caller, functionName, requestId }, handle));
    post({ type: 'done', value, measures: measures() });
  } catch (error) {
    post({ type: 'failed', error: outward(error), measures: measures() });
  }
}

function call(path: readonly string[], args: readonly unknown[]): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const id = nextId++;
    const { accessPattern, isCounted } = currentCaller() ?? {};
    post({ type: 'call', id, path, args: outward(args), accessPattern, isCounted }); // Throws for what cannot be posted.
    calls.set(id, { resolve, reject });
  });
}

function settle(message: Extract<ToIsolated, { type: 'answer' | 'refusal' }>): void {
  const waiting = calls.get(message.id);
  calls.delete(message.id);
  if (message.type === 'answer') waiting?.resolve(inward(message.value));
  else waiting?.reject(inward(message.error));
}
