/** The engine on this machine's disk: DynamoDB's document API over an ordered store. */
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
import type { Clock } from '../../kernel/clock.ts';
import { systemRandom } from '../../kernel/random.ts';
import type { KeyValueStore } from '../../kernel/store.ts';
import { noMeter } from './capacity/meter.ts';
import type { Engine } from './engine.ts';
import { invalid, notSupported } from './errors.ts';
import { Aliases } from './expressions/aliases.ts';
import { projectOn } from './expressions/projection.ts';
import { planQuery, projectionOf, runQuery } from './operations/query.ts';
import { planTransaction, runTransaction } from './operations/transaction.ts';
import {
  carryOut,
  type DecidedWrite,
  decide,
  type PlannedWrite,
  planDelete,
  planPut,
  planUpdate,
} from './operations/writes.ts';
import type { Answer, Table, TableSchema, TableStreams } from './port.ts';
import { Catalog } from './storage/catalog.ts';
import { itemKey, type TableLayout } from './storage/layout.ts';
import { operations } from './streams/index.ts';
import { setStream } from './streams/stream-state.ts';
import { type ChangeFeed, TableChanges } from './streams/table-changes.ts';
import { checkKey, checkParameters, type Supported } from './validate.ts';
import { decodeItem, encodeItem } from './values/item-encoding.ts';
import type { Item } from './values/value.ts';

export interface EmbeddedTableOptions {
  /** Closed together with the table. */
  readonly store: KeyValueStore;
  readonly clock: Clock;
  readonly tables: readonly TableSchema[];
  /** Default `tableLimits.streamBytesMax`. */
  readonly streamBytesMax?: number;
}

/** What the embedded engine has besides the port. */
export interface OpenTable extends Table {
  readonly streams: TableStreams;
  /** For readers in this process. Throws `table.notFound`. */
  changesOf(tableName: string): ChangeFeed;
}

/** Resolves when the indexes that are new have been filled from the items already there. */
export async function openEmbeddedTable(options: EmbeddedTableOptions): Promise<OpenTable> {
  const { clock, tables, streamBytesMax } = options;
  const changes = new TableChanges({ store: options.store, clock, streamBytesMax });
  const { store } = changes;
  const catalog = await Catalog.open(store, tables);
  await store.write(transaction => {
    for (const { tableName } of tables) {
      const layout = catalog.table(tableName);
      setStream(transaction, layout, layout.stream, clock.nowMs());
    }
  });
  return new EmbeddedTable({ store, clock, catalog, changes, random: systemRandom, meter: noMeter });
}

const readParameters: Supported = {
  TableName: true,
  Key: true,
  ConsistentRead: [true, false], // reads are always consistent here
  ProjectionExpression: true,
  ExpressionAttributeNames: true,
  ReturnConsumedCapacity: ['NONE'],
};

const writeParameters: Supported = {
  TableName: true,
  ConditionExpression: true,
  ExpressionAttributeNames: true,
  ExpressionAttributeValues: true,
  ReturnValuesOnConditionCheckFailure: ['NONE', 'ALL_OLD'],
  ReturnConsumedCapacity: ['NONE'],
  ReturnItemCollectionMetrics: ['NONE'],
};
const putParameters: Supported = { ...writeParameters, Item: true, ReturnValues: true };
const deleteParameters: Supported = { ...writeParameters, Key: true, ReturnValues: true };
const updateParameters: Supported = { ...writeParameters, Key: true, UpdateExpression: true, ReturnValues: true };

class EmbeddedTable implements OpenTable {
  readonly streams: TableStreams;
  readonly #store: KeyValueStore;
  readonly #clock: Clock;
  readonly #catalog: Catalog;
  readonly #changes: TableChanges;

  constructor(engine: Engine) {
    this.#store = engine.store;
    this.#clock = engine.clock;
    this.#catalog = engine.catalog;
    this.#changes = engine.changes;
    this.streams = {
      listStreams: input => operations.ListStreams(engine, input),
      describeStream: input => operations.DescribeStream(engine, input),
      getShardIterator: input => operations.GetShardIterator(engine, input),
      getRecords: input => operations.GetRecords(engine, input),
    };
  }

  changesOf(tableName: string): ChangeFeed {
    return this.#changes.feedOf(this.#catalog.table(tableName).id);
  }

