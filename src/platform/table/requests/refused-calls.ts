/** As `refused-requests.ts`: reads of many items, batches, transactions, tables and streams. */
import { deep, type RefusedRequest } from './refused-requests.ts';

const TableName = 'things';
const Key = { a: { S: 'x' } };
const values = { ':v': { S: 'x' } };
const one = (message: string) => `1 validation error detected: ${message}`;
const failed = (at: string, constraint: string) => `${at} failed to satisfy constraint: ${constraint}`;
const notValid = 'One or more parameter values were invalid: ';
const nest =
  'Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit';
const condition = { KeyConditionExpression: 'a = :v', ExpressionAttributeValues: values };
const query = (more: object) => ['Query', { TableName, ...condition, ...more }] as const;
const scan = (more: object) => ['Scan', { TableName, ...more }] as const;
const times = <Made>(count: number, make: (index: number) => Made) =>
  Array.from({ length: count }, (_, at) => make(at));

const capacityEnum = failed(
  "Value 'hi' at 'returnConsumedCapacity'",
  'Member must satisfy enum value set: [INDEXES, TOTAL, NONE]',
);
const mapKeys =
  'Map keys must satisfy constraint: [Member must have length less than or equal to 255, Member must have length greater than or equal to 3, Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+]';
const mapValues =
  'Map value must satisfy constraint: [Member must have length less than or equal to 25, Member must have length greater than or equal to 1]';

export const refusedPages: readonly RefusedRequest[] = [
  [...query({ Limit: 0 }), one(failed("Value at 'Limit'", 'Member must have value greater than or equal to 1'))],
  [
    ...query({ Select: 'hi' }),
    one(
      failed(
        "Value 'hi' at 'select'",
        'Member must satisfy enum value set: [SPECIFIC_ATTRIBUTES, COUNT, ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES]',
      ),
    ),
  ],
  [
    ...query({ IndexName: 'a;' }),
    `2 validation errors detected: ${failed("Value 'a;' at 'indexName'", 'Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+')}; ${failed("Value 'a;' at 'indexName'", 'Member must have length greater than or equal to 3')}`,
  ],
  [
    'Query',
    { TableName, KeyConditions: {}, QueryFilter: {}, ConditionalOperator: 'XOR', Select: 'hi' },
    'Failed to satisfy constraint: Member must satisfy enum value set: [ALL, OR]',
  ],
  ['Query', { TableName, ConditionalOperator: 'AND' }, 'ConditionalOperator cannot be used without Filter or Expected'],
  [
    'Query',
    { TableName },
    'Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.',
  ],
  [
    ...query({ ExclusiveStartKey: { a: {} } }),
    'The provided starting key is invalid: Supplied AttributeValue is empty, must contain exactly one of the supported datatypes',
  ],
  [...query({ ExclusiveStartKey: { a: { NS: ['1', '1'] } } }), `${notValid}Input collection contains duplicates.`],
  [
    ...query({ ExpressionAttributeValues: { ':v': { N: 'b' } } }),
    'The parameter cannot be converted to a numeric value: b',
  ],
  [
    ...query({ ExpressionAttributeValues: { ':v': { N: '' } } }),
    'The parameter cannot be converted to a numeric value: ',
  ],
  [
    ...query({ Select: 'SPECIFIC_ATTRIBUTES' }),
    one('Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES'),
  ],
  [
    ...query({ Select: 'ALL_ATTRIBUTES', ProjectionExpression: 'b' }),
    one('Cannot specify the ProjectionExpression when choosing to get ALL_ATTRIBUTES'),
  ],
  [
    ...query({ Select: 'COUNT', ProjectionExpression: 'b' }),
    one('Cannot specify the ProjectionExpression when choosing to get only the Count'),
  ],
  [
    ...query({ Select: 'ALL_PROJECTED_ATTRIBUTES' }),
    one('ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName'),
  ],
  [...scan({ Limit: 0 }), one(failed("Value '0' at 'limit'", 'Member must have value greater than or equal to 1'))],
  [
    ...scan({ TotalSegments: 1_000_001, Segment: 0 }),
    one(failed("Value '1000001' at 'totalSegments'", 'Member must have value less than or equal to 1000000')),
  ],
  [
    ...scan({ Segment: 0 }),
    'The TotalSegments parameter is required but was not present in the request when Segment parameter is present',
  ],
  [
    ...scan({ TotalSegments: 4 }),
    'The Segment parameter is required but was not present in the request when parameter TotalSegments is present',
  ],
  [
    ...scan({ Segment: 5, TotalSegments: 5 }),
    'The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: 5 is not less than TotalSegments: 5',
  ],
  [
    ...scan({ Select: 'SPECIFIC_ATTRIBUTES' }),
    'Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES',
  ],
  [
    ...scan({ FilterExpression: 'a = :v', ExpressionAttributeValues: { ':v': { N: '1e2147483647' } } }),
    'ExpressionAttributeValues contains invalid value: Number underflow. Attempting to store a number with magnitude smaller than supported range for key :v',
  ],
  [
    ...scan({ FilterExpression: 'a = :v', ExpressionAttributeValues: { ':v': { SS: ['b', 'a', 'b'] } } }),
    `ExpressionAttributeValues contains invalid value: ${notValid}Input collection [b, a, b] contains duplicates. for key :v`,
  ],
  [
    ...scan({
      AttributesToGet: ['a'],
      ScanFilter: {},
      ConditionalOperator: 'AND',
      FilterExpression: 'a',
      ProjectionExpression: 'b',
    }),
    'Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {AttributesToGet, ScanFilter, ConditionalOperator} Expression parameters: {ProjectionExpression, FilterExpression}',
  ],
  [
    ...scan({ ExpressionAttributeValues: values }),
    'ExpressionAttributeValues can only be specified when using expressions: FilterExpression is null',
  ],
];

