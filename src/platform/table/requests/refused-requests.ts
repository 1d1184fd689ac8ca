/** Requests and how DynamoDB refuses them; where public captures of the service differ by Region, the newest wording. */
import type { OperationName } from './index.ts';

/** A call, its input as JSON carries it, and the refusal: a ValidationException, or a name and a message. */
export type RefusedRequest = readonly [OperationName, unknown, string | readonly [string, string]];

const enveloped = (message: string) => `1 validation error detected: ${message}`;
const at = (path: string, value: string, constraint: string) =>
  `Value ${value} at '${path}' failed to satisfy constraint: Member must ${constraint}`;
const malformed = (message: string) => ['SerializationException', message] as const;
const TableName = 'things';
const Key = { a: { S: 'x' } };
const put = (Item: unknown, more: object = {}) => ['PutItem', { TableName, Item, ...more }] as const;
const capacityEnum = at('returnConsumedCapacity', "'hi'", 'satisfy enum value set: [INDEXES, TOTAL, NONE]');
const returnsEnum = 'satisfy enum value set: [ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]';
const newReturnsEnum =
  'Failed to satisfy constraint: Member must satisfy enum value set: [ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE]';
const nest =
  'Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit';

export function deep(levels: number): unknown {
  let value: unknown = { S: 'leaf' };
  for (let level = 0; level < levels; level++) value = { M: { n: value } };
  return value;
}

