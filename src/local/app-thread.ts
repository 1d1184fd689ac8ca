/**
 * The app half on its own thread: loads the app, owns the table, runs functions and the HTTP API. It may hang, leak or
 * crash; the gateway thread ends it and starts another.
 */
import { availableParallelism } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { appTable, consumerNames, devicePolicy, type Ledger, Runtime, tablesOf } from '../app/index.ts';
import { type EndpointListener, listenDynamoDb, tableService } from '../http/dynamodb/index.ts';
import {
  ApiCalls,
  addOpenMetrics,
  capacityRoutes,
  consumerRoutes,
  deadLetterRoutes,
  Feed,
  functionRoutes,
  ledgerRoutes,
  listenHttp,
  loadSigningKey,
  makeApi,
  OperatorTokens,
  recordingRoutes,
  TokenIssuer,
} from '../http/index.ts';
import { systemAppendFiles } from '../kernel/append-files.ts';
import { systemClock } from '../kernel/clock.ts';
import { derivedKey } from '../kernel/derived-key.ts';
import { connectionShares, descriptorLimit } from '../kernel/descriptors.ts';
import { codeOf, factsOf } from '../kernel/errors.ts';
import { joinPath, systemFiles } from '../kernel/files.ts';
import { openLmdbStore } from '../kernel/lmdb-store.ts';
import type { Log } from '../kernel/log.ts';
import { systemRandom } from '../kernel/random.ts';
import { systemUsage } from '../kernel/usage.ts';
import { AlarmRelay, type AlarmState, readAlarms } from '../ops/index.ts';
import { EmbeddedStreamReader, type Suspects } from '../platform/stream/index.ts';
import { type Engine, openEngine, tableOn } from '../platform/table/index.ts';
import { accountingFor } from './accounting.ts';
import { loadApp } from './app-module.ts';
import { AppOperations } from './app-operations.ts';
import { declaredLogDirectory, declaredStreams } from './declared-streams.ts';
import { showFrom } from './gateway-operations.ts';
import { healthOf } from './health.ts';
import { IotClient } from './iot-bridge.ts';
import { IsolatedPool } from './isolated-pool.ts';
import type { AppThreadData, TableEndpointOptions, ToApp, ToGateway } from './messages.ts';
import { AppView } from './shared-state.ts';
import { watchStrayErrors } from './stray-errors.ts';

const heartbeatMs = 100;
const isolatedConcurrencyMax = Math.max(2, availableParallelism()); // ours: each has a thread

const data = workerData as AppThreadData; // Given by AppSupervisor.
const port = parentPort;
if (!port) throw new Error('This module is the entry of the app thread.');
const post = (message: ToGateway) => port.postMessage(message);
const view = new AppView(data.memory);
const iot = new IotClient(post);
let stop: (() => Promise<void>) | undefined;
/** Until there is a ledger, what is told is let go: it will be counted from the log. */
let accept: Ledger['accept'] = () => {};
let alarmsTold: readonly AlarmState[] = [];

port.on('message', (message: ToApp) => {
  if (message.type === 'moved') view.moved();
  else if (message.type === 'start') start().catch(fail);
  else if (message.type === 'received') accept(message.received);
  else if (message.type === 'alarms') alarmsTold = message.alarms;
  else if (message.type === 'stop') stopAll();
  else iot.settle(message);
});

const app = await loadApp(data.appUrl).catch(fail);
if (app) {
  const consumers = consumerNames(app);
  const { application, streams } = app.model;
  post({ type: 'loaded', application, policy: devicePolicy(app.model), consumers, streams: declaredStreams(streams) });
}

/** Resolves when the gateway has told it: messages keep their order, and the answer to a call comes after it. */
async function askGateway(type: 'receivedAsked' | 'alarmsAsked'): Promise<void> {
  post({ type });
  await iot.counters();
}

