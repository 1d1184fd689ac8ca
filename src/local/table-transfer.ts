/** Where exports come from and imports go to: the table of a stopped app, or whatever speaks DynamoDB's protocol. */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { dynamoDbCalls } from '../http/dynamodb/index.ts';
import { systemClock } from '../kernel/clock.ts';
import { codeOf, MimamoriError } from '../kernel/errors.ts';
import { joinPath, systemFiles } from '../kernel/files.ts';
import { openLmdbStore } from '../kernel/lmdb-store.ts';
import { systemRandom } from '../kernel/random.ts';
import type { KeyValueStore } from '../kernel/store.ts';
import {
  type Call,
  callOperation,
  isOperation,
  openEngine,
  openStoppedSnapshots,
  verifyIndexes,
  wireFormat,
} from '../platform/table/index.ts';
import { lockDataDirectory } from './data-lock.ts';

const world = { clock: systemClock, random: systemRandom };

export interface EndpointPlace {
  readonly url: string;
  readonly region?: string;
  readonly accessKey?: string;
  readonly secretKey?: string;
}

export interface OpenPlace {
  readonly call: Call;
  /** What tells it apart from other places. */
  readonly name: string;
  /** Of a place that nobody else can change meanwhile: tells whether it has changed since another time. */
  readonly dataMark?: string;
  /** What is wrong with a table, in words; undefined where that cannot be seen. */
  readonly verify?: (tableName: string) => readonly string[];
}

/** Keys are those of the AWS CLI when none are given; a server without keys takes any. */
export function endpointPlace({ url, ...given }: EndpointPlace): OpenPlace {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) throw endpointNotValid(url);
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, AWS_DEFAULT_REGION } = process.env;
  const isOwn = given.accessKey !== undefined && given.secretKey !== undefined;
  const call = dynamoDbCalls({
    ...world,
    url,
    region: given.region ?? regionIn(url) ?? AWS_REGION ?? AWS_DEFAULT_REGION ?? 'us-east-1',
    accessKeyId: (isOwn ? given.accessKey : AWS_ACCESS_KEY_ID) ?? 'any',
    secretAccessKey: (isOwn ? given.secretKey : AWS_SECRET_ACCESS_KEY) ?? 'thing',
    ...(!isOwn && AWS_SESSION_TOKEN && { sessionToken: AWS_SESSION_TOKEN }),
  });
  return { call, name: url };
}

function regionIn(url: string): string | undefined {
  return /^(?:[\w-]+\.)?dynamodb\.([a-z0-9-]+)\.amazonaws\.com/.exec(new URL(url).hostname)?.[1];
}

/** To read it as it is: nothing expires meanwhile. Throws `transfer.dataNotFound`, `transfer.running`, `store.*`. */
export function withStoppedData<T>(directory: string, work: (place: OpenPlace) => Promise<T>): Promise<T> {
  return withStoppedStore(directory, async (store, dataMark) => {
    const snapshots = await openStoppedSnapshots({ ...world, store });
    const call: Call = (operation, input) => {
      const own = snapshots.operations[operation];
      return own === undefined ? Promise.reject(new Error(operation)) : own(input as Record<string, unknown>); // a cast: made for it
    };
    return await work({ call, name: path.resolve(directory), dataMark }).finally(() => snapshots.close());
  });
}

/** The table's store of an app that is stopped. Throws `transfer.dataNotFound`, `transfer.running`, `store.*`. */
export async function withStoppedStore<T>(
  directory: string,
  work: (store: KeyValueStore, dataMark: string) => Promise<T>,
): Promise<T> {
  const tableDirectory = joinPath(directory, 'table');
  if (!(await systemFiles.list(tableDirectory)).some(name => name.endsWith('.mdb'))) throw dataNotFound(directory);
  const lock = await locked(directory);
  try {
    await (await openData(tableDirectory)).close(); // brings what the journal holds into the store's own file
    const dataMark = await markOf(joinPath(tableDirectory, 'entries.mdb'));
    const store = await openData(tableDirectory);
    return await work(store, dataMark).finally(() => store.close());
  } finally {
    await lock.release();
  }
}

/** To write to; made when absent. Throws `transfer.running`, `store.*`. */
export async function withWritableData<T>(directory: string, work: (place: OpenPlace) => Promise<T>): Promise<T> {
  await systemFiles.makeDirectory(directory);
  const lock = await locked(directory);
  try {
    const engine = await openEngine({ ...world, store: await openData(joinPath(directory, 'table')) });
    const call: Call = async (operation, input) => {
      if (!isOperation(operation)) throw new Error(operation);
      // As over the wire: a call may change what it is given.
      return callOperation(engine, operation, JSON.parse(JSON.stringify(input)), { format: wireFormat });
    };
    const verify = (tableName: string) => verifyIndexes(engine, tableName).differences;
    return await work({ call, name: path.resolve(directory), verify }).finally(() => engine.close());
  } finally {
    await lock.release();
  }
}

function openData(tableDirectory: string) {
  return openLmdbStore({ path: tableDirectory, durability: 'sync' });
}

function locked(directory: string) {
  return lockDataDirectory(directory).catch(error => {
    throw codeOf(error) === 'data.inUse' ? running(directory, error) : error;
  });
}

/** LMDB's two meta pages hold the number of the last transaction and where its tree begins: another for other data. */
async function markOf(filePath: string): Promise<string> {
  const file = await systemFiles.open(filePath, { readOnly: true });
  try {
    const pages = Buffer.alloc(2 * 8_192);
    const length = await file.read(pages, 0);
    return createHash('sha256').update(pages.subarray(0, length)).digest('hex');
  } finally {
    await file.close();
  }
}

const endpointNotValid = (url: string) =>
  new MimamoriError({
    code: 'transfer.endpointNotValid',
    message: `${url} is not the URL of an endpoint.`,
    fix: 'Give one like http://127.0.0.1:8000 or https://dynamodb.eu-central-1.amazonaws.com.',
  });

const dataNotFound = (directory: string) =>
  new MimamoriError({
    code: 'transfer.dataNotFound',
    message: `There is no table in ${directory}.`,
    fix: 'Give --data the folder of an app, or --endpoint for one that is running.',
  });

const running = (directory: string, cause: unknown) =>
  new MimamoriError({
    code: 'transfer.running',
    message: `${directory} is in use: its app is running.`,
    fix: 'Give --endpoint with the address it printed as dynamodb, such as http://127.0.0.1:8000; or stop it first.',
    cause,
  });