export const refusedItemRequests: readonly RefusedRequest[] = [
  // Types
  ['PutItem', [], malformed('Start of structure or map found where not expected.')],
  ['PutItem', { TableName: 1 }, malformed('NUMBER_VALUE cannot be converted to String')],
  ['PutItem', { TableName: 1.5 }, malformed('DECIMAL_VALUE cannot be converted to String')],
  ['PutItem', { TableName: true }, malformed('TRUE_VALUE cannot be converted to String')],
  ['PutItem', { TableName: [] }, malformed('Unrecognized collection type class java.lang.String')],
  ['PutItem', { TableName: {} }, malformed('Start of structure or map found where not expected')],
  ['PutItem', { Item: 'x' }, malformed('Unexpected field type')],
  [
    'PutItem',
    { Item: [] },
    malformed(
      'Unrecognized collection type java.util.Map<java.lang.String, com.amazonaws.dynamodb.v20120810.AttributeValue>',
    ),
  ],
  ['PutItem', { Item: { a: 'x' } }, malformed('Unexpected value type in payload')],
  [
    'PutItem',
    { Item: { a: [] } },
    malformed('Unrecognized collection type class com.amazonaws.dynamodb.v20120810.AttributeValue'),
  ],
  ['PutItem', { Item: { a: { S: 1 } } }, malformed('NUMBER_VALUE cannot be converted to String')],
  ['PutItem', { Item: { a: { B: 1 } } }, malformed('only base-64-encoded strings are convertible to bytes')],
  [
    'PutItem',
    { Item: { a: { B: 'abcde' } } },
    malformed('Base64 encoded length is expected a multiple of 4 bytes but found: 5'),
  ],
  ['PutItem', { Item: { a: { B: '+/+=' } } }, malformed('Invalid last non-pad Base64 character dectected')],
  ['PutItem', { Item: { a: { BOOL: 'maybe' } } }, malformed('Unexpected token received from parser')],
  ['PutItem', { Item: { a: { SS: 'x' } } }, malformed('Unexpected field type')],
  ['PutItem', { Item: { a: { L: [{ N: 1 }] } } }, malformed('NUMBER_VALUE cannot be converted to String')],
  ['GetItem', { ConsistentRead: 3 }, malformed('NUMBER_VALUE cannot be converted to Boolean')],
  // Constraints
  [
    'PutItem',
    {},
    `2 validation errors detected: ${at('tableName', 'null', 'not be null')}; ${at('item', 'null', 'not be null')}`,
  ],
  [
    'PutItem',
    { TableName: '', Item: {}, ReturnValues: 'hi' },
    enveloped("Value at 'TableName' failed to satisfy constraint: Member must have length greater than or equal to 1"),
  ],
  [
    'PutItem',
    { TableName: 'a'.repeat(256), Item: {} },
    enveloped(at('tableName', `'${'a'.repeat(256)}'`, 'have length less than or equal to 255')),
  ],
  [
    'PutItem',
    { TableName: 'bad table!@#', Item: {} },
    enveloped(at('tableName', "'bad table!@#'", 'satisfy regular expression pattern: [a-zA-Z0-9_.-]+')),
  ],
  [
    ...put({}, { ReturnConsumedCapacity: 'hi', ReturnItemCollectionMetrics: 'hi', ReturnValues: 'hi' }),
    `3 validation errors detected: ${capacityEnum}; ${newReturnsEnum}; ReturnItemCollectionMetrics can only be SIZE or NONE`,
  ],
  [
    'PutItem',
    { TableName: 'abc;', ReturnConsumedCapacity: 'hi', ReturnItemCollectionMetrics: 'hi', ReturnValues: 'hi' },
    `5 validation errors detected: ${capacityEnum}; ` +
      `${at('tableName', "'abc;'", 'satisfy regular expression pattern: [a-zA-Z0-9_.-]+')}; ${at('item', 'null', 'not be null')}; ` +
      `${at('returnValues', "'hi'", returnsEnum)}; ${at('returnItemCollectionMetrics', "'hi'", 'satisfy enum value set: [SIZE, NONE]')}`,
  ],
  [
    'DeleteItem',
    { TableName, Key, ReturnValues: 'hi', ReturnConsumedCapacity: 'hi' },
    `2 validation errors detected: ${capacityEnum}; ${newReturnsEnum}`,
  ],
  ['UpdateItem', { TableName, Key, ReturnValues: 'hi', ReturnConsumedCapacity: 'hi' }, enveloped(newReturnsEnum)],
  ['UpdateItem', { TableName, Key, ReturnConsumedCapacity: 'hi' }, enveloped(capacityEnum)],
  // Deeper than the newer layer reads: the older words, and parameters before values
  ['DeleteItem', { TableName, Key: { a: deep(62) }, ReturnValues: 'hi' }, enveloped(newReturnsEnum)],
  [
    'DeleteItem',
    { TableName, Key: { a: deep(63) }, ReturnValues: 'hi' },
    enveloped(at('returnValues', "'hi'", returnsEnum)),
  ],
  [
    'DeleteItem',
    { TableName, Key: { a: deep(63) }, ReturnValues: 'ALL_NEW' },
    'ReturnValues can only be ALL_OLD or NONE',
  ],
  ['DeleteItem', { TableName, Key: { a: deep(40) }, ReturnValues: 'ALL_NEW' }, enveloped(nest)],
  [
    ...put(Key, { Expected: { b: { Value: deep(100) }, c: { Exists: false } }, ConditionalOperator: 'XOR' }),
    enveloped(at('conditionalOperator', "'XOR'", 'satisfy enum value set: [OR, AND]')),
  ],
  [...put({ b: deep(40), '': { S: 'x' } }), enveloped('Empty attribute name')],
  [
    'UpdateItem',
    { TableName: '', ReturnValues: 'hi', ReturnConsumedCapacity: 'hi' },
    `4 validation errors detected: ${capacityEnum}; ${at('tableName', "''", 'have length greater than or equal to 1')}; ` +
      `${at('returnValues', "'hi'", returnsEnum)}; ${at('key', 'null', 'not be null')}`,
  ],
  ['GetItem', { TableName, Key, ReturnConsumedCapacity: 'hi' }, enveloped(capacityEnum)],
  [
    'GetItem',
    { TableName, Key, AttributesToGet: [] },
    enveloped(at('attributesToGet', "'[]'", 'have length greater than or equal to 1')),
  ],
  // Parameters together
  [
    ...put({}, { Expected: {}, ConditionExpression: 'x' }),
    enveloped(
      'Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {Expected} Expression parameters: {ConditionExpression}',
    ),
  ],
  [
    ...put({}, { ExpressionAttributeValues: { ':v': { S: 'x' } } }),
    enveloped('ExpressionAttributeValues can only be specified when using expressions'),
  ],
  [
    ...put({}, { ExpressionAttributeNames: { '#a': 'a' } }),
    enveloped('ExpressionAttributeNames can only be specified when using expressions'),
  ],
  [
    'GetItem',
    { TableName, Key, ExpressionAttributeNames: { '#a': 'a' } },
    'ExpressionAttributeNames can only be specified when using expressions',
  ],
  [
    'GetItem',
    { TableName, Key, ExpressionAttributeNames: {}, ProjectionExpression: 'a' },
    'ExpressionAttributeNames must not be empty',
  ],
  [
    'GetItem',
    { TableName, Key, ExpressionAttributeNames: { a: 'a' }, ProjectionExpression: 'a' },
    'ExpressionAttributeNames contains invalid key: Syntax error; key: "a"',
  ],
  [
    'GetItem',
    { TableName, Key, AttributesToGet: ['a', 'b', 'a'] },
    'One or more parameter values were invalid: Duplicate value in attribute name: a',
  ],
  [...put({}, { ReturnValues: 'ALL_NEW' }), enveloped('ReturnValues can only be ALL_OLD or NONE')],
  [
    ...put({}, { ConditionalOperator: 'OR' }),
    enveloped('ConditionalOperator cannot be used without Filter or Expected'),
  ],
  [
    ...put({}, { ConditionalOperator: 'OR', Expected: { a: { Exists: false } } }),
    enveloped('ConditionalOperator can only be used when Filter or Expected has two or more elements'),
  ],
  [
    ...put({}, { ConditionalOperator: 'XOR', Expected: { a: { Exists: false }, b: { Exists: false } } }),
    enveloped('Failed to satisfy constraint: Member must satisfy enum value set: [ALL, OR]'),
  ],
  // Values
  [...put({ '': { S: 'x' } }), enveloped('Empty attribute name')],
  [
    ...put({ a: {} }),
    enveloped('Supplied AttributeValue is empty, must contain exactly one of the supported datatypes'),
  ],
  [
    ...put({ a: { S: 'x', N: '1' } }),
    enveloped(
      'Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes',
    ),
  ],
  [
    ...put({ a: { NULL: false } }),
    enveloped('One or more parameter values were invalid: Null attribute value types must have the value of true'),
  ],
  [...put({ a: { SS: [] } }), enveloped('One or more parameter values were invalid: An string set  may not be empty')],
  [...put({ a: { NS: [] } }), enveloped('One or more parameter values were invalid: An number set  may not be empty')],
  [...put({ a: { BS: [] } }), enveloped('One or more parameter values were invalid: Binary sets should not be empty')],
  [
    ...put({ a: { SS: ['b', 'a', 'b'] } }),
    enveloped('One or more parameter values were invalid: Input collection ["a", "b", "b"] contains duplicates.'),
  ],
  [
    ...put({ a: { BS: ['/w==', 'AA==', 'AA=='] } }),
    enveloped(
      'One or more parameter values were invalid: Input collection ["AA==","/w==","AA=="]of type BS contains duplicates.',
    ),
  ],
  [
    ...put({ a: { NS: ['2', '1', '2.0'] } }),
    enveloped('One or more parameter values were invalid: Input collection contains duplicates.'),
  ],
  [
    ...put({ a: { L: [{ M: { b: { N: 'b' } } }] } }),
    enveloped('The parameter cannot be converted to a numeric value: b'),
  ],
  [...put({ a: { N: '' } }), enveloped('The parameter cannot be converted to a numeric value: ')],
  ['GetItem', { TableName, Key: { a: { N: ' 1' } } }, 'The parameter cannot be converted to a numeric value:  1'],
  ...['0x10', '1e', 'NaN', 'Infinity', '1.2.3', '.', '-', '1e9223372036854775808'].map(
    number =>
      [
        ...put({ a: { N: number } }),
        enveloped(`The parameter cannot be converted to a numeric value: ${number}`),
      ] as const,
  ),
  ...['1e126', '-1e126', '0e126', '1e2147483647', '1e99999999999', `1${'0'.repeat(126)}`].map(
    number =>
      [
        ...put({ a: { N: number } }),
        enveloped('Number overflow. Attempting to store a number with magnitude larger than supported range'),
      ] as const,
  ),
  ...['1e-131', '-1e-131', '0e-131', '1e-99999999999'].map(
    number =>
      [
        ...put({ a: { N: number } }),
        enveloped('Number underflow. Attempting to store a number with magnitude smaller than supported range'),
      ] as const,
  ),
  ...['123456789012345678901234567890123456789', '-1.23456789012345678901234567890123456789'].map(
    number =>
      [
        ...put({ a: { N: number } }),
        enveloped('Attempting to store more than 38 significant digits in a Number'),
      ] as const,
  ),
  [...put({ a: deep(32) }), enveloped(nest)],
  ['GetItem', { TableName, Key: { a: deep(32) } }, nest],
];
