import { MimamoriError, messageOf } from '../../../kernel/errors.ts';
import type { SequenceNumber, StreamRecord } from '../../../platform/stream/index.ts';
import type { ClientState, Message } from '../client-state.ts';
import { journalNotReadable } from './errors.ts';
import { EventReader } from './event-reader.ts';
import { eventTypes, formatVersion, partMask, parts, publishedFlags, recordHeadBytes } from './format.ts';
import { journalLimits } from './limits.ts';
import { ReplayedSession } from './replayed-session.ts';
import {
  readClient,
  readDelivery,
  readMessage,
  readOptional,
  readPresence,
  readSubscriptions,
  readTexts,
  readTime,
  readWill,
  type StoredDelivery,
  type StoredMessage,
} from './values.ts';

/** A client while its events are applied. */
interface ReplayedClient {
  state: Omit<ClientState, 'session'>;
  session: ReplayedSession | undefined;
}

/**
 * Applies the events of a log, oldest first, to nothing: what is left is what the gateway knew. The log may begin
 * anywhere, since what a checkpoint made redundant is deleted. So events of clients and messages that are not known are
 * passed over: their full records, which replace whatever there was, stand further on.
 */
export class Replay {
  readonly #clients = new Map<number, ReplayedClient>();
  readonly #retained = new Map<string, StoredMessage>();
  /** By number, also those nobody refers to any more: a later event may. Emptied by each checkpoint. */
  readonly #messages = new Map<number, StoredMessage>();
  #unfinished: { readonly type: number; readonly parts: Buffer[]; bytes: number } | undefined;
  #hasEvents = false;
  #firstSequenceNumber: SequenceNumber | undefined;
  #lastSequenceNumber: SequenceNumber = 0n;
  /** The largest numbers that any event mentions. */
  lastClientNo = 0;
  lastMessageNo = 0;
  /** What the last finished checkpoint made redundant, and what it took; null and 0 without one. */
  redundantUpTo: SequenceNumber | null = null;
  checkpointBytes = 0;
  /** Bytes of the log since then. */
  grownBytes = 0;

  /** Throws `journal.notReadable`. */
  apply(record: StreamRecord): void {
    this.#firstSequenceNumber ??= record.sequenceNumber;
    this.#lastSequenceNumber = record.sequenceNumber;
    this.grownBytes += record.data.length;
    this.#orNotReadable(() => this.#applyRecord(record.data));
  }

