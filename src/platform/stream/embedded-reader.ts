import type { Files } from '../../kernel/files.ts';
import { checkpointNotReached, streamCorrupt } from './errors.ts';
import { type BlockHeader, blockBytesOf, blockIsIntact, lastSequenceNumberOf, unpackRecords } from './log/block.ts';
import { LogCursor, type LogFiles } from './log/cursor.ts';
import { findByTime } from './log/locate.ts';
import { findLogDirectory } from './log/segment.ts';
import { readShardMap } from './log/shard-map-file.ts';
import type {
  PassedRecords,
  RecordFilter,
  SequenceNumber,
  Shard,
  ShardId,
  StartingPosition,
  StreamReader,
  StreamRecord,
} from './port.ts';
import { getShard, isOpen, type KeptShard, listed, openShardsOf, type ShardMap, unshardedMap } from './shards.ts';
import type { StreamTail } from './tail.ts';

const readerLimits = {
  cursorsMax: 16, // ours: places kept open between reads, one for each shard read lately
  aheadMax: 10_000n, // ours: records a place is moved on by reading; to go farther, the index is faster
} as const;

/** A place in the log, for the records of one shard. */
interface Place {
  readonly cursor: LogCursor;
  /** From this record to the cursor there is nothing of the shard. */
  passed: SequenceNumber;
}

/** The shards, as of what the tail said when the map of them was read. */
interface KnownShards {
  readonly map: ShardMap;
  readonly generation: number;
}

/** What is to be read: records of a shard, `wanted` being the first and `last` the last of them. */
interface Range {
  readonly shard: KeptShard;
  readonly shards: KnownShards;
  readonly wanted: SequenceNumber;
  readonly last: SequenceNumber;
}

export interface EmbeddedReaderOptions {
  readonly files: Files;
  /** Of the stream. */
  readonly directory: string;
  readonly tail: StreamTail;
}

/**
 * Reads the log of the embedded engine from its files, never past what `tail` says is durable. All shards lie in one log:
 * who reads one steps over the blocks of the others.
 */
export class EmbeddedStreamReader implements StreamReader {
  readonly #files: Files;
  readonly #directory: string;
  readonly #tail: StreamTail;
  #log: LogFiles | undefined;
  #shards: KnownShards | undefined;
  /** Between reads; the one used longest ago comes first. */
  readonly #places = new Map<ShardId, Place>();
  #closed = false;

  constructor({ files, directory, tail }: EmbeddedReaderOptions) {
    this.#files = files;
    this.#directory = directory;
    this.#tail = tail;
  }

