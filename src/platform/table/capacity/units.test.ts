import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type EntryChange, entryWriteUnits, readUnits, transactionalWriteUnits, writeUnits } from './units.ts';

const KB = 1024;

const reads: readonly (readonly [bytes: number, eventual: number, strong: number, transactional: number])[] = [
  [0, 0.5, 1, 2], // an absent item, an empty page
  [1, 0.5, 1, 2],
  [4 * KB, 0.5, 1, 2],
  [4 * KB + 1, 1, 2, 4],
  [8 * KB, 1, 2, 4],
  [9 * KB, 1.5, 3, 6],
  [400 * KB, 50, 100, 200],
  [1024 * KB, 128, 256, 512],
];

const writes: readonly (readonly [bytes: number, units: number])[] = [
  [0, 1], // deleting what is not there
  [1, 1],
  [KB, 1],
  [KB + 1, 2],
  [1536, 2],
  [400 * KB, 400],
];

const entries: readonly (readonly [change: EntryChange, left: number, entered: number])[] = [
  [{ beforeBytes: undefined, afterBytes: undefined, kind: 'unchanged' }, 0, 0],
  [{ beforeBytes: undefined, afterBytes: 1500, kind: 'changed' }, 0, 2],
  [{ beforeBytes: 1500, afterBytes: undefined, kind: 'changed' }, 2, 0],
  [{ beforeBytes: 1500, afterBytes: 1500, kind: 'unchanged' }, 0, 0],
  [{ beforeBytes: 3000, afterBytes: 100, kind: 'changed' }, 0, 3],
  [{ beforeBytes: 100, afterBytes: 3000, kind: 'changed' }, 0, 3],
  [{ beforeBytes: 1500, afterBytes: 100, kind: 'moved' }, 2, 1],
];

describe('capacity units', () => {
  it('counts a read in blocks of 4 KB, by how consistent it is', () => {
    for (const [bytes, eventual, strong, transactional] of reads) {
      const all = [readUnits(bytes, 'eventual'), readUnits(bytes, 'strong'), readUnits(bytes, 'transactional')];
      assert.deepEqual(all, [eventual, strong, transactional], `${bytes} bytes`);
    }
  });

  it('counts a write in blocks of 1 KB, twice in a transaction', () => {
    for (const [bytes, units] of writes) {
      assert.equal(writeUnits(bytes), units, `${bytes} bytes`);
      assert.equal(transactionalWriteUnits(bytes), 2 * units, `${bytes} bytes`);
    }
  });

  it('counts an index entry where it was and where it is, and nothing when it need not be written', () => {
    for (const [change, left, entered] of entries) {
      assert.deepEqual(entryWriteUnits(change), { left, entered }, JSON.stringify(change));
    }
  });
});
