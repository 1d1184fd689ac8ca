/** Rooms with a thermometer and a lamp: an app that has a function of each kind, and some that are not written well. */
import { z } from 'zod';
import { defineApp, defineModel, entityIsThere } from '../../src/app/index.ts';
import { delay } from '../../src/kernel/clock.ts';
import { countUp } from './rooms-counter.ts';

const room = z.object({
  roomId: z.string(),
  floor: z.int().min(0).max(3),
  celsius: z.number().optional(),
  reports: z.int().min(0).default(0),
  presence: z.enum(['online', 'offline']).optional(),
  presenceVersion: z.int().default(-1),
});

export const model = defineModel('rooms', {
  telemetry: {
    climate: { report: z.object({ celsius: z.number().min(-50).max(100) }) },
    misuse: { ask: z.object({}) },
  },
  commands: {
    light: {
      request: z.object({ sessionId: z.string(), isOn: z.boolean() }),
      response: z.object({ sessionId: z.string(), isLit: z.boolean() }),
      timeoutMs: 5_000,
    },
  },
  streams: {
    carrier: {
      record: z.object({ roomId: z.string(), celsius: z.number() }),
      shards: 2,
      partitionKey: { field: 'roomId' },
    },
  },
  functions: { heat: { input: z.object({ roomId: z.string(), celsius: z.number() }) } },
  entities: {
    Room: { attributes: room, id: 'roomId', patterns: { byFloor: { by: ['floor'], order: 'roomId' } } },
    Light: {
      attributes: z.object({
        sessionId: z.string(),
        roomId: z.string(),
        outcome: z.string(),
        isLit: z.boolean().optional(),
      }),
      id: 'sessionId',
      patterns: {},
    },
    Alert: { attributes: z.object({ alertId: z.string(), celsius: z.number() }), id: 'alertId', patterns: {} },
  },
});

/** Too warm: the light is switched on. */
const whenReported = model.onTelemetry('climate', async (event, { entities, commands }) => {
  const { thingName: roomId, sequenceNumber, payload } = event;
  if (payload.celsius === 99) throw new Error('the sensor is on fire');
  await entities.Room.update(roomId, ({ reports }) => ({ celsius: payload.celsius, reports: reports + 1 }));
  if (payload.celsius > 30) {
    await commands.light.send({ thingName: roomId, sessionId: `${roomId}-${sequenceNumber}`, request: { isOn: true } });
  }
});

const whenLit = model.onCommandResult(
  'light',
  async ({ thingName: roomId, sessionId, outcome, response }, { entities }) => {
    await entities.Light.create({ sessionId, roomId, outcome, isLit: response?.isLit }).catch(entityIsThere.already);
  },
);

const whenRoomChanges = model.onEntityChange('Room', async ({ newImage, oldImage, sequenceNumber }, { entities }) => {
  if (newImage?.celsius === undefined || newImage.celsius < 40 || newImage.celsius === oldImage?.celsius) return;
  const alertId = `${newImage.roomId}-${sequenceNumber}`;
  await entities.Alert.create({ alertId, celsius: newImage.celsius }).catch(entityIsThere.already);
});

/** Heeds what is older than what it knows, as one must. */
const whenPresent = model.onPresence(async ({ type, thingName, versionNumber }, { entities }) => {
  await entities.Room.update(thingName, ({ presenceVersion }) =>
    versionNumber < presenceVersion
      ? undefined
      : { presence: type === 'connected' ? 'online' : 'offline', presenceVersion: versionNumber },
  ).catch(entityIsThere.orGone);
});

const whenHeated = model.onInvoke('heat', async ({ roomId, celsius }, { entities, log }) => {
  log.info({ roomId, password: 'hush' }, 'The heating is on.');
  await entities.Room.update(roomId, { celsius });
});

const whenCarried = model.onRecords('carrier', async ({ record }, { entities }) => {
  await entities.Room.update(record.roomId, ({ reports }) => ({ celsius: record.celsius, reports: reports + 1 }));
});

const everyNight = model.onSchedule({ cron: '0 3 * * *' }, async ({ scheduledAtMs }, { functions }) => {
  await functions.heat.invokeLater({ roomId: 'attic', celsius: 5 }, { idempotencyKey: `night-${scheduledAtMs}` });
});

const nothing = z.object({});

export default defineApp(model, {
  functions: { whenReported, whenLit, whenRoomChanges, whenPresent, whenHeated, whenCarried, everyNight },
  routes: [
    model.route('GET /v1/count', { summary: 'Hidden state', answer: z.object({ count: z.int() }) }, async () => ({
      count: countUp(),
    })),
    model.route(
      'GET /v1/floors/{floor}',
      { summary: 'A list', answer: z.object({ roomIds: z.array(z.string()) }) },
      async ({ params }, { entities }) => {
        const { items } = await entities.Room.list.byFloor({ floor: Number(params.floor) }, { limit: 100 });
        return { roomIds: items.map(({ roomId }) => roomId) };
      },
    ),
    model.route('POST /v1/not-awaited', { summary: 'Goes on', answer: nothing }, async (_request, { entities }) => {
      void entities.Room.create({ roomId: 'forgotten', floor: 0 });
      return {};
    }),
    model.route(
      'POST /v1/goes-on',
      { summary: 'Goes on later', answer: nothing },
      async (_request, { table, clock }) => {
        void delay(clock, 1_000).then(() => table.get({ TableName: 'app', Key: { PK: 'Room-1', SK: 'Room' } }));
        return {};
      },
    ),
    model.route(
      'POST /v1/walks-on',
      { summary: 'Goes on walking', answer: nothing },
      async (_request, { entities, clock }) => {
        const walk = async () => {
          await delay(clock, 1_000);
          for await (const _ of entities.Room.list.byFloor.all({ floor: 0 }));
        };
        void walk();
        return {};
      },
    ),
    model.route('POST /v1/rooms/{roomId}', { summary: 'A new room', answer: nothing }, async ({ params }, context) => {
      await context.iot.createThing(params.roomId);
      await context.entities.Room.create({ roomId: params.roomId, floor: 0 });
      return {};
    }),
    model.route(
      'POST /v1/heat/{roomId}',
      { summary: 'Heats later', answer: nothing },
      async ({ params }, { functions }) => {
        await functions.heat.invokeLater({ roomId: params.roomId, celsius: 22 }, { delayMs: 3_600_000 });
        return {};
      },
    ),
    model.route('POST /v1/announce/{roomId}', { summary: 'A note', answer: nothing }, async ({ params }, { iot }) => {
      const topic = `cmd/rooms/note/${params.roomId}/req`;
      await iot.publish({ topic, payload: Buffer.from('"hello"'), qos: 1 });
      return {};
    }),
    model.route('POST /v1/outside', { summary: 'Waits for the world', answer: nothing }, async () => {
      await new Promise(resolve => setTimeout(resolve, 20));
      return {};
    }),
    model.route('POST /v1/never', { summary: 'Waits for ever', answer: nothing }, () => new Promise(() => {})),
  ],
});
