import type { ClientState, Delivery, GrantedSubscription, Message } from '../client-state.ts';
import type { CheckpointClient, CheckpointSource } from './checkpointer.ts';

/** What the journal was told, for tests: the state it must give back. */
export class Model implements CheckpointSource {
  readonly all = new Map<number, ModelClient>();
  readonly retainedByTopic = new Map<string, Message>();

  constructor(clients: readonly ClientState[], retained: readonly Message[]) {
    for (const client of clients) this.all.set(client.clientNo, new ModelClient(client));
    for (const message of retained) this.retainedByTopic.set(message.topic, message);
  }

  clients(): Iterable<ModelClient> {
    return this.all.values();
  }

  retained(): Iterable<Message> {
    return this.retainedByTopic.values();
  }

  forget(client: ModelClient): void {
    this.all.delete(client.clientNo);
    client.isForgotten = true;
  }

  picture(): string {
    const states = [...this.all.values()].map(client => client.state());
    return pictureOf(
      states.filter(state => state !== undefined),
      [...this.retainedByTopic.values()],
    );
  }
}

/** A client whose state changes as a gateway's would. */
export class ModelClient implements CheckpointClient {
  readonly clientNo: number;
  base: Omit<ClientState, 'session'>;
  session: ModelSession | undefined;
  isForgotten = false;

  constructor({ session, ...base }: ClientState) {
    this.clientNo = base.clientNo;
    this.base = base;
    this.session = session && {
      expirySeconds: session.expirySeconds,
      endsAtMs: session.endsAtMs,
      subscriptions: new Map(session.subscriptions.map(one => [one.topicFilter, one])),
      sent: session.deliveries.filter(({ stage }) => stage !== 'waiting'),
      waiting: session.deliveries.filter(({ stage }) => stage === 'waiting'),
      received: new Set(session.received),
      lastDeliveryNo: Math.max(0, ...session.deliveries.map(({ deliveryNo }) => deliveryNo)),
    };
  }

  state(): ClientState | undefined {
    if (this.isForgotten) return undefined;
    const { session } = this;
    if (!session) return { ...this.base, session: undefined };
    const { expirySeconds, endsAtMs, subscriptions, sent, waiting, received } = session;
    return {
      ...this.base,
      session: {
        expirySeconds,
        endsAtMs,
        subscriptions: [...subscriptions.values()],
        deliveries: [...sent, ...waiting],
        received: [...received],
      },
    };
  }
}

export interface ModelSession {
  expirySeconds: number;
  endsAtMs: number | undefined;
  readonly subscriptions: Map<string, GrantedSubscription>;
  sent: Delivery[];
  waiting: Delivery[];
  readonly received: Set<number>;
  lastDeliveryNo: number;
}

/** Everything that is promised to come back, as text: without the journal's own numbers for messages. */
export function pictureOf(clients: readonly ClientState[], retained: readonly Message[]): string {
  const byNumber = clients.toSorted((left, right) => left.clientNo - right.clientNo);
  const byTopic = retained.toSorted((left, right) => (left.topic < right.topic ? -1 : 1));
  return JSON.stringify({ clients: byNumber, retained: byTopic }, (name, value) => {
    if (name === 'journalNo') return undefined;
    // A Buffer has become { type, data } before it comes here.
    if (value?.type === 'Buffer') return Buffer.from(value.data).toString('hex');
    if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).toSorted(([left], [right]) => (left < right ? -1 : 1)));
  });
}
