/** Query and Scan. */
import { tableLimits } from '../limits.ts';
import { checkAliases, checkConditionalOperator, checkExpressionParameters, checkNoDuplicates } from './parameters.ts';
import {
  attributeMap,
  attributesToGet,
  type CheckContext,
  conditionalOperator,
  filterConditions,
  flag,
  indexName,
  keyConditions,
  nameMap,
  type Request,
  type RequestDescription,
  requiredTable,
  returnConsumedCapacity,
  type TextShape,
  text,
} from './shapes.ts';
import { failureOf, refusal } from './values.ts';

const select: TextShape = {
  type: 'string',
  values: ['SPECIFIC_ATTRIBUTES', 'COUNT', 'ALL_ATTRIBUTES', 'ALL_PROJECTED_ATTRIBUTES'],
};

export const pageRequests = {
  Query: {
    wording: 'newer',
    alone: ['ConditionalOperator', 'TableName', 'Limit'],
    members: {
      Select: select,
      IndexName: indexName,
      ReturnConsumedCapacity: returnConsumedCapacity,
      QueryFilter: filterConditions,
      TableName: requiredTable,
      ConditionalOperator: conditionalOperator,
      AttributesToGet: attributesToGet,
      Limit: { type: 'integer', min: 1 },
      KeyConditions: keyConditions,
      ExclusiveStartKey: attributeMap,
      ConsistentRead: flag,
      ScanIndexForward: flag,
      KeyConditionExpression: text,
      FilterExpression: text,
      ProjectionExpression: text,
      ExpressionAttributeValues: attributeMap,
      ExpressionAttributeNames: nameMap,
    },
    check(request, context) {
      checkExpressionParameters(request, queryParameters, context);
      checkConditionalOperator(request, 'QueryFilter', context);
      context.checkLegacy('QueryFilter');
      checkNoDuplicates(request.AttributesToGet, context);
      checkStartKey(request, context);
      if (request.KeyConditions === undefined && request.KeyConditionExpression === undefined) {
        throw refusal(
          'Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.',
          context.wording,
        );
      }
      checkAliases(request, context);
      context.checkLegacy('KeyConditions');
      checkSelect(request, 'enveloped');
    },
  },
  Scan: {
    wording: 'older',
    members: {
      Select: select,
      IndexName: indexName,
      TotalSegments: { type: 'integer', min: 1, max: tableLimits.scanSegmentsMax },
      ReturnConsumedCapacity: returnConsumedCapacity,
      TableName: requiredTable,
      ConditionalOperator: conditionalOperator,
      ScanFilter: filterConditions,
      Segment: { type: 'integer', min: 0, max: tableLimits.scanSegmentsMax - 1 },
      Limit: { type: 'integer', min: 1 },
      AttributesToGet: attributesToGet,
      ExclusiveStartKey: attributeMap,
      FilterExpression: text,
      ProjectionExpression: text,
      ExpressionAttributeValues: attributeMap,
      ExpressionAttributeNames: nameMap,
      ConsistentRead: flag,
    },
    check(request, context) {
      checkExpressionParameters(request, scanParameters, context);
      checkConditionalOperator(request, 'ScanFilter', context);
      checkNoDuplicates(request.AttributesToGet, context);
      context.checkLegacy('ScanFilter');
      checkStartKey(request, context);
      checkSegments(request, context);
      checkAliases(request, context);
      checkSelect(request, 'older');
    },
  },
} as const satisfies Record<string, RequestDescription>;

const queryParameters = {
  expressions: ['ProjectionExpression', 'FilterExpression', 'KeyConditionExpression'],
  legacy: ['AttributesToGet', 'QueryFilter', 'ConditionalOperator', 'KeyConditions'],
};
const scanParameters = {
  expressions: ['ProjectionExpression', 'FilterExpression'],
  legacy: ['AttributesToGet', 'ScanFilter', 'ConditionalOperator'],
};

/** Some refusals of a value say that it is in the starting key, and some do not. */
const saidBare = /contains duplicates|number set|numeric value|significant digits|number with magnitude|Nesting Levels/;

function checkStartKey({ ExclusiveStartKey }: Request, { wording, isWire }: CheckContext): void {
  if (ExclusiveStartKey === undefined || !isWire) return;
  for (const value of Object.values(ExclusiveStartKey as object)) {
    // a cast: types were checked
    const failure = failureOf(value, 1, wording);
    if (failure === undefined) continue;
    throw refusal(saidBare.test(failure) ? failure : `The provided starting key is invalid: ${failure}`, wording);
  }
}

function checkSegments({ Segment, TotalSegments }: Request, { wording }: CheckContext): void {
  if (Segment !== undefined && TotalSegments === undefined) {
    throw refusal(
      'The TotalSegments parameter is required but was not present in the request when Segment parameter is present',
      wording,
    );
  }
  if (TotalSegments === undefined) return;
  if (Segment === undefined) {
    throw refusal(
      'The Segment parameter is required but was not present in the request when parameter TotalSegments is present',
      wording,
    );
  }
  if (Number(Segment) < Number(TotalSegments)) return;
  throw refusal(
    'The Segment parameter is zero-based and must be less than parameter TotalSegments: ' +
      `Segment: ${Segment} is not less than TotalSegments: ${TotalSegments}`,
    wording,
  );
}

const chosen: Readonly<Record<string, string>> = { COUNT: 'only the Count' };

function checkSelect(request: Request, wording: CheckContext['wording']): void {
  const asked = request.Select;
  if (asked === undefined) return;
  const projection = ['ProjectionExpression', 'AttributesToGet'].find(name => request[name] !== undefined);
  if (asked === 'SPECIFIC_ATTRIBUTES') {
    if (projection !== undefined) return;
    throw refusal(
      'Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES',
      wording,
    );
  }
  if (projection !== undefined) {
    const what = chosen[String(asked)] ?? String(asked);
    throw refusal(`Cannot specify the ${projection} when choosing to get ${what}`, wording);
  }
  if (asked === 'ALL_PROJECTED_ATTRIBUTES' && request.IndexName === undefined) {
    throw refusal('ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName', wording);
  }
}
