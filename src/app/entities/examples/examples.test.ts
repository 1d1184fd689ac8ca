import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { entityWorld } from '../entity-world.ts';
import { chat } from './chat.ts';
import { orderEntry } from './order-entry.ts';

async function orderWorld() {
  const world = await entityWorld(orderEntry);
  const { Employee, Customer, Order, OrderItem, Product, Inventory, RepSales } = world.entities;
  const employee = (employeeId: string, name: string, jobTitle: string, warehouseId: string, hiredOn: string) =>
    Employee.create({ employeeId, name, phones: [`555-${employeeId}`], jobTitle, warehouseId, hiredOn });
  const order = (orderId: string, customerId: string, status: 'open' | 'shipped', orderedOn: string, total: number) =>
    Order.create({ orderId, customerId, accountRepId: customerId === 'c1' ? 'e1' : 'e2', status, orderedOn, total });
  await world.until(
    Promise.all([
      employee('e1', 'Ann', 'Rep', 'w1', '2024-03-15'),
      employee('e2', 'Bob', 'Rep', 'w2', '2026-01-10'),
      employee('e3', 'Ann', 'Packer', 'w1', '2026-02-20'),
      Customer.create({ customerId: 'c1', name: 'Zoe', phones: ['555-1', '555-2'], accountRepId: 'e1' }),
      Customer.create({ customerId: 'c2', name: 'Max', phones: [], accountRepId: 'e1' }),
      order('o1', 'c1', 'shipped', '2026-01-05', 10),
      order('o2', 'c1', 'open', '2026-02-05', 20),
      order('o3', 'c2', 'open', '2026-02-07', 30),
      order('o4', 'c1', 'open', '2026-03-01', 40),
      ...['p1', 'p2'].map(productId => Product.create({ productId, name: `Product ${productId}` })),
      OrderItem.create({ orderId: 'o2', productId: 'p1', quantity: 2, warehouseId: 'w1' }),
      OrderItem.create({ orderId: 'o2', productId: 'p2', quantity: 1, warehouseId: 'w2' }),
      OrderItem.create({ orderId: 'o3', productId: 'p1', quantity: 7, warehouseId: 'w1' }),
      Inventory.create({ productId: 'p1', warehouseId: 'w1', quantity: 100 }),
      Inventory.create({ productId: 'p1', warehouseId: 'w2', quantity: 11 }),
      Inventory.create({ productId: 'p2', warehouseId: 'w2', quantity: 5 }),
      RepSales.create({ period: '2026-Q1', accountRepId: 'e1', total: 70 }),
      RepSales.create({ period: '2026-Q1', accountRepId: 'e2', total: 130 }),
      RepSales.create({ period: '2025-Q4', accountRepId: 'e1', total: 999 }),
    ]),
  );
  return world;
}

describe('the 17 questions of the order-entry example (covers S0-14)', async () => {
  const { entities, callsOf } = await orderWorld();
  const { Employee, Customer, Order, OrderItem, Product, Inventory, RepSales } = entities;
  const february = { from: '2026-02-01', to: '2026-02-28' };
  const names = <T extends { name: string }>({ items }: { items: T[] }) => items.map(({ name }) => name);
  const orders = <T extends { orderId: string }>({ items }: { items: T[] }) => items.map(({ orderId }) => orderId);

  const questions: [question: string, ask: () => Promise<unknown>, answer: unknown, requests: number][] = [
    ['1 an employee by id', async () => (await Employee.get('e2')).name, 'Bob', 1],
    [
      '2 employees by name',
      async () => (await Employee.list.byName({ name: 'Ann' })).items.map(({ employeeId }) => employeeId),
      ['e1', 'e3'],
      1,
    ],
    ["3 an employee's phones", async () => (await Employee.get('e1')).phones, ['555-e1'], 1],
    ["4 a customer's phones", async () => (await Customer.get('c1')).phones, ['555-1', '555-2'], 1],
    [
      '5 orders of a customer in a range of dates',
      async () => orders(await Order.list.ofCustomer({ customerId: 'c1' }, february)),
      ['o2'],
      1,
    ],
    [
      '6 open orders of all customers in a range of dates',
      async () => orders(await Order.list.open({ status: 'open' }, february)),
      ['o2', 'o3'],
      1,
    ],
    [
      '7 employees hired recently',
      async () => names(await Employee.list.hired({}, { from: '2026-01-01', newestFirst: true })),
      ['Ann', 'Bob'],
      2, // its shards
    ],
    [
      '8 employees of a warehouse',
      async () => (await Employee.list.inWarehouse({ warehouseId: 'w1' })).items.map(({ employeeId }) => employeeId),
      ['e1', 'e3'],
      1,
    ],
    [
      '9 items on order for a product',
      async () => (await OrderItem.list.ofProduct({ productId: 'p1' })).items.map(({ quantity }) => quantity),
      [2, 7],
      1,
    ],
    [
      '10 inventories of a product at all warehouses',
      async () => (await Inventory.list.ofProduct({ productId: 'p1' })).items.map(({ quantity }) => quantity),
      [100, 11],
      1,
    ],
    [
      '11 customers by account rep',
      async () => names(await Customer.list.ofRep({ accountRepId: 'e1' })),
      ['Max', 'Zoe'],
      1,
    ],
    [
      '12 orders by account rep and date',
      async () => orders(await Order.list.ofRep({ accountRepId: 'e1' }, { from: '2026-02-01' })),
      ['o2', 'o4'],
      1,
    ],
    // The published list says 9 a second time here; asked of the order instead, the question nobody can do without.
    [
      '13 items of an order, with the order',
      async () => (await Order.get('o2', { with: ['items'] })).items.map(({ productId }) => productId),
      ['p1', 'p2'],
      1,
    ],
    [
      '14 employees with a job title',
      async () => names(await Employee.list.withTitle({ jobTitle: 'Rep' })),
      ['Ann', 'Bob'],
      1,
    ],
    [
      '15 inventory of a product in a warehouse',
      async () => (await Inventory.get({ productId: 'p1', warehouseId: 'w2' })).quantity,
      11,
      1,
    ],
    [
      '16 the whole inventory of a product',
      async () => {
        const { inventories } = await Product.get('p1', { with: ['inventories'] });
        return inventories.reduce((sum, { quantity }) => sum + quantity, 0);
      },
      111,
      1,
    ],
    [
      '17 account reps ranked by the total of their orders in a period',
      async () => {
        const by = { period: '2026-Q1' };
        const { items } = await RepSales.list.ranked(by, { newestFirst: true, with: ['accountRep'] });
        return items.map(({ accountRep, total }) => [accountRep?.name, total]);
      },
      [
        ['Bob', 130],
        ['Ann', 70],
      ],
      2,
    ],
  ];

  for (const [question, ask, answer, requests] of questions) {
    it(`gets ${question} in ${requests === 1 ? 'one request' : `${requests} requests`}`, async () => {
      const { calls, result } = await callsOf(ask);
      assert.deepEqual(result, answer);
      assert.deepEqual(calls.length, requests, JSON.stringify(calls));
    });
  }
});

