import assert from 'node:assert/strict';
import { type Cause, encodeCause } from '../../kernel/causes.ts';
import type { Clock } from '../../kernel/clock.ts';
import type { Counters } from '../../kernel/counters.ts';
import { codeOf, MimamoriError } from '../../kernel/errors.ts';
import type { Random } from '../../kernel/random.ts';
import { type Appended, noneFailed, RecordBatch, type Stream, streamLimits } from '../../platform/stream/index.ts';
import type { TelemetryTarget } from '../access/port.ts';
import type { PartitionKeyStrategy } from '../port.ts';
import { envelopeBytes, writeEnvelope } from './envelope.ts';
import { partitionKeyOf } from './partition-key.ts';
import type { ReceivedTally } from './received-tally.ts';

/** Whoever waits to hear that its message is durable. One object per connection, not per message. */
export interface AckTarget {
  /** `answer` is whatever the target asked to be told. */
  acknowledge(packetId: number, answer: number): void;
  /** The message was not kept; `code` says why. */
  refuse(packetId: number, code: string, answer: number): void;
}

const ingestLimits = {
  groupBatchesMax: 8, // ours: 32 MiB go to the disk together, and as much may gather before senders are slowed down
} as const;
assert(ingestLimits.groupBatchesMax * streamLimits.blockBytesMax <= streamLimits.pendingBytesMax); // never `stream.busy`

/** What goes to the disk together and what its durability will answer, as parallel arrays: no object per message. */
interface Gathering {
  /** Made for the first message. */
  batch: RecordBatch | undefined;
  /** What sessions must remember of the same messages; most gatherings have nothing of it. */
  journal: RecordBatch | undefined;
  readonly targets: AckTarget[];
  readonly packetIds: number[];
  readonly answers: number[];
  /** By target: its record's index in the batch, or `noRecord`. */
  readonly records: number[];
  /** By record: whose it is. */
  readonly things: string[];
}

/** The target waits for what sessions must remember only. */
const noRecord = -1;

/**
 * The rule that joins the halves: device messages go into the stream, and only when a group of them is durable are
 * they acknowledged, in the order they came. What sessions must remember of them goes into the journal beside it, and
 * counts as much. While one group is on its way to the disk the next one gathers.
 */
export class Ingest {
  readonly #stream: Stream | undefined;
  readonly #journal: Stream | undefined;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #counters: Counters;
  readonly #afterAcks: () => void;
  readonly #onFailure: (error: unknown) => void;
  readonly #tally: ReceivedTally | undefined;
  /** Oldest first; the last one takes what comes, the others are full. Never empty. */
  #gatherings: Gathering[] = [newGathering()];
  /** Journal batches that the disk had no room for; oldest first. */
  readonly #unwritten: RecordBatch[] = [];
  #commitIsDue = false;
  #committing = false;
  #retryIsDue = false;
  #whenDrained: (() => void)[] = [];

  constructor(options: {
    /** Without one nothing can be offered. */
    stream: Stream | undefined;
    /** Without one there is no `journalBatch`. */
    journal?: Stream;
    clock: Clock;
    /** What keys are made of for telemetry that is keyed by chance. */
    random: Random;
    counters: Counters;
    /** Counts what has become durable; default: nobody does. */
    tally?: ReceivedTally;
    /** Called once after the acknowledgements of a group were handed out. */
    afterAcks: () => void;
    /** The stream is over: nothing can be acknowledged any more. */
    onFailure: (error: unknown) => void;
  }) {
    this.#stream = options.stream;
    this.#journal = options.journal;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#counters = options.counters;
    this.#afterAcks = options.afterAcks;
    this.#onFailure = options.onFailure;
    this.#tally = options.tally;
  }

  /** Whether messages can be offered at all. */
  get hasStream(): boolean {
    return this.#stream !== undefined;
  }

  /**
   * Takes a message into the next group. `target` hears of it when it is durable; QoS 0 has none. Throws
   * `stream.recordTooLarge` or `stream.partitionKeyNotValid`, and has taken nothing then.
   */
  offer(
    thingName: string,
    topic: string,
    payload: Uint8Array,
    target?: AckTarget,
    packetId = 0,
    answer = 0,
    strategy?: PartitionKeyStrategy,
  ): void {
    const batch = this.#put(thingName, this.#keyOf(thingName, payload, strategy), topic, payload, undefined);
    if (target) this.#answerFor(batch.count - 1, target, packetId, answer);
    else this.#schedule();
  }

