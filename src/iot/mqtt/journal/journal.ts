import assert from 'node:assert/strict';
import { noBytes } from '../../../kernel/bytes.ts';
import { type RecordBatch, type SequenceNumber, streamLimits } from '../../../platform/stream/index.ts';
import type { ClientState, Delivery, GrantedSubscription, Message, Presence } from '../client-state.ts';
import type { Will } from '../packets.ts';
import { EventWriter } from './event-writer.ts';
import { eventTypes, formatVersion, partitionKey, parts, publishedFlags, recordHeadBytes } from './format.ts';
import { journalLimits } from './limits.ts';
import {
  writeClient,
  writeDelivery,
  writeMessage,
  writeOptional,
  writePresence,
  writeSubscriptions,
  writeTexts,
  writeTime,
  writeWill,
} from './values.ts';

/** Whom a message is queued for. */
export interface Receiver {
  readonly clientNo: number;
  readonly delivery: Delivery;
}

/** The publisher of a QoS 2 message, which may send it again under the same packet id until it is completed. */
export interface Sender {
  readonly clientNo: number;
  readonly packetId: number;
}

/** What a publish does to the retained message of its topic. */
export type RetainedEffect = 'keep' | 'set' | 'delete';

export interface JournalOptions {
  /**
   * The batch the next record goes to, which is not full. Asked for each record, which is then written before anything
   * else happens; whoever answers sees to it that the batch is appended soon, after all earlier ones and in any case, as
   * `rules/ingest` does: what comes later counts on it.
   */
  readonly batch: () => RecordBatch;
  /** As recovered; 0 in a new journal. */
  readonly lastClientNo: number;
  readonly lastMessageNo: number;
  /** For tests. */
  readonly recordBytesMax?: number;
}

/** Bytes of the log beside a record's data: the record's header with its key, and a block's header. */
const recordOverheadBytes = 7;
const blockOverheadBytes = 44;

/**
 * Writes down every change of what the gateway remembers of its clients, one event each. It changes nothing itself and
 * waits for nothing: what an event allows to be acknowledged is acknowledged once its batch is durable. An event is
 * written in the turn in which the memory it tells of changes, or a checkpoint between the two would miss it.
 */
export class Journal {
  readonly #options: JournalOptions;
  readonly #event = new EventWriter();
  readonly #partBytesMax: number;
  #lastClientNo: number;
  #lastMessageNo: number;
  /** Messages with smaller numbers were written before the last checkpoint began, and may be gone when it has ended. */
  #firstMessageNo = 1;
  #records = 0;
  #bytes = 0;

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#lastClientNo = options.lastClientNo;
    this.#lastMessageNo = options.lastMessageNo;
    const recordBytesMax = options.recordBytesMax ?? streamLimits.recordBytesMax;
    this.#partBytesMax = recordBytesMax - recordHeadBytes - partitionKey.length;
    assert(this.#partBytesMax > 0);
  }

  /** Records written by this journal. */
  get records(): number {
    return this.#records;
  }

  /** What they take in the log. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A number for a client that has none yet. */
  newClientNo(): number {
    return ++this.#lastClientNo;
  }

