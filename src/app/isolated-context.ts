/** The context of an isolated function, on its own thread: what it asks for is done on the thread of the app. */
import type { Iot } from '../iot/port.ts';
import type { Clock } from '../kernel/clock.ts';
import { idMaker } from '../kernel/ids.ts';
import type { AppLog } from '../kernel/log.ts';
import type { Metrics } from '../kernel/metrics.ts';
import type { Random } from '../kernel/random.ts';
import type { Invocation } from '../platform/functions/index.ts';
import type { Table } from '../platform/table/index.ts';
import type { AnyContext } from './app-functions.ts';
import type { App } from './define-app.ts';
import { makeRepositories, patientTable } from './entities/index.ts';
import { Effects } from './once.ts';
import { inParallel } from './parallel.ts';

/** What of a context is a port: its calls, by name, that an isolated function may make. Others are not there. */
export const isolatedCalls = {
  table: ['get', 'put', 'delete', 'update', 'query', 'scan', 'batchGet', 'batchWrite', 'transactGet', 'transactWrite'],
  iot: ['publish', 'createThing', 'deleteThing', 'listConnections', 'counters'],
  command: ['send', 'cancel'],
  function: ['invoke', 'invokeLater'],
  log: ['debug', 'info', 'warn', 'error'],
  metrics: ['count', 'gauge', 'duration'],
} as const;

/** What isolated functions are served with, on the thread of the app. */
export interface Served {
  readonly context: () => Omit<AnyContext, 'invocation' | 'once'>;
  /** That of the context without its patience: repositories bring their own. */
  readonly table: Table;
  /** Access patterns that are being filled, and how many records have been looked at. */
  readonly building: () => Readonly<Record<string, number>>;
  readonly cursorKey: Uint8Array;
  /** As in `EffectsOptions`. */
  readonly life: string;
  /** Workers that may be needed at once. */
  readonly workersMax: number;
}

export interface IsolatedContextOptions {
  readonly app: App;
  readonly clock: Clock;
  readonly random: Random;
  readonly cursorKey: Uint8Array;
  /** As in `EffectsOptions`. */
  readonly life: string;
  /** Makes a call on the thread of the app, and gives its answer. */
  readonly call: (path: readonly string[], args: readonly unknown[]) => Promise<unknown>;
  /** Tells the thread of the app something. */
  readonly note: (path: readonly string[], args: readonly unknown[]) => void;
  /** How many records have been looked at, while an access pattern is being filled. */
  readonly buildingOf: (part: string) => number | undefined;
}

/** A context for each invocation, over what they share. */
export function isolatedContexts(
  options: IsolatedContextOptions,
): (invocation: Invocation, eventId?: string) => AnyContext {
  const { app, clock, random, cursorKey, life, call, note, buildingOf } = options;
  const calls = (names: readonly string[], ...path: string[]) =>
    Object.fromEntries(names.map(name => [name, (...args: unknown[]) => call([...path, name], args)]));
  const each = (parts: object, names: readonly string[], kind: string) =>
    Object.fromEntries(Object.keys(parts).map(name => [name, calls(names, kind, name)]));
  // The casts: the other side has these methods, and passes on what they are given and give.
  const table = { ...calls(isolatedCalls.table, 'table'), close: async () => {} } as unknown as Table;
  const iot = calls(isolatedCalls.iot, 'iot') as unknown as Iot;
  const commands = each(app.model.commands, isolatedCalls.command, 'commands') as unknown as AnyContext['commands'];
  const functions = each(
    app.model.functions,
    isolatedCalls.function,
    'functions',
  ) as unknown as AnyContext['functions'];
  const notes = (names: readonly string[], path: string, ...first: unknown[]) =>
    Object.fromEntries(names.map(name => [name, (...args: unknown[]) => note([path, name], [...first, ...args])]));
  const channel: AppLog['channel'] = (...of) => ({ ...notes(isolatedCalls.log, 'channel', of), channel }) as AppLog;
  const log = { ...notes(isolatedCalls.log, 'log'), channel } as AppLog;
  const metrics = notes(isolatedCalls.metrics, 'metrics') as unknown as Metrics;
  const newId = idMaker(clock, random);
  const patient = patientTable(table, { clock, random });
  const effects = new Effects({ table: patient, clock, newId, life });
  const shared: Omit<AnyContext, 'invocation' | 'once'> = {
    entities: makeRepositories(app.model.entities, { table, clock, random, cursorKey, buildingOf }),
    commands,
    functions,
    iot,
    table: patient,
    clock,
    newId,
    inParallel: (items, work, how) => inParallel(items, work, { ...how, clock, random }),
    log,
    metrics,
    announce: (...args) => note(['announce'], args),
  };
  return (invocation, eventId) => ({ ...shared, invocation, once: effects.onceFor(invocation, eventId) });
}
