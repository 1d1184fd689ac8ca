/** A table engine as what the endpoint serves. */
import type { TableDescription } from '@aws-sdk/client-dynamodb';
import { callOperation, type Engine, operationNames, wireFormat } from '../../platform/table/index.ts';
import { legacyParameters } from './legacy/index.ts';
import type { Operation, Service } from './service.ts';

/** The feed of changes is an API of its own. */
const streamOperations: ReadonlySet<string> = new Set([
  'ListStreams',
  'DescribeStream',
  'GetShardIterator',
  'GetRecords',
]);

/** What DynamoDB does by itself and a client of ours does with pages: exports of one moment. */
export const exportsApi = 'MimamoriExports_20261121';

export function tableService(engine: Engine): Service {
  const operations = new Map<string, Operation>();
  const door = { format: wireFormat, caller: { functionName: 'DynamoDB endpoint' } };
  for (const name of operationNames) {
    const api = streamOperations.has(name) ? 'DynamoDBStreams_20120810' : 'DynamoDB_20120810';
    const answer = (input: unknown) => callOperation(engine, name, input, door, legacyParameters) as Promise<object>; // a cast: answers are
    const call = tableOperations.has(name) ? async (input: unknown) => withThroughputMode(await answer(input)) : answer;
    operations.set(`${api}.${name}`, { name, call });
    operations.set(`DynamoDB_20120810.${name}`, { name, call }); // both APIs are at one address, and some ask for them as one
  }
  for (const [name, call] of Object.entries(engine.snapshots.operations)) {
    operations.set(`${exportsApi}.${name}`, { name, call });
  }
  return { operations };
}

/** Those that answer with a table. */
const tableOperations: ReadonlySet<string> = new Set(['CreateTable', 'DescribeTable', 'UpdateTable', 'DeleteTable']);

/** The same as the billing mode under an older name, which no SDK knows, but DynamoDB says it and who reads JSON sees it. */
function withThroughputMode(answer: object): object {
  const tables = Object.entries(answer).map(([member, table]: [string, TableDescription]) => {
    const { BillingModeSummary: billing } = table;
    if (billing === undefined) return [member, table];
    const { BillingMode: TableThroughputMode, ...since } = billing;
    return [member, { ...table, TableThroughputModeSummary: { TableThroughputMode, ...since } }];
  });
  return Object.fromEntries(tables);
}
