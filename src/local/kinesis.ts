/** Streams behind their Kinesis endpoint: alone, in place of kinesalite, or beside an app with what its devices send. */

import { loadSigningKey } from '../http/index.ts';
import { listenKinesis } from '../http/kinesis/index.ts';
import { readEnvelope } from '../iot/rules/index.ts';
import { systemClock } from '../kernel/clock.ts';
import { derivedKey } from '../kernel/derived-key.ts';
import { connectionShares, descriptorLimit, descriptorsReserved } from '../kernel/descriptors.ts';
import { codeOf, MimamoriError, messageOf } from '../kernel/errors.ts';
import { type Files, systemFiles } from '../kernel/files.ts';
import { type Log, openLog } from '../kernel/log.ts';
import { MemoryFiles } from '../kernel/memory-files.ts';
import { systemRandom } from '../kernel/random.ts';
import {
  awsShardThroughput,
  type CatalogEngine,
  type EmbeddedEngineOptions,
  embeddedEngines,
  StreamCatalog,
  type StreamReader,
} from '../platform/stream/index.ts';
import { type CredentialSources, readCredentials } from './credentials.ts';
import { lockDataDirectory } from './data-lock.ts';
import { catalogDirectory } from './declared-streams.ts';

/** Where and to whom streams are served over Kinesis' protocol. */
export interface KinesisEndpointOptions {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** When the port is taken, a free one is good too. */
  readonly orFreePort?: boolean;
  readonly credentials?: CredentialSources;
  /** What signatures must be for; default: any is good. */
  readonly region?: string;
}

export interface KinesisOptions extends KinesisEndpointOptions {
  /** Created when absent; without it streams live in memory and end with the process. */
  readonly dataDirectory?: string;
  /** `aws`: shards take and give as much as Kinesis'. */
  readonly limits: 'generous' | 'aws';
  /** How long a stream is between two states; default: not at all. */
  readonly transitionMs?: number;
  readonly logLevel?: Parameters<typeof openLog>[0];
}

export interface KinesisServer {
  readonly url: string;
  /** Streams by name, for whoever composes more on them. */
  readonly catalog: StreamCatalog;
  close(): Promise<void>;
}

/** In memory: what is kept of a stream before the oldest goes, whatever its retention. */
const memoryLimits = {
  segmentBytesMax: 4 * 1024 * 1024, // ours: retention goes by segments
  retentionBytesMax: 64 * 1024 * 1024, // ours: of each stream
  paddingBytes: 0, // zeros written ahead help disks only
} as const;

/** Throws `data.inUse`, `kinesis.*` and `credentials.notValid`. */
export async function startKinesis(options: KinesisOptions): Promise<KinesisServer> {
  const { dataDirectory } = options;
  const log = openLog(options.logLevel ?? 'error');
  if (dataDirectory === undefined) {
    return serveKinesis({ ...options, log, files: new MemoryFiles(), directory: '/', engines: memoryLimits });
  }
  await systemFiles.makeDirectory(dataDirectory).catch(cause => {
    throw dataNotUsable(dataDirectory, cause);
  });
  const lock = await lockDataDirectory(dataDirectory);
  try {
    const server = await serveKinesis({ ...options, log, files: systemFiles, directory: dataDirectory });
    const close = async () => {
      await server.close();
      await lock.release();
    };
    return { ...server, close };
  } catch (error) {
    await lock.release();
    throw error instanceof MimamoriError ? error : dataNotUsable(dataDirectory, error);
  }
}

export interface StreamsOptions {
  readonly files: Files;
  /** The data directory; streams lie in a folder of it. */
  readonly directory: string;
  readonly engines?: Partial<EmbeddedEngineOptions>;
  readonly limits: 'generous' | 'aws';
  readonly transitionMs?: number;
  readonly log: Log;
}

