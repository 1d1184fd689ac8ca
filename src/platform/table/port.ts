import type {
  DeleteCommandInput,
  DeleteCommandOutput,
  GetCommandInput,
  GetCommandOutput,
  PutCommandInput,
  PutCommandOutput,
  QueryCommandInput,
  QueryCommandOutput,
  TransactWriteCommandInput,
  TransactWriteCommandOutput,
  UpdateCommandInput,
  UpdateCommandOutput,
} from '@aws-sdk/lib-dynamodb';

/**
 * Rows under a partition key and an optional sort key, with secondary indexes: methods, inputs and answers are those
 * of `DynamoDBDocument`, plus `close`. Its documentation is ours; the README says what the embedded engine leaves out.
 *
 * Every write resolves once it would survive a crash. Refusals carry DynamoDB's `name` and, from the embedded engine,
 * a `code`; see docs/errors.md.
 */
export interface Table {
  get(input: GetCommandInput): Promise<Answer<GetCommandOutput>>;
  put(input: PutCommandInput): Promise<Answer<PutCommandOutput>>;
  delete(input: DeleteCommandInput): Promise<Answer<DeleteCommandOutput>>;
  update(input: UpdateCommandInput): Promise<Answer<UpdateCommandOutput>>;
  query(input: QueryCommandInput): Promise<Answer<QueryCommandOutput>>;
  transactWrite(input: TransactWriteCommandInput): Promise<Answer<TransactWriteCommandOutput>>;
  /** By who opened it, when nobody uses it any more. */
  close(): Promise<void>;
}

/** `$metadata` is about an HTTP exchange, which not every engine has. */
export type Answer<Output> = Omit<Output, '$metadata'>;

export interface TableSchema {
  readonly tableName: string;
  readonly partitionKey: KeyAttribute;
  readonly sortKey?: KeyAttribute;
  /** Global secondary indexes; all attributes are projected. */
  readonly indexes?: readonly IndexSchema[];
}

export interface IndexSchema {
  readonly indexName: string;
  readonly partitionKey: KeyAttribute;
  readonly sortKey?: KeyAttribute;
}

export interface KeyAttribute {
  readonly name: string;
  /** String, number or binary. */
  readonly type: 'S' | 'N' | 'B';
}
