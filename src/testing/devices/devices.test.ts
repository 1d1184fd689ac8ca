import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { model } from '../../../test/apps/rooms.ts';
import { startApp } from '../index.ts';

const rooms = new URL('../../../test/apps/rooms.ts', import.meta.url);

/** A room, its device, and how to make it ask for light. */
async function room(roomId = 'attic') {
  const app = await startApp(rooms, { model });
  await app.create('Room', { roomId });
  const device = await app.device(roomId);
  await app.runUntilIdle();
  const warm = (celsius = 31) => device.publish('climate', 'report', { celsius });
  return { app, device, warm };
}

describe('a virtual device', () => {
  it('publishes what fits its schema, and what does not only when it is asked to', async () => {
    const { app, device } = await room();
    await using _ = app;
    await assert.rejects(device.publish('climate', 'report', { celsius: 1_000 }), {
      code: 'testing.payloadNotValid',
      message: /climate\/report .*celsius/,
    });
    // @ts-expect-error The model has no such type.
    await assert.rejects(async () => device.publish('climate', 'reprot', { celsius: 1 }));
    await device.publishInvalid('climate', 'report', { celsius: 1_000 });
    await device.publishRaw('dt/rooms/climate/attic/report', 'no JSON');
    await app.runUntilIdle();
    (await app.deadLetters()).count(2, { consumer: 'whenReported', code: 'telemetry.notValid' });
    await assert.rejects(device.publishRaw('dt/rooms/climate/cellar/report', {}), { code: 'device.refused' });
  });

  it('answers what it is asked, as it was told', async () => {
    const { app, device, warm } = await room();
    await using _ = app;
    device.onCommand('light', ({ isOn }) => ({ isLit: isOn }));
    await warm();
    await app.runUntilIdle();
    (await app.items('Light')).one({ outcome: 'answered', isLit: true });
    assert.deepEqual(device.requests('light').one().isOn, true);
  });

  it('answers late, and not every time', async () => {
    const { app, device, warm } = await room();
    await using _ = app;
    device.onCommand('light', () => ({ isLit: false }), { after: '2s', ignoring: 1 });
    await warm();
    await app.runUntilIdle(); // It waits for nobody's answer.
    (await app.commands()).one({ outcome: 'pending' });
    await app.advance('6s');
    device.requests('light').count(2);
    (await app.commands()).one({ outcome: 'pending' });
    await app.advance('2s');
    (await app.commands()).one({ outcome: 'answered' });
  });

  it('does not answer at all, and the command ends as it must', async () => {
    const { app, device, warm } = await room();
    await using _ = app;
    device.onCommand('light', () => undefined);
    await warm();
    await app.advance('1m');
    device.requests('light').count(3);
    (await app.items('Light')).one({ outcome: 'timedOut' });
  });

  it('waits for a command that a test expects, and says what came instead', async () => {
    const { app, device, warm } = await room();
    await using _ = app;
    await warm();
    const { request, respond } = await device.expectCommand('light', { isOn: true });
    assert.match(request.sessionId, /^attic-/);
    await respond({ isLit: true });
    await app.runUntilIdle();
    (await app.items('Light')).one({ outcome: 'answered' });
    await assert.rejects(device.expectCommand('light', {}, { within: '1s' }), {
      code: 'testing.unexpected',
      message: /was not asked for light within 1000 ms\. It got: light \{.*isOn/,
    });
  });

  it('tells the test what it got wrong in its own answer', async () => {
    const { app, device, warm } = await room();
    await using _ = app;
    device.onCommand('light', () => {
      throw new Error('a mistake in the test');
    });
    await warm();
    await assert.rejects(app.runUntilIdle(), {
      code: 'testing.answerFailed',
      message: /attic .*light.*a mistake in the test/,
    });
    const misfit: { isLit: boolean } = JSON.parse('{ "isLit": "yes" }');
    device.onCommand('light', () => misfit);
    await warm(32);
    await assert.rejects(app.runUntilIdle(), {
      code: 'testing.answerFailed',
      message: /does not fit its schema: isLit/,
    });
    device.stopAnswering('light');
  });

  it('is offline and returns, and gets what waits for it', async () => {
    const { app, device, warm } = await room();
    await using _ = app;
    device.onCommand('light', () => ({ isLit: true }));
    await device.losePower();
    assert.equal((await app.entities.Room.get('attic')).presence, 'online'); // It has only just happened.
    await app.runUntilIdle();
    assert.equal((await app.entities.Room.get('attic')).presence, 'offline');
    await assert.rejects(warm(), { code: 'testing.deviceOffline' });
    await device.connect();
    await warm();
    await device.disconnect();
    await app.advance('1h');
    await device.connect();
    await app.runUntilIdle();
    (await app.items('Light')).one({ outcome: 'answered' });
  });

  it('keeps its session if it wants to', async () => {
    const { app } = await room();
    await using _ = app;
    const cellar = await app.device('cellar', { keepsSession: true });
    await cellar.disconnect();
    await app.user('a').post('/v1/announce/cellar');
    await app.runUntilIdle();
    await cellar.connect({ keepsSession: true });
    await app.runUntilIdle();
    cellar.messages.one({ topic: /note/, payload: 'hello' });
  });

  it('loses its power in the middle of a message, of which nothing is taken', async () => {
    const { app, device } = await room();
    await using _ = app;
    for (const bytesSent of [undefined, 1, 30]) {
      await device.losePowerWhilePublishing('climate', 'report', { celsius: 20 }, { bytesSent });
      assert.equal(device.isConnected, false);
      await device.connect();
    }
    await app.runUntilIdle();
    app.messages.none({ context: 'climate' });
  });

  it('has a clock of its own, which may be wrong', async () => {
    const { app, device } = await room();
    await using _ = app;
    assert.equal(device.now(), app.now().toISOString());
    device.skewClock(-3_600_000);
    assert.equal(Date.parse(device.now()), app.now().getTime() - 3_600_000);
  });

  it('posts without a connection, and gets with the answer what waits for it', async () => {
    const { app } = await room();
    await using _ = app;
    await app.create('Room', { roomId: 'shed' });
    const shed = await app.postingDevice('shed');
    const carried = await shed.publish('climate', 'report', { celsius: 35 });
    assert.deepEqual(
      carried.map(({ topic, duplicate }) => [topic, duplicate]),
      [['cmd/rooms/light/shed/req', false]],
    );
    await shed.answer('light', carried[0], { isLit: true });
    await app.runUntilIdle();
    (await app.items('Light')).one({ roomId: 'shed', outcome: 'answered' });
    await assert.rejects(shed.post('dt/rooms/climate/attic/report', {}), { code: 'testing.requestRefused' });
  });

  it('is registered once, by whoever does it', async () => {
    const { app, device } = await room();
    await using _ = app;
    assert.equal(await app.device('attic'), device);
    await app.user('a').post('/v1/rooms/hall');
    const hall = await app.device('hall');
    assert.equal(hall.isConnected, true);
    const quiet = await app.device('quiet', { isConnected: false });
    assert.equal(quiet.isConnected, false);
    await assert.rejects(app.device('no such name/'), { code: 'thing.nameNotValid' });
  });
});
