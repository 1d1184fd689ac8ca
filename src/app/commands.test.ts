import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import type { Iot, OutgoingMessage } from '../iot/port.ts';
import { delay } from '../kernel/clock.ts';
import { silentLog } from '../kernel/log.ts';
import { openMemoryStore } from '../kernel/memory-store.ts';
import { VirtualClock } from '../kernel/virtual-clock.ts';
import { openEmbeddedTable, type Table } from '../platform/table/index.ts';
import { CommandTracker, type EndedCommand } from './commands.ts';
import { appTable } from './entities/index.ts';
import type { CommandMap } from './model.ts';

const blink = { request: z.object({ sessionId: z.string() }), response: z.object({ sessionId: z.string() }) };

const noRoom = new Error('no room');

/** A tracker whose thing is there or not, and whose result function takes half a second. */
async function start(seenAs: (table: Table) => Table = table => table) {
  const clock = new VirtualClock();
  const opened = await clock.until(
    openEmbeddedTable({ store: await openMemoryStore({ clock }), clock, tables: [appTable], indexLagMs: 50 }),
  );
  const table = seenAs(opened);
  const world = {
    clock,
    subscribers: 1,
    published: [] as OutgoingMessage[],
    ended: [] as EndedCommand[],
    givenUp: [] as EndedCommand[],
    failures: 0,
    refusals: 0,
  };
  const publish = async (message: OutgoingMessage) => {
    world.published.push(message);
    return { subscribers: world.subscribers };
  };
  const trackerOf = (commands: CommandMap) =>
    new CommandTracker({
      application: 'app',
      commands,
      table,
      iot: { publish } as Pick<Iot, 'publish'> as Iot, // The tracker publishes and nothing else.
      clock,
      log: silentLog,
      onFailure: error => assert.fail(String(error)),
      onResultGivenUp: async (_command, result) => void world.givenUp.push(result),
      isRefused: error => error === noRoom,
      onResult: async (_command, result) => {
        if (world.refusals-- > 0) throw noRoom;
        await delay(clock, 500);
        if (world.failures-- > 0) throw new Error('not yet');
        world.ended.push(result);
      },
    });
  const tracker = trackerOf({ blink });
  const send = () => clock.until(tracker.send('blink', { thingName: 'lamp', sessionId: 's1', request: {} }));
  return { world, tracker, trackerOf, table, clock, send };
}

/** As a client of the SDK refuses: by DynamoDB's name, with no code of ours. */
function refusingAsSdk(table: Table): Table {
  const refuse = (error: Error): never => {
    throw Object.assign(new Error(error.message), { name: error.name });
  };
  return {
    ...table,
    put: input => table.put(input).catch(refuse),
    update: input => table.update(input).catch(refuse),
  };
}

