import type { Announcement } from '../app/index.ts';
import { ThingAccess } from '../iot/access/index.ts';
import { makeDataPlane } from '../iot/http/index.ts';
import { awsLimits, brokerLimits, Gateway, recoverJournal } from '../iot/mqtt/index.ts';
import type { Iot } from '../iot/port.ts';
import { PolicyEngine, ThingRegistry } from '../iot/things/index.ts';
import { systemClock } from '../kernel/clock.ts';
import { Counters } from '../kernel/counters.ts';
import { connectionShares, descriptorLimit } from '../kernel/descriptors.ts';
import { MimamoriError } from '../kernel/errors.ts';
import { joinPath, systemFiles } from '../kernel/files.ts';
import { openLmdbStore } from '../kernel/lmdb-store.ts';
import { memoryPressure } from '../kernel/memory-pressure.ts';
import { systemRandom } from '../kernel/random.ts';
import { systemSockets } from '../kernel/sockets.ts';
import type { AlarmChange } from '../ops/index.ts';
import { awsShardThroughput, EmbeddedStream, EmbeddedStreamReader, LocalTail } from '../platform/stream/index.ts';
import { removeAddress, writeAddress } from './address-file.ts';
import { AppSupervisor } from './app-supervisor.ts';
import { type CredentialSources, readCredentials } from './credentials.ts';
import { lockDataDirectory } from './data-lock.ts';
import { declaredLogDirectory, openDeclared } from './declared-streams.ts';
import { GatewayOperations } from './gateway-operations.ts';
import {
  deviceMessages,
  type KinesisEndpointOptions,
  type KinesisServer,
  kinesisConnectionsBesideApp,
  listenForStreams,
  openStreams,
} from './kinesis.ts';
import type { AppThreadData, DeclaredStream, LoadedApp, OperationsData, TableEndpointOptions } from './messages.ts';
import { ReceivedTeller } from './received-teller.ts';
import { GatewayView, newSharedState } from './shared-state.ts';
import { readTls, type TlsFiles } from './tls-files.ts';

export interface BackendOptions {
  readonly appUrl: URL;
  /** Created when absent. */
  readonly dataDirectory: string;
  readonly host: string;
  /** 0 picks a free one. */
  readonly httpPort: number;
  readonly mqttPort: number;
  /** Publishing over HTTP, and MQTT over WebSocket at `/mqtt`. Default: a free one. */
  readonly iotPort?: number;
  /** The same two doors over TLS, each if its port is given. */
  readonly tls?: TlsFiles & { readonly mqttPort?: number; readonly iotPort?: number };
  /** Serves the app's table over DynamoDB's protocol too. Default: not. */
  readonly dynamoDb?: Omit<TableEndpointOptions, 'credentials'> & { readonly credentials?: CredentialSources };
  /** Serves what devices send, and streams that anybody makes, over Kinesis' protocol too. Default: not. */
  readonly kinesis?: KinesisEndpointOptions;
  /**
   * What devices may do, and how much the table takes; `aws`: the quotas and refusals of AWS IoT Core, and throttling as
   * DynamoDB does. Default: generous.
   */
  readonly limits?: 'generous' | 'aws';
  /** Lists lag behind writes by 50 ms, as they may on AWS: code that reads what it has just written fails. Default: not. */
  readonly strict?: boolean;
  /** Of the stream of devices' messages, when it is made. Default: 1. */
  readonly shards?: number;
  /** Adds up what each access pattern and function uses. Default: yes. */
  readonly accountsForCapacity?: boolean;
  /** Logs what each invocation uses, and tells it in the answers of routes. Default: not. */
  readonly traces?: boolean;
  /** A user whose data anybody may look at. */
  readonly demoUser?: string;
  readonly logLevel?: AppThreadData['logLevel'];
  readonly operations?: OperationsData;
  /** POSTed to whenever an alarm is raised or over. Throws `alarms.webhookNotValid`. */
  readonly alarmWebhook?: string;
  readonly onAlarm?: (change: AlarmChange) => void;
  readonly hangMs?: number;
  readonly heapMegabytesMax?: number;
  readonly onAnnounced?: (audience: string, announcement: Announcement) => void;
  /** Storage has failed beyond repair in this process. */
  readonly onFailure: (error: unknown) => void;
}

