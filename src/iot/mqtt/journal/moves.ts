/** Things that happen to a journal, chosen by numbers, so that they can be drawn, repeated and shrunk. For tests. */
import type { Random } from '../../../kernel/random.ts';
import type { Delivery, GrantedSubscription, Message } from '../client-state.ts';
import type { QoS, Will } from '../packets.ts';
import type { Receiver } from './journal.ts';
import type { Life } from './journal-world.ts';
import { ModelClient } from './model.ts';

export interface Move {
  readonly kind: MoveKind;
  /** What it is about: taken modulo what there is. */
  readonly which: number;
  readonly how: number;
}

export const moveKinds = [
  'connect',
  'connect',
  'goes',
  'comes',
  'end',
  'forget',
  'subscribe',
  'unsubscribe',
  'publish',
  'publish',
  'publish',
  'publishAgain',
  'retainedDeleted',
  'sent',
  'sent',
  'released',
  'settled',
  'settled',
  'dropped',
  'completed',
  'rewrite',
] as const;
export type MoveKind = (typeof moveKinds)[number];

export function anyMoveOf(random: Random): Move {
  return {
    kind: moveKinds[random.integer(moveKinds.length)],
    which: random.integer(1 << 16),
    how: random.integer(1 << 16),
  };
}

/** Does nothing where there is nothing it could be about. */
export function make({ kind, which, how }: Move, life: Life, recent: Message[]): void {
  const { model, journal } = life;
  const clients = [...model.all.values()];
  const client = clients.at(which % (clients.length || 1));
  if (kind === 'connect') return connect(life, how);
  if (kind === 'publish') return publish(life, recent, newMessage(which, how), how);
  if (kind === 'publishAgain') {
    const known = [
      ...recent,
      ...model.retained(),
      ...clients.flatMap(one => one.session?.waiting ?? []).map(({ message }) => message),
    ];
    if (known.length > 0) publish(life, recent, known[which % known.length], how);
    return;
  }
  if (kind === 'retainedDeleted') {
    const topics = [...model.retainedByTopic.keys()];
    const topic = topics.at(which % (topics.length || 1));
    if (topic === undefined) return;
    return life.event(() => {
      model.retainedByTopic.delete(topic);
      journal.retainedDeleted(topic);
    });
  }
  if (client) moveClient({ kind, which, how }, life, client);
}

/** A flat switch. */
function moveClient({ kind, how }: Move, life: Life, client: ModelClient): void {
  const { model, journal } = life;
  const { clientNo, session } = client;
  switch (kind) {
    case 'goes':
    case 'comes': {
      const connected = kind === 'comes';
      const presence = { connected, sinceMs: how * 1_000, versionNumber: how, sessionIdentifier: `s${how}` };
      const will = how % 3 === 0 ? newWill(how) : undefined;
      const willDueAtMs = connected || !will ? undefined : how * 2_000;
      const endsAtMs = connected ? undefined : how * 3_000;
      life.event(() => {
        client.base = { ...client.base, presence, will, willDueAtMs };
        if (session) Object.assign(session, { endsAtMs, expirySeconds: how });
        journal.presence(clientNo, presence, will, willDueAtMs, endsAtMs, how);
      });
      break;
    }
    case 'end':
      life.event(() => {
        client.session = undefined;
        journal.sessionEnded(clientNo);
      });
      break;
    case 'forget':
      life.event(() => {
        model.forget(client);
        journal.clientForgotten(clientNo);
      });
      break;
    case 'rewrite':
      life.event(() => {
        client.base = { ...client.base, protocolVersion: how % 2 === 0 ? 4 : 5 };
        const state = client.state();
        if (state) journal.client(state);
      });
      break;
    default:
      if (session) moveSession({ kind, which: 0, how }, life, client.clientNo, session);
  }
}

/** A flat switch. */
function moveSession(
  { kind, how }: Move,
  life: Life,
  clientNo: number,
  session: NonNullable<ModelClient['session']>,
): void {
  const { journal } = life;
  const { sent, waiting, received } = session;
  switch (kind) {
    case 'subscribe': {
      const subscriptions = Array.from({ length: 1 + (how % 3) }, (_, index) => newSubscription(how + index));
      life.event(() => {
        for (const one of subscriptions) session.subscriptions.set(one.topicFilter, one);
        journal.subscribed(clientNo, subscriptions);
      });
      break;
    }
    case 'unsubscribe': {
      const topicFilters = [...session.subscriptions.keys()].filter((_, index) => (how >> index) % 2 === 0);
      life.event(() => {
        for (const topicFilter of topicFilters) session.subscriptions.delete(topicFilter);
        journal.unsubscribed(clientNo, topicFilters);
      });
      break;
    }
    case 'sent': {
      const delivery = waiting[how % waiting.length];
      if (!delivery) return;
      const packetId = freePacketId(session);
      life.event(() => {
        waiting.splice(waiting.indexOf(delivery), 1);
        sent.push({ ...delivery, packetId, stage: 'sent' });
        journal.sent(clientNo, delivery.deliveryNo, packetId);
      });
      break;
    }
    case 'released': {
      const delivery = sent.filter(one => one.qos === 2 && one.stage === 'sent')[0];
      if (!delivery) return;
      life.event(() => {
        delivery.stage = 'released';
        journal.released(clientNo, delivery.packetId);
      });
      break;
    }
    case 'settled': {
      const delivery = sent[how % sent.length];
      if (!delivery) return;
      life.event(() => {
        sent.splice(sent.indexOf(delivery), 1);
        journal.settled(clientNo, delivery.packetId);
      });
      break;
    }
    case 'dropped': {
      const list = how % 4 === 0 ? sent : waiting;
      const delivery = list[how % list.length];
      if (!delivery) return;
      life.event(() => {
        list.splice(list.indexOf(delivery), 1);
        journal.dropped(clientNo, delivery.deliveryNo);
      });
      break;
    }
    case 'completed': {
      const packetId = [...received][how % received.size];
      if (packetId === undefined) return;
      life.event(() => {
        received.delete(packetId);
        journal.completed(clientNo, packetId);
      });
      break;
    }
  }
}

