import { z } from 'zod';
import { appTable, defineApp, defineModel } from '../../src/app/index.ts';

/** An app whose function does what its message says: work, loop for ever, exhaust memory, exit. */
const model = defineModel('misbehaving', {
  telemetry: {
    orders: { order: z.object({ id: z.number(), behave: z.enum(['well', 'loop', 'leak', 'exit', 'throw']) }) },
  },
  commands: {},
  entities: {},
});

const obey = model.onTelemetry('orders', async ({ payload, thingName }, { table }) => {
  await table.get({ TableName: appTable.tableName, Key: { PK: 'Warm', SK: 'up' } });
  if (payload.behave === 'loop') for (;;);
  if (payload.behave === 'exit') process.exit(0);
  if (payload.behave === 'throw') throw new Error('as ordered');
  if (payload.behave === 'leak') for (const kept: unknown[] = []; ; ) kept.push(new Array(100_000).fill(kept.length));
  const Key = { PK: `Order-${thingName}-${payload.id}`, SK: 'Order' };
  const UpdateExpression = 'ADD Done :one';
  await table.update({
    TableName: appTable.tableName,
    Key,
    UpdateExpression,
    ExpressionAttributeValues: { ':one': 1 },
  });
});

const done = model.route(
  'GET /v1/done/{thing}/{id}',
  { summary: 'How often an order was done', answer: z.object({ times: z.number() }) },
  async ({ params }, { table }) => {
    const Key = { PK: `Order-${params.thing}-${params.id}`, SK: 'Order' };
    const { Item } = await table.get({ TableName: appTable.tableName, Key });
    return { times: Item?.Done ?? 0 };
  },
);

export default defineApp(model, { functions: { obey }, routes: [done] });
