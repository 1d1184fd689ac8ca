import { entityIsThere } from '../../src/app/index.ts';
import { audienceOf, model } from './model.ts';
import { playDue } from './plays.ts';

/** A person came or went: remember it, show it, play what waits for it. */
export const whenPersonDetected = model.onTelemetry('detect-person', async (detection, context) => {
  const { entities, clock, announce } = context;
  const { thingName: speakerId, type, receivedAtMs, sequenceNumber } = detection;
  const { at } = detection.payload;
  const speaker = await entities.Speaker.find(speakerId);
  if (!speaker) return; // A thing that is no speaker of anybody, e.g. one that was just deleted.
  const recordedAt = new Date(receivedAtMs).toISOString();
  const isNew = await entities.Event.create({
    eventId: `${speakerId}:${type}:${at}`,
    speakerId,
    type,
    at,
    recordedAt,
    order: `${recordedAt}#${String(sequenceNumber).padStart(20, '0')}`,
  }).then(() => true, entityIsThere.already);
  const updates: Promise<unknown>[] = [];
  if (isNew) {
    announce(audienceOf(speaker.owner), {
      type,
      speakerId,
      name: speaker.name,
      at,
      latencyMs: clock.nowMs() - receivedAtMs,
    });
    const presence = type === 'enter' ? 'home' : 'away';
    updates.push(
      entities.Speaker.update(speakerId, current =>
        current.presence === presence ? undefined : { presence, presenceSince: at },
      ),
    );
  }
  // Also when it is a repetition: the first attempt may have ended between the event and its plays.
  await Promise.all([...updates, playDue(speakerId, type, context), playDue(speakerId, 'now', context)]);
});