  /** All there is to know of a client. Replaces whatever was known of this number. */
  client(state: ClientState): void {
    for (const { message } of state.session?.deliveries ?? []) this.message(message);
    writeClient(this.#event.restart(), state);
    this.#append(eventTypes.client);
  }

  /** The client is as if it had never been there. */
  clientForgotten(clientNo: number): void {
    this.#event.restart().varint(clientNo);
    this.#append(eventTypes.clientForgotten);
  }

  /** A known client came or went. `endsAtMs` and `expirySeconds` are its session's, and of no effect without one. */
  presence(
    clientNo: number,
    presence: Presence,
    will: Will | undefined,
    willDueAtMs: number | undefined,
    endsAtMs: number | undefined,
    expirySeconds: number,
  ): void {
    const event = this.#event.restart();
    event.varint(clientNo);
    writePresence(event, presence);
    writeOptional(event, will, writeWill);
    writeOptional(event, willDueAtMs, writeTime);
    writeOptional(event, endsAtMs, writeTime);
    event.varint(expirySeconds);
    this.#append(eventTypes.presence);
  }

  /** The session is over; presence and will stay. */
  sessionEnded(clientNo: number): void {
    this.#event.restart().varint(clientNo);
    this.#append(eventTypes.sessionEnded);
  }

  /** A filter that was there before is replaced, in its place. */
  subscribed(clientNo: number, subscriptions: readonly GrantedSubscription[]): void {
    const event = this.#event.restart();
    event.varint(clientNo);
    writeSubscriptions(event, subscriptions);
    this.#append(eventTypes.subscribed);
  }

  unsubscribed(clientNo: number, topicFilters: readonly string[]): void {
    const event = this.#event.restart();
    event.varint(clientNo);
    writeTexts(event, topicFilters);
    this.#append(eventTypes.unsubscribed);
  }

  /**
   * A message was queued for `receivers`, changed what is retained, and was taken from `sender` with QoS 2: all of it or
   * nothing. A delivery that is at once sent may say so already. Writes nothing if there is nothing to remember.
   */
  published(message: Message, receivers: Iterable<Receiver>, retained: RetainedEffect = 'keep', sender?: Sender): void {
    const event = this.#event.restart();
    let hasReceivers = false;
    for (const { clientNo, delivery } of receivers) {
      assert(clientNo > 0 && delivery.message === message);
      event.varint(clientNo);
      writeDelivery(event, delivery);
      hasReceivers = true;
    }
    event.varint(0); // No client has this number: the receivers end here.
    const hasMessage = hasReceivers || retained === 'set';
    if (!hasMessage && retained === 'keep' && sender === undefined) return;
    const { setsRetained, deletesRetained, hasSender } = publishedFlags;
    const retainedFlag = retained === 'set' ? setsRetained : retained === 'delete' ? deletesRetained : 0;
    event.uint8((hasMessage ? publishedFlags.hasMessage : 0) | retainedFlag | (sender === undefined ? 0 : hasSender));
    if (sender !== undefined) {
      event.varint(sender.clientNo);
      event.varint(sender.packetId);
    }
    if (retained === 'delete') event.text(message.topic);
    this.#append(eventTypes.published, hasMessage ? this.#writeMessage(message) : noBytes);
  }

  /** What is retained for `topic` is gone without a publish: expired, or too much. */
  retainedDeleted(topic: string): void {
    this.#event.restart().text(topic);
    this.#append(eventTypes.retainedDeleted);
  }

  /** A waiting delivery was given its packet id. */
  sent(clientNo: number, deliveryNo: number, packetId: number): void {
    const event = this.#event.restart();
    event.varint(clientNo);
    event.varint(deliveryNo);
    event.varint(packetId);
    this.#append(eventTypes.sent);
  }

  /** The client has taken a QoS 2 message (PUBREC) and is owed PUBREL. */
  released(clientNo: number, packetId: number): void {
    this.#aboutPacket(eventTypes.released, clientNo, packetId);
  }

  /** A delivery that had a packet id is over: PUBACK, PUBCOMP, or refused by the client. */
  settled(clientNo: number, packetId: number): void {
    this.#aboutPacket(eventTypes.settled, clientNo, packetId);
  }

  /** A delivery is given up, wherever it stands. */
  dropped(clientNo: number, deliveryNo: number): void {
    this.#aboutPacket(eventTypes.dropped, clientNo, deliveryNo);
  }

  /** The client has released a QoS 2 message it published (PUBREL): the packet id may come again for another one. */
  completed(clientNo: number, packetId: number): void {
    this.#aboutPacket(eventTypes.completed, clientNo, packetId);
  }

  /** For a checkpoint: from now on every message that is referred to is written again, once. */
  beginCheckpoint(): void {
    this.#firstMessageNo = this.#lastMessageNo + 1;
  }

  /** For a checkpoint: writes a message that was not written since it began. False when there was nothing to do. */
  message(message: Message): boolean {
    if (this.#isWritten(message)) return false;
    this.#event.restart();
    this.#append(eventTypes.message, this.#writeMessage(message));
    return true;
  }

  /** For a checkpoint: everything it had to write, `bytes` in all, stands before this; see `Checkpointer`. */
  checkpointEnded(redundantUpTo: SequenceNumber, bytes: number): void {
    const event = this.#event.restart();
    event.varint(Number(redundantUpTo)); // 2^53 records are 285 years at a million each second; `varint` asserts it.
    event.varint(this.#firstMessageNo);
    event.varint(bytes);
    this.#append(eventTypes.checkpointEnded);
  }

  #aboutPacket(type: number, clientNo: number, number: number): void {
    const event = this.#event.restart();
    event.varint(clientNo);
    event.varint(number);
    this.#append(type);
  }

  #isWritten(message: Message): boolean {
    return message.journalNo >= this.#firstMessageNo;
  }

  /** The number of the message; its content too, unless that stands in the log already. Comes last in an event. */
  #writeMessage(message: Message): Buffer {
    const event = this.#event;
    if (this.#isWritten(message)) {
      event.varint(message.journalNo);
      event.uint8(0);
      return noBytes;
    }
    const journalNo = ++this.#lastMessageNo;
    event.varint(journalNo);
    event.uint8(1);
    event.varint(message.journalNo); // 0, or its number before the checkpoint: it is still the same message.
    const packet = writeMessage(event, message);
    message.journalNo = journalNo;
    return packet;
  }

  /** The event as it was written, and `tail` behind it, which is not worth copying twice. */
  #append(type: number, tail: Uint8Array = noBytes): void {
    const eventBytes = this.#event.length + tail.length;
    if (eventBytes <= this.#partBytesMax) {
      this.#appendRecord(type | parts.whole, 0, eventBytes, tail);
      return;
    }
    assert(eventBytes <= journalLimits.eventBytesMax);
    for (let from = 0; from < eventBytes; from += this.#partBytesMax) {
      const to = Math.min(from + this.#partBytesMax, eventBytes);
      const part = from === 0 ? parts.first : to === eventBytes ? parts.last : parts.middle;
      this.#appendRecord(type | part, from, to, tail);
    }
  }

  #appendRecord(typeAndPart: number, from: number, to: number, tail: Uint8Array): void {
    const batch = this.#options.batch();
    assert(!batch.isFull);
    if (batch.count === 0) this.#bytes += blockOverheadBytes;
    const dataBytes = recordHeadBytes + to - from;
    let at = batch.reserve(partitionKey, dataBytes);
    const { buffer } = batch;
    buffer[at++] = formatVersion;
    buffer[at++] = typeAndPart;
    const tailFrom = this.#event.length;
    if (from < tailFrom) this.#event.copyTo(buffer, at, from, Math.min(to, tailFrom));
    if (to > tailFrom) {
      const start = Math.max(from, tailFrom);
      const isWhole = start === tailFrom && to === tailFrom + tail.length;
      buffer.set(isWhole ? tail : tail.subarray(start - tailFrom, to - tailFrom), at + start - from);
    }
    this.#records++;
    this.#bytes += recordOverheadBytes + dataBytes;
  }
}
