import { type Access, FileAccess } from '../iot/access/index.ts';
import { makeDataPlane } from '../iot/http/index.ts';
import { awsLimits, type BrokerLimits, brokerLimits, Gateway, recoverJournal } from '../iot/mqtt/index.ts';
import { systemClock } from '../kernel/clock.ts';
import { Counters } from '../kernel/counters.ts';
import { descriptorLimit, descriptorsReserved } from '../kernel/descriptors.ts';
import { codeOf, MimamoriError, messageOf } from '../kernel/errors.ts';
import { joinPath, systemFiles } from '../kernel/files.ts';
import { type Log, openLog } from '../kernel/log.ts';
import { memoryPressure } from '../kernel/memory-pressure.ts';
import { systemRandom } from '../kernel/random.ts';
import { type ListenAddress, systemSockets } from '../kernel/sockets.ts';
import { lockDataDirectory } from './data-lock.ts';
import { readTls, type TlsFiles } from './tls-files.ts';

export interface BrokerOptions {
  readonly host: string;
  /** By scheme: mqtt, mqtts, ws, wss. 0 picks a free one; none that is not named is opened. */
  readonly ports: Readonly<Record<string, number | undefined>>;
  /** For mqtts and wss. */
  readonly tls?: TlsFiles;
  /** A PROXY header comes first on every port. */
  readonly proxyProtocol: boolean;
  /** Sessions, retained messages and wills survive the process; without it they live in memory. */
  readonly dataDirectory?: string;
  readonly allowAnonymous: boolean;
  readonly passwordFile?: string;
  readonly aclFile?: string;
  readonly useIdentityAsUsername: boolean;
  readonly limits: 'generous' | 'aws';
  /** Overrides of single limits. */
  readonly limitOverrides?: Partial<BrokerLimits>;
  readonly logLevel?: Parameters<typeof openLog>[0];
  /** Storage has failed beyond repair in this process. */
  readonly onFailure: (error: unknown) => void;
}

export interface Broker {
  /** By name: mqtt, mqtts, ws, wss. */
  readonly urls: Record<string, string>;
  readonly gateway: Gateway;
  /** Reads passwords, rights and certificates again; what is not good leaves the old ones in force. Never rejects. */
  reload(): Promise<readonly ReloadOutcome[]>;
  close(): Promise<void>;
}

export interface ReloadOutcome {
  readonly what: 'passwords and rights' | 'certificates';
  /** Why they could not be replaced; undefined = they were. */
  readonly error: unknown;
}

/** The gateway alone, as a general MQTT broker. Throws `data.inUse`, `mqtt.portInUse`, `broker.*`, `access.*`, `tls.*`. */
export async function startBroker(options: BrokerOptions): Promise<Broker> {
  const log = openLog(options.logLevel);
  const counters = new Counters();
  let gateway: Gateway | undefined;
  const access = await FileAccess.open({
    files: systemFiles,
    clock: systemClock,
    random: systemRandom,
    allowAnonymous: options.allowAnonymous,
    passwordFile: options.passwordFile,
    aclFile: options.aclFile,
    useIdentityAsUsername: options.useIdentityAsUsername,
    onChanged: () => gateway?.revise(),
  });
  const data = options.dataDirectory === undefined ? undefined : await openData(options.dataDirectory);
  try {
    gateway = newGateway(options, { access, counters, log, sessions: data?.sessions });
    const doors = await openDoors(gateway, options, counters);
    const reload = async () => {
      const outcomes = [await outcomeOf('passwords and rights', access.reload())];
      if (options.tls) outcomes.push(await outcomeOf('certificates', doors.reload()));
      return outcomes;
    };
    const running = gateway;
    const close = async () => {
      await running.close();
      await data?.close();
    };
    return { urls: doors.urls, gateway, reload, close };
  } catch (error) {
    await gateway?.close();
    await data?.close();
    throw error;
  }
}

function outcomeOf(what: ReloadOutcome['what'], reload: Promise<void>): Promise<ReloadOutcome> {
  return reload.then(
    () => ({ what, error: undefined }),
    error => ({ what, error }),
  );
}

