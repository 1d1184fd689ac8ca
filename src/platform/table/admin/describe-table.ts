import type { DescribeTableCommandInput, DescribeTableCommandOutput } from '@aws-sdk/client-dynamodb';
import type { Engine } from '../engine.ts';
import type { Answer } from '../port.ts';
import { nameFrom } from '../storage/catalog.ts';
import { describeStored } from './table-description.ts';

export async function describeTable(
  engine: Engine,
  { TableName = '' }: DescribeTableCommandInput,
): Promise<Answer<DescribeTableCommandOutput>> {
  const between = engine.transitions.find(nameFrom(TableName));
  return { Table: between ?? describeStored(engine, engine.catalog.stored(TableName)) };
}
