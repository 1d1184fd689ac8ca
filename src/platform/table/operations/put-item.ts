import type { PutCommandInput, PutCommandOutput } from '@aws-sdk/lib-dynamodb';
import type { Door, Engine } from '../engine.ts';
import type { Answer } from '../port.ts';
import { tableOf } from './table-of.ts';
import { attributesAnswer, writeAlone } from './write-answer.ts';
import { readPut } from './writes.ts';

export async function putItem(engine: Engine, input: PutCommandInput, door: Door): Promise<Answer<PutCommandOutput>> {
  const plan = readPut(input.Item, input, door).bind(tableOf(engine, input.TableName));
  return writeAlone(engine, plan, input, door, ({ stored }) =>
    input.ReturnValues === 'ALL_OLD' ? attributesAnswer(stored?.item, door) : {},
  );
}
