import { z } from 'zod';
import { appTable, type ContextOf, defineApp, defineModel, type TelemetryEvent } from '../../src/app/index.ts';

/** The app under test: every reading is decoded, validated and stored, packed into one item per thing and batch. */
const model = defineModel('bench', {
  telemetry: { sample: { reading: z.object({ at: z.string(), value: z.number(), pad: z.string() }) } },
  commands: {},
  entities: {},
});

const store = async (events: TelemetryEvent<typeof model.telemetry.sample>[], { table }: ContextOf<typeof model>) => {
  const byThing = Map.groupBy(events, event => event.thingName);
  const puts = [...byThing].map(([thingName, readings]) =>
    table.put({
      TableName: appTable.tableName,
      Item: {
        PK: `Series-${thingName}`,
        SK: `reading-${String(readings[0].sequenceNumber).padStart(20, '0')}`,
        At: readings.map(({ payload }) => payload.at),
        Value: readings.map(({ payload }) => payload.value),
        Pad: readings.map(({ payload }) => payload.pad),
      },
    }),
  );
  await Promise.all(puts);
};

// A tenth of a second of a thing's readings makes one item: what a device sends ten times a second costs one write.
const storeReadings = model.onTelemetryBatch('sample', store, { batchWindowMs: 100 });

export default defineApp(model, { functions: { storeReadings }, routes: [] });
