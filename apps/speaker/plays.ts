import { type ContextOf, entityIsThere } from '../../src/app/index.ts';
import { audienceOf, type Message, model } from './model.ts';

type Context = ContextOf<typeof model>;

/**
 * Sends every message that waits for this trigger. A list may lag behind: a message registered an instant ago waits for the
 * next trigger, and one that was deleted or sent an instant ago is read again before anything is said.
 */
export async function playDue(speakerId: string, trigger: 'enter' | 'leave' | 'now', context: Context): Promise<void> {
  const { Message } = context.entities;
  let cursor: string | undefined;
  do {
    const page = await Message.list.due({ speakerId, playOn: trigger }, { cursor });
    const current = await Message.getMany(page.items.map(({ messageId }) => messageId));
    for (const message of current) if (message?.status === 'waiting') await play(message, context);
    cursor = page.next;
  } while (cursor);
}

/** Safe to repeat: a command is identified by its message, so a message that was sent already is not sent again. */
export async function play(message: Message, { entities, commands, clock }: Context): Promise<void> {
  const { messageId, speakerId, text, expiresAt } = message;
  const expiresAtMs = expiresAt === undefined ? undefined : Date.parse(expiresAt);
  const isExpired = expiresAtMs !== undefined && expiresAtMs <= clock.nowMs();
  if (!isExpired) {
    await commands['play-message'].send({
      thingName: speakerId,
      sessionId: messageId,
      request: { messageId, text },
      expiresAtMs,
    });
  }
  const updated = await entities.Message.update(messageId, current =>
    current.status === 'waiting' ? { status: isExpired ? 'expired' : 'sending' } : undefined,
  ).catch(entityIsThere.orGone);
  if (!updated) await commands['play-message'].cancel(messageId); // Deleted by its owner while we were at it.
}

/** The end of a play: what the speaker answered, or that it never did. Told as an event, once. */
export const whenPlayEnds = model.onCommandResult('play-message', async (result, context) => {
  const { entities, clock, announce } = context;
  const { thingName: speakerId, sessionId: messageId, request, outcome, response, sentAtMs } = result;
  const type = response?.status === 'played' ? 'played' : 'failed';
  const detail = response ? response.detail : outcome === 'expired' ? 'expired before it could be played' : 'no answer';
  const at = new Date(clock.nowMs()).toISOString();
  const speaker = await entities.Speaker.find(speakerId);
  if (!speaker) return; // The speaker is gone, and its history with it.
  await entities.Message.update(messageId, () => ({ status: outcome === 'expired' ? 'expired' : type })).catch(
    entityIsThere.orGone,
  );
  const isNew = await entities.Event.create({
    eventId: `${speakerId}:${type}:${messageId}`,
    speakerId,
    type,
    at,
    recordedAt: at,
    order: `${at}#${messageId}`,
    messageId,
    text: request.text,
    detail,
  }).then(() => true, entityIsThere.already);
  if (!isNew) return;
  const latencyMs = clock.nowMs() - sentAtMs;
  announce(audienceOf(speaker.owner), {
    type,
    speakerId,
    name: speaker.name,
    at,
    messageId,
    text: request.text,
    detail,
    latencyMs,
  });
});
