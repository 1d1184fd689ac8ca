import { z } from 'zod';
import { defineModel } from '../../src/app/index.ts';

/**
 * The watch-over speaker: a phone registers messages, the speaker at home detects a person and plays them.
 * covers S0-01, S0-03
 */
const isoTime = z.iso.datetime({ offset: true }).max(64).describe('ISO 8601 with a time zone');

export const playOn = z.enum(['enter', 'leave', 'now']);
const detection = z.object({ at: isoTime });

export const message = z.object({
  messageId: z.string(),
  speakerId: z.string(),
  text: z.string().min(1).max(1_000).describe('Spoken by the speaker'),
  playOn,
  expiresAt: isoTime.optional().describe('Not played any more after this'),
  /** waiting for its trigger → sending → one of the three ends. A message is played at most once. */
  status: z.enum(['waiting', 'sending', 'played', 'failed', 'expired']),
  createdAt: z.string(),
});

export const speaker = z.object({
  speakerId: z.string(),
  name: z.string().trim().min(1).max(100),
  owner: z.string(),
  createdAt: z.string(),
  /** Whether somebody is at home, by the last detection. */
  presence: z.enum(['unknown', 'home', 'away']),
  presenceSince: z.string().optional(),
});

export const event = z.object({
  /** Made of what happened, so that a detection that comes twice is stored once. */
  eventId: z.string(),
  speakerId: z.string(),
  type: z.enum(['enter', 'leave', 'played', 'failed']),
  /** When it happened, by the speaker's clock for detections. */
  at: z.string(),
  /** When the backend learnt of it; what orders the list, since the clocks of devices cannot be trusted. */
  recordedAt: z.string(),
  order: z.string(),
  messageId: z.string().optional(),
  text: z.string().optional(),
  detail: z.string().optional(),
});

export type Speaker = z.output<typeof speaker>;
export type Message = z.output<typeof message>;

export const model = defineModel('speaker-app', {
  telemetry: {
    'detect-person': { enter: detection, leave: detection },
  },
  commands: {
    'play-message': {
      request: z.object({ sessionId: z.string(), messageId: z.string(), text: z.string() }),
      response: z.object({
        sessionId: z.string().max(128),
        status: z.enum(['played', 'failed']),
        detail: z.string().max(500).optional(),
      }),
      timeoutMs: 10_000,
      attemptsMax: 3,
    },
  },
  entities: {
    Speaker: {
      attributes: speaker,
      id: 'speakerId',
      patterns: { byOwner: { by: ['owner'], order: 'createdAt' } },
    },
    Message: {
      attributes: message,
      id: 'messageId',
      patterns: {
        bySpeaker: { by: ['speakerId'], order: 'messageId' },
        due: { by: ['speakerId', 'playOn'], order: 'messageId', when: (each: Message) => each.status === 'waiting' },
      },
    },
    Event: {
      attributes: event,
      id: 'eventId',
      patterns: { bySpeaker: { by: ['speakerId'], order: 'order' } },
    },
  },
});

/** Who hears of what happens at a speaker. */
export function audienceOf(owner: string): string {
  return `user/${owner}`;
}
