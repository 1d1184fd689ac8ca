import type { ListTablesCommandInput, ListTablesCommandOutput } from '@aws-sdk/client-dynamodb';
import type { Engine } from '../engine.ts';
import type { Answer } from '../port.ts';

const namesMax = 100; // DynamoDB ListTables

export async function listTables(
  { catalog }: Engine,
  { ExclusiveStartTableName: after, Limit = namesMax }: ListTablesCommandInput,
): Promise<Answer<ListTablesCommandOutput>> {
  const names = catalog.list().map(({ tableName }) => tableName);
  const left = after === undefined ? names : names.filter(name => name > after);
  const page = left.slice(0, Limit);
  return { TableNames: page, ...(left.length > Limit && { LastEvaluatedTableName: page.at(-1) }) };
}