const batchGet = (RequestItems: object) => ['BatchGetItem', { RequestItems }] as const;
const batchWrite = (RequestItems: object) => ['BatchWriteItem', { RequestItems }] as const;

export const refusedBatches: readonly RefusedRequest[] = [
  ['BatchGetItem', {}, one(failed("Value null at 'requestItems'", 'Member must not be null'))],
  [...batchGet({}), one(failed("Value at 'RequestItems'", 'Member must have length greater than or equal to 1'))],
  [
    ...batchGet({ things: { Keys: [] } }),
    one(failed("Value at 'RequestItems.things.member.Keys'", 'Member must have length greater than or equal to 1')),
  ],
  [
    ...batchGet({ things: { Keys: times(101, at => ({ a: { N: String(at) } })) } }),
    one(failed("Value at 'RequestItems.things.member.Keys'", 'Member must have length less than or equal to 100')),
  ],
  [
    ...batchGet({ 'bad!name': { Keys: [Key] } }),
    one(failed(`Value '{"bad!name":{"Keys":[{"a":{"S":"x"}}]}}' at 'requestItems'`, mapKeys)),
  ],
  [
    'BatchGetItem',
    { RequestItems: { 'bad!name': { Keys: [Key] } }, ReturnConsumedCapacity: 'hi' },
    `2 validation errors detected: ${failed(`Value '{"bad!name":{"Keys":[{"a":{"S":"x"}}]}}' at 'requestItems'`, mapKeys)}; ${capacityEnum}`,
  ],
  [
    'BatchWriteItem',
    { RequestItems: { 'bad!name': [{ DeleteRequest: { Key } }] }, ReturnConsumedCapacity: 'hi' },
    one(capacityEnum),
  ],
  [
    ...batchGet({ things: { Keys: [{ a: { N: '1' } }, { a: { N: '1' } }], ProjectionExpression: '' } }),
    'Invalid ProjectionExpression: The expression can not be empty;',
  ],
  [
    ...batchGet({ things: { Keys: [{ a: { N: '1' } }, { a: { N: '1.0' } }] } }),
    'Provided list of item keys contains duplicates',
  ],
  [
    ...batchGet({
      one_: { Keys: times(60, at => ({ a: { N: String(at) } })) },
      two: { Keys: times(60, at => ({ a: { N: String(at) } })) },
    }),
    'Too many items requested for the BatchGetItem call',
  ],
  [
    ...batchGet({ one_: { Keys: [Key], ProjectionExpression: 'a' }, two: { Keys: [Key], AttributesToGet: ['a'] } }),
    'Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {AttributesToGet} Expression parameters: {ProjectionExpression}',
  ],
  [...batchWrite({}), 'The requestItems parameter is required for BatchWriteItem'],
  [...batchWrite({ things: [] }), one(failed("Value '{things=[]}' at 'requestItems'", mapValues))],
  [
    ...batchWrite({ 'bad!name': [{ DeleteRequest: { Key } }] }),
    one(
      failed(
        "Value '{bad!name=[WriteRequest(putRequest=null, deleteRequest=DeleteRequest(key={a=AttributeValue(s=x, n=null, b=null, iNT=null, dECIMAL=null, dOUBLE=null, sS=null, nS=null, bS=null, iNTSET=null, dECIMALSET=null, dOUBLESET=null, m=null, l=null, nULL=null, bOOL=null)}))]}' at 'requestItems'",
        mapKeys,
      ),
    ),
  ],
  [
    ...batchWrite({ things: [{ PutRequest: {} }] }),
    one(failed("Value null at 'requestItems.things.member.1.member.putRequest.item'", 'Member must not be null')),
  ],
  [
    ...batchWrite({ things: [{}] }),
    'Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes',
  ],
  [
    ...batchWrite({
      one_: times(20, () => ({ DeleteRequest: { Key } })),
      two: times(20, () => ({ DeleteRequest: { Key } })),
    }),
    'Too many items requested for the BatchWriteItem call',
  ],
  [
    ...batchWrite({ things: [{ PutRequest: { Item: { a: { N: '' } } } }] }),
    'The parameter cannot be converted to a numeric value',
  ],
  [
    ...batchWrite({ things: [{ DeleteRequest: { Key: { a: { NS: ['2', '1', '2'] } } } }] }),
    'Input collection contains duplicates',
  ],
];

