import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { busyEvening } from './busy-evening.ts';
import { household, t1, t2, t3 } from './household.ts';

describe('the watch-over speaker (covers S0-01, S0-25, S0-43)', () => {
  it('plays a message once when somebody enters, and not again at the next enter', async () => {
    await using home = await household();
    const speaker = await home.speaker();
    const messageId = await home.say({ text: 'Welcome home', playOn: 'enter' });
    for (const at of [t1, t2]) {
      await speaker.publish('detect-person', 'enter', { at });
      await home.app.advance('1m');
    }
    speaker.requests('play-message').one({ messageId, text: 'Welcome home' });
    assert.deepEqual(await home.types(), ['enter', 'played', 'enter']);
  });

  it('plays everything that waits, which is no list read piece by piece', async () => {
    await using home = await household();
    const { app } = home;
    const speaker = await home.speaker();
    for (let count = 0; count < 12; count++) await home.say({ text: `Message ${count}`, playOn: 'enter' });
    await speaker.publish('detect-person', 'enter', { at: t1 });
    await app.runUntilIdle();
    speaker.requests('play-message').count(12);
    assert.deepEqual(app.capacity().nPlusOne, []);
    const detected = app.capacity().patterns.filter(({ functionName }) => functionName === 'whenPersonDetected');
    const callsOf = (name: string) => detected.find(({ accessPattern }) => accessPattern === name)?.calls;
    assert.deepEqual([callsOf('Message.due'), callsOf('Message.getMany'), callsOf('play-message.send')], [2, 1, 12]);
  });

  it('plays a leave message on leave only, and a now message at once', async () => {
    await using home = await household();
    const speaker = await home.speaker();
    await home.say({ text: 'Take your keys', playOn: 'leave' });
    await speaker.publish('detect-person', 'enter', { at: t1 });
    await home.app.runUntilIdle();
    speaker.requests('play-message').none();
    await home.say({ text: 'Dinner', playOn: 'now' });
    await speaker.publish('detect-person', 'leave', { at: t2 });
    await home.app.runUntilIdle();
    assert.deepEqual(
      speaker.requests('play-message').map(({ text }) => text),
      ['Dinner', 'Take your keys'],
    );
  });

  it('acknowledges a detection only when it is durable', async () => {
    await using home = await household();
    const speaker = await home.speaker();
    await home.app.runUntilIdle();
    home.app.faults.disk.failSync();
    await assert.rejects(speaker.publish('detect-person', 'enter', { at: t1 }), { code: 'device.refused' });
    assert.equal(home.app.takeFailures().length, 1);
  });

  it('keeps a detection that comes twice once, whoever repeats it', async () => {
    await using home = await household();
    const speaker = await home.speaker();
    home.app.faults.stream.duplicate({ topic: /detect-person/ });
    for (let sent = 0; sent < 2; sent++) await speaker.publish('detect-person', 'enter', { at: t1 });
    await home.app.runUntilIdle();
    home.app.messages.count(4, { context: 'detect-person' });
    assert.deepEqual(await home.types(), ['enter']);
  });

  it('gives an offline speaker its message when it returns', async () => {
    await using home = await household();
    await home.say({ text: 'Hello', playOn: 'now' });
    await home.app.advance('1h');
    home.app.messages.none({ command: 'play-message', direction: 'up' });
    const speaker = await home.speaker();
    await home.app.runUntilIdle();
    speaker.requests('play-message').one();
    assert.deepEqual(await home.types(), ['played']);
  });

  it('does not give an offline speaker a message that has expired, and says so', async () => {
    await using home = await household();
    const expiresAt = new Date(home.app.now().getTime() + 60_000).toISOString();
    await home.say({ text: 'Hello', playOn: 'now', expiresAt });
    await home.app.advance('2m');
    const speaker = await home.speaker();
    await home.app.advance('1m');
    speaker.requests('play-message').none();
    const [{ type, detail }] = await home.events();
    assert.deepEqual([type, detail], ['failed', 'expired before it could be played']);
  });

  it('asks again when there is no answer, and gives up after three attempts', async () => {
    await using home = await household();
    const speaker = await home.speaker();
    speaker.stopAnswering('play-message');
    await home.say({ text: 'Hello', playOn: 'now' });
    await home.app.advance('15s');
    speaker.requests('play-message').count(2);
    await home.app.advance('1m');
    const asked = speaker.requests('play-message').count(3);
    assert.equal(new Set(asked.map(({ sessionId }) => sessionId)).size, 1);
    const [{ type, detail }] = await home.events();
    assert.deepEqual([type, detail], ['failed', 'no answer']);
  });

  it('is not confused by requests and answers that are lost, late, or come twice', async () => {
    await using home = await household();
    const { app } = home;
    const speaker = await home.speaker();
    speaker.onCommand('play-message', () => ({ status: 'played' }), { after: '2s' });
    app.faults.commands.drop({ times: 1 });
    app.faults.down.duplicate({ times: 1 });
    app.faults.up.duplicate({ topic: /play-message/, times: 1 });
    await home.say({ text: 'Hello', playOn: 'now' });
    await app.advance('1m');
    assert.deepEqual(await home.types(), ['played']);
    (await app.deadLetters()).none();
  });

  it('tells what the speaker said when it failed', async () => {
    await using home = await household();
    const speaker = await home.speaker();
    speaker.onCommand('play-message', () => ({ status: 'failed', detail: 'busy' }));
    await home.say({ text: 'Hello', playOn: 'now' });
    const [{ type, detail }] = await home.events();
    assert.deepEqual([type, detail], ['failed', 'busy']);
  });

  it('never plays a deleted message, not even to a speaker that was offline', async () => {
    await using home = await household();
    const { alice, path } = home;
    const messageId = await home.say({ text: 'Hello', playOn: 'now' });
    await alice.delete(`${path}/messages/${messageId}`);
    const speaker = await home.speaker();
    await home.app.advance('1m');
    speaker.requests('play-message').none();
    assert.equal((await alice.ask('DELETE', `${path}/messages/${messageId}`)).status, 404);
  });

  it('never says what was deleted an instant ago, although the list still shows it (covers S2-10)', async () => {
    await using home = await household();
    const { alice, path } = home;
    const speaker = await home.speaker();
    const messageId = await home.say({ text: 'Hello', playOn: 'leave' });
    await alice.delete(`${path}/messages/${messageId}`);
    assert.equal((await alice.get(`${path}/messages`)).items.length, 1); // As on AWS, for an instant.
    await speaker.publish('detect-person', 'leave', { at: t1 });
    await home.app.advance('1m');
    speaker.requests('play-message').none();
    assert.deepEqual(await home.types(), ['leave']);
  });

  it('keeps what is pending over a restart, and when it is killed', async () => {
    for (const again of ['restart', 'kill'] as const) {
      await using home = await household();
      await home.say({ text: 'Hello', playOn: 'now' });
      await home.app[again]();
      const speaker = await home.speaker();
      await home.app.runUntilIdle();
      speaker.requests('play-message').one();
      assert.deepEqual(await home.types(), ['played']);
    }
  });

  it('pages through events, newest first, without gap or repetition', async () => {
    await using home = await household();
    const speaker = await home.speaker();
    for (const at of [t1, t2, t3]) {
      await speaker.publish('detect-person', 'enter', { at });
      await home.app.runUntilIdle();
    }
    const first = await home.alice.get(`${home.path}/events?limit=2`);
    const second = await home.alice.get(`${home.path}/events?limit=2&next=${first.next}`);
    const seen = [...first.items, ...second.items].map(({ at }) => at);
    assert.deepEqual([seen, second.next], [[t3, t2, t1], undefined]);
  });

  it('stores and plays what it should on a busy evening: 1,000 items, 100 device messages', busyEvening);
});

