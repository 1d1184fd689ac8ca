import type { StreamRecord } from '../port.ts';

const wasteMax = 4; // ours: memory held by a read, as a multiple of what its records take

/**
 * The records of one read, as they may be kept while others are awaited. Their data are views into what was read at
 * once; where that is far more than they take, they are copied out of it, or a few small records would hold megabytes.
 */
export function compact(records: StreamRecord[]): StreamRecord[] {
  let dataBytes = 0;
  let heldBytes = 0;
  let backing: ArrayBufferLike | undefined;
  for (const { data } of records) {
    dataBytes += data.length;
    if (data.buffer === backing) continue;
    backing = data.buffer;
    heldBytes += backing.byteLength;
  }
  if (heldBytes <= wasteMax * dataBytes) return records;
  const copy = Buffer.allocUnsafeSlow(dataBytes); // A buffer of the pool would be a view into more again.
  let at = 0;
  return records.map(record => {
    const start = at;
    at += record.data.copy(copy, at);
    return { ...record, data: copy.subarray(start, at) };
  });
}
