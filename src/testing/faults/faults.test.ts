import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { model } from '../../../test/apps/rooms.ts';
import { type StartOptions, startApp } from '../index.ts';

const rooms = new URL('../../../test/apps/rooms.ts', import.meta.url);

async function room(options: StartOptions<typeof model> = {}) {
  const app = await startApp(rooms, { model, ...options });
  await app.create('Room', { roomId: 'attic' });
  const device = await app.device('attic');
  device.onCommand('light', ({ isOn }) => ({ isLit: isOn }));
  await app.runUntilIdle();
  const report = (celsius: number) => device.publish('climate', 'report', { celsius });
  const celsius = async () => (await app.entities.Room.get('attic')).celsius;
  const reports = async () => (await app.entities.Room.get('attic')).reports;
  return { app, device, report, celsius, reports };
}

describe('a fault', () => {
  it('strikes as often as it is to, after those it leaves alone, and until it is stopped', async () => {
    const { app, report } = await room();
    await using _ = app;
    const fault = app.faults.table.fail(new Error('as asked'), {
      functionName: 'whenReported',
      operation: 'get',
      times: 2,
      after: 1,
    });
    await report(20); // Left alone.
    await app.runUntilIdle();
    assert.equal(fault.hits, 0);
    await report(21);
    await app.runUntilIdle();
    assert.equal(fault.hits, 2);
    app.invocations.count(2, { functionName: 'whenReported', outcome: 'failed', message: 'as asked' });
    {
      using lasting = app.faults.table.fail(new Error('again'), { functionName: 'whenReported' });
      await report(22);
      await app.runUntilIdle();
      assert.equal(lasting.hits, 3);
    }
    await report(23);
    await app.runUntilIdle();
    (await app.deadLetters()).one({ message: 'again' });
    assert.equal((await app.entities.Room.get('attic')).celsius, 23);
    for (const never of [{ times: 0 }, { after: -1 }, { chance: 0 }, { chance: 2 }]) {
      assert.throws(() => app.faults.table.throttle(never), { code: 'testing.optionsNotValid' });
    }
  });

  it('strikes by the seed: the same again for the same one', async () => {
    const hits = async (seed: number) => {
      const { app, report } = await room({ seed });
      await using _ = app;
      const fault = app.faults.table.delay(5, { chance: 0.5 });
      for (let count = 0; count < 10; count++) await report(count);
      await app.runUntilIdle();
      return fault.hits;
    };
    const first = await hits(1);
    assert.equal(await hits(1), first);
    assert(first > 2);
    assert.notDeepEqual([first, first], [await hits(2), await hits(3)]);
  });
});

describe('a table that gives trouble', () => {
  it('throttles, and the app waits and loses nothing', async () => {
    const { app, report, celsius } = await room();
    await using _ = app;
    const throttling = app.faults.table.throttle({ functionName: 'whenReported', times: 3 });
    await report(20);
    await app.runUntilIdle();
    assert.deepEqual([throttling.hits, await celsius()], [3, 20]);
    app.invocations.one({ functionName: 'whenReported' });
  });

  it('does what it is asked but loses the answer, so that it is asked again', async () => {
    const { app, report, reports } = await room();
    await using _ = app;
    app.faults.table.loseAnswer({ functionName: 'whenReported', operation: 'put', times: 1 });
    app.faults.table.loseAnswer({ functionName: 'whenReported', operation: 'transactWrite', times: 1 });
    await report(20);
    await app.runUntilIdle();
    assert.equal(await reports(), 2); // Counting is not idempotent: this is how a test finds it.
  });

  it('is slow', async () => {
    const { app, report } = await room();
    await using _ = app;
    const before = app.now();
    app.faults.table.delay('2s', { accessPattern: 'Room.update', times: 1 });
    await report(20);
    await app.runUntilIdle();
    assert(app.now().getTime() - before.getTime() >= 2_000);
  });

  it('leaves alone what the test itself does, and what the runtime keeps', async () => {
    const { app, report } = await room();
    await using _ = app;
    app.faults.table.fail();
    await app.create('Room', { roomId: 'other' });
    await report(20);
    await app.advance('10s');
    (await app.deadLetters()).one();
  });
});