  async shards(): Promise<Shard[]> {
    return listed((await this.#currentShards()).map);
  }

  async locate(shardId: ShardId, position: StartingPosition): Promise<SequenceNumber | null> {
    getShard((await this.#currentShards()).map, shardId);
    switch (position.type) {
      case 'TRIM_HORIZON':
        return null;
      case 'LATEST':
        return this.#tail.lastSequenceNumber();
      case 'AT_SEQUENCE_NUMBER':
        return position.sequenceNumber - 1n;
      case 'AFTER_SEQUENCE_NUMBER':
        return position.sequenceNumber;
      case 'AT_TIMESTAMP':
        return this.#beforeTime(position.atMs);
    }
  }

  /** The same in all shards: numbers and arrivals of all of them increase together. */
  async #beforeTime(atMs: number): Promise<SequenceNumber | null> {
    const last = this.#tail.lastSequenceNumber();
    if (last === 0n) return null;
    const found = await findByTime(await this.#logFiles(), atMs, last);
    return found === undefined ? last : found - 1n;
  }

  async read(
    shardId: ShardId,
    after: SequenceNumber | null,
    bytesMax: number,
    wants?: RecordFilter,
    passed?: PassedRecords,
  ): Promise<StreamRecord[]> {
    const range = await this.#rangeAfter(shardId, after);
    const { shard, wanted, last } = range;
    const records: StreamRecord[] = [];
    if (wanted > last) return records;
    const place = await this.#takePlace(range);
    try {
      let bytes = 0;
      const visit = (chunk: Buffer, position: number, header: BlockHeader) => {
        if (header.shardNumber !== shard.number) return true;
        const lastOfBlock = lastSequenceNumberOf(header);
        if (lastOfBlock < wanted) return true;
        if (!blockIsIntact(chunk, position, header)) throw place.cursor.corruption('the checksum does not match');
        unpackRecords(chunk, position, header, { wanted, wants, passed, into: records });
        bytes += blockBytesOf(header);
        place.passed = lastOfBlock;
        return true;
      };
      while (bytes < bytesMax && place.cursor.nextSequenceNumber <= last) {
        await place.cursor.advance(last, bytesMax - bytes, visit);
      }
    } catch (error) {
      if (records.length === 0) {
        await place.cursor.close();
        throw error;
      }
      // What stands before damage is served; the next read begins in front of it, knows what is before it, and throws.
    }
    await this.#keepPlace(shardId, place);
    return records;
  }

  async waitBeyond(shardId: ShardId, after: SequenceNumber | null, signal: AbortSignal): Promise<void> {
    for (;;) {
      const range = await this.#rangeAfter(shardId, after);
      const seen = { sequenceNumber: range.last, generation: range.shards.generation };
      if (signal.aborted || !isOpen(range.shard) || (await this.#holdsAny(range))) return;
      await new Promise<void>(resolve => {
        const stop = this.#tail.onceMoved(seen, done);
        function done() {
          stop();
          signal.removeEventListener('abort', done);
          resolve();
        }
        signal.addEventListener('abort', done);
        if (signal.aborted) done(); // While the log was looked through; the event has passed.
      });
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const places = [...this.#places.values()];
    this.#places.clear();
    for (const { cursor } of places) await cursor.close();
  }

  /** Throws `stream.shardNotFound`, `stream.checkpointNotReached`. */
  async #rangeAfter(shardId: ShardId, after: SequenceNumber | null): Promise<Range> {
    const shards = await this.#currentShards();
    const shard = getShard(shards.map, shardId);
    const { startingSequenceNumber: starting, endingSequenceNumber: ending } = shard;
    const durable = this.#tail.lastSequenceNumber();
    if (after !== null && after > durable) throw checkpointNotReached(after, durable);
    const wanted = after === null || after < starting ? starting : after + 1n;
    return { shard, shards, wanted, last: ending !== undefined && ending < durable ? ending : durable };
  }

  /** Whether the range holds a record. Leaves a place in front of the first. */
  async #holdsAny(range: Range): Promise<boolean> {
    const { shard, shards, wanted, last } = range;
    if (wanted > last) return false;
    if (openShardsOf(shards.map).length === 1) return true; // What is in the log now is of this one.
    const place = await this.#takePlace(range);
    try {
      let isPassed = true;
      while (isPassed && place.cursor.nextSequenceNumber <= last) {
        isPassed = await place.cursor.advance(last, 0, (_chunk, _position, header) => {
          return header.shardNumber !== shard.number || lastSequenceNumberOf(header) < wanted;
        });
      }
      await this.#keepPlace(shard.shardId, place);
      return !isPassed;
    } catch {
      await place.cursor.close();
      return true; // The read that follows serves what stands before the damage, and says where it is.
    }
  }

  /** Goes on where the last read of the shard stopped, if that is not behind `wanted` and not far before it. */
  async #takePlace({ shard, wanted }: Range): Promise<Place> {
    const kept = this.#places.get(shard.shardId);
    this.#places.delete(shard.shardId); // Whoever reads at the same time finds a place of its own.
    if (kept && kept.passed < wanted && wanted < kept.cursor.nextSequenceNumber + readerLimits.aheadMax) {
      kept.passed = wanted - 1n;
      return kept;
    }
    await kept?.cursor.close();
    return { cursor: await LogCursor.open(await this.#logFiles(), wanted), passed: wanted - 1n };
  }

  async #keepPlace(shardId: ShardId, place: Place): Promise<void> {
    const other = this.#places.get(shardId);
    this.#places.delete(shardId);
    this.#places.set(shardId, place);
    await other?.cursor.close();
    if (this.#closed) return this.close();
    const [longestAgo] = this.#places;
    if (this.#places.size <= readerLimits.cursorsMax) return;
    this.#places.delete(longestAgo[0]);
    await longestAgo[1].cursor.close();
  }

  async #logFiles(): Promise<LogFiles> {
    const files = this.#files;
    this.#log ??= { files, directory: await findLogDirectory(files, this.#directory) };
    return this.#log;
  }

  /** As the tail says they are now. */
  async #currentShards(): Promise<KnownShards> {
    for (let before = -1; ; ) {
      const generation = this.#tail.shardsGeneration();
      if (this.#shards?.generation === generation) return this.#shards;
      if (generation === before) throw streamCorrupt(this.#directory, 0, 'the shards of the stream are not known');
      const map = await readShardMap(this.#files, this.#directory, generation);
      if (map || generation === 0) this.#shards = { map: map ?? unshardedMap, generation };
      before = generation; // When it was replaced while it was to be read, the tail says another by now.
    }
  }
}
