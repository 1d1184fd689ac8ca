/** The contract on an implementation by others: what both agree on is no misunderstanding of ours. */
import { once } from 'node:events';
import type { Server } from 'node:http';
import { DynamoDB } from '@aws-sdk/client-dynamodb';
import dynalite from 'dynalite';
import { tableOverSdk } from './contract/over-sdk.ts';
import { contractTables, createContractTables, type Gap, tableContract } from './contract.ts';

/** What dynalite cannot make: keys of several attributes. */
const tables = contractTables.filter(({ tableName }) => tableName !== 'several');

const noTransactions = 'it has no transactions';
const olderWords = 'its checks and words are of an older DynamoDB';
const noIndexCapacity = 'it does not count what a write costs in indexes';
const gaps: readonly Gap[] = [
  { test: 'refuses values that no item may hold', reason: 'it nests without a limit' },
  {
    test: 'judges conditions and filters alike, as DynamoDB does',
    reason: 'it takes two attributes that are not there for equal',
  },
  { test: 'finds in a list what equals one of its elements, however deep', reason: 'it finds only scalars in a list' },
  {
    test: 'answers the members of a set in order: texts and bytes by their bytes, numbers by value',
    reason: 'it keeps them in the order they came',
  },
  {
    test: 'keeps attribute names that mean something to JavaScript',
    reason: 'the SDK loses an attribute called __proto__',
  },
  {
    test: 'does nothing when a condition fails, and returns the item only if asked',
    reason: 'it never returns the item of a failed condition',
  },
  {
    test: 'measures the statement of an update besides the item it makes',
    reason: 'it measures only the item an update makes',
  },
  { test: 'measures the result of an update in a transaction, and of one with a long key', reason: noTransactions },
  { test: 'updates as DynamoDB does', reason: 'it removes list elements one after the other, by indexes that shift' },
  { test: 'refuses malformed expressions and aliases before anything runs', reason: olderWords },
  { test: 'refuses queries that cannot be answered', reason: olderWords },
  { test: 'refuses a Select that does not go with the rest', reason: olderWords },
  { test: 'refuses scans that cannot be answered', reason: olderWords },
  { test: 'refuses a write whose index key is present but unfit', reason: 'it takes empty index keys' },
  {
    test: 'refuses an update that makes an index key unfit, and leaves other unfit ones alone',
    reason: 'it takes empty index keys',
  },
  {
    test: 'shows of an item what an index projects, and refuses to be asked for more',
    reason: 'it answers without the attributes an index does not project',
  },
  {
    test: 'orders a partition anew by a local index, consistently, and fetches what that does not show',
    reason: 'its local indexes fetch only for ALL_ATTRIBUTES',
  },
  {
    test: 'orders an index by several attributes, and queries it from the first on',
    reason: 'keys of several attributes are younger than it',
  },
  { test: 'answers what fits in 16 MB, and hands back the other keys', reason: 'it answers 1 MB at most' },
  { test: 'does all of a transaction or nothing, and says which action is at fault', reason: noTransactions },
  { test: 'refuses a transaction on one item twice, on nothing, or on too many', reason: noTransactions },
  {
    test: 'applies a repeated transaction once within ten minutes, and no other under its token',
    reason: noTransactions,
  },
  {
    test: 'tells which key of a transaction does not fit, and refuses one with an empty key as a whole',
    reason: noTransactions,
  },
  { test: 'reads every action of a transaction before it looks for tables', reason: noTransactions },
  { test: 'gets several items as they are at one moment', reason: noTransactions },
  { test: 'refuses to get an item twice, nothing, too much, or by an unfit key', reason: noTransactions },
  { test: 'takes a repeated request for the same whatever the order it is written in', reason: noTransactions },
  {
    test: 'counts a page by what it evaluated together, before filter and projection',
    reason: 'it counts nothing for an empty page',
  },
  { test: 'counts the items of a batch one by one, for each table', reason: noIndexCapacity },
  { test: 'counts a write in each index by the entry it touches', reason: noIndexCapacity },
  {
    test: 'counts a read of an index by what it shows, and what a local one fetches from the table',
    reason: 'it rounds what it fetches from the table once, not item by item',
  },
  { test: 'counts a transaction twice, its indexes once, and its repetition as a read', reason: noTransactions },
  {
    test: 'tells how large the item collection is that a write belongs to, if there are local indexes',
    reason: 'it does not measure item collections',
  },
];

const makeWorld = async () => {
  const server: Server = dynalite({ createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const client = new DynamoDB({
    endpoint: `http://127.0.0.1:${port}`,
    region: 'us-east-1',
    credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
    maxAttempts: 1,
  });
  await createContractTables(client, tables);
  return {
    table: tableOverSdk(client, async () => {
      server.closeAllConnections();
      server.close();
    }),
    cleanUp: async () => {},
  };
};

tableContract('dynalite', makeWorld, gaps);