  async get(input: GetCommandInput): Promise<Answer<GetCommandOutput>> {
    checkParameters('get', input, readParameters);
    const layout = this.#layout(input.TableName);
    const aliases = new Aliases(input.ExpressionAttributeNames, undefined);
    const project = projectionOf(input.ProjectionExpression, aliases);
    aliases.checkAllUsed();
    const encoded = this.#store.get(itemKey(layout, checkKey(layout.keys, input.Key)));
    if (encoded === undefined) return {};
    const item = decodeItem(encoded);
    return { Item: project === undefined ? item : project(item) };
  }

  async put(input: PutCommandInput): Promise<Answer<PutCommandOutput>> {
    checkParameters('put', input, putParameters);
    checkReturnsOld(input.ReturnValues);
    const plan = planPut(this.#layout(input.TableName), input.Item, input);
    const { stored } = await this.#write(plan);
    return input.ReturnValues === 'ALL_OLD' ? attributes(stored) : {};
  }

  async delete(input: DeleteCommandInput): Promise<Answer<DeleteCommandOutput>> {
    checkParameters('delete', input, deleteParameters);
    checkReturnsOld(input.ReturnValues);
    const plan = planDelete(this.#layout(input.TableName), input.Key, input);
    const { stored } = await this.#write(plan);
    return input.ReturnValues === 'ALL_OLD' ? attributes(stored) : {};
  }

  async update(input: UpdateCommandInput): Promise<Answer<UpdateCommandOutput>> {
    checkParameters('update', input, updateParameters);
    const { plan, update } = planUpdate(this.#layout(input.TableName), input.Key, input);
    const touched = projectOn(update?.targets ?? []);
    const answer = updateAnswers[checkUpdateReturns(input.ReturnValues)];
    return this.#store.write(transaction => {
      const decided = decide(transaction, plan);
      carryOut(transaction, decided, this.#clock.nowMs());
      return answer(decided, touched);
    });
  }

  async query(input: QueryCommandInput): Promise<Answer<QueryCommandOutput>> {
    return runQuery(this.#store, planQuery(this.#layout(input.TableName), input));
  }

  async transactWrite(input: TransactWriteCommandInput): Promise<Answer<TransactWriteCommandOutput>> {
    const plan = planTransaction(name => this.#layout(name), input);
    await this.#store.write(transaction => runTransaction(transaction, plan, this.#clock.nowMs()));
    return {};
  }

  async scan(): Promise<never> {
    throw notSupported('scan');
  }

  async batchGet(): Promise<never> {
    throw notSupported('batchGet');
  }

  async batchWrite(): Promise<never> {
    throw notSupported('batchWrite');
  }

  async transactGet(): Promise<never> {
    throw notSupported('transactGet');
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  #layout(tableName: unknown): TableLayout {
    if (typeof tableName !== 'string')
      throw invalid("The parameter 'TableName' is required but was not present in the request");
    return this.#catalog.table(tableName);
  }

  #write(plan: PlannedWrite): Promise<DecidedWrite> {
    return this.#store.write(transaction => {
      const decided = decide(transaction, plan);
      carryOut(transaction, decided, this.#clock.nowMs());
      return decided;
    });
  }
}

function checkReturnsOld(returnValues: string | undefined): void {
  if (returnValues === undefined || returnValues === 'NONE' || returnValues === 'ALL_OLD') return;
  throw invalid('ReturnValues can only be ALL_OLD or NONE');
}

function attributes(item: Item | undefined): { Attributes?: Item } {
  return item === undefined || Object.keys(item).length === 0 ? {} : { Attributes: item };
}

/** A new item may hold objects of the request, which belong to the caller. */
function ownCopy(item: Item): Item {
  return decodeItem(encodeItem(item, 0));
}

type UpdateAnswer = (decided: DecidedWrite, touched: (item: Item) => Item) => { Attributes?: Item };

const updateAnswers = {
  NONE: () => ({}),
  ALL_OLD: ({ stored }) => attributes(stored),
  UPDATED_OLD: ({ stored }, touched) => attributes(stored && touched(stored)),
  ALL_NEW: ({ next }) => attributes(next && ownCopy(next.item)),
  UPDATED_NEW: ({ next }, touched) => attributes(next && ownCopy(touched(next.item))),
} satisfies Record<string, UpdateAnswer>;

function checkUpdateReturns(returnValues: string | undefined): keyof typeof updateAnswers {
  const asked = returnValues ?? 'NONE';
  if (Object.hasOwn(updateAnswers, asked)) return asked as keyof typeof updateAnswers; // a cast: it is one of its keys
  throw invalid(
    `1 validation error detected: Value '${asked}' at 'returnValues' failed to satisfy constraint: Member must satisfy enum value set: [ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]`,
  );
}