async function openData(directory: string) {
  await systemFiles.makeDirectory(directory).catch(cause => {
    throw dataNotUsable(directory, cause);
  });
  const lock = await lockDataDirectory(directory);
  try {
    const sessionsDirectory = joinPath(directory, 'sessions');
    const sessions = await recoverJournal({ files: systemFiles, clock: systemClock, directory: sessionsDirectory });
    const close = async () => {
      await sessions.stream.close();
      await lock.release();
    };
    return { sessions, close };
  } catch (error) {
    await lock.release();
    throw error instanceof MimamoriError ? error : dataNotUsable(directory, error);
  }
}

function newGateway(
  options: BrokerOptions,
  parts: {
    access: Access;
    counters: Counters;
    log: Log;
    sessions: Awaited<ReturnType<typeof recoverJournal>> | undefined;
  },
): Gateway {
  const profile = options.limits === 'aws' ? awsLimits : { ...brokerLimits, ...alone };
  return new Gateway({
    clock: systemClock,
    random: systemRandom,
    sockets: systemSockets,
    ...parts,
    limits: { ...profile, ...options.limitOverrides },
    connectionsMax: descriptorLimit() - descriptorsReserved,
    memoryPressure,
    onFailure: options.onFailure,
  });
}

/** What users of a general broker expect beyond what devices of an app need. */
const alone: Partial<BrokerLimits> = {
  closesUnauthorized: false, // Mosquitto acknowledges and drops
  keepAliveSecondsMax: 65_535, // Mosquitto's; a 3.1.1 client cannot be told of less, and would be cut off as silent
  subscriptionsPerSessionMax: 10_000, // bridges and dashboards subscribe to much
  filtersPerSubscribeMax: 1_000,
};

async function openDoors(gateway: Gateway, options: BrokerOptions, counters: Counters) {
  const { host, proxyProtocol } = options;
  const tls = options.tls && (await readTls(options.tls));
  const common = {
    host,
    proxyProtocol,
    onRefused: ({ reason }: { reason: string }) => counters.add(`listen.refused.${reason}`),
  };
  const urls: Record<string, string> = {};
  const name = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
  const open = async (scheme: string, port: number | undefined, address: Omit<ListenAddress, 'host' | 'port'>) => {
    if (port === undefined) return;
    const listening = gateway.listen({ ...common, ...address, port });
    const bound = await listening.catch(cause => {
      throw listenErrorOf(cause, { scheme, host, port });
    });
    urls[scheme] = `${scheme}://${name}:${bound}${scheme.startsWith('ws') ? '/mqtt' : ''}`;
  };
  const { ports } = options;
  const onRequest = makeDataPlane(gateway); // HTTP publish, beside WebSocket.
  await open('mqtt', ports.mqtt, {});
  await open('mqtts', ports.mqtts, { tls });
  await open('ws', ports.ws, { webSocket: {}, onRequest });
  await open('wss', ports.wss, { webSocket: {}, onRequest, tls });
  const reload = async () => {
    if (options.tls) await gateway.replaceCertificates(await readTls(options.tls));
  };
  return { urls, reload };
}

function listenErrorOf(
  cause: unknown,
  { scheme, host, port }: { scheme: string; host: string; port: number },
): unknown {
  if (cause instanceof MimamoriError) return cause;
  const code = codeOf(cause);
  return code === 'EADDRINUSE' || code === 'EACCES' ? portInUse(scheme, port, cause) : hostNotUsable(host, cause);
}

const hostNotUsable = (host: string, cause: unknown) =>
  new MimamoriError({
    code: 'broker.hostNotUsable',
    message: `${host} is not an address to listen at: ${messageOf(cause)}`,
    fix: 'Give --host an address of this machine: 127.0.0.1 for itself only, 0.0.0.0 for all of its networks.',
    cause,
  });

const dataNotUsable = (directory: string, cause: unknown) =>
  new MimamoriError({
    code: 'broker.dataNotUsable',
    message: `Nothing can be stored in ${directory}: ${messageOf(cause)}`,
    fix: 'Give --data a folder that can be made or written to, or --memory to store nothing.',
    cause,
  });

const portInUse = (scheme: string, port: number, cause: unknown) =>
  new MimamoriError({
    code: 'mqtt.portInUse',
    message: `The ${scheme} port ${port} cannot be opened.`,
    fix: 'Choose another one, or 0 for a free one.',
    cause,
  });
