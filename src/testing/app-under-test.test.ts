import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { model } from '../../test/apps/rooms.ts';
import { ledgerAlarm } from '../app/ledger/index.ts';
import { type StartOptions, startApp } from './index.ts';

const rooms = new URL('../../test/apps/rooms.ts', import.meta.url);
const start = (options: StartOptions<typeof model> = {}) => startApp(rooms, { model, ...options });

describe('an app under test', () => {
  it('runs on a clock that moves only as a test lets it', async () => {
    await using app = await start({ startAt: '2026-03-01T06:00:00Z' });
    const before = app.now();
    await app.advance('1m 30s');
    assert.equal(app.now().getTime() - before.getTime(), 90_000);
    await app.at('2026-03-01T06:30:00Z');
    assert.equal(app.now().toISOString(), '2026-03-01T06:30:00.000Z');
    assert.throws(() => app.at('2026-03-01T00:00:00Z'), { code: 'testing.optionsNotValid' });
    for (const none of ['soon', '', '3 weeks', -1, Number.NaN]) {
      assert.throws(() => app.advance(none), { code: 'testing.optionsNotValid' });
    }
  });

  it('runs until what a message has caused is done: functions, lists, changes, commands', async () => {
    await using app = await start();
    await app.create('Room', { roomId: 'kitchen', floor: 1 });
    const kitchen = await app.device('kitchen');
    kitchen.onCommand('light', ({ isOn }) => ({ isLit: isOn }));
    await kitchen.publish('climate', 'report', { celsius: 45 });
    await app.runUntilIdle();
    const room = await app.entities.Room.get('kitchen');
    assert.deepEqual([room.celsius, room.reports, room.presence], [45, 1, 'online']);
    assert.equal((await app.items('Light')).one().isLit, true);
    assert.equal((await app.items('Alert')).one().celsius, 45);
    assert.equal((await app.commands()).one({ thingName: 'kitchen' }).outcome, 'answered');
    assert.deepEqual(await app.user('a').get('/v1/floors/1'), { roomIds: ['kitchen'] });
    app.invocations.one({ functionName: 'whenReported', outcome: 'succeeded', thingName: 'kitchen' });
    app.messages.one({ direction: 'up', context: 'climate', type: 'report', payload: { celsius: 45 } });
    app.messages.one({ direction: 'down', command: 'light', thingName: 'kitchen' });
    app.messages.one({ direction: 'up', command: 'light', payload: { isLit: true } });
    (await app.deadLetters()).none();
  });

  it('waits for a function that waits for the world outside, without letting time pass', async () => {
    await using app = await start();
    const before = app.now();
    await app.user('a').post('/v1/outside');
    assert(app.now().getTime() - before.getTime() < 10);
  });

  it('says what keeps it from becoming idle', async () => {
    await using app = await start();
    await app.create('Room', { roomId: 'attic' });
    app.faults.stream.delayRead('1h', { consumer: 'whenReported' });
    const attic = await app.device('attic');
    await attic.publish('climate', 'report', { celsius: 20 });
    await assert.rejects(app.runUntilIdle({ within: '1m' }), {
      code: 'testing.notIdle',
      message: /After 60000 ms .*whenReported/,
    });
  });

  it('tells of a failing function what it failed with, how often, and what became of the message', async () => {
    await using app = await start();
    await app.create('Room', { roomId: 'attic' });
    const attic = await app.device('attic');
    await attic.publish('climate', 'report', { celsius: 99 });
    await app.runUntilIdle();
    app.invocations.count(3, { functionName: 'whenReported', outcome: 'failed', message: 'the sensor is on fire' });
    const letter = (await app.deadLetters()).one({ consumer: 'whenReported' });
    assert.deepEqual([letter.message, letter.attempts, letter.payload], ['the sensor is on fire', 3, { celsius: 99 }]);
  });

  it('runs what is called later, and by the clock, when it is time', async () => {
    await using app = await start({ startAt: '2026-01-01T00:00:00Z' });
    await app.create('Room', { roomId: 'attic' });
    await app.user('a').post('/v1/heat/attic');
    await app.runUntilIdle(); // It waits for nobody's time.
    app.invocations.none({ functionName: 'whenHeated' });
    await app.advance('1h');
    assert.equal((await app.entities.Room.get('attic')).celsius, 22);
    await app.at('2026-01-01T03:00:00Z');
    await app.runUntilIdle();
    app.invocations.one({ functionName: 'everyNight', trigger: 'schedule' });
    assert.equal((await app.entities.Room.get('attic')).celsius, 5);
  });

  it('puts records into a stream of the app, as others would', async () => {
    await using app = await start();
    await app.createMany('Room', 4);
    for (let count = 0; count < 20; count++)
      await app.putRecord('carrier', { roomId: `room-${1 + (count % 4)}`, celsius: count });
    await assert.rejects(app.putRecord('carrier', JSON.parse('{ "roomId": 3 }')), { code: 'testing.payloadNotValid' });
    await app.putInvalidRecord('carrier', { roomId: 3 });
    await app.runUntilIdle();
    (await app.items('Room')).count(4, { reports: 5 });
    assert.equal((await app.entities.Room.get('room-4')).celsius, 19);
    (await app.deadLetters()).one({ consumer: 'whenCarried', code: 'stream.recordNotValid' });
  });

  it('keeps a ledger that balances, whatever is doubled, lost or killed', async () => {
    await using app = await start();
    await app.create('Room', { roomId: 'attic' });
    const attic = await app.device('attic');
    app.faults.stream.duplicate({ topic: /climate/, times: 3 });
    for (let celsius = 10; celsius < 20; celsius++) await attic.publish('climate', 'report', { celsius });
    await attic.publishInvalid('climate', 'report', 'no report');
    await app.runUntilIdle();
    await app.kill();
    await attic.connect();
    await attic.publish('climate', 'report', { celsius: 20 });
    await app.advance('5m');
    const rows = await app.ledger({ consumer: 'whenReported' });
    assert(rows.length > 0);
    rows.none({ missing: missing => missing !== 0 });
    const sum = (of: 'received' | 'handled' | 'deadLettered') => rows.all().reduce((total, row) => total + row[of], 0);
    assert.deepEqual([sum('handled'), sum('deadLettered')], [14, 1]);
    app.alarms.none({ name: ledgerAlarm });
  });

  it('shows what was logged, without secrets, and what is wrong', async () => {
    await using app = await start();
    await app.user('a').post('/v1/heat/nowhere');
    await app.advance('90m');
    const line = (await app.logs({ functionName: 'whenHeated', level: 'info' })).where({ channel: 'app' }).all()[0];
    assert.deepEqual([line.message, line.facts], ['The heating is on.', { roomId: 'nowhere', password: '[redacted]' }]);
    (await app.deadLetters()).one({ consumer: 'whenHeated', kind: 'invocation', code: 'entity.notFound' });
    app.alarms.where({ subject: 'whenHeated' }).last();
  });

  it('says what there was instead of what a test expects', async () => {
    await using app = await start();
    await app.create('Room', { roomId: 'attic', floor: 2 });
    await assert.rejects(async () => (await app.items('Room')).one({ floor: 3 }), {
      code: 'testing.unexpected',
      message: /There is none of the items of Room like \{ floor: 3 \}. There was: .*roomId: 'attic'.*floor: 2/,
    });
    assert.throws(() => app.messages.one(), { message: 'There is none of the messages. There were no others.' });
    const rooms = await app.items('Room');
    assert.throws(() => rooms.none({ roomId: /^att/ }), { message: /There are 1, not 0/ });
    assert.throws(() => rooms.one({ floor: floor => floor > 5 }), { code: 'testing.unexpected' });
    await assert.rejects(app.user('a').get('/v1/nowhere'), {
      code: 'testing.requestRefused',
      message: /404: api\.noSuchRoute/,
    });
  });

  it('starts again with what is stored, and without what was only in memory', async () => {
    await using app = await start();
    await app.create('Room', { roomId: 'attic' });
    const attic = await app.device('attic', { keepsSession: true });
    await attic.publish('climate', 'report', { celsius: 20 });
    await app.runUntilIdle();
    for (const again of [() => app.restart(), () => app.kill(), () => app.cutPower()]) {
      await again();
      assert.equal(attic.isConnected, false);
      await assert.rejects(attic.publish('climate', 'report', { celsius: 20 }), { code: 'testing.deviceOffline' });
      await attic.connect({ keepsSession: true });
      await attic.publish('climate', 'report', { celsius: 20 });
      await app.runUntilIdle();
    }
    assert.equal((await app.items('Room')).one().reports, 4);
  });

  it('can be taken as it is, for many to start from, each for itself', async () => {
    await using app = await start();
    await app.createMany('Room', 200, index => ({ floor: index % 4 }));
    await app.device('room-7');
    const snapshot = await app.snapshot();
    for (const seed of [1, 2]) {
      await using other = await start({ from: snapshot, seed });
      assert(other.now() >= app.now() && other.now().getTime() < app.now().getTime() + 20);
      (await other.items('Room')).count(200);
      const device = await other.device('room-7');
      await device.publish('climate', 'report', { celsius: 10 + seed });
      await other.runUntilIdle();
      assert.equal((await other.items('Room')).one({ celsius: 10 + seed }).roomId, 'room-7');
    }
    assert.equal((await app.entities.Room.get('room-7')).celsius, undefined);
    await assert.rejects(
      (await start({ from: snapshot })).device('room-8').then(() => assert.fail()),
      assert.AssertionError,
    );
  });

  it('is of no use when it is closed', async () => {
    const app = await start();
    await app[Symbol.asyncDispose]();
    await app[Symbol.asyncDispose]();
    await assert.rejects(async () => app.items('Room'), { code: 'testing.closed' });
  });

  it('does the same from the same seed', async () => {
    const run = async (seed: number) => {
      await using app = await start({ seed });
      await app.createMany('Room', 5, () => ({ floor: 0 }));
      app.faults.table.throttle({ chance: 0.3 });
      for (const { roomId } of await app.items('Room')) {
        const device = await app.device(roomId);
        await device.publish('climate', 'report', app.make.payload('climate', 'report'));
      }
      await app.runUntilIdle();
      return [app.now().getTime(), (await app.records()).all()];
    };
    const [first, again, other] = [await run(3), await run(3), await run(4)];
    assert.deepEqual(first, again);
    assert.notDeepEqual(first, other);
  });
});

