/** Follows what becomes durable in the stream: notes it for the test, and puts some of it in a second time. */
import { lifecycleTopics } from '../../iot/mqtt/index.ts';
import { type DeviceMessage, readEnvelope } from '../../iot/rules/index.ts';
import type { SequenceNumber, StreamReader, StreamRecord } from '../../platform/stream/index.ts';
import { testingLimits } from '../limits.ts';
import type { Activity } from './activity.ts';
import type { Kept } from './kept.ts';

const presenceTopics = [lifecycleTopics.connected, lifecycleTopics.disconnected];

export class FollowedStream {
  readonly #kept: Kept;
  readonly #activity: Activity;
  readonly #repeatsPresence: boolean;
  readonly #reader: StreamReader;
  readonly #offer: FollowedStreamParts['offer'];
  readonly #readUpTo = new Map<string, SequenceNumber | null>();
  /** Copies on their way, by their content: they are not copied again. */
  readonly #copies = new Map<string, number>();
  #pulling: Promise<void> = Promise.resolve();

  private constructor(parts: FollowedStreamParts) {
    this.#kept = parts.kept;
    this.#activity = parts.activity;
    this.#repeatsPresence = parts.repeatsPresence;
    this.#reader = parts.reader;
    this.#offer = parts.offer;
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
    if (this.#isCopy(message)) return;
    const isPresence = this.#repeatsPresence && presenceTopics.some(prefix => topic.startsWith(prefix));
    if (isPresence) this.#repeatLater(message);
    if (this.#kept.faults.stream.repeats(topic)) this.#repeat(message);
  }

  #isCopy(message: DeviceMessage): boolean {
    const content = contentOf(message);
    const copies = this.#copies.get(content);
    if (copies === undefined) return false;
    if (copies === 1) this.#copies.delete(content);
    else this.#copies.set(content, copies - 1);
    return true;
  }

  #repeatLater(message: DeviceMessage): void {
    const { presenceRepeatMsMin, presenceRepeatMsMax } = testingLimits;
    const delayMs = presenceRepeatMsMin + this.#kept.random.integer(presenceRepeatMsMax - presenceRepeatMsMin);
    const end = this.#activity.begin(`${message.topic} is told again`);
    this.#kept.world.clock.setTimer(delayMs, () => {
      this.#repeat(message);
      end();
    });
  }

  /** By the way that it came, so that everybody who counts counts it. */
  #repeat(message: DeviceMessage): void {
    const content = contentOf(message);
    this.#copies.set(content, (this.#copies.get(content) ?? 0) + 1);
    const offered = this.#activity.during(`${message.topic} is repeated`, this.#offer(message));
    offered.catch(() => this.#isCopy(message)); // Nobody was promised it; the stream is full or closed.
  }
}

export interface FollowedStreamParts {
  readonly kept: Kept;
  readonly activity: Activity;
  readonly repeatsPresence: boolean;
  readonly reader: StreamReader;
  /** Puts a message into the stream; resolves when it is durable. */
  readonly offer: (message: DeviceMessage) => Promise<void>;
}

const readBytesMax = 1024 * 1024; // ours

function contentOf({ topic, payload }: DeviceMessage): string {
  return `${topic} ${payload.toString('latin1')}`;
}
