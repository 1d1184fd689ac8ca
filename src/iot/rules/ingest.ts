import type { Clock } from '../../kernel/clock.ts';
import type { Counters } from '../../kernel/counters.ts';
import { codeOf } from '../../kernel/errors.ts';
import { RecordBatch, type Stream } from '../../platform/stream/index.ts';
import { envelopeBytes, writeEnvelope } from './envelope.ts';

/** Whoever waits to hear that its message is durable. One object per connection, not per message. */
export interface AckTarget {
  acknowledge(packetId: number, reasonCode: number): void;
  /** The message was not kept; `code` says why. */
  refuse(packetId: number, code: string): void;
}

const ingestLimits = {
  gatheringBytesMax: 32 * 1024 * 1024, // ours: what may gather behind a slow disk before senders are slowed down
} as const;

/** What one group commit will answer, as parallel arrays: no object per message. */
interface Gathering {
  batch: RecordBatch;
  targets: AckTarget[];
  packetIds: number[];
  reasonCodes: number[];
}

/**
 * The rule that joins the halves: device messages go into the stream, and only when a group of them is durable are
 * they acknowledged, in the order they came. While one group is on its way to the disk the next one gathers.
 */
export class Ingest {
  readonly #stream: Stream;
  readonly #clock: Clock;
  readonly #counters: Counters;
  readonly #afterAcks: () => void;
  readonly #onFailure: (error: unknown) => void;
  #gathering: Gathering = newGathering();
  #commitIsDue = false;
  #committing = false;
  #whenDrained: (() => void)[] = [];

  constructor(options: {
    stream: Stream;
    clock: Clock;
    counters: Counters;
    /** Called once after the acknowledgements of a group were handed out. */
    afterAcks: () => void;
    /** The stream is over: nothing can be acknowledged any more. */
    onFailure: (error: unknown) => void;
  }) {
    this.#stream = options.stream;
    this.#clock = options.clock;
    this.#counters = options.counters;
    this.#afterAcks = options.afterAcks;
    this.#onFailure = options.onFailure;
  }

  /** Takes a message into the next group. `target` hears of it when it is durable; QoS 0 has none. */
  offer(thingName: string, topic: string, payload: Uint8Array, target?: AckTarget, packetId = 0): void {
    const gathering = this.#gathering;
    const topicBytes = Buffer.byteLength(topic);
    const position = gathering.batch.reserve(thingName, envelopeBytes(topicBytes, payload.length));
    writeEnvelope(gathering.batch.buffer, position, topic, topicBytes, payload);
    if (target) this.answerInOrder(target, packetId, 0);
    else this.#schedule();
  }

  /** Sends an acknowledgement that needs no record in its turn: after those of everything offered before it. */
  answerInOrder(target: AckTarget, packetId: number, reasonCode: number): void {
    this.#gathering.targets.push(target);
    this.#gathering.packetIds.push(packetId);
    this.#gathering.reasonCodes.push(reasonCode);
    this.#schedule();
  }

  /** Whether so much waits for the disk that senders must be slowed down. */
  get isSaturated(): boolean {
    return this.#gathering.batch.bytes > ingestLimits.gatheringBytesMax;
  }

  /** Calls `resume` once it is no longer saturated. */
  onceDrained(resume: () => void): void {
    this.#whenDrained.push(resume);
  }

  #schedule(): void {
    if (this.#committing || this.#commitIsDue) return;
    this.#commitIsDue = true;
    this.#clock.soon(() => {
      this.#commitIsDue = false;
      void this.#commit();
    });
  }

  async #commit(): Promise<void> {
    this.#committing = true;
    while (this.#gathering.batch.count > 0 || this.#gathering.targets.length > 0) {
      const group = this.#gathering;
      this.#gathering = newGathering();
      this.#releaseSenders();
      await this.#commitGroup(group);
    }
    this.#committing = false;
  }

  async #commitGroup(group: Gathering): Promise<void> {
    this.#counters.add('ingest.received', group.batch.count);
    try {
      if (group.batch.count > 0) await this.#stream.append(group.batch);
      this.#counters.add('ingest.durable', group.batch.count);
      for (let index = 0; index < group.targets.length; index++) {
        group.targets[index].acknowledge(group.packetIds[index], group.reasonCodes[index]);
      }
    } catch (error) {
      this.#counters.add(`ingest.refused.${codeOf(error)}`, group.batch.count);
      for (let index = 0; index < group.targets.length; index++) {
        group.targets[index].refuse(group.packetIds[index], codeOf(error));
      }
      if (codeOf(error) === 'stream.failed') this.#onFailure(error);
    }
    this.#afterAcks();
  }

  #releaseSenders(): void {
    const resumes = this.#whenDrained;
    this.#whenDrained = [];
    for (const resume of resumes) resume();
  }
}

function newGathering(): Gathering {
  return { batch: new RecordBatch(), targets: [], packetIds: [], reasonCodes: [] };
}