const write = (...TransactItems: object[]) => ['TransactWriteItems', { TransactItems }] as const;
const put = (Item: object, more: object = {}) => ({ Put: { TableName, Item, ...more } });

export const refusedTransactions: readonly RefusedRequest[] = [
  [...write(), one(failed("Value '[]' at 'transactItems'", 'Member must have length greater than or equal to 1'))],
  ['TransactWriteItems', {}, one(failed("Value null at 'transactItems'", 'Member must not be null'))],
  [
    'TransactWriteItems',
    {
      TransactItems: [put(Key)],
      ReturnConsumedCapacity: 'hi',
      ReturnItemCollectionMetrics: 'hi',
      ClientRequestToken: 'x'.repeat(37),
    },
    `3 validation errors detected: ${failed(`Value '${'x'.repeat(37)}' at 'clientRequestToken'`, 'Member must have length less than or equal to 36')}; ${capacityEnum}; ${failed("Value 'hi' at 'returnItemCollectionMetrics'", 'Member must satisfy enum value set: [SIZE, NONE]')}`,
  ],
  [
    ...write({ Update: { Key, TableName } }),
    one(failed("Value null at 'transactItems.1.member.update.updateExpression'", 'Member must not be null')),
  ],
  [...write({}), 'Invalid Request: TransactWriteRequest should contain Delete or Put or Update request'],
  [
    ...write({ ...put(Key), Delete: { Key, TableName } }),
    'TransactItems can only contain one of Check, Put, Update or Delete',
  ],
  [...write(put({ a: { N: '' } })), 'The parameter cannot be converted to a numeric value'],
  [
    ...write(put(Key, { ConditionExpression: 'a = :v', ExpressionAttributeValues: { ':v': { NS: ['1', '1'] } } })),
    'ExpressionAttributeValues contains invalid value: Input collection contains duplicates for key :v',
  ],
  // Actions one by one, in their order, whatever is wrong.
  [...write(put({ ...Key, d: deep(40) }), put({ ...Key, '': { S: 'x' } })), nest],
  [...write(put({ ...Key, '': { S: 'x' } }), put({ ...Key, d: deep(100) })), 'Empty attribute name'],
  [
    ...write(put(Key, { ConditionExpression: 'a = = b' }), { Delete: { TableName, Key: { a: deep(40) } } }),
    'Invalid ConditionExpression: Syntax error; token: "=", near: "= = b"',
  ],
  [...write({ Delete: { TableName, Key: { a: deep(40) } } }, put(Key, { ConditionExpression: 'a = = b' })), nest],
  [
    ...write({ Delete: { TableName, Key: { a: deep(100) }, ConditionExpression: 'a = = b' } }),
    'Invalid ConditionExpression: Syntax error; token: "=", near: "= = b"',
  ],
  [...write(put({ d: deep(100), '': { S: 'x' } })), 'Empty attribute name'],
  [
    ...write(
      put(Key, { ConditionExpression: 'a = :v', ExpressionAttributeValues: { ...values, ':u': { S: 'y' } } }),
      put({ a: deep(40) }),
    ),
    'Value provided in ExpressionAttributeValues unused in expressions: keys: {:u}',
  ],
  [
    'TransactGetItems',
    { TransactItems: [{ Get: { TableName, Key: { a: { N: 'b' } } } }] },
    'The parameter cannot be converted to a numeric value: b',
  ],
  [
    'TransactGetItems',
    { TransactItems: [{}] },
    one(failed("Value null at 'transactItems.1.member.get'", 'Member must not be null')),
  ],
];

