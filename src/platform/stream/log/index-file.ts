/**
 * Where the blocks of a segment lie, roughly: an entry for about every 256 KiB. It makes finding a record fast and is
 * never more than a hint: nothing of it is synced, an entry that is torn or wrong is passed over, and who follows one
 * looks whether the block that should be there is there. A segment without an index is read from its start.
 *
 * An entry, little endian: 0 position of the block u64 · 8 its first sequence number u64 · 16 its arrival f64 ·
 * 24 crc32 of the 24 bytes before u32 · 28 zero u32
 */
import { crc32 } from 'node:zlib';
import type { File, Files } from '../../../kernel/files.ts';
import type { SequenceNumber } from '../port.ts';
import { readWhole, type Segment } from './segment.ts';

export interface IndexEntry {
  readonly position: number;
  readonly firstSequenceNumber: SequenceNumber;
  readonly arrivalAtMs: number;
}

const entryBytes = 32;

export function indexPath({ path }: Segment): string {
  return `${path.slice(0, -'.log'.length)}.index`;
}

/** Writes the index of one segment, beside the commits and never in their way. */
export class IndexWriter {
  readonly #files: Files;
  readonly #segment: Segment;
  readonly #everyBytes: number;
  #nextPosition: number;
  #entries: IndexEntry[] = [];
  #written = 0;
  #file: File | undefined;
  #writing: Promise<void> | undefined;

  constructor(files: Files, segment: Segment, everyBytes: number) {
    this.#files = files;
    this.#segment = segment;
    this.#everyBytes = everyBytes;
    this.#nextPosition = everyBytes;
  }

  /** A block that is durable and begins at `position`. */
  note(position: number, firstSequenceNumber: SequenceNumber, arrivalAtMs: number): void {
    if (position < this.#nextPosition) return;
    this.#nextPosition = position + this.#everyBytes;
    this.#entries.push({ position, firstSequenceNumber, arrivalAtMs });
    this.#writing ??= this.#write();
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.#file?.close().catch(() => {});
  }

  async #write(): Promise<void> {
    try {
      while (this.#entries.length > 0) {
        const bytes = encodeEntries(this.#entries);
        this.#entries = [];
        this.#file ??= await this.#create();
        await this.#file.write(bytes, this.#written);
        this.#written += bytes.length;
      }
      this.#writing = undefined;
    } catch {
      // A full disk, say: what is missing is found by reading on from the last entry. No more is tried in this segment.
      this.#nextPosition = Number.POSITIVE_INFINITY;
    }
  }

  /** Anew: what an earlier life has left may point to blocks that were torn. */
  async #create(): Promise<File> {
    const file = await this.#files.open(indexPath(this.#segment), { create: true });
    await file.truncate(0);
    return file;
  }
}

/** The entries of a segment's index, in its order; [] when it has none that can be read. */
export async function readIndex(files: Files, segment: Segment): Promise<IndexEntry[]> {
  let file: File | undefined;
  try {
    file = await files.open(indexPath(segment), { readOnly: true });
    return decodeEntries(await readWhole(file));
  } catch {
    return []; // Whatever it is: the log itself tells as much.
  } finally {
    await file?.close();
  }
}

function encodeEntries(entries: readonly IndexEntry[]): Buffer {
  const bytes = Buffer.alloc(entries.length * entryBytes);
  for (const [index, { position, firstSequenceNumber, arrivalAtMs }] of entries.entries()) {
    const at = index * entryBytes;
    bytes.writeBigUInt64LE(BigInt(position), at);
    bytes.writeBigUInt64LE(firstSequenceNumber, at + 8);
    bytes.writeDoubleLE(arrivalAtMs, at + 16);
    bytes.writeUInt32LE(crc32(bytes.subarray(at, at + 24)), at + 24);
  }
  return bytes;
}

function decodeEntries(bytes: Buffer): IndexEntry[] {
  const entries: IndexEntry[] = [];
  for (let at = 0; at + entryBytes <= bytes.length; at += entryBytes) {
    if (crc32(bytes.subarray(at, at + 24)) !== bytes.readUInt32LE(at + 24)) continue;
    entries.push({
      position: Number(bytes.readBigUInt64LE(at)),
      firstSequenceNumber: bytes.readBigUInt64LE(at + 8),
      arrivalAtMs: bytes.readDoubleLE(at + 16),
    });
  }
  return entries;
}