describe('the chat (covers S4-11)', async () => {
  const { entities, until, callsOf } = await entityWorld(chat);
  const { Room, Member, Message, Session } = entities;
  await until(
    Promise.all([
      Room.create({ roomId: 'r1', title: 'Garden' }),
      Room.create({ roomId: 'r2', title: 'House' }),
      Member.create({ roomId: 'r1', userId: 'alice', joinedAt: 't1' }),
      Member.create({ roomId: 'r1', userId: 'bob', joinedAt: 't2' }),
      Member.create({ roomId: 'r2', userId: 'alice', joinedAt: 't3' }),
      Session.create({ sessionId: 's1', userId: 'alice', roomId: 'r1', since: 't1' }),
      Session.create({ sessionId: 's2', userId: 'alice', since: 't2' }),
      Session.create({ sessionId: 's3', userId: 'bob', roomId: 'r1', since: 't3' }),
    ]),
  );
  for (const [messageId, roomId] of [
    ['m1', 'r1'],
    ['m2', 'r2'],
    ['m3', 'r1'],
  ])
    await until(Message.create({ roomId, messageId, userId: 'alice', text: `text of ${messageId}` }));

  it('knows by user and room whether somebody is in it', async () => {
    assert.equal((await until(Member.find({ roomId: 'r1', userId: 'bob' })))?.joinedAt, 't2');
    assert.equal(await until(Member.find({ roomId: 'r2', userId: 'bob' })), undefined);
  });

  it('reads a room with its members in one request, and the last message in a second', async () => {
    const { calls, result } = await callsOf(() => Room.get('r1', { with: ['members', 'lastMessage'] }));
    assert.deepEqual(
      [result.title, result.members.map(({ userId }) => userId), result.lastMessage?.text],
      ['Garden', ['alice', 'bob'], 'text of m3'],
    );
    assert.equal(calls.length, 2);
  });

  it('lists the rooms of a user with their titles in two requests', async () => {
    const { calls, result } = await callsOf(() => Member.list.ofUser({ userId: 'alice' }, { with: ['room'] }));
    assert.deepEqual(
      result.items.map(({ room }) => room?.title),
      ['Garden', 'House'],
    );
    assert.equal(calls.length, 2);
  });

  it('lists the messages of a room, newest first, from the room itself', async () => {
    const { calls, result } = await callsOf(() => Message.list.ofRoom({ roomId: 'r1' }, { newestFirst: true }));
    assert.deepEqual(
      result.items.map(({ messageId }) => messageId),
      ['m3', 'm1'],
    );
    assert.equal(calls.length, 1);
  });

  it('finds the sessions of a user and of a room through one index', async () => {
    const sessions = async (list: Promise<{ items: { sessionId: string }[] }>) =>
      (await until(list)).items.map(({ sessionId }) => sessionId);
    assert.deepEqual(await sessions(Session.list.ofUser({ userId: 'alice' })), ['s1', 's2']);
    assert.deepEqual(await sessions(Session.list.inRoom({ roomId: 'r1' })), ['s1', 's3']);
    await until(Session.update('s1', { roomId: 'r2' }));
    assert.deepEqual(await sessions(Session.list.inRoom({ roomId: 'r1' })), ['s3']);
    assert.deepEqual(await sessions(Session.list.inRoom({ roomId: 'r2' })), ['s1']);
  });

  it('keeps what several scanners say of the attachments of one message at once (covers S4-12)', async () => {
    const id = { roomId: 'r1', messageId: 'm1' };
    const files = ['a', 'b', 'c', 'd', 'e'];
    const attachments = Object.fromEntries(files.map(name => [name, { url: `/${name}`, scanned: false }]));
    await until(Message.update(id, { attachments }));
    await until(Promise.all(files.map(name => Message.update(id, { attachments: { [name]: { scanned: true } } }))));
    const found = await until(Message.get(id));
    assert.deepEqual(
      found.attachments,
      Object.fromEntries(files.map(name => [name, { url: `/${name}`, scanned: true }])),
    );
  });
});
