/** What the world outside a process that may end at any instant knows of its stream, for tests. */
import assert from 'node:assert/strict';
import { isOpenShard, textOf } from './embedded-world.ts';
import type { SequenceNumber, Shard, ShardId, StreamReader, StreamRecord } from './port.ts';
import { hashKeyOf } from './shards.ts';

/** Who sent what, and what was answered. It never forgets. A record's text is `key:count:…`. */
export class Ledger {
  readonly #sent = new Set<string>();
  readonly #acknowledged = new Map<SequenceNumber, string>();
  readonly #handled = new Map<SequenceNumber, string>();
  readonly #refused = new Set<string>();
  readonly #shards = new Set<ShardId>();
  readonly #wrong: string[] = [];
  #handledUpTo = new Map<string, SequenceNumber>();

  sent(text: string): void {
    this.#sent.add(text);
  }

  refused(text: string): void {
    this.#refused.add(text);
  }

  /** Nobody waits for what is thrown here, so what is wrong is told at the end. */
  acknowledged(sequenceNumber: SequenceNumber, text: string): void {
    const known = this.#acknowledged.get(sequenceNumber);
    if (known !== undefined) this.#wrong.push(`record ${sequenceNumber} was acknowledged twice: ${known}, ${text}`);
    this.#acknowledged.set(sequenceNumber, text);
  }

  /** A split or merge was answered, and these are the shards since. */
  resharded(shards: Shard[]): void {
    for (const { shardId } of shards) this.#shards.add(shardId);
  }

  readerStarts(): void {
    this.#handledUpTo = new Map();
  }

  handled(record: StreamRecord, shard: Shard): void {
    const { sequenceNumber, partitionKey } = record;
    this.checkRecord(record, shard);
    const before = this.#handledUpTo.get(partitionKey) ?? 0n;
    assert.ok(sequenceNumber > before, `record ${sequenceNumber} of ${partitionKey} was handled out of order`);
    this.#handledUpTo.set(partitionKey, sequenceNumber);
    const text = this.#handled.get(sequenceNumber) ?? textOf(record);
    assert.equal(textOf(record), text, `record ${sequenceNumber} has changed since it was handled`);
    this.#handled.set(sequenceNumber, textOf(record));
  }

  checkRecord(record: StreamRecord, shard: Shard): void {
    const { sequenceNumber, partitionKey } = record;
    const text = textOf(record);
    assert.ok(this.#sent.has(text), `record ${sequenceNumber} was never sent: ${text}`);
    assert.ok(!this.#refused.has(text), `record ${sequenceNumber} was refused with stream.full: ${text}`);
    const acknowledged = this.#acknowledged.get(sequenceNumber) ?? text;
    assert.equal(text, acknowledged, `record ${sequenceNumber} is another than was acknowledged`);
    const hashKey = hashKeyOf(partitionKey);
    const { hashKeys, startingSequenceNumber: starting, endingSequenceNumber: ending = sequenceNumber } = shard;
    assert.ok(hashKeys.from <= hashKey && hashKey <= hashKeys.to, `${text} does not belong into ${shard.shardId}`);
    assert.ok(starting <= sequenceNumber && sequenceNumber <= ending, `${text} is not within ${shard.shardId}`);
  }

  get acknowledgements(): number {
    return this.#acknowledged.size;
  }

  /** Nothing acknowledged was missed, and each key's records were handled in the order they were sent. */
  checkEnd(shards: Shard[]): void {
    assert.deepEqual(this.#wrong, []);
    for (const [sequenceNumber, text] of this.#acknowledged) {
      assert.equal(this.#handled.get(sequenceNumber), text, `acknowledged record ${sequenceNumber} was not handled`);
    }
    const inOrder = [...this.#handled].sort(([left], [right]) => (left < right ? -1 : 1)).map(([, text]) => text);
    for (const [key, texts] of Map.groupBy(inOrder, text => text.split(':')[0])) {
      const numbers = texts.map(text => Number(text.split(':')[1]));
      for (const [index, number] of numbers.entries()) {
        assert.ok(index === 0 || number > numbers[index - 1], `${key}: ${number} after ${numbers[index - 1]}`);
      }
    }
    const known = new Set(shards.map(({ shardId }) => shardId));
    for (const shardId of this.#shards) assert.ok(known.has(shardId), `${shardId} was there once and is not any more`);
  }
}

/** How far each shard was handled; kept by somebody who does not lose power. */
export type Checkpoints = Map<ShardId, SequenceNumber | 'finished'>;

/** What retention may remove. */
export function consumedUpTo(checkpoints: Checkpoints): SequenceNumber | null {
  const unfinished = [...checkpoints.values()].filter(checkpoint => checkpoint !== 'finished');
  if (unfinished.length === 0) return null;
  return unfinished.reduce((least, checkpoint) => (checkpoint < least ? checkpoint : least));
}

/**
 * Reads each shard on from its checkpoint, once, children when their parents are finished, and hands on what it finds.
 * @returns whether there was anything
 */
export async function followOnce(
  reader: StreamReader,
  checkpoints: Checkpoints,
  handle: (record: StreamRecord, shard: Shard) => void,
): Promise<boolean> {
  let found = false;
  const shards = await reader.shards();
  const isFinished = (shardId: ShardId | undefined) =>
    shardId === undefined ||
    checkpoints.get(shardId) === 'finished' ||
    !shards.some(shard => shard.shardId === shardId);
  for (const shard of shards) {
    const { shardId, parentShardId, adjacentParentShardId, startingSequenceNumber } = shard;
    if (!isFinished(parentShardId) || !isFinished(adjacentParentShardId)) continue;
    const after = checkpoints.get(shardId) ?? startingSequenceNumber - 1n;
    if (after === 'finished') continue;
    checkpoints.set(shardId, after);
    const records = await reader.read(shardId, after, 500);
    for (const record of records) handle(record, shard);
    if (records.length > 0) checkpoints.set(shardId, records[records.length - 1].sequenceNumber);
    else if (!isOpenShard(shard)) checkpoints.set(shardId, 'finished');
    found ||= records.length > 0 || !isOpenShard(shard);
  }
  return found;
}
