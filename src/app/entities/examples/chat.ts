/** A chat: rooms with members and messages, and the sessions of users. covers S4-11, S4-12 */
import { z } from 'zod';
import { defineEntity } from '../definition.ts';

export const chat = {
  Room: defineEntity(z.object({ roomId: z.string(), title: z.string() }), {
    id: 'roomId',
    patterns: {},
    related: {
      members: { entity: 'Member', pattern: 'ofRoom' },
      lastMessage: { entity: 'Message', pattern: 'ofRoom', latest: 1 },
    },
  }),
  Member: defineEntity(z.object({ roomId: z.string(), userId: z.string(), joinedAt: z.string() }), {
    id: ['roomId', 'userId'],
    within: 'Room',
    patterns: {
      ofRoom: { by: ['roomId'], order: 'userId' },
      ofUser: { by: ['userId'], order: 'joinedAt' },
    },
    related: { room: { entity: 'Room', key: 'roomId' } },
  }),
  Message: defineEntity(
    z.object({
      roomId: z.string(),
      /** Sorts by time. */
      messageId: z.string(),
      userId: z.string(),
      text: z.string(),
      /** Nested: they are read with their message, never alone, and are few. */
      attachments: z.record(z.string(), z.object({ url: z.string(), scanned: z.boolean() })).optional(),
    }),
    {
      id: ['roomId', 'messageId'],
      within: 'Room',
      patterns: { ofRoom: { by: ['roomId'], order: 'messageId' } },
    },
  ),
  Session: defineEntity(
    z.object({ sessionId: z.string(), userId: z.string(), roomId: z.string().optional(), since: z.string() }),
    {
      id: 'sessionId',
      patterns: {
        ofUser: { by: ['userId'], order: 'since' },
        inRoom: { by: ['roomId'], order: 'since', project: ['userId'] },
      },
    },
  ),
};
