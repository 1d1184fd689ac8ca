/**
 * A test of some size, which the benchmark of the test kit times: 1,000 items are loaded, 20 speakers send 100 messages, and what
 * is stored and what was commanded must be as it should. (Shadows are asserted here when there are any.)
 */
import assert from 'node:assert/strict';
import { startApp } from 'mimamori/testing';
import { model } from './model.ts';

const speakers = 20;
const messagesEach = 49;
const waitingEach = 1;
const detectionsEach = 5;

export async function busyEvening(): Promise<void> {
  await using app = await startApp(new URL('./app.ts', import.meta.url), { model });
  const owners = await app.createMany('Speaker', speakers, index => ({ owner: `owner-${index}` }));
  await app.createMany('Message', speakers * messagesEach, index => ({
    speakerId: owners[index % speakers].speakerId,
    playOn: 'enter',
    status: index < speakers * waitingEach ? 'waiting' : 'played',
  }));
  for (const { speakerId } of owners) {
    const speaker = await app.device(speakerId);
    speaker.onCommand('play-message', () => ({ status: 'played' }));
    for (let count = 0; count < detectionsEach; count++) {
      const at = new Date(app.now().getTime() + count).toISOString();
      await speaker.publish('detect-person', count % 2 === 0 ? 'enter' : 'leave', { at });
    }
  }
  await app.runUntilIdle();
  (await app.items('Speaker')).count(speakers, { presence: 'home' });
  const events = await app.items('Event');
  events.count(speakers * 3, { type: 'enter' });
  events.count(speakers * 2, { type: 'leave' });
  events.count(speakers * waitingEach, { type: 'played' });
  (await app.items('Message')).count(speakers * messagesEach, { status: 'played' });
  (await app.commands()).count(speakers * waitingEach, { command: 'play-message', outcome: 'answered' });
  app.messages.count(speakers * detectionsEach, { direction: 'up', context: 'detect-person' });
  const page = await app.user('owner-3').get('/v1/speakers');
  assert.equal(page.items.length, 1);
  (await app.deadLetters()).none();
}
