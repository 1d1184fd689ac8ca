/** A table engine as what the endpoint serves. */
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

export function tableService(engine: Engine): Service {
  const operations = new Map<string, Operation>();
  const door = { format: wireFormat, caller: { functionName: 'DynamoDB endpoint' } };
  for (const name of operationNames) {
    const api = streamOperations.has(name) ? 'DynamoDBStreams_20120810' : 'DynamoDB_20120810';
    const call = (input: unknown) => callOperation(engine, name, input, door, legacyParameters) as Promise<object>; // a cast: answers are
    operations.set(`${api}.${name}`, { name, call });
  }
  return { operations };
}
