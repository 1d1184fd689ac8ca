/** Follows what becomes durable in the stream: notes it for the test, and puts some of it in a second time. */
import { lifecycleTopics } from '../../iot/mqtt/index.ts';
import { readEnvelope } from '../../iot/rules/index.ts';
import {
  RecordBatch,
  type SequenceNumber,
  type Stream,
  type StreamReader,
  type StreamRecord,
} from '../../platform/stream/index.ts';
import { testingLimits } from '../limits.ts';
import type { Activity } from './activity.ts';
import type { Kept } from './kept.ts';

const presenceTopics = [lifecycleTopics.connected, lifecycleTopics.disconnected];

export class FollowedStream {
  readonly #kept: Kept;
  readonly #activity: Activity;
  readonly #repeatsPresence: boolean;
  readonly #reader: StreamReader;
  readonly #stream: Stream;
  readonly #readUpTo = new Map<string, SequenceNumber | null>();
  /** Copies on their way, by their content: they are not copied again. */
  readonly #copies = new Map<string, number>();
  #pulling: Promise<void> = Promise.resolve();

  private constructor(parts: FollowedStreamParts) {
    this.#kept = parts.kept;
    this.#activity = parts.activity;
    this.#repeatsPresence = parts.repeatsPresence;
    this.#reader = parts.reader;
    this.#stream = parts.stream;
  }

  /** From what comes next on. */
  static async open(parts: FollowedStreamParts): Promise<FollowedStream> {
    const followed = new FollowedStream(parts);
    for (const { shardId } of await parts.reader.shards()) {
      followed.#readUpTo.set(shardId, await parts.reader.locate(shardId, { type: 'LATEST' }));
    }
    return followed;
  }

  /** Something has become durable. */
  pull(): void {
    this.#pulling = this.#activity.during(
      'the kit notes messages',
      this.#pulling.then(() => this.#readOn().catch(this.#kept.onProblem)),
    );
  }

  async #readOn(): Promise<void> {
    for (const { shardId } of await this.#reader.shards()) {
      for (;;) {
        const records = await this.#reader.read(shardId, this.#readUpTo.get(shardId) ?? null, readBytesMax);
        if (records.length === 0) break;
        for (const record of records) this.#note(record);
        this.#readUpTo.set(shardId, records[records.length - 1].sequenceNumber);
      }
    }
  }

  #note(record: StreamRecord): void {
    const message = readEnvelope(record.data);
    if (message === undefined) return;
    const { topic, payload } = message;
    this.#kept.messages.note({ direction: 'up', topic, bytes: payload, atMs: record.arrivalAtMs });
    if (this.#isCopy(record)) return;
    const isPresence = this.#repeatsPresence && presenceTopics.some(prefix => topic.startsWith(prefix));
    if (isPresence) this.#repeatLater(record, topic);
    if (this.#kept.faults.stream.repeats(topic)) this.#repeat(record, topic);
  }

  #isCopy(record: StreamRecord): boolean {
    const content = contentOf(record);
    const copies = this.#copies.get(content);
    if (copies === undefined) return false;
    if (copies === 1) this.#copies.delete(content);
    else this.#copies.set(content, copies - 1);
    return true;
  }

  #repeatLater(record: StreamRecord, topic: string): void {
    const { presenceRepeatMsMin, presenceRepeatMsMax } = testingLimits;
    const delayMs = presenceRepeatMsMin + this.#kept.random.integer(presenceRepeatMsMax - presenceRepeatMsMin);
    const end = this.#activity.begin(`${topic} is told again`);
    this.#kept.world.clock.setTimer(delayMs, () => {
      this.#repeat(record, topic);
      end();
    });
  }

  #repeat(record: StreamRecord, topic: string): void {
    const content = contentOf(record);
    this.#copies.set(content, (this.#copies.get(content) ?? 0) + 1);
    const batch = new RecordBatch();
    batch.add(record.partitionKey, record.data);
    const copied = this.#activity.during(`${topic} is repeated`, this.#stream.append(batch));
    copied.then(
      () => this.pull(),
      () => this.#isCopy(record), // Nobody was promised it; the stream is full or closed.
    );
  }
}

export interface FollowedStreamParts {
  readonly kept: Kept;
  readonly activity: Activity;
  readonly repeatsPresence: boolean;
  readonly reader: StreamReader;
  readonly stream: Stream;
}

const readBytesMax = 1024 * 1024; // ours

function contentOf({ partitionKey, data }: StreamRecord): string {
  return `${partitionKey} ${data.toString('latin1')}`;
}
