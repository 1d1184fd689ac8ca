/** The engine on this machine's disk, in process: values are JavaScript's. */

import { type Caller, currentCaller } from '../../kernel/callers.ts';
import type { operations as adminOperations } from './admin/index.ts';
import { callOperation } from './call.ts';
import { countCall, countOperation } from './capacity/count-call.ts';
import type { Door, Engine } from './engine.ts';
import type { operations } from './operations/index.ts';
import type { Table, TableAdmin, TableSchema, TableStreams } from './port.ts';
import type { OperationName } from './requests/index.ts';
import { type EngineOptions, openEngine } from './storage/open-engine.ts';
import type { operations as streamOperations } from './streams/index.ts';
import type { ChangeFeed } from './streams/table-changes.ts';
import { documentFormat } from './values/document-format.ts';
import type { ValueFormat } from './values/format.ts';

export interface EmbeddedTableOptions extends EngineOptions {
  readonly tables: readonly TableSchema[];
}

/** What the embedded engine has besides the port. */
export interface OpenTable extends Table {
  readonly admin: TableAdmin;
  readonly streams: TableStreams;
  /** For readers in this process. Throws `table.notFound`. */
  changesOf(tableName: string): ChangeFeed;
  /** Any call of the API by its name, with values in the format of whoever asks. */
  answer(name: OperationName, input: object, format: ValueFormat): Promise<unknown>;
}

/** Resolves when the indexes that are new have been filled from the items already there. */
export async function openEmbeddedTable(options: EmbeddedTableOptions): Promise<OpenTable> {
  return tableOn(await openEngine(options));
}

/** The engine through the door of documents. */
export function tableOn(engine: Engine): OpenTable {
  // What is accepted runs before this returns. The casts: a call's answer is that of its operation.
  const call = <Name extends keyof typeof operations>(name: Name, input: object, caller: Caller | undefined) =>
    callOperation(engine, name, input, doorOf(caller)) as ReturnType<(typeof operations)[Name]>;
  return {
    get: input => call('GetItem', input, countCall('get', input)),
    put: input => call('PutItem', input, countCall('put', input)),
    delete: input => call('DeleteItem', input, countCall('delete', input)),
    update: input => call('UpdateItem', input, countCall('update', input)),
    query: input => call('Query', input, countCall('query', input)),
    scan: input => call('Scan', input, countCall('scan', input)),
    batchGet: input => call('BatchGetItem', input, countCall('batchGet', input)),
    batchWrite: input => call('BatchWriteItem', input, countCall('batchWrite', input)),
    transactGet: input => call('TransactGetItems', input, countCall('transactGet', input)),
    transactWrite: input => call('TransactWriteItems', input, countCall('transactWrite', input)),
    close: () => engine.close(),
    admin: adminOn(engine),
    streams: streamsOn(engine),
    answer: (name, input, format) =>
      callOperation(engine, name, input, { ...doorOf(countOperation(name, input)), format }),
    changesOf: tableName => engine.changes.feedOf(engine.catalog.table(tableName).id),
  };
}

const anonymousDoor: Door = { format: documentFormat };

function doorOf(caller: Caller | undefined): Door {
  return caller === undefined ? anonymousDoor : { format: documentFormat, caller };
}

function streamsOn(engine: Engine): TableStreams {
  // The casts: a call's answer is that of its operation.
  const call = <Name extends keyof typeof streamOperations>(name: Name, input: object) =>
    callOperation(engine, name, input, doorOf(currentCaller())) as ReturnType<(typeof streamOperations)[Name]>;
  return {
    listStreams: input => call('ListStreams', input),
    describeStream: input => call('DescribeStream', input),
    getShardIterator: input => call('GetShardIterator', input),
    getRecords: input => call('GetRecords', input),
  };
}

function adminOn(engine: Engine): TableAdmin {
  const call = async <Output>(name: keyof typeof adminOperations & OperationName, input: object): Promise<Output> =>
    callOperation(engine, name, input, doorOf(currentCaller())) as Promise<Output>; // a cast: the registry's own
  return {
    createTable: input => call('CreateTable', input),
    describeTable: input => call('DescribeTable', input),
    updateTable: input => call('UpdateTable', input),
    deleteTable: input => call('DeleteTable', input),
    listTables: input => call('ListTables', input),
    updateTimeToLive: input => call('UpdateTimeToLive', input),
    describeTimeToLive: input => call('DescribeTimeToLive', input),
  };
}
