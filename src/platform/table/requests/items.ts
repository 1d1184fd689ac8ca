/** GetItem, PutItem, DeleteItem, UpdateItem. */
import { itemTooLarge } from '../errors.ts';
import { tableLimits } from '../limits.ts';
import { wireFormat } from '../values/wire-format.ts';
import { checkAliases, checkConditionalOperator, checkExpressionParameters, checkNoDuplicates } from './parameters.ts';
import {
  attributeMap,
  attributesToGet,
  type CheckContext,
  conditionalOperator,
  expected,
  flag,
  key,
  type Member,
  type Members,
  nameMap,
  type RequestDescription,
  requiredTable,
  returnConsumedCapacity,
  returnItemCollectionMetrics,
  returnValues,
  returnValuesOnFailure,
  text,
} from './shapes.ts';
import { checkValues, refusal, type WireValues } from './values.ts';

const conditionMembers: Members = {
  ConditionExpression: text,
  ExpressionAttributeValues: attributeMap,
  ExpressionAttributeNames: nameMap,
  ReturnValuesOnConditionCheckFailure: returnValuesOnFailure,
};

const attributeUpdates: Member = {
  type: 'map',
  javaType: 'com.amazonaws.dynamodb.v20120810.AttributeValueUpdate',
  legacy: true,
  of: {
    type: 'structure',
    name: 'AttributeValueUpdate',
    members: {
      Action: { type: 'string', values: ['ADD', 'PUT', 'DELETE'] },
      Value: { type: 'value' },
    },
  },
};

export const itemRequests = {
  GetItem: {
    wording: 'newer',
    alone: ['TableName'],
    members: {
      ReturnConsumedCapacity: returnConsumedCapacity,
      AttributesToGet: attributesToGet,
      TableName: requiredTable,
      Key: key,
      ConsistentRead: flag,
      ProjectionExpression: text,
      ExpressionAttributeNames: nameMap,
    },
    check(request, context) {
      checkExpressionParameters(
        request,
        { expressions: ['ProjectionExpression'], legacy: ['AttributesToGet'] },
        context,
      );
      checkItemValues(request.Key, context);
      checkNoDuplicates(request.AttributesToGet, context);
      checkAliases(request, context);
    },
  },
  PutItem: {
    wording: 'enveloped',
    alone: ['TableName'],
    members: {
      ReturnConsumedCapacity: returnConsumedCapacity,
      TableName: requiredTable,
      Item: key,
      ConditionalOperator: conditionalOperator,
      Expected: expected,
      ReturnValues: returnValues,
      ReturnItemCollectionMetrics: returnItemCollectionMetrics,
      ...conditionMembers,
    },
    check(request, context) {
      checkExpressionParameters(request, conditionParameters, context);
      checkConditionalOperator(request, 'Expected', context);
      if (context.wording === 'older') checkReturnsOld(request.ReturnValues, context);
      checkItemValues(request.Item, context);
      checkReturnsOld(request.ReturnValues, context);
      checkAliases(request, context);
      if (request.Expected !== undefined && context.isWire) refuseTooLarge(request.Item);
    },
  },
  DeleteItem: {
    wording: 'enveloped',
    alone: ['TableName'],
    members: {
      ReturnConsumedCapacity: returnConsumedCapacity,
      TableName: requiredTable,
      ReturnValues: returnValues,
      ReturnItemCollectionMetrics: returnItemCollectionMetrics,
      ConditionalOperator: conditionalOperator,
      Key: key,
      Expected: expected,
      ...conditionMembers,
    },
    check(request, context) {
      checkExpressionParameters(request, conditionParameters, context);
      checkConditionalOperator(request, 'Expected', context);
      if (context.wording === 'older') checkReturnsOld(request.ReturnValues, context);
      checkItemValues(request.Key, context);
      checkReturnsOld(request.ReturnValues, context);
      checkAliases(request, context);
    },
  },
  UpdateItem: {
    wording: 'enveloped',
    alone: ['TableName'],
    firstEnumOf: ['ReturnValues', 'ReturnConsumedCapacity', 'ReturnItemCollectionMetrics', 'ConditionalOperator'],
    members: {
      ReturnConsumedCapacity: returnConsumedCapacity,
      TableName: requiredTable,
      ReturnItemCollectionMetrics: returnItemCollectionMetrics,
      ReturnValues: returnValues,
      ConditionalOperator: conditionalOperator,
      Key: key,
      Expected: expected,
      AttributeUpdates: attributeUpdates,
      UpdateExpression: text,
      ...conditionMembers,
    },
    check(request, context) {
      checkExpressionParameters(request, updateParameters, context);
      checkConditionalOperator(request, 'Expected', context);
      checkItemValues(request.Key, context);
      checkAliases(request, context);
    },
  },
} as const satisfies Record<string, RequestDescription>;

const conditionParameters = { expressions: ['ConditionExpression'], legacy: ['Expected', 'ConditionalOperator'] };
const updateParameters = {
  expressions: ['UpdateExpression', 'ConditionExpression'],
  legacy: ['AttributeUpdates', 'Expected', 'ConditionalOperator'],
};

/** Before what is expected is looked at; of all other items the size is known only when they are read to be written. */
function refuseTooLarge(item: unknown): void {
  const { bytes } = wireFormat.readItem(item);
  if (bytes > tableLimits.itemBytesMax) throw itemTooLarge('Item size has exceeded the maximum allowed size');
}

function checkItemValues(values: unknown, { wording, isWire }: CheckContext): void {
  if (isWire) checkValues(values as WireValues, wording); // a cast: types were checked
}

function checkReturnsOld(asked: unknown, { wording }: CheckContext): void {
  if (asked === undefined || asked === 'NONE' || asked === 'ALL_OLD') return;
  throw refusal('ReturnValues can only be ALL_OLD or NONE', wording);
}
