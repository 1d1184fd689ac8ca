import { z } from 'zod';
import { defineApp, defineModel } from '../../src/app/index.ts';

/** An app that others feed over Kinesis' API. */
const model = defineModel('funnel-app', {
  telemetry: {},
  commands: {},
  entities: { Session: { attributes: z.object({ simId: z.string(), bytes: z.number() }), id: 'simId', patterns: {} } },
  streams: { funnel: { record: z.object({ simId: z.string(), bytes: z.number() }) } },
});

const count = model.onRecords('funnel', async ({ record }, { entities, announce }) => {
  await entities.Session.create(record);
  announce('operator', { type: 'counted', name: record.simId });
});

export default defineApp(model, { functions: { count }, routes: [] });