const hash = { AttributeName: 'a', KeyType: 'HASH' };
const range = { AttributeName: 'b', KeyType: 'RANGE' };
const defined = (...names: string[]) => names.map(AttributeName => ({ AttributeName, AttributeType: 'S' }));
const create = (more: object) =>
  [
    'CreateTable',
    { TableName, AttributeDefinitions: defined('a'), KeySchema: [hash], BillingMode: 'PAY_PER_REQUEST', ...more },
  ] as const;
const index = (more: object) => ({
  IndexName: 'index',
  KeySchema: [hash],
  Projection: { ProjectionType: 'ALL' },
  ...more,
});
const stream = 'arn:aws:dynamodb:local:000000000000:table/things/stream/2026-01-01T00:00:00.000';

export const refusedTableCalls: readonly RefusedRequest[] = [
  ['CreateTable', {}, "The parameter 'TableName' is required but was not present in the request"],
  ['DescribeTable', {}, "The parameter 'TableName' is required but was not present in the request"],
  [
    ...create({ TableName: 'ab', KeySchema: [] }),
    one(failed("Value 'ab' at 'tableName'", 'Member must have length greater than or equal to 3')),
  ],
  [
    ...create({ KeySchema: [{ AttributeName: 'a', KeyType: 'hi' }], BillingMode: 'hi' }),
    `2 validation errors detected: ${failed("Value 'hi' at 'billingMode'", 'Member must satisfy enum value set: [PROVISIONED, PAY_PER_REQUEST]')}; ${failed("Value 'hi' at 'keySchema.1.member.keyType'", 'Member must satisfy enum value set: [HASH, RANGE]')}`,
  ],
  [
    ...create({
      AttributeDefinitions: defined('a', 'b', 'c'),
      KeySchema: [hash, range, { ...range, AttributeName: 'c' }],
    }),
    one(
      failed(
        "Value '[KeySchemaElement(attributeName=a, keyType=HASH), KeySchemaElement(attributeName=b, keyType=RANGE), KeySchemaElement(attributeName=c, keyType=RANGE)]' at 'keySchema'",
        'Member must have length less than or equal to 2',
      ),
    ),
  ],
  [
    ...create({ BillingMode: 'PROVISIONED', KeySchema: [hash, range, range] }),
    `${notValid}ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED`,
  ],
  [
    ...create({ KeySchema: [hash, { ...hash, KeyType: 'RANGE' }] }),
    'Invalid KeySchema: Some index key attribute have no definition',
  ],
  [
    ...create({ AttributeDefinitions: defined('a', 'b') }),
    `${notValid}Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions`,
  ],
  [
    ...create({ AttributeDefinitions: defined('a', 'b'), GlobalSecondaryIndexes: [index({})] }),
    `${notValid}Some AttributeDefinitions are not used. AttributeDefinitions: [a, b], keys used: [a]`,
  ],
  [...create({ GlobalSecondaryIndexes: [index({}), index({})] }), `${notValid}Duplicate index name: index`],
  [
    ...create({ GlobalSecondaryIndexes: [index({ Projection: { ProjectionType: 'INCLUDE' } })] }),
    `${notValid}ProjectionType is INCLUDE, but NonKeyAttributes is not specified`,
  ],
  [
    ...create({
      GlobalSecondaryIndexes: [index({ Projection: { ProjectionType: 'KEYS_ONLY', NonKeyAttributes: ['x'] } })],
    }),
    `${notValid}ProjectionType is KEYS_ONLY, but NonKeyAttributes is specified`,
  ],
  [
    ...create({
      AttributeDefinitions: defined('a', 'b'),
      LocalSecondaryIndexes: [index({ KeySchema: [hash, range] })],
    }),
    `${notValid}Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex`,
  ],
  [
    ...create({
      AttributeDefinitions: defined('a', 'b', 'c', 'd', 'e'),
      GlobalSecondaryIndexes: [
        index({ KeySchema: ['a', 'b', 'c', 'd', 'e'].map(AttributeName => ({ AttributeName, KeyType: 'HASH' })) }),
      ],
    }),
    `${notValid}KeySchema of an index may have 4 HASH and 4 RANGE attributes`,
  ],
  [
    ...create({
      AttributeDefinitions: defined('a', 'b', 'c', 'd', 'e', 'f'),
      GlobalSecondaryIndexes: [
        index({ KeySchema: [hash, ...['b', 'c', 'd', 'e', 'f'].map(AttributeName => ({ ...range, AttributeName }))] }),
      ],
    }),
    `${notValid}KeySchema of an index may have 4 HASH and 4 RANGE attributes`,
  ],
  [
    ...create({
      AttributeDefinitions: defined('a', 'b'),
      GlobalSecondaryIndexes: [index({ KeySchema: [hash, range, range] })],
    }),
    'Both the Hash Key and the Range Key element in the KeySchema have the same name',
  ],
  [
    ...create({
      AttributeDefinitions: defined('a', 'b', 'c'),
      GlobalSecondaryIndexes: [index({ KeySchema: [hash, range, { ...hash, AttributeName: 'c' }] })],
    }),
    'Invalid KeySchema: The second KeySchemaElement is not a RANGE key type',
  ],
  [
    ...create({ StreamSpecification: { StreamEnabled: false, StreamViewType: 'NEW_IMAGE' } }),
    `${notValid}StreamViewType cannot be specified when StreamEnabled is false`,
  ],
  [
    'UpdateTable',
    { TableName },
    'At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required',
  ],
  [
    'UpdateTable',
    { TableName, GlobalSecondaryIndexUpdates: [{}] },
    `${notValid}One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, GlobalSecondaryIndexUpdate.Delete must not be null`,
  ],
  [
    'UpdateTable',
    {
      TableName,
      GlobalSecondaryIndexUpdates: [{ Delete: { IndexName: 'index' } }, { Delete: { IndexName: 'index' } }],
    },
    `${notValid}Only one global secondary index update per index is allowed simultaneously. Index: index`,
  ],
  [
    'ListTables',
    { Limit: 101 },
    one(failed("Value '101' at 'limit'", 'Member must have value less than or equal to 100')),
  ],
  [
    'UpdateTimeToLive',
    { TableName, TimeToLiveSpecification: { AttributeName: '', Enabled: true } },
    'TimeToLiveSpecification.AttributeName must be non empty',
  ],
  [
    'UpdateTimeToLive',
    { TableName, TimeToLiveSpecification: {} },
    `2 validation errors detected: ${failed("Value null at 'timeToLiveSpecification.attributeName'", 'Member must not be null')}; ${failed("Value null at 'timeToLiveSpecification.enabled'", 'Member must not be null')}`,
  ],
  [
    'UntagResource',
    { ResourceArn: 'a:b:c:d:e:f/g' },
    one(failed("Value null at 'tagKeys'", 'Member must not be null')),
  ],
  [
    'ListTagsOfResource',
    { ResourceArn: 'arn:aws:dynamodb:us-east-1:000000000000:table/ab' },
    'Invalid TableArn: Invalid ResourceArn provided as input arn:aws:dynamodb:us-east-1:000000000000:table/ab',
  ],
  [
    'TagResource',
    { ResourceArn: 'not-an-arn', Tags: [] },
    'Invalid TableArn: Invalid ResourceArn provided as input not-an-arn',
  ],
  [
    'DescribeStream',
    { StreamArn: 'short' },
    one(failed("Value 'short' at 'streamArn'", 'Member must have length greater than or equal to 37')),
  ],
  [
    'GetShardIterator',
    { StreamArn: stream, ShardId: 'shardId-00000000000000000000-00000000', ShardIteratorType: 'hi' },
    one(
      failed(
        "Value 'hi' at 'shardIteratorType'",
        'Member must satisfy enum value set: [TRIM_HORIZON, LATEST, AT_SEQUENCE_NUMBER, AFTER_SEQUENCE_NUMBER]',
      ),
    ),
  ],
  [
    'GetRecords',
    { ShardIterator: 'x', Limit: 1_001 },
    one(failed("Value '1001' at 'limit'", 'Member must have value less than or equal to 1000')),
  ],
];