  /** Everything was applied, up to `lastSequenceNumber`. Throws `journal.notReadable` when something is missing. */
  finish(lastSequenceNumber: SequenceNumber): { clients: ClientState[]; retained: Message[] } {
    this.#checkStart(lastSequenceNumber);
    return this.#orNotReadable(() => ({
      clients: [...this.#clients.values()].map(({ state, session }) => ({ ...state, session: session?.finish() })),
      retained: [...this.#retained].map(([topic, { message }]) => {
        if (!message) throw new RangeError(`the message retained for ${JSON.stringify(topic)} is not in the log`);
        return message;
      }),
    }));
  }

  /** Segments are deleted only up to what a finished checkpoint, which is still in the log, made redundant. */
  #checkStart(lastSequenceNumber: SequenceNumber): void {
    const missingUpTo = (this.#firstSequenceNumber ?? lastSequenceNumber + 1n) - 1n;
    if (missingUpTo > (this.redundantUpTo ?? 0n)) {
      throw journalNotReadable(missingUpTo, 'it and all before it are needed, and are not there');
    }
  }

  #orNotReadable<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (error instanceof MimamoriError) throw error;
      throw journalNotReadable(this.#lastSequenceNumber, messageOf(error), error);
    }
  }

  #applyRecord(data: Buffer): void {
    if (data.length < recordHeadBytes) throw new RangeError('it is empty');
    if (data[0] !== formatVersion) throw new RangeError(`it is of version ${data[0]}, not ${formatVersion}`);
    const part = data[1] & partMask;
    const type = data[1] & ~partMask;
    const event = data.subarray(recordHeadBytes);
    if (part === parts.whole || part === parts.first) {
      this.#unfinished = undefined; // A power cut took the rest of it: it has never been, and nobody was told it had.
      this.#hasEvents = true;
      if (part === parts.whole) this.#applyEvent(type, event);
      else this.#unfinished = { type, parts: [Buffer.from(event)], bytes: event.length };
    } else {
      this.#addPart(type, event, part === parts.last);
    }
  }

  #addPart(type: number, event: Buffer, isLast: boolean): void {
    const unfinished = this.#unfinished;
    if (!unfinished) {
      if (this.#hasEvents) throw new RangeError('it is a part of an event whose beginning is missing');
      return; // The log begins within an event, which is redundant like what stood before it.
    }
    unfinished.bytes += event.length;
    if (unfinished.type !== type) throw new RangeError('it is a part of another event than the one before it');
    if (unfinished.bytes > journalLimits.eventBytesMax) throw new RangeError('an event is too large');
    unfinished.parts.push(Buffer.from(event)); // A copy: the chunk it was read with need not stay.
    if (!isLast) return;
    this.#unfinished = undefined;
    this.#applyEvent(type, Buffer.concat(unfinished.parts));
  }

  /** A flat switch. */
  #applyEvent(type: number, bytes: Buffer): void {
    const event = new EventReader(bytes);
    switch (type) {
      case eventTypes.client:
        this.#client(event);
        break;
      case eventTypes.clientForgotten:
        this.#clients.delete(this.#clientNo(event));
        break;
      case eventTypes.presence:
        this.#presence(event);
        break;
      case eventTypes.sessionEnded: {
        const client = this.#clients.get(this.#clientNo(event));
        if (client) client.session = undefined;
        break;
      }
      case eventTypes.subscribed: {
        const session = this.#session(event);
        for (const subscription of readSubscriptions(event)) session?.subscribe(subscription);
        break;
      }
      case eventTypes.unsubscribed: {
        const session = this.#session(event);
        for (const topicFilter of readTexts(event)) session?.unsubscribe(topicFilter);
        break;
      }
      case eventTypes.message:
        this.#message(event);
        break;
      case eventTypes.published:
        this.#published(event);
        break;
      case eventTypes.sent: {
        const session = this.#session(event);
        const deliveryNo = event.varint();
        const packetId = event.varint();
        session?.send(deliveryNo, packetId);
        break;
      }
      case eventTypes.released: {
        const session = this.#session(event);
        const packetId = event.varint();
        session?.release(packetId);
        break;
      }
      case eventTypes.settled: {
        const session = this.#session(event);
        const packetId = event.varint();
        session?.settle(packetId);
        break;
      }
      case eventTypes.dropped: {
        const session = this.#session(event);
        const deliveryNo = event.varint();
        session?.drop(deliveryNo);
        break;
      }
      case eventTypes.completed: {
        const session = this.#session(event);
        const packetId = event.varint();
        session?.complete(packetId);
        break;
      }
      case eventTypes.retainedDeleted:
        this.#retained.delete(event.text());
        break;
      case eventTypes.checkpointEnded:
        this.#checkpointEnded(event);
        break;
      default:
        throw new RangeError(`it is of type ${type}, which is not known`);
    }
    if (!event.isAtEnd) throw new RangeError('bytes stand behind its last field');
  }

  #client(event: EventReader): void {
    const { session, ...state } = readClient(event, messageNo => this.#stored(messageNo));
    this.lastClientNo = Math.max(this.lastClientNo, state.clientNo);
    this.#clients.set(state.clientNo, { state, session: session && new ReplayedSession(session) });
  }

  #presence(event: EventReader): void {
    const client = this.#clients.get(this.#clientNo(event));
    const presence = readPresence(event);
    const will = readOptional(event, readWill);
    const willDueAtMs = readOptional(event, readTime);
    const endsAtMs = readOptional(event, readTime);
    const expirySeconds = event.varint();
    if (!client) return;
    client.state = { ...client.state, presence, will, willDueAtMs };
    if (!client.session) return;
    client.session.endsAtMs = endsAtMs;
    client.session.expirySeconds = expirySeconds;
  }

  #published(event: EventReader): void {
    // The message comes last, and who gets it before: until then it is one of which nothing is known.
    const receivers: { readonly session: ReplayedSession | undefined; readonly delivery: StoredDelivery }[] = [];
    const unknown: StoredMessage = { message: undefined };
    for (let clientNo = this.#clientNo(event); clientNo !== 0; clientNo = this.#clientNo(event)) {
      receivers.push({ session: this.#clients.get(clientNo)?.session, delivery: readDelivery(event, unknown) });
    }
    const flags = event.uint8();
    if ((flags & publishedFlags.hasSender) !== 0) {
      const session = this.#session(event);
      const packetId = event.varint();
      session?.receive(packetId);
    }
    if ((flags & publishedFlags.deletesRetained) !== 0) this.#retained.delete(event.text());
    if ((flags & publishedFlags.hasMessage) === 0) return;
    const stored = this.#message(event);
    for (const { session, delivery } of receivers) session?.queue({ ...delivery, stored });
    // Of a message that is not known the topic is not either; its full record stands further on.
    if ((flags & publishedFlags.setsRetained) !== 0 && stored.message) {
      this.#retained.set(stored.message.topic, stored);
    }
  }

  /** A number, and the content unless that was there before. */
  #message(event: EventReader): StoredMessage {
    const messageNo = event.varint();
    if (event.uint8() === 0) return this.#stored(messageNo);
    const stored = this.#stored(event.varint());
    const message = readMessage(event, messageNo);
    // The same object for all who had it under its number before the checkpoint.
    if (stored.message) stored.message.journalNo = messageNo;
    else stored.message = message;
    this.lastMessageNo = Math.max(this.lastMessageNo, messageNo);
    this.#messages.set(messageNo, stored);
    return stored;
  }

  #stored(messageNo: number): StoredMessage {
    const known = this.#messages.get(messageNo);
    if (known) return known;
    const stored: StoredMessage = { message: undefined };
    if (messageNo === 0) return stored; // not a number: a message that never had one
    this.lastMessageNo = Math.max(this.lastMessageNo, messageNo);
    this.#messages.set(messageNo, stored);
    return stored;
  }

  /** No event from here on refers to a message by a number from before. */
  #checkpointEnded(event: EventReader): void {
    this.redundantUpTo = BigInt(event.varint());
    const firstMessageNo = event.varint();
    this.checkpointBytes = event.varint();
    this.grownBytes = 0;
    this.lastMessageNo = Math.max(this.lastMessageNo, firstMessageNo - 1);
    for (const messageNo of this.#messages.keys()) if (messageNo < firstMessageNo) this.#messages.delete(messageNo);
  }

  #session(event: EventReader): ReplayedSession | undefined {
    return this.#clients.get(this.#clientNo(event))?.session;
  }

  #clientNo(event: EventReader): number {
    const clientNo = event.varint();
    this.lastClientNo = Math.max(this.lastClientNo, clientNo);
    return clientNo;
  }
}