describe('a command', () => {
  it('has one end when its answer and its time-out come together', async () => {
    const { world, tracker, clock, send } = await start();
    await send();
    await clock.advance(30_100); // Three attempts of ten seconds: the result function for the time-out is at work.
    await clock.until(tracker.receive('blink', 'lamp', { sessionId: 's1' }));
    await clock.advance(60_000);
    assert.deepEqual(
      world.ended.map(({ outcome }) => outcome),
      ['timedOut'],
    );
  });

  it('is published once per attempt and not any more after its end', async () => {
    const { world, tracker, clock, send } = await start();
    await send();
    await send(); // A redelivered event.
    await clock.advance(5_000);
    assert.equal(world.published.length, 1);
    await clock.until(tracker.receive('blink', 'lamp', { sessionId: 's1' }));
    await clock.advance(120_000);
    assert.equal(world.published.length, 1);
    assert.equal(world.ended.length, 1);
  });

  it('has one start and one end on whatever engine, whose refusals have only the name in common', async () => {
    const { world, tracker, clock, send } = await start(refusingAsSdk);
    await send();
    await send(); // A redelivered event.
    await clock.until(tracker.receive('blink', 'lamp', { sessionId: 's1' }));
    assert.equal(await clock.until(tracker.receive('blink', 'lamp', { sessionId: 's1' })), true);
    await clock.advance(60_000);
    assert.equal(world.published.length, 1);
    assert.equal(world.ended.length, 1);
  });

  it('has its result function tried again until it succeeds', async () => {
    const { world, clock, send } = await start();
    world.failures = 3;
    await send();
    await clock.advance(60_000);
    assert.equal(world.ended.length, 1);
  });

  it('waits with its result for room, holds up no answer meanwhile, and that costs no attempt', async () => {
    const { world, tracker, clock, send } = await start();
    world.refusals = 12;
    await send();
    await clock.until(tracker.receive('blink', 'lamp', { sessionId: 's1' }));
    assert.deepEqual(world.ended, []);
    await clock.advance(600_000);
    assert.deepEqual([world.ended.map(({ attempt }) => attempt), world.givenUp], [[1], []]);
  });

  it('sets its result aside when the function keeps failing, and asks the thing no more', async () => {
    const { world, tracker, clock, send } = await start();
    world.failures = Number.POSITIVE_INFINITY;
    await send();
    await clock.advance(100);
    await clock.until(tracker.receive('blink', 'lamp', { sessionId: 's1' }));
    await clock.advance(600_000);
    assert.equal(world.published.length, 1);
    assert.deepEqual(
      world.givenUp.map(({ outcome, response }) => [outcome, response?.sessionId]),
      [['answered', 's1']],
    );
  });

  it('is not sent any more once it is cancelled, and has no result', async () => {
    const { world, tracker, clock, send } = await start();
    await send();
    await clock.until(tracker.cancel('s1'));
    await clock.until(tracker.receive('blink', 'lamp', { sessionId: 's1' }));
    await clock.advance(120_000);
    assert.equal(world.published.length, 1);
    assert.deepEqual(world.ended, []);
  });

  it('is not sent again to a thing that comes back an instant after its end (covers S2-10)', async () => {
    const { world, tracker, clock, send } = await start();
    await send();
    await clock.advance(1_000);
    await clock.until(tracker.cancel('s1'));
    await clock.until(tracker.thingCameBack('lamp')); // The list of open commands still shows it.
    await clock.advance(120_000);
    assert.equal(world.published.length, 1);
  });

  it('goes out to a thing that comes back an instant after it was sent (covers S2-10)', async () => {
    const { world, tracker, clock, send } = await start();
    world.subscribers = 0;
    await send();
    await clock.settle();
    world.subscribers = 1;
    await clock.until(tracker.thingCameBack('lamp')); // The list of open commands does not show it yet.
    await clock.advance(1_000);
    assert.equal(world.published.length, 2);
  });

  it('that the model has no more is left alone, and the others go on', async () => {
    const { world, clock, send, table, trackerOf } = await start();
    world.subscribers = 0;
    await send();
    const next = trackerOf({ shine: blink });
    await clock.until(next.resume());
    await clock.until(next.send('shine', { thingName: 'lamp', sessionId: 's2', request: {} }));
    world.subscribers = 1;
    await clock.until(next.thingCameBack('lamp'));
    await clock.advance(5_000);
    assert.equal(world.published.at(-1)?.topic, 'cmd/app/shine/lamp/req');
    const { Item } = await table.get({ TableName: appTable.tableName, Key: { PK: 'Command-s1', SK: 'Command' } });
    assert.equal(Item?.Outcome, 'pending');
  });

  it('costs no attempt while its thing is away', async () => {
    const { world, tracker, clock, send } = await start();
    world.subscribers = 0;
    await send();
    await clock.advance(3_600_000);
    assert.equal(world.published.length, 1);
    world.subscribers = 1;
    await clock.until(tracker.thingCameBack('lamp'));
    await clock.advance(25_000);
    assert.equal(world.published.length, 4); // The vain one, and three attempts.
  });

  it('is refused from a thing that it was not sent to', async () => {
    const { world, tracker, clock, send } = await start();
    await send();
    assert.equal(await clock.until(tracker.receive('blink', 'other', { sessionId: 's1' })), false);
    assert.equal(await clock.until(tracker.receive('blink', 'lamp', { sessionId: 'none' })), false);
    assert.deepEqual(world.ended, []);
  });
});
