/** The table alone behind its DynamoDB endpoint, in place of DynamoDB Local. */
import { listenDynamoDb, tableService } from '../http/dynamodb/index.ts';
import { systemClock } from '../kernel/clock.ts';
import { descriptorLimit, descriptorsReserved } from '../kernel/descriptors.ts';
import { MimamoriError, messageOf } from '../kernel/errors.ts';
import { joinPath, systemFiles } from '../kernel/files.ts';
import { openLmdbStore } from '../kernel/lmdb-store.ts';
import { openLog } from '../kernel/log.ts';
import { MemoryDisk } from '../kernel/memory-store.ts';
import { systemRandom } from '../kernel/random.ts';
import type { KeyValueStore } from '../kernel/store.ts';
import { CloudMeter, openEngine } from '../platform/table/index.ts';
import { type CredentialSources, readCredentials } from './credentials.ts';
import { lockDataDirectory } from './data-lock.ts';

export interface DynamoDbOptions {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** Created when absent; without it tables live in memory and end with the process. */
  readonly dataDirectory?: string;
  readonly credentials?: CredentialSources;
  /** What signatures must be for; default: any is good. */
  readonly region?: string;
  /** `aws` throttles as DynamoDB does. */
  readonly limits: 'generous' | 'aws';
  /** How long a table is between two states; default: not at all. */
  readonly transitionMs?: number;
  readonly logLevel?: Parameters<typeof openLog>[0];
}

export interface DynamoDbServer {
  readonly url: string;
  close(): Promise<void>;
}

/** Throws `data.inUse`, `dynamodb.*` and `store.*`. */
export async function startDynamoDb(options: DynamoDbOptions): Promise<DynamoDbServer> {
  const { host, port, dataDirectory, region } = options;
  const credentials = await readCredentials(options.credentials ?? {});
  const data = dataDirectory === undefined ? openMemory() : await openData(dataDirectory);
  const world = { clock: systemClock, random: systemRandom };
  try {
    const log = openLog(options.logLevel ?? 'error');
    const meter = options.limits === 'aws' ? new CloudMeter(systemClock) : undefined;
    const engine = await openEngine({ ...world, log, store: data.store, meter, transitionMs: options.transitionMs });
    meter?.follow(engine);
    try {
      const listener = await listenDynamoDb({
        ...world,
        service: tableService(engine),
        log,
        host,
        port,
        region,
        credentials,
        connectionsMax: descriptorLimit() - descriptorsReserved,
      });
      const close = async () => {
        await listener.close();
        await engine.close();
        await data.release();
      };
      return { url: listener.url, close };
    } catch (error) {
      await engine.close();
      throw error;
    }
  } catch (error) {
    await data.release();
    throw error;
  }
}

interface OpenedData {
  /** Closed with the engine. */
  readonly store: KeyValueStore;
  release(): Promise<void>;
}

function openMemory(): OpenedData {
  return { store: new MemoryDisk({ clock: systemClock, syncMs: 0 }).open(), release: async () => {} };
}

/** The same place as an app's table, so that this also opens the data of an app that is not running. */
async function openData(directory: string): Promise<OpenedData> {
  await systemFiles.makeDirectory(directory).catch(cause => {
    throw dataNotUsable(directory, cause);
  });
  const lock = await lockDataDirectory(directory);
  try {
    const store = await openLmdbStore({ path: joinPath(directory, 'table'), durability: 'sync' });
    return { store, release: () => lock.release() };
  } catch (error) {
    await lock.release();
    throw error instanceof MimamoriError ? error : dataNotUsable(directory, error);
  }
}

const dataNotUsable = (directory: string, cause: unknown) =>
  new MimamoriError({
    code: 'dynamodb.dataNotUsable',
    message: `Nothing can be stored in ${directory}: ${messageOf(cause)}`,
    fix: 'Give --data a folder that can be made or written to, or --memory to store nothing.',
    cause,
  });
