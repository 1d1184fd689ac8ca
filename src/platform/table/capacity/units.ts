/**
 * How many capacity units a call costs, from sizes in bytes: pure arithmetic, for the answers that carry consumed
 * capacity, the ledger and the limits alike. Rules: DynamoDB developer guide, "read and write operations".
 */

const readBlockBytes = 4 * 1024; // DynamoDB: a read unit covers 4 KB
const writeBlockBytes = 1024; // DynamoDB: a write unit covers 1 KB

export type Consistency = 'eventual' | 'strong' | 'transactional';

const unitsPerReadBlock = { eventual: 0.5, strong: 1, transactional: 2 } as const;
const unitsPerTransactionalWriteBlock = 2;

/** One item, or everything a page evaluated, added up first. An absent item and an empty page cost one block. */
export function readUnits(bytes: number, consistency: Consistency): number {
  return Math.max(1, Math.ceil(bytes / readBlockBytes)) * unitsPerReadBlock[consistency];
}

/** @param bytes  of the larger of the item before and the item after; 0 when there was and is none. */
export function writeUnits(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / writeBlockBytes));
}

/** Each action is rounded before it is doubled. Index parts are not doubled: they cost `entryWriteUnits`. */
export function transactionalWriteUnits(bytes: number): number {
  return writeUnits(bytes) * unitsPerTransactionalWriteBlock;
}

/** What a write means for one index: the entry's projected sizes, absent where there is no entry. */
export interface EntryChange {
  readonly beforeBytes: number | undefined;
  readonly afterBytes: number | undefined;
  /** With an entry before and after: it keeps its key and its content, keeps its key only, or gets another key. */
  readonly kind: 'unchanged' | 'changed' | 'moved';
}

/** Units where the entry was and where it is now; both 0 when the index need not be written. */
export function entryWriteUnits({ beforeBytes, afterBytes, kind }: EntryChange): { left: number; entered: number } {
  if (beforeBytes === undefined) return { left: 0, entered: afterBytes === undefined ? 0 : writeUnits(afterBytes) };
  if (afterBytes === undefined) return { left: writeUnits(beforeBytes), entered: 0 };
  if (kind === 'unchanged') return { left: 0, entered: 0 };
  if (kind === 'changed') return { left: 0, entered: writeUnits(Math.max(beforeBytes, afterBytes)) };
  return { left: writeUnits(beforeBytes), entered: writeUnits(afterBytes) };
}