async function start(): Promise<void> {
  if (!app) return;
  const { dataDirectory } = data;
  const { redactKeys, otlpEndpoint, opensMetrics } = data.operations;
  const alarms = new AlarmRelay({ clock: systemClock, send: message => post({ type: 'alarm', message }) });
  const operations = new AppOperations({
    files: systemAppendFiles,
    dataDirectory,
    clock: systemClock,
    alarms,
    control: alarms,
    listAlarms: () => readAlarms({ files: systemAppendFiles, directory: dataDirectory }),
    askAlarms: async () => {
      await askGateway('alarmsAsked');
      return alarmsTold;
    },
    redactKeys,
    show: showFrom(data.traces && data.logLevel === 'warn' ? 'info' : data.logLevel),
  });
  const log = operations.logs.system;
  const store = await openLmdbStore({ path: joinPath(dataDirectory, 'table'), durability: 'sync' });
  const { limits, indexLagMs, accountsForCapacity } = data;
  const accounting = accountingFor({ clock: systemClock, limits, hasLedger: accountsForCapacity });
  const engine = await openEngine({
    store,
    clock: systemClock,
    random: systemRandom,
    log,
    tables: tablesOf(app),
    meter: accounting.meter,
    indexLagMs,
  });
  accounting.follow(engine);
  const table = tableOn(engine);
  const key = await loadSigningKey(systemFiles, dataDirectory, systemRandom);
  const feed = new Feed();
  const names = consumerNames(app);
  const alone = oneAtATime();
  const openReader = () =>
    new EmbeddedStreamReader({ files: systemFiles, directory: joinPath(dataDirectory, 'stream'), tail: view.tail });
  const runtime = new Runtime({
    app,
    table,
    changes: table.changesOf(appTable.tableName),
    openReader: () => operations.skew.watching(openReader()),
    newest: () => view.tail.lastSequenceNumber(),
    askReceived: () => askGateway('receivedAsked'),
    openStream: name => {
      const tail = view.streamTail(Object.keys(app.model.streams).indexOf(name));
      const directory = declaredLogDirectory(dataDirectory, name);
      return {
        openReader: () => new EmbeddedStreamReader({ files: systemFiles, directory, tail }),
        newest: () => tail.lastSequenceNumber(),
      };
    },
    iot,
    clock: systemClock,
    random: systemRandom,
    cursorKey: derivedKey(key, 'mimamori cursors'),
    ...operations.forRuntime,
    tracesInvocations: data.traces,
    announce: (audience, announcement) => {
      feed.announce(audience, announcement);
      post({ type: 'announced', audience, announcement });
    },
    marksOf: name => view.marksOf(names.indexOf(name)),
    suspectsOf: name => suspectsOf(name, alone),
    onFailure: fail,
    functions: {
      ...operations.forRuntime.functions,
      usage: systemUsage,
      isolatedConcurrencyMax,
      isolation: served => new IsolatedPool({ appUrl: data.appUrl, served, clock: systemClock, log }),
    },
  });
  watchStrayErrors({
    onStray: (functionName, requestId, error) => runtime.functions.host.noteStrayError(functionName, requestId, error),
    log,
  });
  accept = received => runtime.ledger.accept(received);
  const heart = setInterval(() => view.beat(runtime.consumedUpTo), heartbeatMs);
  view.beat(null);
  post({ type: 'opened' });
  const tokens = new TokenIssuer({ key, application: app.model.application, clock: systemClock });
  const health = () => healthOf(runtime, iot);
  const { application } = app.model;
  const calls = new ApiCalls();
  const operatorRoutes = [
    ...recordingRoutes({ application, openReader, table, calls, clock: systemClock }),
    ...capacityRoutes(accounting.reportFor(runtime)),
    ...deadLetterRoutes(runtime.deadLetters),
    ...ledgerRoutes(runtime),
    ...functionRoutes(runtime.functions),
    ...consumerRoutes(runtime),
    ...operations.routes(),
  ];
  const api = makeApi({
    runtime,
    tokens,
    feed,
    log,
    calls,
    demoUser: data.demoUser,
    tracesRequests: data.traces,
    operator: { tokens: new OperatorTokens(key, systemClock), routes: operatorRoutes },
    health,
  });
  operations.follow(runtime, iot);
  if (opensMetrics) addOpenMetrics(api, operations.collector);
  const stopOperations = operations.run({ application: app.model.application, otlpEndpoint });
  await runtime.start();
  const listener = await listenHttp(api, { host: data.httpHost, port: data.httpPort });
  const endpoint = data.dynamoDb && (await serveTable(engine, data.dynamoDb, log));
  stop = async () => {
    await Promise.all([listener.close(), endpoint?.close()]);
    await runtime.close();
    clearInterval(heart);
    await table.close();
    stopOperations();
  };
  post({ type: 'ready', httpPort: listener.port, dynamoDbUrl: endpoint?.url });
}

async function serveTable(engine: Engine, options: TableEndpointOptions, log: Log): Promise<EndpointListener> {
  const { host, port, orFreePort, region, credentials } = options;
  const listen = (port: number) =>
    listenDynamoDb({
      service: tableService(engine),
      clock: systemClock,
      random: systemRandom,
      log,
      host,
      port,
      region,
      credentials,
      connectionsMax: connectionShares(descriptorLimit()).table,
    });
  return listen(port).catch(error => {
    if (orFreePort && codeOf(error) === 'dynamodb.portInUse') return listen(0);
    throw error;
  });
}

function suspectsOf(consumer: string, alone: Suspects['alone']): Suspects | undefined {
  const range = data.suspects.get(consumer);
  return range && { ...range, alone };
}

/** Suspects run one after the other across all consumers, so that the next hang has one possible cause. */
function oneAtATime(): Suspects['alone'] {
  let last: Promise<unknown> = Promise.resolve();
  return work => {
    const next = last.then(work);
    last = next.catch(() => {});
    return next;
  };
}

function stopAll(): void {
  (stop?.() ?? Promise.resolve()).then(() => post({ type: 'stopped' }), fail);
}

function fail(error: unknown): undefined {
  post({ type: 'failed', error: factsOf(error) });
  return undefined;
}