export interface Backend {
  readonly httpUrl: string;
  readonly mqttUrl: string;
  readonly mqttPort: number;
  readonly iotUrl: string;
  /** Undefined: the table is not served. */
  readonly dynamoDbUrl: string | undefined;
  /** Undefined: streams are not served. */
  readonly kinesisUrl: string | undefined;
  readonly webSocketUrl: string;
  /** By scheme: mqtts, https and wss, as far as they are open. */
  readonly tlsUrls: Readonly<Record<string, string>>;
  readonly gateway: Gateway;
  /** Reads the certificates again. Throws `broker.tlsFileNotReadable` and `tls.*`, and the old ones stay in force. */
  replaceCertificates(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Both halves in one process: this thread is the gateway, a worker is the app. Throws `data.inUse`, `mqtt.portInUse`,
 * `http.portInUse`, `iot.portInUse`, `stream.corrupt`, and whatever keeps the app from loading.
 */
export async function startBackend(options: BackendOptions): Promise<Backend> {
  const { dataDirectory, host } = options;
  const credentials = await readCredentials(options.dynamoDb?.credentials ?? {});
  await systemFiles.makeDirectory(dataDirectory);
  const lock = await lockDataDirectory(dataDirectory);
  const operations = await openOperations(options).catch(async error => {
    await lock.release();
    throw error;
  });
  const log = operations.logs.system;
  const counters = new Counters();
  const memory = newSharedState();
  const view = new GatewayView(memory);
  const streamDirectory = joinPath(dataDirectory, 'stream');
  const tail = new LocalTail(0n);
  const stream = await EmbeddedStream.open({
    files: systemFiles,
    clock: systemClock,
    directory: streamDirectory,
    shards: options.shards,
    consumedUpTo: () => view.consumedUpTo(),
    ...(options.limits === 'aws' && { throughput: awsShardThroughput }),
    onDurable: (last, generation) => {
      tail.moveTo(last, generation);
      if (view.setLastDurable(last, generation)) supervisor.streamMoved();
    },
  });
  const store = await openLmdbStore({ path: joinPath(dataDirectory, 'iot'), durability: 'sync' });
  const sessionsDirectory = joinPath(dataDirectory, 'sessions');
  const sessions = await recoverJournal({ files: systemFiles, clock: systemClock, directory: sessionsDirectory });
  const things = new ThingRegistry({ store, random: systemRandom });
  const teller = new ReceivedTeller(systemClock, received => supervisor.tellReceived(received));
  let gateway: Gateway | undefined;
  let policy: PolicyEngine | undefined;
  let mqttPort = options.mqttPort;
  let application = '';
  const streamsOptions = { files: systemFiles, directory: dataDirectory, limits: options.limits ?? 'generous', log };
  let declared: readonly DeclaredStream[] = [];
  const onDurable = (directory: string, last: bigint, generation: number) => {
    const index = declared.findIndex(({ name }) => declaredLogDirectory(dataDirectory, name) === directory);
    if (index >= 0 && view.setStreamDurable(index, last, generation)) supervisor.streamMoved();
  };
  const streams = await openStreams({ ...streamsOptions, engines: { onDurable } });
  const onLoaded = async ({ policy: devicePolicy, ...loaded }: LoadedApp): Promise<Iot> => {
    application = loaded.application;
    declared = loaded.streams;
    await openDeclared(streams, declared);
    if (gateway) {
      policy?.replace(devicePolicy);
      return gateway;
    }
    policy = new PolicyEngine(devicePolicy, () => gateway?.revise());
    const access = new ThingAccess({ things, policy });
    const world = { clock: systemClock, random: systemRandom, sockets: systemSockets };
    gateway = new Gateway({
      ...world,
      memoryPressure,
      limits: options.limits === 'aws' ? awsLimits : brokerLimits,
      counters,
      log,
      access,
      things,
      stream,
      tally: teller.tally,
      sessions,
      onFailure: options.onFailure,
    });
    return gateway;
  };
  const supervisor = new AppSupervisor({
    threadData: {
      appUrl: options.appUrl.href,
      dataDirectory,
      memory,
      httpHost: host,
      httpPort: options.httpPort,
      dynamoDb: options.dynamoDb && { ...options.dynamoDb, credentials },
      limits: options.limits ?? 'generous',
      indexLagMs: options.strict ? strictIndexLagMs : 0,
      accountsForCapacity: options.accountsForCapacity ?? true,
      traces: options.traces ?? false,
      demoUser: options.demoUser,
      logLevel: options.logLevel ?? 'warn',
      operations: options.operations ?? {},
    },
    view,
    clock: systemClock,
    log,
    counters,
    onLoaded,
    onReceivedAsked: () => teller.tellNow(),
    onAnnounced: options.onAnnounced ?? (() => {}),
    listAlarms: () => operations.book.list(),
    onAlarm: message => operations.receive(message),
    hangMs: options.hangMs,
    heapMegabytesMax: options.heapMegabytesMax,
  });
  let kinesis: Pick<KinesisServer, 'url' | 'close'> | undefined;
  const close = async () => {
    log.info({}, 'The backend stops.');
    await removeAddress(systemFiles, dataDirectory);
    await kinesis?.close();
    await streams.close();
    await gateway?.close();
    teller.close();
    await supervisor.stop();
    await stream.close();
    await sessions.stream.close();
    await store.close();
    operations.close();
    await lock.release();
  };
  try {
    const { httpPort, dynamoDbUrl } = await supervisor.start();
    if (!gateway) throw new Error('The app is ready, so its gateway exists.');
    // Devices come last: nothing may arrive before whoever handles it is there.
    const forDevices = connectionShares(descriptorLimit()).mqtt;
    const forIot = Math.floor(forDevices * iotShare);
    const connectionsMax = forDevices - forIot;
    mqttPort = await gateway.listen({ host, port: mqttPort, connectionsMax }).catch(cause => {
      throw mqttPortInUse(options.mqttPort, cause);
    });
    const onRequest = makeDataPlane(gateway);
    const iotAddress = { host, port: options.iotPort ?? 0, connectionsMax: forIot, webSocket: {}, onRequest };
    const iotPort = await gateway.listen(iotAddress).catch(cause => {
      throw iotPortInUse(options.iotPort ?? 0, cause);
    });
    const name = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
    const tlsUrls = options.tls ? await openTlsDoors(gateway, { name, host, ...options.tls }) : {};
    if (options.kinesis) {
      const engine = deviceMessages({
        shards: () => stream.shards(),
        openReader: () => new EmbeddedStreamReader({ files: systemFiles, directory: streamDirectory, tail }),
        setRetentionMs: () => {}, // Of a stream that is only shown, nothing is set,
        close: async () => {}, // and it is closed by who opened it.
      });
      kinesis = await listenForStreams(streams, {
        ...options.kinesis,
        ...streamsOptions,
        own: { name: application, engine },
        connectionsMax: kinesisConnectionsBesideApp(),
      });
    }
    const running = gateway;
    const httpUrl = `http://${name}:${httpPort}`;
    await writeAddress(systemFiles, dataDirectory, httpUrl);
    log.info({ http: httpUrl, mqttPort, limits: options.limits }, 'The backend runs.');
    const replaceCertificates = async () => {
      if (options.tls) await running.replaceCertificates(await readTls(options.tls));
    };
    return {
      httpUrl,
      mqttUrl: `mqtt://${name}:${mqttPort}`,
      mqttPort,
      dynamoDbUrl,
      kinesisUrl: kinesis?.url,
      iotUrl: `http://${name}:${iotPort}`,
      webSocketUrl: `ws://${name}:${iotPort}/mqtt`,
      tlsUrls,
      replaceCertificates,
      gateway,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function openOperations({ operations, ...options }: BackendOptions): Promise<GatewayOperations> {
  return new GatewayOperations({ ...options, redactKeys: operations?.redactKeys });
}

const strictIndexLagMs = 50; // ours: on AWS it is milliseconds, now and then more

interface TlsDoors extends TlsFiles {
  /** The host as others know it. */
  readonly name: string;
  readonly host: string;
  readonly mqttPort?: number;
  readonly iotPort?: number;
}

async function openTlsDoors(gateway: Gateway, doors: TlsDoors): Promise<Record<string, string>> {
  const { name, host, mqttPort, iotPort } = doors;
  const tls = await readTls(doors);
  const urls: Record<string, string> = {};
  if (mqttPort !== undefined) {
    const port = await gateway.listen({ host, port: mqttPort, tls }).catch(cause => {
      throw cause instanceof MimamoriError ? cause : mqttPortInUse(mqttPort, cause);
    });
    urls.mqtts = `mqtts://${name}:${port}`;
  }
  if (iotPort !== undefined) {
    const address = { host, port: iotPort, tls, webSocket: {}, onRequest: makeDataPlane(gateway) };
    const port = await gateway.listen(address).catch(cause => {
      throw cause instanceof MimamoriError ? cause : iotPortInUse(iotPort, cause);
    });
    urls.https = `https://${name}:${port}`;
    urls.wss = `wss://${name}:${port}/mqtt`;
  }
  return urls;
}

const iotShare = 0.2; // ours: of the connections of devices, those that post or come by WebSocket

const iotPortInUse = (port: number, cause: unknown) =>
  new MimamoriError({
    code: 'iot.portInUse',
    message: `The port ${port} for HTTP and WebSocket of devices cannot be opened.`,
    fix: 'Choose another with --iot-port, or 0 for a free one.',
    cause,
  });

const mqttPortInUse = (port: number, cause: unknown) =>
  new MimamoriError({
    code: 'mqtt.portInUse',
    message: `The MQTT port ${port} cannot be opened.`,
    fix: 'Choose another with --mqtt-port, or 0 for a free one.',
    cause,
  });
