/**
 * What the document door refuses before an operation looks at its input: parameters that are not supported, and values
 * no operation expects. Goes when the checks of every request come in for both doors.
 */
import { invalid, notSupported } from './errors.ts';
import { tableLimits } from './limits.ts';
import type { operations } from './operations/index.ts';
import { isPlainObject, ownValue } from './values/value.ts';

type Supported = { readonly [parameter: string]: true | readonly unknown[] };

const capacity = { ReturnConsumedCapacity: ['INDEXES', 'TOTAL', 'NONE'] } as const;
const metrics = { ReturnItemCollectionMetrics: ['SIZE', 'NONE'] } as const;
const aliases = { ExpressionAttributeNames: true, ExpressionAttributeValues: true } as const;
const write: Supported = {
  ...capacity,
  ...metrics,
  ...aliases,
  TableName: true,
  ConditionExpression: true,
  ReturnValuesOnConditionCheckFailure: ['ALL_OLD', 'NONE'],
};
const page: Supported = {
  ...capacity,
  ...aliases,
  TableName: true,
  IndexName: true,
  FilterExpression: true,
  ProjectionExpression: true,
  ExclusiveStartKey: true,
  ConsistentRead: [true, false],
  Limit: true,
  Select: ['SPECIFIC_ATTRIBUTES', 'COUNT', 'ALL_ATTRIBUTES', 'ALL_PROJECTED_ATTRIBUTES'],
};

const supported: { readonly [Name in keyof typeof operations]: Supported } = {
  GetItem: {
    ...capacity,
    TableName: true,
    Key: true,
    ConsistentRead: [true, false],
    ProjectionExpression: true,
    ExpressionAttributeNames: true,
  },
  PutItem: { ...write, Item: true, ReturnValues: true },
  DeleteItem: { ...write, Key: true, ReturnValues: true },
  UpdateItem: {
    ...write,
    Key: true,
    UpdateExpression: true,
    ReturnValues: ['ALL_NEW', 'UPDATED_OLD', 'ALL_OLD', 'NONE', 'UPDATED_NEW'],
  },
  Query: { ...page, KeyConditionExpression: true, ScanIndexForward: [true, false] },
  Scan: { ...page, Segment: true, TotalSegments: true },
  BatchGetItem: { ...capacity, RequestItems: true },
  BatchWriteItem: { ...capacity, ...metrics, RequestItems: true },
  TransactGetItems: { ...capacity, TransactItems: true },
  TransactWriteItems: { ...capacity, ...metrics, TransactItems: true, ClientRequestToken: true },
};

export function checkInput(name: keyof typeof operations, input: unknown): void {
  if (!isPlainObject(input)) throw invalid(`The input of ${name} must be a plain object.`);
  for (const [parameter, value] of Object.entries(input)) {
    if (value === undefined) continue;
    const accepted = ownValue(supported[name], parameter);
    if (accepted === undefined) throw notSupported(`the parameter ${parameter} of ${name}`);
    if (accepted !== true && !accepted.includes(value)) {
      throw violated(parameter, value, `Member must satisfy enum value set: [${accepted.join(', ')}]`);
    }
    checks[parameter]?.(value);
  }
}

const checks: Readonly<Record<string, (value: unknown) => void>> = {
  __proto__: null as never, // parameters come from outside: no inherited names
  Limit: value => {
    if (!Number.isInteger(value) || Number(value) < 1) {
      throw violated('limit', value, 'Member must have value greater than or equal to 1');
    }
  },
  ReturnValues: value => {
    if (!['NONE', 'ALL_OLD', 'ALL_NEW', 'UPDATED_OLD', 'UPDATED_NEW'].includes(String(value))) {
      throw violated(
        'returnValues',
        value,
        'Member must satisfy enum value set: [ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]',
      );
    }
  },
  RequestItems: value => {
    if (isPlainObject(value) && Object.keys(value).length > 0) return;
    throw invalid(
      "1 validation error detected: Value at 'RequestItems' failed to satisfy constraint: Member must have length greater than or equal to 1",
    );
  },
  TransactItems: value => {
    const length = Array.isArray(value) ? value.length : 0;
    if (length >= 1 && length <= tableLimits.transactionItemsMax) return;
    throw violated('transactItems', length === 0 ? '[]' : length, `Member must have length ${bound(length)}`);
  },
  ClientRequestToken: value => {
    if (typeof value === 'string' && value.length > 0 && value.length <= tableLimits.tokenCharactersMax) return;
    const most = `Member must have length less than or equal to ${tableLimits.tokenCharactersMax}`;
    throw violated('clientRequestToken', value, most);
  },
};

function bound(length: number): string {
  return length === 0 ? 'greater than or equal to 1' : `less than or equal to ${tableLimits.transactionItemsMax}`;
}

function violated(parameter: string, value: unknown, constraint: string) {
  const member = parameter[0].toLowerCase() + parameter.slice(1);
  return invalid(
    `1 validation error detected: Value '${String(value)}' at '${member}' failed to satisfy constraint: ${constraint}`,
  );
}
