/**
 * Refusals of a table. `name` is DynamoDB's, so that code written for the AWS SDK keeps working; `code` is ours and
 * stable. Messages are DynamoDB's where we know them, because tools parse them.
 */
import { MimamoriError } from '../../kernel/errors.ts';
import { callerArn } from './arn.ts';
import type { AttributeValue } from './values/attribute-value.ts';

interface TableErrorDescription {
  readonly name: string;
  readonly code: string;
  readonly message: string;
  readonly fix: string;
  readonly retryable?: boolean;
}

export class TableError extends MimamoriError {
  constructor(description: TableErrorDescription) {
    super(description);
    this.name = description.name;
  }
}

/** The same refusal in other words: for whoever asked in other words. */
export function rewordedRefusal({ name, code, fix, retryable }: TableError, message: string): TableError {
  return new TableError({ name, code, message, fix, retryable });
}

export class ConditionalCheckFailedError extends TableError {
  /** The stored item with its types spelled out, if `ReturnValuesOnConditionCheckFailure` asked for it. */
  readonly Item?: Record<string, AttributeValue>;

  constructor(item: Record<string, AttributeValue> | undefined) {
    super({
      name: 'ConditionalCheckFailedException',
      code: 'table.conditionFailed',
      message: 'The conditional request failed',
      fix: 'Read the item, decide again on what it holds now, and send the write with a condition that fits.',
    });
    if (item !== undefined) this.Item = item;
  }
}

/** Whether a write was refused because its condition did not hold. By the name, which is all that engines have in common. */
export function isConditionFailure(error: unknown): boolean {
  return error instanceof Error && error.name === 'ConditionalCheckFailedException';
}

export interface CancellationReason {
  readonly Code: 'None' | 'ConditionalCheckFailed' | 'ProvisionedThroughputExceeded' | 'ValidationError';
  readonly Message?: string;
  readonly Item?: Record<string, AttributeValue>;
}

export class TransactionCanceledError extends TableError {
  /** One for each action, in the order of the request. */
  readonly CancellationReasons: readonly CancellationReason[];

  constructor(reasons: readonly CancellationReason[]) {
    const codes = reasons.map(reason => reason.Code).join(', ');
    super({
      name: 'TransactionCanceledException',
      code: 'table.transactionCanceled',
      message: `Transaction cancelled, please refer cancellation reasons for specific reasons [${codes}]`,
      fix: 'Look at CancellationReasons, read the items they name, and send a transaction that fits.',
    });
    this.CancellationReasons = reasons;
  }
}

export const invalid = (message: string) =>
  new TableError({
    name: 'ValidationException',
    code: 'table.invalid',
    message,
    fix: 'Correct the request; the same request will be refused again.',
  });

export const malformed = (message: string) =>
  new TableError({
    name: 'SerializationException',
    code: 'table.malformed',
    message,
    fix: 'Send every parameter with the JSON type the API reference names.',
  });

/** A refusal that a transaction passes on as it is, while other faults of a key become a reason of its cancellation. */
export class EmptyKeyError extends TableError {
  constructor(message: string) {
    super({
      name: 'ValidationException',
      code: 'table.invalid',
      message: `One or more parameter values are not valid. ${message}`,
      fix: 'Give every key attribute a value, or leave the attribute of an index key out.',
    });
  }
}

const emptyValues = { S: 'string', B: 'binary' } as const;

export const emptyKey = (type: 'S' | 'B', name: string) =>
  new EmptyKeyError(
    `The AttributeValue for a key attribute cannot contain an empty ${emptyValues[type]} value. Key: ${name}`,
  );

export const emptyIndexKey = (type: 'S' | 'B', indexName: string, name: string) =>
  new EmptyKeyError(
    `A value specified for a secondary index key is not supported. The AttributeValue for a key attribute cannot contain an empty ${emptyValues[type]} value. IndexName: ${indexName}, IndexKey: ${name}`,
  );

export const emptyIndexKeyInUpdate = (type: 'S' | 'B') =>
  new EmptyKeyError(
    `The update expression attempted to update a secondary index key to a value that is not supported. The AttributeValue for a key attribute cannot contain an empty ${emptyValues[type]} value.`,
  );

export const itemTooLarge = (message: string) =>
  new TableError({
    name: 'ValidationException',
    code: 'table.itemTooLarge',
    message,
    fix: 'Split the item, or keep the large part as an object and store its key.',
  });

export const notSupported = (what: string, hint = '') =>
  new TableError({
    name: 'ValidationException',
    code: 'table.notSupported',
    message: `The embedded table does not support ${what} yet.${hint}`,
    fix: 'Leave it out, or express it with what the README of the table lists.',
  });

export const tableNotFound = () =>
  new TableError({
    name: 'ResourceNotFoundException',
    code: 'table.notFound',
    message: 'Requested resource not found',
    fix: 'Check the table name, and that the table is declared where the engine is opened.',
  });

/** As calls that set tables up say it. */
export const tableNotFoundByName = (tableName: string) =>
  new TableError({
    name: 'ResourceNotFoundException',
    code: 'table.notFound',
    message: `Requested resource not found: Table: ${tableName} not found`,
    fix: 'Check the table name; ListTables lists those there are.',
  });