  /** The same for what a function has made; resolves when it is durable. Rejects with `ingest.refused` if it was not kept. */
  offerOwn(
    { thingName, partitionKey }: TelemetryTarget,
    topic: string,
    payload: Uint8Array,
    cause: Cause | undefined,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const key = this.#keyOf(thingName, payload, partitionKey);
      const batch = this.#put(thingName, key, topic, payload, cause && encodeCause(cause));
      const refuse = (_packetId: number, code: string) => reject(notKept(topic, code));
      this.#answerFor(batch.count - 1, { acknowledge: () => resolve(), refuse }, 0, 0);
    });
  }

  #keyOf(thingName: string, payload: Uint8Array, strategy: PartitionKeyStrategy | undefined): string {
    if (strategy === undefined) return thingName;
    return partitionKeyOf(strategy, { otherwise: thingName, payload, random: this.#random });
  }

  #put(
    thingName: string,
    partitionKey: string,
    topic: string,
    payload: Uint8Array,
    cause: Uint8Array | undefined,
  ): RecordBatch {
    const gathering = this.#gathering();
    gathering.batch ??= new RecordBatch();
    const { batch } = gathering;
    const topicBytes = Buffer.byteLength(topic);
    const position = batch.reserve(partitionKey, envelopeBytes(topicBytes, payload.length, cause));
    writeEnvelope(batch.buffer, position, topic, topicBytes, payload, cause);
    if (this.#tally) gathering.things.push(thingName);
    return batch;
  }

  /** Where the journal's next record goes: to the disk with whatever is offered and answered in this turn. */
  journalBatch(): RecordBatch {
    assert(this.#journal);
    const gathering = this.#gathering();
    gathering.journal ??= new RecordBatch(journalBatchBytes);
    this.#schedule();
    return gathering.journal;
  }

  /** Sends an acknowledgement that needs no record in its turn: after those of everything offered before it. */
  answerInOrder(target: AckTarget, packetId: number, answer: number): void {
    this.#answerFor(noRecord, target, packetId, answer);
  }

  #answerFor(record: number, target: AckTarget, packetId: number, answer: number): void {
    const gathering = this.#gatherings[this.#gatherings.length - 1];
    gathering.targets.push(target);
    gathering.packetIds.push(packetId);
    gathering.answers.push(answer);
    gathering.records.push(record);
    this.#schedule();
  }

  /** Whether so much waits for the disk that senders must be slowed down. */
  get isSaturated(): boolean {
    return this.#gatherings.length + this.#unwritten.length > ingestLimits.groupBatchesMax;
  }

  /** Calls `resume` once it is no longer saturated. */
  onceDrained(resume: () => void): void {
    if (this.isSaturated) this.#whenDrained.push(resume);
    else this.#clock.soon(resume);
  }

  #gathering(): Gathering {
    const newest = this.#gatherings[this.#gatherings.length - 1];
    if (newest.batch?.isFull !== true && newest.journal?.isFull !== true) return newest;
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
    while (!isEmpty(this.#gatherings[0]) || this.#unwritten.length > 0) {
      const group = this.#gatherings.splice(0, ingestLimits.groupBatchesMax);
      if (this.#gatherings.length === 0) this.#gatherings.push(newGathering());
      if (!this.isSaturated) this.#releaseSenders();
      await this.#commitGroup(group);
      if (this.#unwritten.length > 0) break;
    }
    this.#committing = false;
    if (this.#unwritten.length > 0) this.#retryLater();
    if (!this.isSaturated) this.#releaseSenders(); // Also those who waited for what the journal owed.
  }

  /** Senders may all be waiting, and then nobody else would try again. */
  #retryLater(): void {
    if (this.#retryIsDue) return;
    this.#retryIsDue = true;
    this.#clock.setTimer(journalRetryMs, () => {
      this.#retryIsDue = false;
      this.#schedule();
    });
  }

  async #commitGroup(group: Gathering[]): Promise<void> {
    const journaling = this.#appendToJournal(group);
    const outcomes = await Promise.allSettled(
      group.map(({ batch }) => (hasRecords(batch) ? this.#stream?.append(batch) : undefined)),
    );
    const journalFailure = await journaling;
    let failed: unknown;
    for (const [index, outcome] of outcomes.entries()) {
      const isBehindFailure = journalFailure !== undefined && index >= journalFailure.from;
      const failure = isBehindFailure
        ? journalFailure.error
        : outcome.status === 'rejected'
          ? outcome.reason
          : undefined;
      const appended = appendedOf(outcome);
      if (appended) this.#tally?.add(group[index].things, appended);
      if (failure === undefined) this.#acknowledge(group[index], appended?.failed ?? noneFailed);
      else this.#refuse(group[index], failure);
      if (codeOf(failure) === 'stream.failed') failed = failure;
    }
    if (failed !== undefined) this.#onFailure(failed);
    this.#afterAcks();
  }

  /**
   * One after the other, since later records build on earlier ones. What the disk has no room for is kept and comes
   * first the next time: memory has moved on, so the journal must not miss it.
   * @returns what went wrong, and from which gathering on nothing can be promised
   */
  async #appendToJournal(group: readonly Gathering[]): Promise<{ error: unknown; from: number } | undefined> {
    const before = this.#unwritten.length;
    for (const { journal } of group) if (journal && journal.count > 0) this.#unwritten.push(journal);
    for (let written = 0; this.#unwritten.length > 0; written++) {
      try {
        await this.#journal?.append(this.#unwritten[0]);
        this.#unwritten.shift();
      } catch (error) {
        const missing = this.#unwritten[0];
        return { error, from: written < before ? 0 : group.findIndex(({ journal }) => journal === missing) };
      }
    }
    return undefined;
  }

  /** All but the records that the stream refused one by one, as a throttled shard does. */
  #acknowledge({ batch, targets, packetIds, answers, records }: Gathering, failed: Appended['failed']): void {
    if (batch) {
      this.#counters.add('ingest.received', batch.count);
      this.#counters.add('ingest.durable', batch.count - failed.size);
      for (const { code } of failed.values()) this.#counters.add(`ingest.refused.${code}`);
    }
    for (let index = 0; index < targets.length; index++) {
      const refusal = failed.get(records[index]);
      if (refusal === undefined) targets[index].acknowledge(packetIds[index], answers[index]);
      else targets[index].refuse(packetIds[index], refusal.code, answers[index]);
    }
  }

  /** Of the whole batch nothing was kept. The sender tries again what it is refused, whatever the answer was. */
  #refuse({ batch, targets, packetIds, answers }: Gathering, error: unknown): void {
    const code = codeOf(error);
    if (batch) {
      this.#counters.add('ingest.received', batch.count);
      this.#counters.add(`ingest.refused.${code}`, batch.count);
    }
    for (let index = 0; index < targets.length; index++) targets[index].refuse(packetIds[index], code, answers[index]);
  }

  #releaseSenders(): void {
    const resumes = this.#whenDrained;
    this.#whenDrained = [];
    for (const resume of resumes) resume();
  }
}

function isEmpty({ batch, journal, targets }: Gathering): boolean {
  return !hasRecords(batch) && targets.length === 0 && journal === undefined;
}

/** One whose only record was refused as too large has none. */
function hasRecords(batch: RecordBatch | undefined): batch is RecordBatch {
  return batch !== undefined && batch.count > 0;
}

function appendedOf(outcome: PromiseSettledResult<Appended | undefined>): Appended | undefined {
  return outcome.status === 'fulfilled' ? outcome.value : undefined;
}

function newGathering(): Gathering {
  return { batch: undefined, journal: undefined, targets: [], packetIds: [], answers: [], records: [], things: [] };
}

const notKept = (topic: string, code: string) =>
  new MimamoriError({
    code: 'ingest.refused',
    message: `A message of the app's own on ${topic} was not kept by the stream (${code}).`,
    fix: 'Publish it again. If it lasts, the disk is full or has failed: see the log.',
    retryable: true,
  });

const journalRetryMs = 1_000; // ours: how often a full disk is asked again
const journalBatchBytes = 4 * 1024; // ours: to begin with; it grows
