/** The engine on this machine's disk, in process: values are JavaScript's. */
import { callOperation } from './call.ts';
import { currentCaller } from './capacity/callers.ts';
import { noMeter } from './capacity/meter.ts';
import type { Door, Engine } from './engine.ts';
import { operations } from './operations/index.ts';
import type { Table, TableSchema, TableStreams } from './port.ts';
import { isOperation } from './requests/index.ts';
import { type EngineOptions, openEngine } from './storage/open-engine.ts';
import { operations as streamOperations } from './streams/index.ts';
import type { ChangeFeed } from './streams/table-changes.ts';
import { checkInput } from './supported.ts';
import { documentFormat } from './values/document-format.ts';

export interface EmbeddedTableOptions extends EngineOptions {
  readonly tables: readonly TableSchema[];
}

/** What the embedded engine has besides the port. */
export interface OpenTable extends Table {
  readonly streams: TableStreams;
  /** For readers in this process. Throws `table.notFound`. */
  changesOf(tableName: string): ChangeFeed;
}

/** Resolves when the indexes that are new have been filled from the items already there. */
export async function openEmbeddedTable(options: EmbeddedTableOptions): Promise<OpenTable> {
  return tableOn(await openEngine(options));
}

/** The engine through the door of documents. */
export function tableOn(engine: Engine): OpenTable {
  // Asynchronous, so that whatever is refused is a rejection; what is accepted runs before this returns.
  const call = async <Input, Output>(
    name: keyof typeof operations,
    operation: (engine: Engine, input: Input, door: Door) => Promise<Output>,
    input: Input,
  ): Promise<Output> => {
    const door = doorOf(engine);
    if (isOperation(name)) return callOperation(engine, name, input, door) as Promise<Output>; // a cast: the registry's own
    checkInput(name, input);
    return operation(engine, input, door);
  };
  return {
    get: input => call('GetItem', operations.GetItem, input),
    put: input => call('PutItem', operations.PutItem, input),
    delete: input => call('DeleteItem', operations.DeleteItem, input),
    update: input => call('UpdateItem', operations.UpdateItem, input),
    query: input => call('Query', operations.Query, input),
    scan: input => call('Scan', operations.Scan, input),
    batchGet: input => call('BatchGetItem', operations.BatchGetItem, input),
    batchWrite: input => call('BatchWriteItem', operations.BatchWriteItem, input),
    transactGet: input => call('TransactGetItems', operations.TransactGetItems, input),
    transactWrite: input => call('TransactWriteItems', operations.TransactWriteItems, input),
    close: () => engine.close(),
    streams: {
      listStreams: input => streamOperations.ListStreams(engine, input),
      describeStream: input => streamOperations.DescribeStream(engine, input),
      getShardIterator: input => streamOperations.GetShardIterator(engine, input),
      getRecords: input => streamOperations.GetRecords(engine, input),
    },
    changesOf: tableName => engine.changes.feedOf(engine.catalog.table(tableName).id),
  };
}

const anonymousDoor: Door = { format: documentFormat };

function doorOf({ meter }: Engine): Door {
  const caller = meter === noMeter ? undefined : currentCaller();
  return caller === undefined ? anonymousDoor : { format: documentFormat, caller };
}
