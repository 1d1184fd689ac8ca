import { z } from 'zod';
import { type ContextOf, notFound } from '../../src/app/index.ts';
import { event, message, model, playOn, type Speaker, speaker } from './model.ts';
import { play } from './plays.ts';

type Context = ContextOf<typeof model>;

/** Somebody else's speaker and one that never was look the same from outside. */
async function ownSpeaker(speakerId: string, user: string, { entities }: Context): Promise<Speaker> {
  const found = await entities.Speaker.find(speakerId);
  if (!found || found.owner !== user) throw notFound('speaker');
  return found;
}

const paging = z.object({
  limit: z.coerce.number().int().min(1).max(100).default(50).describe('Items per page'),
  next: z.string().max(2_048).optional().describe('`next` of the page before'),
});

const speakerView = speaker.omit({ owner: true }).extend({ connected: z.boolean() });
const messageView = message.omit({ speakerId: true });
const eventView = event.omit({ eventId: true, speakerId: true, order: true });

async function viewsOf(speakers: Speaker[], { iot }: Context): Promise<z.input<typeof speakerView>[]> {
  const states = await iot.listConnections(speakers.map(({ speakerId }) => speakerId));
  return speakers.map(({ owner: _, ...shown }, index) => ({ ...shown, connected: states[index].connected }));
}

const registerSpeaker = model.route(
  'POST /v1/speakers',
  {
    summary: 'Register a speaker; its MQTT credentials are in this answer and nowhere else',
    body: z.strictObject({ name: speaker.shape.name }),
    status: 201,
    answer: z.object({
      speakerId: z.string(),
      name: z.string(),
      credentials: z.object({ clientId: z.string(), username: z.string(), password: z.string() }),
    }),
  },
  async ({ body, user }, { entities, iot, clock, newId }) => {
    const speakerId = `speaker-${newId()}`;
    const credentials = await iot.createThing(speakerId);
    const createdAt = new Date(clock.nowMs()).toISOString();
    await entities.Speaker.create({ speakerId, name: body.name, owner: user, createdAt, presence: 'unknown' });
    return { speakerId, name: body.name, credentials };
  },
);

const listSpeakers = model.route(
  'GET /v1/speakers',
  {
    summary: 'Your speakers, newest first',
    query: paging,
    answer: z.object({ items: z.array(speakerView), next: z.string().optional() }),
  },
  async ({ query, user }, context) => {
    const options = { limit: query.limit, cursor: query.next, newestFirst: true };
    const { items, next } = await context.entities.Speaker.list.byOwner({ owner: user }, options);
    return { items: await viewsOf(items, context), next };
  },
);

const getSpeaker = model.route(
  'GET /v1/speakers/{speakerId}',
  { summary: 'One of your speakers', answer: speakerView },
  async ({ params, user }, context) => {
    const [shown] = await viewsOf([await ownSpeaker(params.speakerId, user, context)], context);
    return shown;
  },
);

const registerMessage = model.route(
  'POST /v1/speakers/{speakerId}/messages',
  {
    summary: 'Register a message to be played once: when somebody comes, when somebody leaves, or now',
    body: z.strictObject({ text: message.shape.text, playOn, expiresAt: message.shape.expiresAt }),
    status: 201,
    answer: messageView,
  },
  async ({ params, body, user }, context) => {
    const { speakerId } = await ownSpeaker(params.speakerId, user, context);
    const createdAt = new Date(context.clock.nowMs()).toISOString();
    const message = await context.entities.Message.create({
      ...body,
      messageId: context.newId(),
      speakerId,
      status: 'waiting',
      createdAt,
    });
    if (body.playOn === 'now') await play(message, context); // A list might not show it yet.
    const { speakerId: _, ...shown } = message;
    return shown;
  },
);

const listMessages = model.route(
  'GET /v1/speakers/{speakerId}/messages',
  {
    summary: 'The messages of a speaker, newest first',
    query: paging,
    answer: z.object({ items: z.array(messageView), next: z.string().optional() }),
  },
  async ({ params, query, user }, context) => {
    const { speakerId } = await ownSpeaker(params.speakerId, user, context);
    const options = { limit: query.limit, cursor: query.next, newestFirst: true };
    const { items, next } = await context.entities.Message.list.bySpeaker({ speakerId }, options);
    return { items: items.map(({ speakerId: _, ...shown }) => shown), next };
  },
);

const deleteMessage = model.route(
  'DELETE /v1/speakers/{speakerId}/messages/{messageId}',
  { summary: 'Delete a message; if it has not been played yet, it never will be' },
  async ({ params, user }, context) => {
    const { speakerId } = await ownSpeaker(params.speakerId, user, context);
    const found = await context.entities.Message.find(params.messageId);
    if (found?.speakerId !== speakerId) throw notFound('message');
    await context.entities.Message.delete(params.messageId);
    await context.commands['play-message'].cancel(params.messageId);
  },
);

const listEvents = model.route(
  'GET /v1/speakers/{speakerId}/events',
  {
    summary: 'What happened at a speaker, newest first',
    query: paging,
    answer: z.object({ items: z.array(eventView), next: z.string().optional() }),
  },
  async ({ params, query, user }, context) => {
    const { speakerId } = await ownSpeaker(params.speakerId, user, context);
    const options = { limit: query.limit, cursor: query.next, newestFirst: true };
    const { items, next } = await context.entities.Event.list.bySpeaker({ speakerId }, options);
    return { items: items.map(({ eventId: _e, speakerId: _s, order: _o, ...shown }) => shown), next };
  },
);

export const routes = [
  registerSpeaker,
  listSpeakers,
  getSpeaker,
  registerMessage,
  listMessages,
  deleteMessage,
  listEvents,
];
