/**
 * The journal of a store: files of blocks (see change-group.ts), one block for each group commit, appended and synced.
 * A file is named after its first group and its salt; together the files hold every group since the oldest that the
 * base may lack. A group is written only after the one before it was synced, so only the last block of the newest file
 * may be torn; anything else that does not fit is damage and is never served.
 */

import type { BlockHeader, Change, ChangeGroup } from './change-group.ts';
import { blockHeaderBytes, blockMagic, changesOf, readBlock } from './change-group.ts';
import { codeOf, messageOf } from './errors.ts';
import { type File, type Files, joinPath } from './files.ts';
import type { Random } from './random.ts';
import { toText } from './sorted-map.ts';
import { storeCorrupt, storeFailed, storeFull, storeVersionUnknown } from './store-errors.ts';

export interface JournalPlace {
  readonly files: Files;
  readonly random: Random;
  /** Made when absent. */
  readonly directory: string;
}

interface JournalFile {
  readonly path: string;
  readonly firstSequenceNumber: number;
  readonly salt: number;
}

/** What a journal that was left behind holds. */
export interface LeftJournal {
  /** The newest change of each key, as bytes of the files. */
  readonly changes: readonly Change[];
  /** Of the next group. */
  readonly nextSequenceNumber: number;
}

export class StoreJournal {
  readonly #place: JournalPlace;
  /** Oldest first; the last one is being written. */
  #journalFiles: JournalFile[];
  #file: File | undefined;
  #fileBytes = 0;
  #salt = 0;
  #checksum = 0;
  #failure: Error | undefined;

  private constructor(place: JournalPlace, journalFiles: JournalFile[]) {
    this.#place = place;
    this.#journalFiles = journalFiles;
  }

  /**
   * Reads what is left of an earlier life; writes nothing. The caller brings the changes into the base, then drops the
   * files with `removeAll`. Throws `store.corrupt`, `store.versionUnknown`.
   */
  static async open(place: JournalPlace): Promise<{ journal: StoreJournal; left: LeftJournal }> {
    const journalFiles = listJournalFiles(place.directory, await place.files.list(place.directory));
    const newestChanges = new Map<string, Change>();
    let nextSequenceNumber = journalFiles[0]?.firstSequenceNumber ?? 1;
    for (const [index, journalFile] of journalFiles.entries()) {
      if (journalFile.firstSequenceNumber !== nextSequenceNumber) {
        throw storeCorrupt(journalFile.path, 0, `group ${nextSequenceNumber} should be its first`);
      }
      const bytes = await readWhole(place.files, journalFile.path);
      const { end, groups } = walkBlocks(bytes, journalFile, change => {
        newestChanges.set(toText(change.key), change);
      });
      if (end < bytes.length) judgeRest(bytes, end, journalFile, index === journalFiles.length - 1);
      nextSequenceNumber += groups;
    }
    const left = { changes: inKeyOrder(newestChanges), nextSequenceNumber };
    return { journal: new StoreJournal(place, journalFiles), left };
  }

  /** Of the file that is being written. */
  get fileBytes(): number {
    return this.#fileBytes;
  }

  /** How many files stand before the one that is being written. */
  get olderFiles(): number {
    return this.#journalFiles.length - 1;
  }

  /** The group and its successors go into a new file. Throws `store.full`, `store.failed`. */
  async roll(firstSequenceNumber: number): Promise<void> {
    if (this.#file !== undefined && this.#fileBytes === 0) return; // its first group was refused: the disk was full
    const { files, directory, random } = this.#place;
    const salt = Buffer.from(random.bytes(4)).readUInt32LE();
    const name = `${String(firstSequenceNumber).padStart(20, '0')}-${salt.toString(16).padStart(8, '0')}.log`;
    const path = joinPath(directory, name);
    await this.#orFail(async () => {
      if (this.#file === undefined) await files.makeDirectory(directory);
      const file = await files.open(path, { create: true });
      await files.syncDirectory(directory).catch(cause => {
        throw failed(cause); // what became of the name is not known
      });
      await this.#file?.close();
      this.#file = file;
    });
    this.#journalFiles.push({ path, firstSequenceNumber, salt });
    this.#salt = salt;
    this.#fileBytes = 0;
    this.#checksum = 0;
  }

