import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { streamLimits } from './limits.ts';
import { blockHeaderBytes, blockIsIntact, readBlockHeader, sealBlock, unpackRecords } from './log/block.ts';
import type { StreamRecord } from './port.ts';
import { RecordBatch } from './record-batch.ts';

const place = { firstSequenceNumber: 1n, arrivalAtMs: 0, previousChecksum: 0, groupBytesBefore: 0, salt: 0 };

const someRecords = fc.array(
  fc.record({
    partitionKey: fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }),
    data: fc.uint8Array({ maxLength: 300 }),
  }),
  { minLength: 1, maxLength: 20 },
);

function seal(records: { partitionKey: string; data: Uint8Array }[], at: Partial<typeof place> = {}): Buffer {
  const batch = new RecordBatch(64); // So small that it has to grow.
  for (const { partitionKey, data } of records) batch.add(partitionKey, data);
  const block = batch.take();
  sealBlock(block, batch.count, 3, { ...place, ...at });
  return block;
}

function unpack(bytes: Buffer, position: number, wanted: bigint): StreamRecord[] | undefined {
  const header = readBlockHeader(bytes, position);
  if (!header || !blockIsIntact(bytes, position, header)) return undefined;
  const records: StreamRecord[] = [];
  unpackRecords(bytes, position, header, { wanted, wants: undefined, into: records });
  return records;
}

describe('record batch', () => {
  it('comes back from its block as it was packed, from any record on', () => {
    const numbers = fc.bigInt({ min: 1n, max: 2n ** 63n - 1n });
    const arrivals = fc.integer({ min: 0, max: 4_102_444_800_000 });
    fc.assert(
      fc.property(someRecords, numbers, arrivals, fc.nat(25), (records, firstSequenceNumber, arrivalAtMs, skip) => {
        const block = seal(records, { firstSequenceNumber, arrivalAtMs, groupBytesBefore: 7, salt: 0xffff_ffff });
        const bytes = Buffer.concat([Buffer.alloc(13, 0xff), block, Buffer.alloc(5)]);
        const header = readBlockHeader(bytes, 13);
        assert.equal(header?.groupBytesBefore, 7);
        assert.equal(header.salt, 0xffff_ffff);
        const expected = records.map((record, index) => ({
          sequenceNumber: firstSequenceNumber + BigInt(index),
          partitionKey: record.partitionKey,
          data: Buffer.from(record.data),
          arrivalAtMs,
        }));
        assert.deepEqual(unpack(bytes, 13, firstSequenceNumber + BigInt(skip)), expected.slice(skip));
      }),
    );
  });

  it('is not taken for intact with any one byte changed, or cut: T03 T04', () => {
    const block = seal([{ partitionKey: 'a', data: Buffer.alloc(50, 7) }]);
    for (let at = 0; at < block.length; at++) {
      const damaged = Buffer.from(block);
      damaged[at] ^= 1 << (at % 8);
      assert.equal(unpack(damaged, 0, 1n), undefined, `byte ${at}`);
      assert.equal(unpack(block.subarray(0, at), 0, 1n), undefined, `cut at ${at}`);
    }
  });

  it('never makes a reader take memory for a length that no block has', () => {
    const block = seal([{ partitionKey: 'a', data: Buffer.alloc(5) }]);
    block.writeUInt32LE(streamLimits.largeBlockBytesMax - blockHeaderBytes + 1, 8);
    assert.equal(readBlockHeader(block, 0), undefined);
  });

  it('has room for the largest record until it is full, and never passes the size of a block', () => {
    const batch = new RecordBatch();
    while (!batch.isFull) batch.add('k'.repeat(256), Buffer.alloc(streamLimits.recordBytesMax - 256));
    assert.ok(batch.bytes <= streamLimits.blockBytesMax);
    const small = new RecordBatch();
    while (!small.isFull) small.add('k', Buffer.alloc(10_000));
    assert.ok(small.bytes <= streamLimits.blockBytesMax);
    assert.throws(() => {
      for (;;) small.add('k', Buffer.alloc(10_000)); // A caller who does not ask `isFull` is a bug of ours.
    }, assert.AssertionError);
  });

  it('takes nothing more once it is in the log', () => {
    const batch = new RecordBatch();
    batch.add('a', Buffer.alloc(1));
    batch.take();
    assert.throws(() => batch.add('a', Buffer.alloc(1)), assert.AssertionError);
  });

  it('is as it was after a refusal', () => {
    const batch = new RecordBatch();
    batch.add('a', Buffer.alloc(1));
    const { bytes, count } = batch;
    assert.throws(() => batch.reserve('a', streamLimits.recordBytesMax));
    assert.throws(() => batch.reserve('', 1));
    assert.deepEqual({ bytes: batch.bytes, count: batch.count }, { bytes, count });
  });
});
