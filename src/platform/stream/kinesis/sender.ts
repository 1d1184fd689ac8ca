import assert from 'node:assert/strict';
import type { Clock } from '../../../kernel/clock.ts';
import { MimamoriError } from '../../../kernel/errors.ts';
import { Fifo } from '../../../kernel/fifo.ts';
import type { Random } from '../../../kernel/random.ts';
import type { Place } from '../port.ts';
import type { KinesisLimits } from './limits.ts';
import type { PendingAppend } from './pending-append.ts';

export interface OutgoingRecord {
  readonly append: PendingAppend;
  /** Within the append. */
  readonly index: number;
  readonly partitionKey: string;
  readonly explicitHashKey: bigint | undefined;
  readonly data: Buffer;
  /** As PutRecords counts them: key and data. */
  readonly bytes: number;
}

/** One PutRecords: what became of each record. Throws a MimamoriError when nothing of it was taken. */
export type PutCall = (records: readonly OutgoingRecord[]) => Promise<(Place | MimamoriError)[]>;

export interface SenderOptions {
  readonly put: PutCall;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: KinesisLimits;
}

/** The records of one partition key, of which one is under way at a time. */
interface Lane {
  readonly partitionKey: string;
  readonly records: Fifo<OutgoingRecord>;
  attempts: number;
  /** Since when every attempt failed; undefined after one that did not. */
  failingSinceMs: number | undefined;
  /** Its next record is asked for by itself, because it was in a call that was refused as a whole. */
  isSuspect: boolean;
}

/**
 * Sends records with PutRecords, which promises no order: one that is throttled may be sent again only behind later ones
 * of the same call. Therefore a call holds at most one record of a partition key, and the next one of that key goes out
 * when the one before is kept. Different keys wait for each other only as far as calls have room.
 */
export class Sender {
  readonly #options: SenderOptions;
  readonly #lanes = new Map<string, Lane>();
  /** Lanes whose next record may go now. */
  readonly #ready = new Fifo<Lane>();
  #calls = 0;

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** Takes a record; `send` lets it go. */
  add(record: OutgoingRecord): void {
    let lane = this.#lanes.get(record.partitionKey);
    if (!lane) {
      const { partitionKey } = record;
      lane = { partitionKey, records: new Fifo(), attempts: 0, failingSinceMs: undefined, isSuspect: false };
      this.#lanes.set(partitionKey, lane);
      this.#ready.push(lane);
    }
    lane.records.push(record);
  }

  send(): void {
    while (this.#calls < this.#options.limits.callsMax && this.#ready.length > 0) void this.#sendOne(this.#pick());
  }

  /** What fits into one call, at least one record. */
  #pick(): Lane[] {
    const { callRecordsMax, callBytesMax } = this.#options.limits;
    const picked: Lane[] = [];
    let bytes = 0;
    for (let lane = this.#ready.peek(); lane && picked.length < callRecordsMax; lane = this.#ready.peek()) {
      bytes += nextOf(lane).bytes;
      if (picked.length > 0 && (bytes > callBytesMax || lane.isSuspect)) break;
      this.#ready.shift();
      picked.push(lane);
      if (lane.isSuspect) break;
    }
    return picked;
  }

  async #sendOne(lanes: Lane[]): Promise<void> {
    this.#calls++;
    const outcomes = await this.#outcomesOf(lanes.map(nextOf));
    this.#calls--;
    const later: Lane[] = [];
    for (const [index, lane] of lanes.entries()) {
      const verdict = this.#judge(lane, outcomes[index], lanes.length === 1);
      if (verdict === 'later') later.push(lane);
      else if (lane.records.length > 0) this.#ready.push(lane);
      else this.#lanes.delete(lane.partitionKey);
    }
    if (later.length > 0) this.#sendLater(later);
    this.send();
  }

  async #outcomesOf(records: OutgoingRecord[]): Promise<(Place | MimamoriError)[]> {
    try {
      return await this.#options.put(records);
    } catch (error) {
      if (!(error instanceof MimamoriError)) throw error;
      return records.map(() => error);
    }
  }

  /** Settles the lane's next record, or says when to send it again. */
  #judge(lane: Lane, outcome: Place | MimamoriError, wasAlone: boolean): 'next' | 'later' {
    if (!(outcome instanceof MimamoriError)) {
      const record = lane.records.shift();
      record?.append.keep(record.index, outcome);
      lane.attempts = 0;
      lane.failingSinceMs = undefined;
      lane.isSuspect = false;
      return 'next';
    }
    // One record that no call may hold must not take the others of its call with it.
    if (outcome.code === 'stream.refused' && !wasAlone) {
      lane.isSuspect = true;
      return 'next';
    }
    const nowMs = this.#options.clock.monotonicMs();
    lane.failingSinceMs ??= nowMs;
    lane.attempts++;
    if (outcome.retryable && nowMs - lane.failingSinceMs < this.#options.limits.giveUpMs) return 'later';
    giveUp(lane, outcome);
    lane.isSuspect = false;
    return 'next';
  }

  #sendLater(lanes: Lane[]): void {
    const { clock, random, limits } = this.#options;
    const attempts = Math.max(...lanes.map(lane => lane.attempts));
    const delayMs = Math.min(limits.retryDelayMsMin * 2 ** (attempts - 1), limits.retryDelayMsMax);
    clock.setTimer(delayMs / 2 + random.integer(Math.ceil(delayMs / 2) + 1), () => {
      for (const lane of lanes) this.#ready.push(lane);
      this.send();
    });
  }
}

function nextOf(lane: Lane): OutgoingRecord {
  const record = lane.records.peek();
  assert(record); // A lane without records is no lane.
  return record;
}

/** Refuses the next record, and those of the same append and key that follow: they must not overtake it. */
function giveUp(lane: Lane, error: MimamoriError): void {
  const { append } = nextOf(lane);
  for (let record = lane.records.peek(); record?.append === append; record = lane.records.peek()) {
    append.refuse(record.index, error);
    lane.records.shift();
  }
}