  /** Resolves once the group would survive a power cut. Throws `store.full` (nothing of it was kept), `store.failed`. */
  async append(group: ChangeGroup): Promise<void> {
    await this.#orFail(async () => {
      const file = this.#file;
      if (file === undefined) throw new Error('it has no file');
      const block = group.seal({ previousChecksum: this.#checksum, salt: this.#salt });
      try {
        await file.write(block.bytes, this.#fileBytes);
      } catch (cause) {
        // Taken back at once and for good, else a power cut could bring refused changes back.
        await takeBack(file, this.#fileBytes);
        throw cause;
      }
      await file.sync().catch(cause => {
        throw failed(cause); // a failed fsync may have dropped the pages: never retried as if nothing had happened
      });
      this.#checksum = block.checksum;
      this.#fileBytes += block.bytes.length;
    });
  }

  /** Drops that many of the files, oldest first: the base has all that is in them. */
  async removeOldest(count: number): Promise<void> {
    const { files, directory } = this.#place;
    for (let removed = 0; removed < count; removed++) {
      await files.remove(this.#journalFiles[0].path);
      // One by one: a power cut that brought an older one back without the next would leave a gap.
      await files.syncDirectory(directory);
      this.#journalFiles.shift();
    }
  }

  /** Drops every file: the base has all. */
  async removeAll(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
    await this.removeOldest(this.#journalFiles.length);
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
  }

  /** Disk full leaves the journal as it was. After anything else it is over. */
  async #orFail(step: () => Promise<void>): Promise<void> {
    if (this.#failure) throw this.#failure;
    try {
      await step();
    } catch (cause) {
      if (['ENOSPC', 'EDQUOT'].includes(codeOf(cause))) throw storeFull(cause);
      this.#failure = codeOf(cause) === 'store.failed' && cause instanceof Error ? cause : failed(cause);
      throw this.#failure;
    }
  }
}

function failed(cause: unknown): Error {
  return storeFailed(`the journal cannot be written (${messageOf(cause)})`, cause);
}

async function takeBack(file: File, bytes: number): Promise<void> {
  try {
    await file.truncate(bytes);
    await file.sync();
  } catch (cause) {
    throw failed(cause);
  }
}

function listJournalFiles(directory: string, names: string[]): JournalFile[] {
  const journalFiles: JournalFile[] = [];
  for (const name of names) {
    const parts = /^(\d{20})-([0-9a-f]{8})\.log$/.exec(name);
    if (parts === null) continue;
    const path = joinPath(directory, name);
    journalFiles.push({ path, firstSequenceNumber: Number(parts[1]), salt: Number.parseInt(parts[2], 16) });
  }
  return journalFiles;
}

async function readWhole(files: Files, path: string): Promise<Buffer> {
  const file = await files.open(path);
  try {
    const bytes = Buffer.allocUnsafe(await file.size());
    return bytes.subarray(0, await file.read(bytes, 0));
  } finally {
    await file.close();
  }
}

/** Visits the changes of a file from its start to the first byte that is not part of an intact block in its place. */
function walkBlocks(
  bytes: Buffer,
  { path, firstSequenceNumber, salt }: JournalFile,
  visit: (change: Change) => void,
): { end: number; groups: number } {
  let end = 0;
  let groups = 0;
  let previousChecksum = 0;
  for (let header: BlockHeader | undefined; ; groups++) {
    header = readBlock(bytes, end);
    if (header === undefined) return { end, groups };
    const fits = header.sequenceNumber === firstSequenceNumber + groups && header.previousChecksum === previousChecksum;
    if (!fits || header.salt !== salt) throw storeCorrupt(path, end, 'the group does not follow the one before it');
    for (const change of changesOf(bytes, end, header)) visit(change);
    previousChecksum = header.checksum;
    end += blockHeaderBytes + header.bodyBytes;
  }
}

/**
 * Decides what lies behind the intact blocks. In the newest file it is the torn block of a group that was never
 * acknowledged, unless an intact later block proves that it was. In an older file every group was acknowledged.
 */
function judgeRest(bytes: Buffer, from: number, { path, salt }: JournalFile, isNewest: boolean): void {
  const start = bytes.toString('latin1', from, from + blockMagic.length);
  if (/^MMJ[0-9A-Z]$/.test(start) && start !== blockMagic.toString('latin1')) throw storeVersionUnknown(path);
  if (!isNewest) throw storeCorrupt(path, from, 'the groups behind it are in a later file');
  for (let at = bytes.indexOf(blockMagic, from + 1); at >= 0; at = bytes.indexOf(blockMagic, at + 1)) {
    if (readBlock(bytes, at)?.salt === salt) throw storeCorrupt(path, from, 'later, intact groups follow');
  }
}

function inKeyOrder(changes: ReadonlyMap<string, Change>): Change[] {
  return [...changes].sort(([left], [right]) => (left < right ? -1 : 1)).map(([, change]) => change);
}
