import type { UpdateCommandInput, UpdateCommandOutput } from '@aws-sdk/lib-dynamodb';
import type { Door, Engine } from '../engine.ts';
import { projectOn } from '../expressions/projection.ts';
import type { Answer } from '../port.ts';
import { decodeItem } from '../values/item-encoding.ts';
import type { Item } from '../values/value.ts';
import { tableOf } from './table-of.ts';
import { translationOf } from './translated.ts';
import { attributesAnswer, writeAlone } from './write-answer.ts';
import { type DecidedWrite, type NextItem, readUpdateWrite } from './writes.ts';

export async function updateItem(
  engine: Engine,
  input: UpdateCommandInput,
  door: Door,
): Promise<Answer<UpdateCommandOutput>> {
  const read = readUpdateWrite(input.Key, input, door, {
    measuresStatement: translationOf(input).isMeasuredByResult !== true,
  });
  const plan = read.bind(tableOf(engine, input.TableName));
  const touched = () => projectOn(read.update?.compiled.targets ?? []);
  return writeAlone(engine, plan, input, door, decided =>
    attributesAnswer(returnedItem(decided, input.ReturnValues, touched), door),
  );
}

function returnedItem(
  { stored, next }: DecidedWrite,
  asked: UpdateCommandInput['ReturnValues'],
  touched: () => (item: Item) => Item,
): Item | undefined {
  switch (asked) {
    case 'ALL_OLD':
      return stored?.item;
    case 'UPDATED_OLD':
      return stored && touched()(stored.item);
    case 'ALL_NEW':
      return next && ownCopy(next);
    case 'UPDATED_NEW':
      return next && touched()(ownCopy(next));
    default:
      return undefined;
  }
}

/** The new item may hold objects of the request, which belong to the caller. */
function ownCopy({ encoded }: NextItem): Item {
  return decodeItem(encoded);
}