/** AWS looks at who may use a resource before it looks at what the resource is; so nobody may use what is none. */
export const resourceNotAllowed = (action: string, arn: string) =>
  new TableError({
    name: 'AccessDeniedException',
    code: 'table.accessDenied',
    message: `User: ${callerArn} is not authorized to perform: dynamodb:${action} on resource: ${arn || '*'}`,
    fix: 'Give the TableArn that DescribeTable tells.',
  });

/** A part of a table, such as an index, that a call is to change. */
export const resourceNotFound = (message: string) =>
  new TableError({
    name: 'ResourceNotFoundException',
    code: 'table.resourceNotFound',
    message,
    fix: 'Check the name; DescribeTable lists what the table has.',
  });

export const resourceInUse = (message: string) =>
  new TableError({
    name: 'ResourceInUseException',
    code: 'table.inUse',
    message,
    fix: 'Choose another name, or wait until what is going on with the table is over.',
  });

export const limitExceeded = (message: string) =>
  new TableError({
    name: 'LimitExceededException',
    code: 'table.limitExceeded',
    message,
    fix: 'Do one change after the other, each when the one before is done.',
    retryable: true,
  });

export const formatTooNew = (version: number, known: number) =>
  new TableError({
    name: 'InternalServerError',
    code: 'table.formatTooNew',
    message: `The tables are stored in format ${version}; this release knows formats up to ${known}.`,
    fix: 'Start the release that wrote the data or a later one; formats are upgraded, never downgraded.',
  });

export const indexDamaged = (itemKey: string) =>
  new TableError({
    name: 'InternalServerError',
    code: 'table.indexDamaged',
    message: `An index has an entry for an item that is not there (${itemKey}).`,
    fix: 'Remove the index and add it again, which builds it from the items; or restore the store from a backup.',
  });

export const tableCorrupt = (what: string) =>
  new TableError({
    name: 'InternalServerError',
    code: 'table.corrupt',
    message: `The stored bytes of ${what} are damaged, and are not served.`,
    fix: 'Stop the app and run `mimamori check --data DIR`: it lists everything that is damaged and says how to mend it.',
  });

export const localIndexChanged = (tableName: string, indexName: string) =>
  new TableError({
    name: 'ValidationException',
    code: 'table.schemaChanged',
    message: `Local index ${indexName} of table ${tableName} can only be declared when the table is created, and not changed or removed.`,
    fix: 'Declare a global index, or give the table another name and copy the items.',
  });

export const tokenReused = () =>
  new TableError({
    name: 'IdempotentParameterMismatchException',
    code: 'table.tokenReused',
    message: 'The ClientRequestToken was used within the last ten minutes for another request.',
    fix: 'Use a new token for a new request, and the same request when you repeat one.',
  });

export const schemaChanged = (tableName: string) =>
  new TableError({
    name: 'ValidationException',
    code: 'table.schemaChanged',
    message: `Table ${tableName} is stored with another key schema than it is opened with.`,
    fix: 'Keep the key schema of a table, or give the new one another name and copy the items.',
  });

/** Why a call was throttled; `resource` is the ARN of the table or index. */
export interface ThrottlingReason {
  readonly reason: string;
  readonly resource: string;
}

export class ThrottledError extends TableError {
  readonly ThrottlingReasons: readonly ThrottlingReason[];

  constructor(reasons: readonly ThrottlingReason[], whose: string) {
    super({
      name: 'ProvisionedThroughputExceededException',
      code: 'table.throttled',
      message: `The level of configured provisioned throughput for ${whose} was exceeded. Consider increasing your provisioning level with the UpdateTable API.`,
      fix: 'Wait a little longer after each refusal and send it again. If it stays, spread the load over more partition keys (`shards`) or raise the capacity.',
      retryable: true,
    });
    this.ThrottlingReasons = reasons;
  }
}

export const streamNotFound = (streamArn: string) =>
  new TableError({
    name: 'ResourceNotFoundException',
    code: 'table.streamNotFound',
    message: `Requested resource not found: Stream: ${streamArn} not found`,
    fix: 'Take the ARN from ListStreams; a disabled stream is gone after 24 hours.',
  });

export const shardNotFound = () =>
  new TableError({
    name: 'ResourceNotFoundException',
    code: 'table.shardNotFound',
    message: 'Requested resource not found: Shard does not exist',
    fix: 'Take the id from DescribeStream; a closed shard is gone when its last record is 24 hours old.',
  });

export const iteratorExpired = () =>
  new TableError({
    name: 'ExpiredIteratorException',
    code: 'table.iteratorExpired',
    message: 'The shard iterator has expired. Shard iterators are only valid for 15 minutes',
    fix: 'Get a new iterator AFTER_SEQUENCE_NUMBER of the last record you have handled.',
  });

export const changesTrimmed = () =>
  new TableError({
    name: 'TrimmedDataAccessException',
    code: 'table.changesTrimmed',
    message: 'The data you are trying to access has been trimmed',
    fix: 'Changes are kept for 24 hours: go on at TRIM_HORIZON, and read again from the table what you have missed.',
  });
