/** BatchGetItem and BatchWriteItem. */
import { parsedProjection } from '../expressions/cache.ts';
import { tableLimits } from '../limits.ts';
import { checkAliases, checkExpressionParameters, checkNoDuplicates } from './parameters.ts';
import {
  attributeMap,
  attributesToGet,
  type CheckContext,
  flag,
  key,
  type MapShape,
  nameMap,
  namePattern,
  type Request,
  type RequestDescription,
  returnConsumedCapacity,
  returnItemCollectionMetrics,
  type StructureShape,
  text,
} from './shapes.ts';
import { canonicalNumber, checkValues, refusal, type WireValues } from './values.ts';

const tableKeys: MapShape['keys'] = { pattern: namePattern, lengthMin: 3, lengthMax: 255, orArn: true };

const keysAndAttributes: StructureShape = {
  type: 'structure',
  name: 'KeysAndAttributes',
  members: {
    Keys: {
      type: 'list',
      required: true,
      lengthMin: 1,
      lengthMax: tableLimits.batchGetKeysMax,
      of: { ...attributeMap, isNested: true },
    },
    AttributesToGet: attributesToGet,
    ConsistentRead: flag,
    ProjectionExpression: text,
    ExpressionAttributeNames: nameMap,
  },
};

const writeRequest: StructureShape = {
  type: 'structure',
  name: 'WriteRequest',
  members: {
    PutRequest: { type: 'structure', name: 'PutRequest', members: { Item: key } },
    DeleteRequest: { type: 'structure', name: 'DeleteRequest', members: { Key: key } },
  },
};

export const batchRequests = {
  BatchGetItem: {
    wording: 'newer',
    alone: ['RequestItems', 'RequestItems.*.Keys'],
    tableNames: 'first',
    members: {
      ReturnConsumedCapacity: returnConsumedCapacity,
      RequestItems: {
        type: 'map',
        javaType: 'com.amazonaws.dynamodb.v20120810.KeysAndAttributes',
        required: true,
        lengthMin: 1,
        keys: tableKeys,
        echoesJson: true,
        of: keysAndAttributes,
      },
    },
    check({ RequestItems }, context) {
      const tables = Object.values(RequestItems as Record<string, Request>); // a cast: types were checked
      checkOneKindOfProjection(tables, context);
      let keys = 0;
      for (const table of tables) {
        checkNoDuplicates(table.AttributesToGet, context);
        checkAliases(table, context);
        keys += checkKeys(table, context);
        if (keys <= tableLimits.batchGetKeysMax) continue;
        throw refusal('Too many items requested for the BatchGetItem call', context.wording);
      }
    },
  },
  BatchWriteItem: {
    wording: 'older',
    tableNames: 'afterEnums',
    members: {
      ReturnConsumedCapacity: returnConsumedCapacity,
      ReturnItemCollectionMetrics: returnItemCollectionMetrics,
      RequestItems: {
        type: 'map',
        javaType: 'java.util.List<com.amazonaws.dynamodb.v20120810.WriteRequest>',
        required: true,
        keys: tableKeys,
        valueLengths: { min: 1, max: tableLimits.batchWriteItemsMax },
        of: { type: 'list', isNested: true, of: writeRequest },
      },
    },
    check({ RequestItems }, context) {
      const tables = Object.values(RequestItems as Record<string, readonly Request[]>); // a cast: types were checked
      if (tables.length === 0) {
        throw refusal('The requestItems parameter is required for BatchWriteItem', context.wording);
      }
      if (tables.flat().length > tableLimits.batchWriteItemsMax) {
        throw refusal('Too many items requested for the BatchWriteItem call', context.wording);
      }
      for (const writes of tables) for (const write of writes) checkWrite(write, context);
    },
  },
} as const satisfies Record<string, RequestDescription>;

/** Of all tables: one that names attributes and one that has an expression do not go together. */
function checkOneKindOfProjection(tables: readonly Request[], context: CheckContext): void {
  const parameters = { expressions: ['ProjectionExpression'], legacy: ['AttributesToGet'] };
  for (const table of tables) checkExpressionParameters(table, parameters, context);
  const together: Record<string, unknown> = {};
  for (const table of tables) {
    together.AttributesToGet ??= table.AttributesToGet;
    together.ProjectionExpression ??= table.ProjectionExpression;
  }
  checkExpressionParameters(together, parameters, context);
}

function checkKeys(table: Request, { wording, isWire }: CheckContext): number {
  const keys = table.Keys as readonly WireValues[]; // a cast: types were checked
  if (!isWire) return keys.length;
  const seen = new Set<string>();
  for (const each of keys) {
    checkValues(each, wording);
    seen.add(canonicalKey(each));
  }
  if (seen.size === keys.length) return keys.length;
  if (typeof table.ProjectionExpression === 'string') parsedProjection(table.ProjectionExpression); // refused before
  throw refusal('Provided list of item keys contains duplicates', wording);
}

/** Equal for keys that are the same, however their numbers are written. */
function canonicalKey(values: WireValues): string {
  const sorted = Object.keys(values).sort();
  return JSON.stringify(
    sorted.map(name => {
      const value = values[name];
      const number = typeof value === 'object' && value !== null && 'N' in value ? String(value.N) : undefined;
      return [name, number === undefined ? value : { N: canonicalNumber(number) }];
    }),
  );
}

function checkWrite(write: Request | null, { wording, isWire }: CheckContext): void {
  const put = write?.PutRequest as Request | undefined; // a cast: types were checked
  const gone = write?.DeleteRequest as Request | undefined; // a cast: types were checked
  if ((put === undefined) === (gone === undefined)) {
    throw refusal(
      'Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes',
      wording,
    );
  }
  if (isWire) checkValues((put?.Item ?? gone?.Key) as WireValues, wording); // a cast: types were checked
}
