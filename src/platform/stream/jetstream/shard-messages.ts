import { delay } from '../../../kernel/clock.ts';
import type { SequenceNumber, ShardId, StreamRecord } from '../port.ts';
import { checkpointOfAnother } from '../remote-errors.ts';
import type { JetStreamAccess } from './access.ts';
import { ConditionalLog } from './conditional-log.ts';
import { lastNumberIn, type Message, messageNumberOf, recordsIn } from './message.ts';

/** The messages of one shard, as one reader reads them. */
export class ShardMessages {
  readonly #access: JetStreamAccess;
  readonly #log: ConditionalLog;
  /** The last record that was given out, and the message it was the last of. */
  #given: { sequenceNumber: SequenceNumber; messageNumber: number } | undefined;
  /** A message that was found while waiting for it, so that it need not be asked for again. */
  #found: Message | undefined;
  /** How many messages are asked for at once: more while there are more. */
  #window = 1;

  constructor(access: JetStreamAccess, shardId: ShardId) {
    this.#access = access;
    this.#log = new ConditionalLog(access, String(Number(shardId.slice(shardId.indexOf('-') + 1))));
  }

  async read(after: SequenceNumber | null, bytesMax: number): Promise<StreamRecord[]> {
    const records: StreamRecord[] = [];
    let bytes = 0;
    for (let next = await this.#firstBehind(after); next; next = await this.#log.findFrom(next.number + 1)) {
      const messages = [next, ...(await this.#following(next, bytesMax))];
      for (const message of messages) {
        if (message.kind === 'end') return records;
        records.push(...recordsIn(message, after ?? 0n));
        const sequenceNumber = records.at(-1)?.sequenceNumber;
        if (sequenceNumber !== undefined) this.#given = { sequenceNumber, messageNumber: message.number };
        bytes += message.body.length;
        if (bytes >= bytesMax) return records;
      }
      if (records.length > 0) return records;
    }
    return records;
  }

  /** Resolves when there is a record behind `after`, or nothing to wait for, which `isClosed` confirms. */
  async waitBeyond(after: SequenceNumber | null, signal: AbortSignal, isClosed: () => Promise<boolean>): Promise<void> {
    const { connection, clock, limits } = this.#access;
    // Whoever is subscribed sees a message when it is sent, which is a little before it is kept.
    let pauseMs: number = limits.pollIntervalMs;
    let notify = () => {};
    const subscription = connection.subscribe(this.#log.subject, {
      callback: () => {
        pauseMs = 1;
        notify();
      },
    });
    try {
      while (!signal.aborted) {
        const next = await this.#firstBehind(after);
        if (next && next.kind !== 'end') return;
        if (next && (await isClosed())) return;
        const stop = new AbortController();
        notify = () => stop.abort();
        await delay(clock, pauseMs, AbortSignal.any([signal, stop.signal]));
        pauseMs = Math.min(pauseMs * 2, limits.pollIntervalMs);
      }
    } finally {
      subscription.unsubscribe();
    }
  }

  /** What to read after to get only what is not there yet. */
  async latest(): Promise<SequenceNumber> {
    const { last } = await this.#log.range();
    return lastNumberIn(last);
  }

  /** What to read after to begin with the first record that arrived at or after the instant. */
  async beforeInstant(atMs: number): Promise<SequenceNumber> {
    let { first, last } = await this.#log.range();
    while (first <= last) {
      const middle = Math.floor((first + last) / 2);
      const message = await this.#log.findFrom(middle);
      if (message && message.arrivalAtMs < atMs) first = Math.max(middle, message.number) + 1;
      else last = middle - 1;
    }
    return lastNumberIn(first - 1);
  }

  /** The message with the first record behind `after`, or the end message. */
  async #firstBehind(after: SequenceNumber | null): Promise<Message | undefined> {
    const number = this.#numberBehind(after);
    if (this.#found?.number === number && isBehind(this.#found, after)) return this.#found;
    if (after !== null && after !== this.#given?.sequenceNumber) await this.#check(after);
    this.#found = await this.#log.findFrom(number);
    if (this.#found && !isBehind(this.#found, after)) this.#found = await this.#log.findFrom(number + 1);
    return this.#found;
  }

  #numberBehind(after: SequenceNumber | null): number {
    if (after === null) return 1;
    if (after === this.#given?.sequenceNumber) return this.#given.messageNumber + 1;
    const number = messageNumberOf(after);
    return after === lastNumberIn(number) ? number + 1 : number;
  }

  /** What was never in the shard was not handled by who claims to have. */
  async #check(after: SequenceNumber): Promise<void> {
    const { last } = await this.#log.range();
    if (messageNumberOf(after) > last) throw checkpointOfAnother(this.#access.streamName, after);
  }

  /** What comes behind `message`, more at once as long as there is more, about so many bytes. */
  async #following(message: Message, bytesMax: number): Promise<Message[]> {
    if (message.kind === 'end') return [];
    const wanted = Math.ceil(bytesMax / Math.max(message.body.length, 1)) - 1;
    const count = Math.min(wanted, this.#window);
    if (count <= 0) return [];
    const messages = await this.#log.listFrom(message.number + 1, count);
    const isMore = messages.length === count;
    this.#window = isMore ? Math.min(this.#window * 2, this.#access.limits.readWindowMax) : 1;
    return messages;
  }
}

function isBehind(message: Message, after: SequenceNumber | null): boolean {
  if (after === null || message.kind === 'end' || message.number > messageNumberOf(after)) return true;
  return recordsIn(message, after).length > 0;
}
