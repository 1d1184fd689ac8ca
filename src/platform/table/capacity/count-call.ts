/** Tells the invocation that calls the table of each call, so that a list that is read piece by piece is found. */
import { type Caller, currentCaller } from '../../../kernel/callers.ts';
import type { Table } from '../port.ts';

type Operation = Exclude<keyof Table, 'close'>;

/** About a single item or list, and possible as a part of a call about many. */
const countedOperations: ReadonlySet<Operation> = new Set([
  'get',
  'put',
  'update',
  'delete',
  'query',
  'transactGet',
  'transactWrite',
]);

const writes: ReadonlySet<Operation> = new Set(['put', 'update', 'delete', 'batchWrite', 'transactWrite']);

/** @returns who calls */
export function countCall(operation: Operation, input: object | undefined): Caller | undefined {
  const caller = currentCaller();
  if (caller?.calls === undefined) return caller;
  caller.calls.noteCall();
  if (writes.has(operation)) caller.calls.noteEffect('write', input);
  if (caller.isCounted !== true && countedOperations.has(operation) && input && isAlone(input))
    caller.calls.count(operation, targetOf(input));
  return caller;
}

/** The same for a call by the name of the API, as clients of libraries make it. */
export function countOperation(name: string, input: object | undefined): Caller | undefined {
  const operation = Object.hasOwn(byName, name) ? byName[name] : undefined;
  return operation === undefined ? currentCaller() : countCall(operation, input);
}

const byName: Readonly<Record<string, Operation>> = {
  GetItem: 'get',
  PutItem: 'put',
  UpdateItem: 'update',
  DeleteItem: 'delete',
  Query: 'query',
  Scan: 'scan',
  BatchGetItem: 'batchGet',
  BatchWriteItem: 'batchWrite',
  TransactGetItems: 'transactGet',
  TransactWriteItems: 'transactWrite',
};

/** The request is not checked yet, so it may be anything. */
interface Uncertain {
  readonly TableName?: unknown;
  readonly ExclusiveStartKey?: unknown;
  readonly TransactItems?: unknown;
}

/** Further pages are of the same list, and a transaction of several actions is one about many already. */
function isAlone(input: object): boolean {
  const { ExclusiveStartKey, TransactItems }: Uncertain = input;
  return ExclusiveStartKey === undefined && !(Array.isArray(TransactItems) && TransactItems.length > 1);
}

function targetOf(input: object): string {
  const { TableName }: Uncertain = input;
  return typeof TableName === 'string' ? TableName : 'transaction';
}
