/**
 * Items under a partition key and an optional sort key, with secondary indexes, in three ports: what programs do all
 * day (`Table`), what whoever sets tables up does (`TableAdmin`), and the feed of changes (`TableStreams`). Methods,
 * inputs and answers are those of the AWS SDK, so on AWS the engines are its clients. Its documentation is ours; the
 * README says where the embedded engine differs.
 *
 * Refusals carry DynamoDB's `name` and, from the embedded engine, a `code`; see docs/errors.md.
 */
import type {
  CreateTableCommandInput,
  CreateTableCommandOutput,
  DeleteTableCommandInput,
  DeleteTableCommandOutput,
  DescribeTableCommandInput,
  DescribeTableCommandOutput,
  DescribeTimeToLiveCommandInput,
  DescribeTimeToLiveCommandOutput,
  ListTablesCommandInput,
  ListTablesCommandOutput,
  UpdateTableCommandInput,
  UpdateTableCommandOutput,
  UpdateTimeToLiveCommandInput,
  UpdateTimeToLiveCommandOutput,
} from '@aws-sdk/client-dynamodb';
import type {
  DescribeStreamCommandInput,
  DescribeStreamCommandOutput,
  GetRecordsCommandInput,
  GetRecordsCommandOutput,
  GetShardIteratorCommandInput,
  GetShardIteratorCommandOutput,
  ListStreamsCommandInput,
  ListStreamsCommandOutput,
} from '@aws-sdk/client-dynamodb-streams';
import type {
  BatchGetCommandInput,
  BatchGetCommandOutput,
  BatchWriteCommandInput,
  BatchWriteCommandOutput,
  DeleteCommandInput,
  DeleteCommandOutput,
  GetCommandInput,
  GetCommandOutput,
  PutCommandInput,
  PutCommandOutput,
  QueryCommandInput,
  QueryCommandOutput,
  ScanCommandInput,
  ScanCommandOutput,
  TransactGetCommandInput,
  TransactGetCommandOutput,
  TransactWriteCommandInput,
  TransactWriteCommandOutput,
  UpdateCommandInput,
  UpdateCommandOutput,
} from '@aws-sdk/lib-dynamodb';

/** `DynamoDBDocument`, plus `close`. Every write resolves once it would survive a crash. */
export interface Table {
  get(input: GetCommandInput): Promise<Answer<GetCommandOutput>>;
  put(input: PutCommandInput): Promise<Answer<PutCommandOutput>>;
  delete(input: DeleteCommandInput): Promise<Answer<DeleteCommandOutput>>;
  update(input: UpdateCommandInput): Promise<Answer<UpdateCommandOutput>>;
  query(input: QueryCommandInput): Promise<Answer<QueryCommandOutput>>;
  scan(input: ScanCommandInput): Promise<Answer<ScanCommandOutput>>;
  batchGet(input: BatchGetCommandInput): Promise<Answer<BatchGetCommandOutput>>;
  batchWrite(input: BatchWriteCommandInput): Promise<Answer<BatchWriteCommandOutput>>;
  transactGet(input: TransactGetCommandInput): Promise<Answer<TransactGetCommandOutput>>;
  transactWrite(input: TransactWriteCommandInput): Promise<Answer<TransactWriteCommandOutput>>;
  /** By who opened it, when nobody uses it any more. */
  close(): Promise<void>;
}

/** Sets tables up. On AWS: `DynamoDB`. */
export interface TableAdmin {
  createTable(input: CreateTableCommandInput): Promise<Answer<CreateTableCommandOutput>>;
  describeTable(input: DescribeTableCommandInput): Promise<Answer<DescribeTableCommandOutput>>;
  updateTable(input: UpdateTableCommandInput): Promise<Answer<UpdateTableCommandOutput>>;
  deleteTable(input: DeleteTableCommandInput): Promise<Answer<DeleteTableCommandOutput>>;
  listTables(input: ListTablesCommandInput): Promise<Answer<ListTablesCommandOutput>>;
  updateTimeToLive(input: UpdateTimeToLiveCommandInput): Promise<Answer<UpdateTimeToLiveCommandOutput>>;
  describeTimeToLive(input: DescribeTimeToLiveCommandInput): Promise<Answer<DescribeTimeToLiveCommandOutput>>;
}

/** What has changed, for 24 hours. On AWS: `DynamoDBStreams`. */
export interface TableStreams {
  listStreams(input: ListStreamsCommandInput): Promise<Answer<ListStreamsCommandOutput>>;
  describeStream(input: DescribeStreamCommandInput): Promise<Answer<DescribeStreamCommandOutput>>;
  getShardIterator(input: GetShardIteratorCommandInput): Promise<Answer<GetShardIteratorCommandOutput>>;
  /** Images and keys with their types spelled out, as the SDK's streams client gives them. */
  getRecords(input: GetRecordsCommandInput): Promise<Answer<GetRecordsCommandOutput>>;
}

/** `$metadata` is about an HTTP exchange, which not every engine has. */
export type Answer<Output> = Omit<Output, '$metadata'>;

/** A table as an app declares it; opening an engine with it creates the table or brings it up to this. */
export interface TableSchema {
  readonly tableName: string;
  readonly partitionKey: KeyAttribute;
  readonly sortKey?: KeyAttribute;
  readonly indexes?: readonly IndexSchema[];
  /** The attribute that holds when an item expires, Unix epoch seconds. */
  readonly ttlAttribute?: string;
  /** Keeps a stream of changes with these images. */
  readonly stream?: StreamViewType;
}

export type StreamViewType = 'KEYS_ONLY' | 'NEW_IMAGE' | 'OLD_IMAGE' | 'NEW_AND_OLD_IMAGES';

export interface IndexSchema {
  readonly indexName: string;
  /** `local`: the table's partition key with another sort key; given when the table is created. Default `global`. */
  readonly kind?: 'global' | 'local';
  /** Of a global index up to four attributes. */
  readonly partitionKey: KeyAttribute | readonly KeyAttribute[];
  /** Of a global index up to four attributes. */
  readonly sortKey?: KeyAttribute | readonly KeyAttribute[];
  /** Default: all attributes. A list names what is projected besides the keys. */
  readonly projection?: 'ALL' | 'KEYS_ONLY' | readonly string[];
}

export interface KeyAttribute {
  readonly name: string;
  /** String, number or binary. */
  readonly type: 'S' | 'N' | 'B';
}