function connect(life: Life, how: number): void {
  const clientNo = life.journal.newClientNo();
  const client = new ModelClient({
    clientNo,
    identity: {
      clientId: `client-${clientNo}`,
      thingName: how % 2 === 0 ? undefined : `thing-${how % 7}`,
      principal: how % 3 === 0 ? '' : 'someone',
    },
    protocolVersion: how % 5 === 0 ? 4 : 5,
    presence: { connected: true, sinceMs: how, versionNumber: 1, sessionIdentifier: `s${how}` },
    will: how % 4 === 0 ? newWill(how) : undefined,
    willDueAtMs: undefined,
    session:
      how % 8 === 0
        ? undefined
        : {
            expirySeconds: how,
            endsAtMs: undefined,
            subscriptions: [newSubscription(how)],
            deliveries: [],
            received: [],
          },
  });
  life.event(() => {
    life.model.all.set(clientNo, client);
    const state = client.state();
    if (state) life.journal.client(state);
  });
}

function publish(life: Life, recent: Message[], message: Message, how: number): void {
  const { model, journal } = life;
  const sessions = [...model.all.values()].filter(({ session }) => session !== undefined);
  const receivers: (Receiver & { client: ModelClient })[] = [];
  for (const [index, client] of sessions.entries()) {
    if (!client.session || (how >> (index % 8)) % 2 === 0) continue;
    const isSent = (how + index) % 5 === 0;
    const delivery: Delivery = {
      message,
      qos: how % 2 === 0 ? 1 : 2,
      retain: how % 7 === 0,
      subscriptionIdentifiers: how % 3 === 0 ? [1 + how, 268_435_455] : [],
      deliveryNo: ++client.session.lastDeliveryNo,
      packetId: isSent ? freePacketId(client.session) : 0,
      stage: isSent ? 'sent' : 'waiting',
    };
    receivers.push({ client, clientNo: client.clientNo, delivery });
  }
  const from = how % 6 === 0 ? sessions[how % sessions.length] : undefined;
  const sender = from && { clientNo: from.clientNo, packetId: 1 + (how % 1_000) };
  const retained = (['keep', 'keep', 'set', 'delete'] as const)[(how >> 3) % 4];
  life.event(() => {
    for (const { client, delivery } of receivers) {
      (delivery.stage === 'sent' ? client.session?.sent : client.session?.waiting)?.push(delivery);
    }
    if (sender) from?.session?.received.add(sender.packetId);
    if (retained === 'set') model.retainedByTopic.set(message.topic, message);
    if (retained === 'delete') model.retainedByTopic.delete(message.topic);
    journal.published(message, receivers, retained, sender);
  });
  recent.push(message);
  if (recent.length > 4) recent.shift();
}

function freePacketId(session: NonNullable<ModelClient['session']>): number {
  let packetId = 1;
  while (session.sent.some(one => one.packetId === packetId)) packetId++;
  return packetId;
}

function newMessage(which: number, how: number): Message {
  const payload = Buffer.alloc(how % 90, `${which}/`);
  return {
    topic: `topic/${which % 6}`,
    payload,
    qos: (how % 3) as QoS, // 0, 1 or 2
    retain: how % 2 === 0,
    properties: how % 4 === 0 ? { contentType: 'text/plain', userProperties: [['n', String(which)]] } : undefined,
    expiresAtMs: how % 5 === 0 ? 1_700_000_000_000 + how : undefined,
    bytes: payload.length + 40,
    journalNo: 0,
  };
}

function newWill(how: number): Will {
  const will: Will = {
    topic: `will/${how % 9}`,
    payload: Buffer.alloc(how % 20, 'w'),
    qos: (how % 3) as QoS,
    retain: how % 2 === 0,
  };
  return how % 2 === 0 ? will : { ...will, properties: { willDelayIntervalSeconds: how, contentType: 'bye' } };
}

function newSubscription(how: number): GrantedSubscription {
  return {
    topicFilter: `filter/${how % 11}/#`,
    qos: (how % 3) as QoS, // 0, 1 or 2
    noLocal: how % 2 === 0,
    retainAsPublished: how % 3 === 0,
    retainHandling: ([0, 1, 2] as const)[how % 3],
    subscriptionIdentifier: how % 4 === 0 ? undefined : how,
  };
}
