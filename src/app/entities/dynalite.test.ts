/**
 * Entities over dynalite through the SDK's document client: our expressions and keys are read by an implementation that is
 * not ours. It has no transactions, so each is sent here as its writes one after the other; what a transaction promises is
 * tested over the embedded table.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { CreateTableCommand, DynamoDBClient, waitUntilTableExists } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocument } from '@aws-sdk/lib-dynamodb';
import { systemClock } from '../../kernel/clock.ts';
import { seededRandom } from '../../kernel/random.ts';
import { awsTable, type Table } from '../../platform/table/index.ts';
import { appTable, indexName } from './app-table.ts';
import { Backfill } from './backfill.ts';
import { chat } from './examples/chat.ts';
import { orderEntry } from './examples/order-entry.ts';
import { makeRepositories, type RepositoryOptions } from './repository.ts';

// dynalite has no types.
const dynalite: (options: object) => Server = createRequire(import.meta.url)('dynalite');

describe('entities over another implementation of DynamoDB', () => {
  const server = dynalite({ createTableMs: 0 });
  let client: DynamoDBClient;
  let options: RepositoryOptions;

  before(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo; // It listens on a port.
    const credentials = { accessKeyId: 'none', secretAccessKey: 'none' };
    client = new DynamoDBClient({ endpoint: `http://127.0.0.1:${port}`, region: 'eu-west-1', credentials });
    await client.send(
      new CreateTableCommand({
        TableName: appTable.tableName,
        BillingMode: 'PAY_PER_REQUEST',
        AttributeDefinitions: ['PK', 'SK', 'SortKey'].map(AttributeName => ({ AttributeName, AttributeType: 'S' })),
        KeySchema: [
          { AttributeName: 'PK', KeyType: 'HASH' },
          { AttributeName: 'SK', KeyType: 'RANGE' },
        ],
        GlobalSecondaryIndexes: [
          {
            IndexName: indexName,
            KeySchema: [
              { AttributeName: 'SK', KeyType: 'HASH' },
              { AttributeName: 'SortKey', KeyType: 'RANGE' },
            ],
            Projection: { ProjectionType: 'ALL' },
          },
        ],
      }),
    );
    await waitUntilTableExists({ client, maxWaitTime: 10, minDelay: 1 }, { TableName: appTable.tableName });
    const table = withoutTransactions(DynamoDBDocument.from(client));
    options = { table, clock: systemClock, random: seededRandom(1), cursorKey: Buffer.alloc(32) };
  });
  after(async () => {
    client.destroy();
    server.close();
  });

  it('are stored, listed in ranges and both directions, page by page, and brought along', async () => {
    const { Employee, Order, OrderItem, RepSales } = makeRepositories(orderEntry, options);
    for (const [employeeId, hiredOn] of [
      ['e1', '2026-03-01'],
      ['e2', '2026-01-01'],
      ['e3', '2026-02-01'],
    ])
      await Employee.create({ employeeId, name: 'Ann', phones: [], jobTitle: 'Rep', warehouseId: 'w#1', hiredOn });
    for (const [accountRepId, total] of [
      ['e1', 100],
      ['e2', -3.5],
      ['e3', 20],
    ] as const)
      await RepSales.create({ period: 'Q1', accountRepId, total });
    await Order.create({
      orderId: 'o',
      customerId: 'c',
      accountRepId: 'e1',
      status: 'open',
      orderedOn: '2026-01-01',
      total: 1,
    });
    await OrderItem.create({ orderId: 'o', productId: 'p', quantity: 1, warehouseId: 'w' });
    const hired: string[] = [];
    for await (const { employeeId } of Employee.list.hired.all({}, { after: '2026-01-01', limit: 1 }))
      hired.push(employeeId);
    assert.deepEqual(hired, ['e3', 'e1']);
    const ranked = await RepSales.list.ranked({ period: 'Q1' }, { newestFirst: true, from: 0, with: ['accountRep'] });
    assert.deepEqual(
      ranked.items.map(({ total, accountRep }) => [total, accountRep?.name]),
      [
        [100, 'Ann'],
        [20, 'Ann'],
      ],
    );
    assert.deepEqual((await Order.get('o', { with: ['items'] })).items.length, 1);
    await Order.update('o', { status: 'closed' });
    assert.deepEqual((await Order.list.open({ status: 'open' })).items, []);
  });

  it('keep the last child, nested changes and what a backfill adds', async () => {
    const { Room, Message } = makeRepositories(chat, options);
    await Room.create({ roomId: 'r', title: 'Garden' });
    for (const messageId of ['1', '2', '3'])
      await Message.create({ roomId: 'r', messageId, userId: 'u', text: messageId });
    const last = async () => (await Room.get('r', { with: ['lastMessage'] })).lastMessage?.text;
    assert.equal(await last(), '3');
    await Message.delete({ roomId: 'r', messageId: '3' });
    assert.equal(await last(), '2');
    await Message.update({ roomId: 'r', messageId: '2' }, { attachments: { a: { url: '/a', scanned: false } } });
    const { attachments } = await Message.update(
      { roomId: 'r', messageId: '2' },
      { attachments: { a: { scanned: true } } },
    );
    assert.deepEqual(attachments, { a: { url: '/a', scanned: true } });
    const changed = {
      ...chat,
      Message: { ...chat.Message, patterns: { ...chat.Message.patterns, ofUser: { by: ['userId'] } } },
    } as const;
    const backfill = await Backfill.open(options, changed);
    await backfill.run();
    assert.equal((await makeRepositories(changed, options).Message.list.ofUser({ userId: 'u' })).items.length, 2);
  });
});

/** Each action as a write of its own. A check only looks, so it is left out: nobody else is at work here. */
function withoutTransactions(document: DynamoDBDocument): Table {
  const transactWrite: Table['transactWrite'] = async ({ TransactItems = [] }) => {
    for (const [index, { Put, Update, Delete }] of TransactItems.entries()) {
      try {
        if (Put) await document.put(Put);
        if (Update) await document.update(Update);
        if (Delete) await document.delete(Delete);
      } catch (cause) {
        if (!(cause instanceof Error && cause.name === 'ConditionalCheckFailedException')) throw cause;
        const CancellationReasons = TransactItems.map((_, at) => ({
          Code: at === index ? 'ConditionalCheckFailed' : 'None',
        }));
        throw Object.assign(new Error('Transaction cancelled', { cause }), {
          name: 'TransactionCanceledException',
          CancellationReasons,
        });
      }
    }
    return {};
  };
  return { ...awsTable(document), transactWrite };
}
