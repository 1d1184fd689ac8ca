import assert from 'node:assert/strict';
import type { Clock } from '../../kernel/clock.ts';
import type { Counters } from '../../kernel/counters.ts';
import { codeOf } from '../../kernel/errors.ts';
import { RecordBatch, type Stream, streamLimits } from '../../platform/stream/index.ts';
import { envelopeBytes, writeEnvelope } from './envelope.ts';

/** Whoever waits to hear that its message is durable. One object per connection, not per message. */
export interface AckTarget {
  acknowledge(packetId: number, reasonCode: number): void;
  /** The message was not kept; `code` says why. */
  refuse(packetId: number, code: string): void;
}

const ingestLimits = {
  groupBatchesMax: 8, // ours: 32 MiB go to the disk together, and as much may gather before senders are slowed down
} as const;
assert(ingestLimits.groupBatchesMax * streamLimits.blockBytesMax <= streamLimits.pendingBytesMax); // never `stream.busy`

/** A batch and what its durability will answer, as parallel arrays: no object per message. */
interface Gathering {
  readonly batch: RecordBatch;
  readonly targets: AckTarget[];
  readonly packetIds: number[];
  readonly reasonCodes: number[];
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
  /** Oldest first; the last one takes what comes, the others are full. Never empty. */
  #gatherings: Gathering[] = [newGathering()];
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

  /**
   * Takes a message into the next group. `target` hears of it when it is durable; QoS 0 has none. Throws
   * `stream.recordTooLarge` or `stream.partitionKeyNotValid`, and has taken nothing then.
   */
  offer(thingName: string, topic: string, payload: Uint8Array, target?: AckTarget, packetId = 0): void {
    const { batch } = this.#gathering();
    const topicBytes = Buffer.byteLength(topic);
    const position = batch.reserve(thingName, envelopeBytes(topicBytes, payload.length));
    writeEnvelope(batch.buffer, position, topic, topicBytes, payload);
    if (target) this.answerInOrder(target, packetId, 0);
    else this.#schedule();
  }

  /** Sends an acknowledgement that needs no record in its turn: after those of everything offered before it. */
  answerInOrder(target: AckTarget, packetId: number, reasonCode: number): void {
    const gathering = this.#gatherings[this.#gatherings.length - 1];
    gathering.targets.push(target);
    gathering.packetIds.push(packetId);
    gathering.reasonCodes.push(reasonCode);
    this.#schedule();
  }

  /** Whether so much waits for the disk that senders must be slowed down. */
  get isSaturated(): boolean {
    return this.#gatherings.length > ingestLimits.groupBatchesMax;
  }

  /** Calls `resume` once it is no longer saturated. */
  onceDrained(resume: () => void): void {
    if (this.isSaturated) this.#whenDrained.push(resume);
    else this.#clock.soon(resume);
  }

  #gathering(): Gathering {
    const newest = this.#gatherings[this.#gatherings.length - 1];
    if (!newest.batch.isFull) return newest;
    const next = newGathering();
    this.#gatherings.push(next);
    return next;
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
    while (!isEmpty(this.#gatherings[0])) {
      const group = this.#gatherings.splice(0, ingestLimits.groupBatchesMax);
      if (this.#gatherings.length === 0) this.#gatherings.push(newGathering());
      if (!this.isSaturated) this.#releaseSenders();
      await this.#commitGroup(group);
    }
    this.#committing = false;
  }

  async #commitGroup(group: Gathering[]): Promise<void> {
    const outcomes = await Promise.allSettled(
      group.map(async ({ batch }) => {
        if (batch.count > 0) await this.#stream.append(batch);
      }),
    );
    for (const [index, outcome] of outcomes.entries()) {
      if (outcome.status === 'fulfilled') this.#acknowledge(group[index]);
      else this.#refuse(group[index], outcome.reason);
    }
    this.#afterAcks();
  }

  #acknowledge({ batch, targets, packetIds, reasonCodes }: Gathering): void {
    this.#counters.add('ingest.received', batch.count);
    this.#counters.add('ingest.durable', batch.count);
    for (let index = 0; index < targets.length; index++) {
      targets[index].acknowledge(packetIds[index], reasonCodes[index]);
    }
  }

  /** Of the whole batch nothing was kept. The sender tries again what it is refused, whatever the answer was. */
  #refuse({ batch, targets, packetIds }: Gathering, error: unknown): void {
    const code = codeOf(error);
    this.#counters.add('ingest.received', batch.count);
    this.#counters.add(`ingest.refused.${code}`, batch.count);
    for (let index = 0; index < targets.length; index++) targets[index].refuse(packetIds[index], code);
    if (code === 'stream.failed') this.#onFailure(error);
  }

  #releaseSenders(): void {
    const resumes = this.#whenDrained;
    this.#whenDrained = [];
    for (const resume of resumes) resume();
  }
}

function isEmpty({ batch, targets }: Gathering): boolean {
  return batch.count === 0 && targets.length === 0;
}

function newGathering(): Gathering {
  return { batch: new RecordBatch(), targets: [], packetIds: [], reasonCodes: [] };
}
