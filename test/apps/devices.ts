/** A hundred devices and their readings, and three ways to list each device with its last reading. */
import { GetCommand } from '@aws-sdk/lib-dynamodb';
import { z } from 'zod';
import { defineApp, defineEntity, defineModel } from '../../src/app/index.ts';
import { documentClientOf } from '../../src/platform/table/index.ts';

const device = z.object({ deviceId: z.string(), ownerId: z.string() });
const reading = z.object({ readingId: z.string(), deviceId: z.string(), at: z.number(), celsius: z.number() });

export const model = defineModel('devices-app', {
  telemetry: {},
  commands: {},
  entities: {
    Device: defineEntity(device, {
      id: 'deviceId',
      patterns: { ofOwner: { by: ['ownerId'] } },
      related: { lastReading: { entity: 'Reading', pattern: 'byDevice', latest: 1 } },
    }),
    Reading: defineEntity(reading, { id: 'readingId', patterns: { byDevice: { by: ['deviceId'], order: 'at' } } }),
  },
});

const shown = z.object({ items: z.array(device.extend({ last: reading.optional() })) });

export default defineApp(model, {
  functions: {},
  routes: [
    model.route('GET /v1/one-by-one', { summary: 'N+1', answer: shown }, async ({ user }, { entities }) => {
      const { items: devices } = await entities.Device.list.ofOwner({ ownerId: user }, { limit: 100 });
      const items = [];
      for (const each of devices) {
        const { deviceId } = each;
        const page = await entities.Reading.list.byDevice({ deviceId }, { newestFirst: true, limit: 1 }); // one by one
        items.push({ ...each, last: page.items[0] });
      }
      return { items };
    }),
    model.route('GET /v1/all-at-once', { summary: 'N+1', answer: shown }, async ({ user }, { entities }) => {
      const { items: devices } = await entities.Device.list.ofOwner({ ownerId: user }, { limit: 100 });
      const lastOf = async ({ deviceId }: { deviceId: string }) => {
        const page = await entities.Reading.list.byDevice({ deviceId }, { newestFirst: true, limit: 1 }); // all at once
        return page.items[0];
      };
      return { items: await Promise.all(devices.map(async each => ({ ...each, last: await lastOf(each) }))) };
    }),
    model.route('GET /v1/by-table', { summary: 'N+1', answer: z.object({}) }, async (_request, { table }) => {
      const get = async (id: string) => {
        await Promise.resolve();
        return table.get({ TableName: 'app', Key: { PK: `Device-${id}`, SK: 'Device' } }); // by table
      };
      await Promise.all(Array.from({ length: 20 }, (_, index) => get(`d${index}`)));
      return {};
    }),
    model.route('GET /v1/by-library', { summary: 'N+1', answer: z.object({}) }, async (_request, { table }) => {
      const client = documentClientOf(table);
      for (let index = 0; index < 20; index++) {
        await client.send(new GetCommand({ TableName: 'app', Key: { PK: `Device-d${index}`, SK: 'Device' } })); // by library
      }
      return {};
    }),
    model.route('GET /v1/together', { summary: 'Two calls', answer: shown }, async ({ user }, { entities }) => {
      const options = { limit: 100, with: ['lastReading'] as const };
      const { items } = await entities.Device.list.ofOwner({ ownerId: user }, options);
      return { items: items.map(({ lastReading, ...each }) => ({ ...each, last: lastReading })) };
    }),
    model.route('GET /v1/page-by-page', { summary: 'One list', answer: shown }, async ({ user }, { entities }) => {
      const items = [];
      for await (const each of entities.Device.list.ofOwner.all({ ownerId: user }, { limit: 5 })) items.push(each);
      return { items };
    }),
    model.route('POST /v1/readings', { summary: 'Writes', answer: z.object({}) }, async (_request, { entities }) => {
      for (let at = 0; at < 20; at++) {
        await entities.Reading.create({ readingId: `late-${at}`, deviceId: 'd000', at: 1_000 + at, celsius: 20 });
      }
      return {};
    }),
  ],
});