describe('a line that gives trouble', () => {
  it('loses what a device sends, and with it the connection', async () => {
    const { app, device, report, celsius } = await room();
    await using _ = app;
    app.faults.up.drop({ thingName: 'attic', times: 1 });
    await assert.rejects(report(20), { code: 'device.disconnected' });
    assert.equal(device.isConnected, false);
    await device.connect();
    await report(21);
    await app.runUntilIdle();
    assert.equal(await celsius(), 21);
    app.messages.one({ context: 'climate' });
  });

  it('carries late, twice, or in another order', async () => {
    const { app, report, reports } = await room();
    await using _ = app;
    const before = app.now();
    app.faults.up.delay('3s', { times: 1 });
    await report(20);
    assert(app.now().getTime() - before.getTime() >= 3_000);
    app.faults.up.duplicate({ times: 1 });
    await report(21);
    await app.runUntilIdle();
    assert.equal(await reports(), 3);
    app.faults.up.reorder({ times: 1 });
    await Promise.all([report(22), report(23)]);
    const seen = app.messages
      .where({ context: 'climate' })
      .map(({ payload }) => (payload as { celsius: number }).celsius);
    assert.deepEqual(seen, [20, 21, 21, 23, 22]);
  });

  it('is narrow', async () => {
    const { app, report } = await room();
    await using _ = app;
    app.faults.up.throttle(10);
    const before = app.now();
    await Promise.all([report(20), report(21)]);
    assert(app.now().getTime() - before.getTime() >= 2 * '{"celsius":20}'.length * 100);
  });

  it('loses what a device is sent, and the command is sent again', async () => {
    const { app, device, report } = await room();
    await using _ = app;
    app.faults.down.drop({ times: 1 });
    await report(35);
    await app.advance('10s');
    device.requests('light').one();
    (await app.commands()).one({ outcome: 'answered' });
    app.messages.count(2, { direction: 'down', command: 'light' });
  });
});

describe('commands that meet trouble', () => {
  it('are lost on the way, come twice, or late', async () => {
    const { app, device, report } = await room();
    await using _ = app;
    app.faults.commands.drop({ times: 1 });
    await report(31);
    await app.advance('10s');
    device.requests('light').one();
    app.faults.commands.duplicate({ times: 1 });
    await report(32);
    await app.runUntilIdle();
    device.requests('light').count(3);
    app.faults.commands.delay('2s', { times: 1 });
    await report(33);
    await app.runUntilIdle();
    device.requests('light').count(4);
    (await app.commands()).count(3, { outcome: 'answered' });
    (await app.deadLetters()).none(); // A second answer does nothing.
  });
});

describe('a stream that gives trouble', () => {
  it('is full for a while: devices are not acknowledged, and nothing acknowledged is lost', async () => {
    const { app, device, report, celsius } = await room();
    await using _ = app;
    const full = app.faults.stream.refuse();
    await assert.rejects(report(20));
    assert(full.hits > 0);
    full.stop();
    await device.connect();
    await report(21);
    await app.runUntilIdle();
    assert.equal(await celsius(), 21);
  });

  it('takes and gives late, and holds a record twice', async () => {
    const { app, report, reports } = await room();
    await using _ = app;
    app.faults.stream.delay('1s', { times: 1 });
    app.faults.stream.delayRead('1s', { times: 1 });
    const before = app.now();
    app.faults.stream.duplicate({ topic: /climate/, times: 1 });
    await report(20);
    await app.runUntilIdle();
    assert(app.now().getTime() - before.getTime() >= 2_000);
    assert.equal(await reports(), 2);
  });
});

describe('a disk that gives trouble', () => {
  it('is full, and takes again what it is given when there is room', async () => {
    const { app, device, report, celsius } = await room();
    await using _ = app;
    {
      using _full = app.faults.disk.full();
      await assert.rejects(report(20));
      await app.advance('10s');
    }
    await app.advance('10s');
    await device.connect();
    await report(21);
    await app.runUntilIdle();
    assert.equal(await celsius(), 21);
  });

  it('fails to sync, which ends the app until it is started again', async () => {
    const { app, device, report, celsius } = await room();
    await using _ = app;
    app.faults.disk.failSync();
    await assert.rejects(report(20));
    await assert.rejects(app.advance(1), { code: 'testing.backendFailed' });
    assert.equal(app.takeFailures().length, 0); // It was told.
    await app.kill();
    await device.connect();
    await report(21);
    await app.runUntilIdle();
    assert.equal(await celsius(), 21);
  });

  it('is slow', async () => {
    const { app, report } = await room();
    await using _ = app;
    const slow = app.faults.disk.slow('1s');
    const before = app.now();
    await report(20);
    assert(app.now().getTime() - before.getTime() >= 2_000); // A write and a sync.
    slow.stop();
    await app.runUntilIdle();
  });
});