describe('an app under test is treated as the cloud would treat it', () => {
  it('has lists that lag behind writes, for functions and users', async () => {
    const roomIds = async (options?: StartOptions<typeof model>) => {
      await using app = await start(options);
      const { entities } = app;
      await entities.Room.create({ roomId: 'new', floor: 0 });
      const before = await app.user('a').get('/v1/floors/0');
      await app.runUntilIdle();
      return [before.roomIds, (await app.user('a').get('/v1/floors/0')).roomIds];
    };
    assert.deepEqual(await roomIds(), [[], ['new']]);
    const lenient = { laggingIndexes: 'this is about something else' };
    assert.deepEqual(await roomIds({ lenient }), [['new'], ['new']]);
  });

  it('gives invocations another copy of the modules than the one before (covers S1-18)', async () => {
    const counts = async (app: Awaited<ReturnType<typeof start>>) => {
      const found: number[] = [];
      for (let call = 0; call < 4; call++) found.push((await app.user('a').get('/v1/count')).count);
      return found;
    };
    await using strict = await start();
    assert.deepEqual(await counts(strict), [1, 1, 2, 2]); // Whoever counts on it fails.
    await strict.restart();
    assert.deepEqual(await counts(strict), [1, 1, 2, 2]);
    await using lenient = await start({ lenient: { recycledInstances: 'this is about something else' } });
    assert.deepEqual(await counts(lenient), [1, 2, 3, 4]);
  });

  it('takes work that an invocation did not wait for as an error that names both (design §5.7)', async () => {
    const call = { code: 'testing.workNotAwaited' };
    const expectComplaint = async (path: string, message: RegExp) => {
      await using app = await start();
      await app.user('a').post(path);
      await assert.rejects(app.advance('1m'), { ...call, message });
      await app.advance('1m'); // It is told once.
    };
    await expectComplaint(
      '/v1/not-awaited',
      /^POST \/v1\/not-awaited did not wait for entities\.Room\.create: it was still under way/,
    );
    await expectComplaint('/v1/goes-on', /did not wait for table\.get: it was called when the invocation had ended/);
    await expectComplaint('/v1/walks-on', /did not wait for entities\.Room\.list\.byFloor\.all: it was called when/);
  });

  it('loses what is called too late, and tells it at the end at the latest', async () => {
    const app = await start();
    await app.user('a').post('/v1/walks-on');
    await app.user('a').post('/v1/not-awaited');
    await assert.rejects(Promise.resolve(app[Symbol.asyncDispose]()), { code: 'testing.workNotAwaited' });
    await using lenient = await start({ lenient: { awaitedWork: 'this is about something else' } });
    await lenient.user('a').post('/v1/not-awaited');
    await lenient.runUntilIdle();
    (await lenient.items('Room')).one({ roomId: 'forgotten' });
  });

  it('tells presence twice, the second time behind what came later', async () => {
    await using app = await start();
    await app.create('Room', { roomId: 'attic' });
    const attic = await app.device('attic');
    await attic.losePower();
    await app.runUntilIdle();
    const presence = app.messages.where({ topic: /presence/ }).map(({ topic, payload }) => {
      return `${topic.split('/')[3]} ${(payload as { versionNumber: number }).versionNumber}`;
    });
    assert.deepEqual(presence.slice(0, 2), ['connected 0', 'disconnected 0']);
    assert.deepEqual(presence.slice(2).toSorted(), ['connected 0', 'disconnected 0']);
    app.invocations.count(4, { functionName: 'whenPresent' });
    await using lenient = await start({ lenient: { repeatedPresence: 'this is about something else' } });
    await lenient.device('attic');
    await lenient.runUntilIdle();
    lenient.messages.count(1, { topic: /presence/ });
  });

  it('has the limits of AWS', async () => {
    await using app = await start();
    const device = await app.device('attic');
    const tooDeep = `a/${'b/'.repeat(9)}c`;
    await assert.rejects(device.publishRaw(tooDeep, 'x'), { code: /^device\./ });
    assert.equal(device.isConnected, false);
  });

  it('is treated more kindly only for a reason', async () => {
    await assert.rejects(start({ lenient: { awaitedWork: ' ' } }), {
      code: 'testing.optionsNotValid',
      message: /without a reason/,
    });
    const misspelt: object = { awaitetWork: 'because' };
    await assert.rejects(start({ lenient: misspelt }), { message: /no strictness "awaitetWork"/ });
  });
});
