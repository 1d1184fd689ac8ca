import type { DeleteCommandInput, DeleteCommandOutput } from '@aws-sdk/lib-dynamodb';
import type { Door, Engine } from '../engine.ts';
import type { Answer } from '../port.ts';
import { tableOf } from './table-of.ts';
import { attributesAnswer, writeAlone } from './write-answer.ts';
import { readDelete } from './writes.ts';

export async function deleteItem(
  engine: Engine,
  input: DeleteCommandInput,
  door: Door,
): Promise<Answer<DeleteCommandOutput>> {
  const plan = readDelete(input.Key, input, door).bind(tableOf(engine, input.TableName));
  return writeAlone(engine, plan, input, door, ({ stored }) =>
    input.ReturnValues === 'ALL_OLD' ? attributesAnswer(stored?.item, door) : {},
  );
}