/** The streams of a data directory, for who has its lock. */
export function openStreams({ files, directory, limits, log, ...options }: StreamsOptions): Promise<StreamCatalog> {
  const world = { clock: systemClock, random: systemRandom, log, files };
  const throughput = limits === 'aws' ? awsShardThroughput : undefined;
  const openEngine = embeddedEngines({ ...world, throughput, ...options.engines });
  const { transitionMs } = options;
  return StreamCatalog.open({ ...world, directory: catalogDirectory(directory), openEngine, transitionMs });
}

export interface ServeKinesisOptions extends KinesisEndpointOptions, StreamsOptions {
  /** What the app's devices send, to be read under the name of the app. */
  readonly own?: { readonly name: string; readonly engine: CatalogEngine };
  readonly connectionsMax?: number;
}

/** For who has the lock of the data directory. Throws `kinesis.*` and `credentials.notValid`. */
export async function serveKinesis(options: ServeKinesisOptions): Promise<KinesisServer> {
  const catalog = await openStreams(options);
  try {
    const { url, close } = await listenForStreams(catalog, options);
    return { url, catalog, close: () => close().then(() => catalog.close()) };
  } catch (error) {
    await catalog.close();
    throw error;
  }
}

/** Serves a catalog that is open, and stays so when it is closed. Throws `kinesis.*` and `credentials.notValid`. */
export async function listenForStreams(
  catalog: StreamCatalog,
  options: ServeKinesisOptions,
): Promise<Pick<KinesisServer, 'url' | 'close'>> {
  const { files, directory, limits, log, own, host, port, region } = options;
  const world = { clock: systemClock, random: systemRandom, log };
  const credentials = await readCredentials(options.credentials ?? {});
  if (own) addOwn(catalog, own, log);
  const iteratorKey = derivedKey(await loadSigningKey(files, directory, systemRandom), 'mimamori kinesis iterators');
  const connectionsMax = options.connectionsMax ?? descriptorLimit() - descriptorsReserved;
  const listen = (at: number) =>
    listenKinesis({ ...world, catalog, iteratorKey, limits, host, port: at, region, credentials, connectionsMax });
  const listener = await listen(port).catch(error => {
    if (options.orFreePort && codeOf(error) === 'kinesis.portInUse') return listen(0);
    throw error;
  });
  return { url: listener.url, close: () => listener.close() };
}

/** Beside an app, a share of what descriptors allow. */
export function kinesisConnectionsBesideApp(): number {
  return connectionShares(descriptorLimit()).streams;
}

/** A stream that somebody has made under the name of the app keeps it. */
function addOwn(catalog: StreamCatalog, { name, engine }: { name: string; engine: CatalogEngine }, log: Log): void {
  try {
    catalog.addReadOnly({ name, createdAtMs: unknownAtMs }, engine);
  } catch (error) {
    log.warn(
      { stream: name, code: codeOf(error) },
      'What devices send is not shown: another stream has the name of the app.',
    );
  }
}

const unknownAtMs = 0; // When an app's stream began is written nowhere, and sequence numbers must stay the same.

/** The app's stream as the Kinesis action of an IoT rule would have written it: payloads, by thing. */
export function deviceMessages(engine: Omit<CatalogEngine, 'stream'>): CatalogEngine {
  return { ...engine, openReader: () => withPayloads(engine.openReader()) };
}

function withPayloads(reader: StreamReader): StreamReader {
  return {
    read: async (...args) => {
      const records = await reader.read(...args);
      return records.map(record => ({ ...record, data: readEnvelope(record.data)?.payload ?? record.data }));
    },
    waitBeyond: (...args) => reader.waitBeyond(...args),
    locate: (...args) => reader.locate(...args),
    shards: () => reader.shards(),
    close: () => reader.close(),
  };
}

const dataNotUsable = (directory: string, cause: unknown) =>
  new MimamoriError({
    code: 'kinesis.dataNotUsable',
    message: `Nothing can be stored in ${directory}: ${messageOf(cause)}`,
    fix: 'Give --data a folder that can be made or written to, or --memory to store nothing.',
    cause,
  });
