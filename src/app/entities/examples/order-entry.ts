/**
 * The order-entry example of the "Amazon DynamoDB Developer Guide", "Best practices for modeling relational data": staff,
 * customers, orders, products and warehouses, with the 17 questions of "First steps for modeling relational data".
 */
import { z } from 'zod';
import { defineEntity } from '../definition.ts';

const day = z.iso.date();

export const orderEntry = {
  Employee: defineEntity(
    z.object({
      employeeId: z.string(),
      name: z.string(),
      phones: z.array(z.string()),
      jobTitle: z.string(),
      warehouseId: z.string(),
      hiredOn: day,
    }),
    {
      id: 'employeeId',
      patterns: {
        byName: { by: ['name'] },
        hired: { by: [], order: 'hiredOn', shards: 2 },
        inWarehouse: { by: ['warehouseId'], order: 'name' },
        withTitle: { by: ['jobTitle'], order: 'name' },
      },
    },
  ),
  Customer: defineEntity(
    z.object({ customerId: z.string(), name: z.string(), phones: z.array(z.string()), accountRepId: z.string() }),
    {
      id: 'customerId',
      patterns: { ofRep: { by: ['accountRepId'], order: 'name' } },
      related: { accountRep: { entity: 'Employee', key: 'accountRepId' } },
    },
  ),
  Order: defineEntity(
    z.object({
      orderId: z.string(),
      customerId: z.string(),
      accountRepId: z.string(),
      status: z.enum(['open', 'shipped', 'closed']),
      orderedOn: day,
      total: z.number(),
    }),
    {
      id: 'orderId',
      patterns: {
        ofCustomer: { by: ['customerId'], order: 'orderedOn' },
        ofRep: { by: ['accountRepId'], order: 'orderedOn' },
        open: { by: ['status'], order: 'orderedOn', when: order => order.status === 'open' },
      },
      related: { items: { entity: 'OrderItem', pattern: 'ofOrder' } },
    },
  ),
  OrderItem: defineEntity(
    z.object({ orderId: z.string(), productId: z.string(), quantity: z.int(), warehouseId: z.string() }),
    {
      id: ['orderId', 'productId'],
      within: 'Order',
      patterns: {
        ofOrder: { by: ['orderId'], order: 'productId' },
        ofProduct: { by: ['productId'], order: 'orderId' },
      },
      related: { order: { entity: 'Order', key: 'orderId' } },
    },
  ),
  Product: defineEntity(z.object({ productId: z.string(), name: z.string() }), {
    id: 'productId',
    patterns: {},
    related: { inventories: { entity: 'Inventory', pattern: 'ofProduct' } },
  }),
  Inventory: defineEntity(z.object({ productId: z.string(), warehouseId: z.string(), quantity: z.int() }), {
    id: ['productId', 'warehouseId'],
    within: 'Product',
    patterns: { ofProduct: { by: ['productId'], order: 'warehouseId' } },
  }),
  RepSales: defineEntity(z.object({ period: z.string(), accountRepId: z.string(), total: z.number() }), {
    id: ['period', 'accountRepId'],
    patterns: { ranked: { by: ['period'], order: 'total' } },
    related: { accountRep: { entity: 'Employee', key: 'accountRepId' } },
  }),
};
