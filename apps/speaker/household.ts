/** What the tests of the speaker begin with: an app, its owner, a speaker in the kitchen. */
import { type StartOptions, startApp } from 'mimamori/testing';
import { model } from './model.ts';

export async function household(options: StartOptions<typeof model> = {}) {
  const app = await startApp(new URL('./app.ts', import.meta.url), { model, ...options });
  const alice = app.user('alice');
  const { speakerId } = await alice.post('/v1/speakers', { name: 'Kitchen' });
  const path = `/v1/speakers/${speakerId}`;
  return {
    app,
    alice,
    speakerId,
    path,
    /** Connected, and playing what it is told. */
    speaker: async () => {
      const speaker = await app.device(speakerId);
      speaker.onCommand('play-message', () => ({ status: 'played' }));
      return speaker;
    },
    /** Registers a message, and waits until lists show it; gives its id. */
    say: async (message: object): Promise<string> => {
      const { messageId } = await alice.post(`${path}/messages`, message);
      await app.runUntilIdle();
      return messageId;
    },
    /** What the phone shows, newest first. */
    events: async () => (await alice.get(`${path}/events?limit=100`)).items as { type: string; detail?: string }[],
    types: async () => (await alice.get(`${path}/events?limit=100`)).items.map(({ type }: { type: string }) => type),
    [Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
  };
}

export const t1 = '2026-01-01T07:00:00.000Z';
export const t2 = '2026-01-01T08:00:00.000Z';
export const t3 = '2026-01-01T09:00:00.000Z';