describe('who may do what with a speaker (covers S0-28, S0-29)', () => {
  it("answers 404 for another user's speaker, wherever it is named", async () => {
    await using home = await household();
    const bob = home.app.user('bob');
    const message = { text: 'Hello', playOn: 'now' };
    for (const [method, path, body] of [
      ['GET', home.path],
      ['GET', `${home.path}/events`],
      ['GET', `${home.path}/messages`],
      ['POST', `${home.path}/messages`, message],
      ['DELETE', `${home.path}/messages/x`],
    ] as const) {
      const answer = await bob.ask(method, path, body);
      assert.deepEqual([answer.status, answer.body.code], [404, 'api.notFound']);
    }
    assert.deepEqual((await bob.get('/v1/speakers')).items, []);
    assert.equal((await home.app.user(undefined).ask('GET', home.path)).status, 401);
  });

  it('does not let one speaker answer for another, or publish under its name', async () => {
    await using home = await household();
    const { app, speakerId } = home;
    const speaker = await home.speaker();
    speaker.stopAnswering('play-message');
    await home.say({ text: 'Hello', playOn: 'now' });
    const { sessionId } = speaker.requests('play-message').one();
    const bobs = await app.user('bob').post('/v1/speakers', { name: 'Kitchen' });
    const other = await app.device(bobs.speakerId);
    const answer = { sessionId, status: 'played' };
    const own = `cmd/speaker-app/play-message/${other.thingName}/res`;
    await other.publishRaw(own, answer);
    await assert.rejects(other.publishRaw(own.replace(other.thingName, speakerId), answer), { code: 'device.refused' });
    await app.runUntilIdle();
    assert.deepEqual(await home.types(), []);
    (await app.deadLetters()).one({ thingName: other.thingName, code: 'command.notKnown' });
  });

  it("does not let one device's worthless answers hold up another's", async () => {
    await using home = await household();
    const { app } = home;
    const speaker = await home.speaker();
    const bobs = await app.user('bob').post('/v1/speakers', { name: 'Kitchen' });
    const bad = await app.device(bobs.speakerId);
    const topic = `cmd/speaker-app/play-message/${bad.thingName}/res`;
    const answers: unknown[] = Array.from({ length: 60 }, (_, n) => ({ sessionId: `none-${n}`, status: 'played' }));
    answers.push('{"sessionId":"x","status":"played","detail":"\\ud800"}', 'no JSON', {});
    const flood = Promise.all(answers.map(answer => bad.publishRaw(topic, answer)));
    await home.say({ text: 'Hello', playOn: 'now' });
    await flood;
    await app.runUntilIdle();
    assert.deepEqual(await home.types(), ['played']);
    speaker.requests('play-message').one();
    (await app.deadLetters()).count(answers.length);
  });

  it('sets aside a detection that does not fit its schema and goes on with the next', async () => {
    await using home = await household();
    const speaker = await home.speaker();
    await speaker.publishInvalid('detect-person', 'enter', { at: 'yesterday' });
    await speaker.publish('detect-person', 'enter', { at: t2 });
    await home.app.runUntilIdle();
    assert.deepEqual(await home.types(), ['enter']);
    (await home.app.deadLetters()).one({ consumer: 'whenPersonDetected', payload: { at: 'yesterday' } });
  });
});
