import assert from 'node:assert/strict';
import type { DirectMsgRequest, StoredMsg, StreamConfig, StreamInfo } from '@nats-io/jetstream';
import { backOff, isWorthAsking, type JetStreamAccess, untilAnswered } from './access.ts';
import { isOutrun, refusalOf } from './errors.ts';
import { idHeader, kindHeader, kindText, type Message, type MessageKind, messageOf } from './message.ts';

/**
 * One stream of JetStream with one subject, to which is appended on condition that a certain message is its last. NATS
 * checks "last message of the stream" where a message takes its place, on all replicas alike; "last message of the
 * subject" it checks beforehand on the leader, so that two may pass (seen with 2.9.10). Hence a stream for each shard.
 */
export class ConditionalLog {
  readonly name: string;
  readonly subject: string;
  readonly #access: JetStreamAccess;

  constructor(access: JetStreamAccess, suffix: string) {
    this.name = `${access.streamName}-${suffix}`;
    this.subject = `${access.streamName}.${suffix}`;
    this.#access = access;
  }

  /** Creates it with `config`; of one that is there, changes what `wanted` says otherwise. */
  async ensure(config: Partial<StreamConfig>, wanted: Partial<StreamConfig>): Promise<void> {
    const { manager } = this.#access;
    const { name } = this;
    await untilAnswered(this.#access, async () => {
      const info = await this.#find();
      if (!info) await manager.streams.add({ ...config, ...wanted, name, subjects: [this.subject] });
      else if (differs(wanted, info.config)) await manager.streams.update(name, { ...info.config, ...wanted });
    });
  }

  /** Deletes it with all it holds; content if there is nothing. */
  async remove(): Promise<void> {
    await untilAnswered(this.#access, async () => {
      if (await this.#find()) await this.#access.manager.streams.delete(this.name);
    });
  }

  /** Numbers of the first and last message: of none, the last is one below the first. */
  async range(): Promise<{ first: number; last: number }> {
    const info = await untilAnswered(this.#access, () => this.#access.manager.streams.info(this.name));
    return { first: info.state.first_seq, last: info.state.last_seq };
  }

  /**
   * Appends behind message `after`, once, however often it has to be sent; the message is then `after` + 1. 'outrun' when
   * another message is there. Throws when it is refused, or when nobody has answered for `giveUpMs`.
   */
  async append(kind: Exclude<MessageKind, 'foreign'>, body: Uint8Array, after: number): Promise<'kept' | 'outrun'> {
    const { clock, limits, newId, streamName } = this.#access;
    const id = newId();
    const sinceMs = clock.monotonicMs();
    let attemptId = id; // NATS knows a repetition by it.
    let mayBeKept = false; // An attempt went unanswered.
    for (let attempt = 1; ; attempt++) {
      try {
        const ack = await this.#publish(kind, body, after, attemptId);
        if (!ack.duplicate) {
          assert(ack.seq === after + 1);
          return 'kept';
        }
        // It has seen the message, which is no proof that it has kept it; if it has not, this id is used up.
        attemptId = `${id}.${attempt}`;
      } catch (error) {
        if (isOutrun(error)) {
          if (!mayBeKept) return 'outrun';
        } else {
          const refusal = refusalOf(error, streamName);
          const isTooLate = clock.monotonicMs() - sinceMs >= limits.giveUpMs || this.#access.connection.isClosed();
          if (isTooLate || !isWorthAsking(refusal)) throw refusal;
        }
      }
      mayBeKept = true;
      const next = await this.#findAnswered(after + 1);
      if (next) return next.id.startsWith(id) ? 'kept' : 'outrun';
      await backOff(this.#access, attempt);
    }
  }

  /** Undefined also when nobody answers: it is asked again, after the next attempt. */
  async #findAnswered(number: number): Promise<Message | undefined> {
    try {
      return toMessage(await this.#access.manager.streams.getMessage(this.name, { seq: number }));
    } catch (error) {
      const refusal = refusalOf(error, this.#access.streamName);
      if (!isWorthAsking(refusal)) throw refusal;
      return undefined;
    }
  }

  /** The message, asked of the leader: what is not there may come, what is there stays. */
  async findAt(number: number): Promise<Message | undefined> {
    return this.#ofLeader({ seq: number });
  }

  /** The newest message that is still kept. */
  async findLast(): Promise<Message | undefined> {
    return this.#ofLeader({ last_by_subj: this.subject });
  }

  /** The first message from `number` on, asked of any replica: what is new may not have come there. */
  async findFrom(number: number): Promise<Message | undefined> {
    const query = { seq: Math.max(number, 1), next_by_subj: this.subject };
    const message = await this.#ofReplica(query);
    // Retention removes from the front. What else is missing, this replica has not got yet.
    return message === undefined || message.number === query.seq ? message : this.#ofLeader(query);
  }

  /** So many messages from `number` on, as far as a replica has them. */
  async listFrom(number: number, count: number): Promise<Message[]> {
    const asked = Array.from({ length: count }, (_, index) => this.#ofReplica({ seq: number + index }));
    const messages = await Promise.all(asked);
    const end = messages.indexOf(undefined);
    return messages.slice(0, end < 0 ? count : end).filter(message => message !== undefined);
  }

  async #find(): Promise<StreamInfo | undefined> {
    try {
      return await this.#access.manager.streams.info(this.name);
    } catch (error) {
      if (refusalOf(error, this.name).code === 'stream.notFound') return undefined;
      throw error;
    }
  }

  #publish(kind: Exclude<MessageKind, 'foreign'>, body: Uint8Array, after: number, id: string) {
    const headers = this.#access.newHeaders();
    headers.set(kindHeader, kindText(kind));
    headers.set(idHeader, id);
    const expect = { streamName: this.name, lastSequence: after };
    return this.#access.client.publish(this.subject, body, {
      headers,
      expect,
      timeout: this.#access.limits.requestTimeoutMs,
    });
  }

  #ofLeader(query: { seq: number } | { last_by_subj: string } | { seq: number; next_by_subj: string }) {
    return this.#ask(() => this.#access.manager.streams.getMessage(this.name, query));
  }

  #ofReplica(query: DirectMsgRequest) {
    return this.#ask(() => this.#access.manager.direct.getMessage(this.name, query));
  }

  async #ask(get: () => Promise<StoredMsg | null>): Promise<Message | undefined> {
    return toMessage(await untilAnswered(this.#access, get));
  }
}

function toMessage(stored: StoredMsg | null): Message | undefined {
  return stored ? messageOf(stored) : undefined;
}

function differs(config: Partial<StreamConfig>, present: StreamConfig): boolean {
  return Object.entries(config).some(([name, value]) => Reflect.get(present, name) !== value);
}
