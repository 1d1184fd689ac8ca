import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { defineApp, defineEntity, defineModel, type FunctionsChoices, telemetryTopic } from '../app/index.ts';
import { codeOf } from '../kernel/errors.ts';
import { OneThreadBackend, TestWorld } from './one-thread.ts';

const session = z.object({ sessionId: z.string() });
const model = defineModel('sources', {
  telemetry: { orders: { order: z.object({ id: z.string() }) } },
  commands: { blink: { request: session, response: session } },
  entities: { Note: defineEntity(z.object({ noteId: z.string() }), { id: 'noteId', patterns: {} }) },
  functions: { now: { input: z.object({}) }, later: { input: z.object({}) } },
});

/** An app with a function for every source. None succeeds. */
function failingApp(attempts: Record<string, number[]>) {
  const fail = async (source: string, attempt: number) => {
    attempts[source] ??= [];
    attempts[source].push(attempt);
    throw new Error('as every time');
  };
  const of = (source: string) => async (_event: unknown, context: { invocation: { attempt: number } }) =>
    fail(source, context.invocation.attempt);
  const functions = {
    telemetry: model.onTelemetry('orders', of('telemetry')),
    presence: model.onPresence(of('presence')),
    entityChange: model.onEntityChange('Note', of('entityChange')),
    commandResult: model.onCommandResult('blink', of('commandResult')),
    schedule: model.onSchedule({ everyMs: 60_000 }, of('schedule')),
    later: model.onInvoke('later', of('later')),
    now: model.onInvoke('now', of('now')),
  };
  const route = model.route('POST /v1/notes/{id}', { summary: 'Fails' }, (request, context) =>
    of('route')(request, context),
  );
  return defineApp(model, { functions, routes: [route] });
}

/** Every source brings one event, and time passes until all is over. */
async function afterOneOfEach(choices?: FunctionsChoices) {
  const attempts: Record<string, number[]> = {};
  const world = new TestWorld();
  const { clock } = world;
  const backend = await OneThreadBackend.start(failingApp(attempts), world, { functions: choices });
  const { iot, entities, commands, functions } = backend.runtime.context;
  const { Note } = entities as unknown as { Note: { create(note: object): Promise<unknown> } }; // Of the model above.
  const payload = Buffer.from('{"id":"1"}');
  await clock.until(iot.publish({ topic: telemetryTopic('sources', 'orders', 'lamp', 'order'), payload, qos: 1 }));
  await clock.until(Note.create({ noteId: '1' }));
  await clock.until(
    commands.blink.send({ thingName: 'lamp', sessionId: '1', request: {}, expiresAtMs: clock.nowMs() + 10 }),
  );
  await clock.until(functions.later.invokeLater({}));
  const refusals = await Promise.all([
    clock.until(functions.now.invoke({}).then(() => 'done', codeOf)),
    backend.request('alice', 'POST', '/v1/notes/1').then(({ status }) => String(status)),
  ]);
  const credentials = await clock.until(iot.createThing('lamp'));
  await backend.connect(credentials);
  await clock.advance(90_000);
  const counts = await clock.until(backend.runtime.deadLetters.letters.counts());
  const letters = Object.fromEntries(
    counts.filter(each => each.letters > 0).map(each => [each.consumer, each.letters]),
  );
  return { attempts, letters, refusals };
}

describe('what each source promises of its events (covers S2-26)', () => {
  it('is so many attempts, then a dead letter; or one attempt, and an answer for who waits', async () => {
    const { attempts, letters, refusals } = await afterOneOfEach();
    assert.deepEqual(attempts, {
      telemetry: [1, 2, 3],
      presence: [1, 2, 3],
      entityChange: [1, 2, 3],
      commandResult: [1, 2, 3, 4, 5],
      schedule: [1, 2, 3],
      later: [1, 2, 3],
      now: [1],
      route: [1],
    });
    const one = { telemetry: 1, presence: 1, entityChange: 1, $commands: 1, schedule: 1, later: 1 };
    assert.deepEqual(letters, one);
    assert.deepEqual(refusals, ['internal', '500']);
  });

  it('is to wait while there is no room; or a refusal at once, for who waits', async () => {
    const { attempts, letters, refusals } = await afterOneOfEach({ concurrencyMax: 0 });
    assert.deepEqual([attempts, letters, refusals], [{}, {}, ['function.throttled', '429']]);
  });
});
