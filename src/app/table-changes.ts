/**
 * Functions for what happens to entities: the changes of the app's table, read as a stream is read, so that the same
 * consumer gives them to functions in order, in batches, at least once, and sets aside what fails.
 *
 * What the app keeps for itself in the same table (checkpoints, dead letters, commands, lookup records) is passed by
 * without a trace: a reader that told of it would make its consumer save a checkpoint, which is a change again.
 */
import assert from 'node:assert/strict';
import { bufferOf } from '../kernel/bytes.ts';
import {
  checkpointNotReached,
  type SequenceNumber,
  type Shard,
  type ShardId,
  type StartingPosition,
  type StreamReader,
  type StreamRecord,
  wholeShard,
} from '../platform/stream/index.ts';
import {
  type ChangeFeed,
  changedAtMs,
  type DocumentChange,
  readChange,
  readChangedKey,
  type StoredChange,
  type TableSchema,
} from '../platform/table/index.ts';
import { declaredAggregates } from './aggregates.ts';
import type { App } from './define-app.ts';
import { appTable, entityOfRecord } from './entities/index.ts';
import type { StreamTrigger } from './triggers/stream-trigger.ts';

/** All changes of the app's table; what AWS splits into shards is one here. */
export const changesShard: ShardId = 'table-changes';

const changeLimits = {
  passedByMax: 1_000, // ours: then a reader tells how far it is, so that a restart does not look at more of them again
  passedByMs: 3_600_000, // ours: or so often, so that its checkpoint is never near the end of retention
} as const;

/** The key of an item in the app's table. */
interface RecordKey {
  readonly PK: string;
  readonly SK: string;
}

export type ChangeFilter = (key: RecordKey) => boolean;

/** The tables of an app. Changes are kept only if somebody listens, as each costs another write. */
export function tablesOf(app: App): TableSchema[] {
  return [listensToChanges(app) ? { ...appTable, stream: 'NEW_AND_OLD_IMAGES' } : appTable];
}

function listensToChanges(app: App): boolean {
  const hasFunction = Object.values(app.functions).some(({ kind }) => kind === 'entityChange');
  return hasFunction || declaredAggregates(app).length > 0;
}

/** The base records of an entity: each entity has one, beside its lookup records. */
export function baseRecordsOf(entity: string): ChangeFilter {
  return key => entityOfRecord(key) === entity;
}

/** Reads the changes that `wants` wants. One consumer each. */
export class TableChangeReader implements StreamReader {
  readonly #feed: ChangeFeed;
  readonly #wants: ChangeFilter;
  readonly #onGap: (missed: bigint) => void;
  /** Behind `after` nothing was wanted up to `upTo`. */
  #passed: { readonly after: SequenceNumber; readonly upTo: SequenceNumber; readonly sinceMs: number } | undefined;

  constructor(options: { feed: ChangeFeed; wants: ChangeFilter; onGap: (missed: bigint) => void }) {
    this.#feed = options.feed;
    this.#wants = options.wants;
    this.#onGap = options.onGap;
  }

  async shards(): Promise<Shard[]> {
    return [{ ...wholeShard(), shardId: changesShard }];
  }

  /** Of the starting positions only those that a function for changes can have. */
  async locate(_shardId: ShardId, position: StartingPosition): Promise<SequenceNumber | null> {
    assert(position.type === 'TRIM_HORIZON' || position.type === 'LATEST');
    return position.type === 'LATEST' ? this.#feed.lastSequenceNumber() : null;
  }

  async read(_shardId: ShardId, after: SequenceNumber | null, bytesMax: number): Promise<StreamRecord[]> {
    const last = this.#feed.lastSequenceNumber();
    if (after !== null && after > last) throw checkpointNotReached(after, last);
    const from = this.#reached(after);
    if (from >= last) return [];
    const changes = this.#feed.read(from, bytesMax);
    const first = changes.length > 0 ? changes[0].sequenceNumber : last + 1n; // All of them may have been trimmed.
    const missed = first - from - 1n;
    if (after !== null && missed > 0n) this.#onGap(missed);
    if (changes.length === 0) {
      this.#passed = { after: after ?? 0n, upTo: last, sinceMs: this.#passed?.sinceMs ?? 0 };
      return [];
    }
    const records = changes.filter(({ encoded }) => this.#wants(keyOf(encoded))).map(toRecord);
    if (records.length === 0) return this.#passBy(after ?? 0n, changes);
    this.#passed = undefined;
    return records;
  }

  async waitBeyond(_shardId: ShardId, after: SequenceNumber | null, signal: AbortSignal): Promise<void> {
    const from = this.#reached(after);
    while (!signal.aborted && this.#feed.lastSequenceNumber() <= from) {
      await new Promise<void>(resolve => {
        const stop = this.#feed.onceBeyond(from, done);
        function done() {
          stop();
          signal.removeEventListener('abort', done);
          resolve();
        }
        signal.addEventListener('abort', done);
      });
    }
  }

  async close(): Promise<void> {}

  #reached(after: SequenceNumber | null): SequenceNumber {
    return this.#passed?.after === (after ?? 0n) ? this.#passed.upTo : (after ?? 0n);
  }

  /** Remembers what it has passed by; now and then it gives the last of it, which tells how far it is. */
  #passBy(after: SequenceNumber, changes: readonly StoredChange[]): StreamRecord[] {
    const last = changes[changes.length - 1];
    const sinceMs = this.#passed?.after === after ? this.#passed.sinceMs : changedAtMs(changes[0].encoded);
    const isDue =
      last.sequenceNumber - after >= changeLimits.passedByMax ||
      changedAtMs(last.encoded) - sinceMs >= changeLimits.passedByMs;
    this.#passed = isDue ? undefined : { after, upTo: last.sequenceNumber, sinceMs };
    return isDue ? [toRecord(last)] : [];
  }
}

/** Keyed by the partition of the item, so that what belongs to one entity stays in order. */
function toRecord({ sequenceNumber, encoded }: StoredChange): StreamRecord {
  return {
    sequenceNumber,
    partitionKey: keyOf(encoded).PK,
    data: bufferOf(encoded),
    arrivalAtMs: changedAtMs(encoded),
  };
}

function keyOf(encoded: Uint8Array): RecordKey {
  return readChangedKey(encoded) as unknown as RecordKey; // The keys of `appTable` are two strings.
}

/** The change a record means to a consumer, or undefined when it was only given to tell how far its reader is. */
export function selectChange(record: StreamRecord, wants: ChangeFilter): DocumentChange | undefined {
  return wants(keyOf(record.data)) ? readChange(record.data) : undefined;
}

/** How a consumer of changes is to be run. */
export interface ChangeConsumer<Event> extends StreamTrigger<Event> {
  readonly wantsKey: ChangeFilter;
  /** Changes were gone before it was given them. */
  readonly noteIncomplete?: () => Promise<void>;
}
