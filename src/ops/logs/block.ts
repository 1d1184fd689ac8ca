/**
 * What is known of a block of lines without reading it: where it lies, of which time, which levels, and by a Bloom filter
 * which functions, things, requests and events. One entry of the index beside a segment; it can always be made again from
 * the lines.
 */
import { crc32 } from 'node:zlib';
import { type LogLevel, logLevels } from '../../kernel/log.ts';
import { logLimits } from '../limits.ts';
import { idText, type TermName, termNames } from './line.ts';

/** Of one line: by name, what it can be looked up by. */
export type Terms = { readonly [Name in TermName]?: string };

export interface Block {
  /** Where it begins and ends in its segment, bytes. */
  readonly start: number;
  readonly end: number;
  readonly minMs: number;
  readonly maxMs: number;
  /** One bit for each level there is a line of. */
  readonly levels: number;
  readonly filter: Uint8Array;
}

const headBytes = 48;
export const blockEntryBytes = headBytes + logLimits.filterBytes;
const magic = 0x4d4c4201; // "MLB", and the version of the format
const bitsMask = logLimits.filterBytes * 8 - 1; // a power of two
const hashesPerTerm = 7;

/** Gathers a block while its lines are written. */
export class BlockBuilder {
  readonly start: number;
  #end: number;
  #minMs = Number.POSITIVE_INFINITY;
  #maxMs = Number.NEGATIVE_INFINITY;
  #levels = 0;
  #terms = 0;
  readonly #filter = new Uint8Array(logLimits.filterBytes);
  /** Lines that follow each other are often of the same request: by name, what was added last. */
  readonly #last: (string | undefined)[] = [];

  constructor(start: number) {
    this.start = start;
    this.#end = start;
  }

  get end(): number {
    return this.#end;
  }

  get isEmpty(): boolean {
    return this.#end === this.start;
  }

  get isFull(): boolean {
    return this.#end - this.start >= logLimits.blockBytesMax || this.#terms >= logLimits.blockTermsMax;
  }

  get maxMs(): number {
    return this.#maxMs;
  }

  add(bytes: number, atMs: number, level: LogLevel, terms: Terms): void {
    this.#end += bytes;
    if (atMs < this.#minMs) this.#minMs = atMs;
    if (atMs > this.#maxMs) this.#maxMs = atMs;
    this.#levels |= levelBit(level);
    for (let index = 0; index < termNames.length; index++) {
      const term = terms[termNames[index]];
      if (term === undefined || term === this.#last[index]) continue;
      this.#last[index] = term;
      this.#terms++;
      const { first, step } = hashesOf(index, idText(term));
      for (let turn = 0, hash = first; turn < hashesPerTerm; turn++, hash = (hash + step) | 0) {
        const bit = hash & bitsMask;
        this.#filter[bit >> 3] |= 1 << (bit & 7);
      }
    }
  }

  build(): Block {
    const { start } = this;
    const times = { minMs: this.#minMs, maxMs: this.#maxMs };
    return { start, end: this.#end, ...times, levels: this.#levels, filter: this.#filter };
  }
}

/** Bits of this level and all that are more urgent. */
export function levelsFrom(level: LogLevel): number {
  return -(1 << logLevels.indexOf(level)) & ((1 << logLevels.length) - 1);
}

function levelBit(level: LogLevel): number {
  return 1 << logLevels.indexOf(level);
}

/** False: no line of the block has all of `terms`. */
export function mayHold({ filter }: Block, terms: Terms): boolean {
  for (let index = 0; index < termNames.length; index++) {
    const term = terms[termNames[index]];
    if (term === undefined) continue;
    const { first, step } = hashesOf(index, idText(term));
    for (let turn = 0, hash = first; turn < hashesPerTerm; turn++, hash = (hash + step) | 0) {
      const bit = hash & bitsMask;
      if ((filter[bit >> 3] & (1 << (bit & 7))) === 0) return false;
    }
  }
  return true;
}

export function encodeBlock(block: Block): Buffer {
  const bytes = Buffer.alloc(blockEntryBytes);
  bytes.writeUInt32LE(magic, 0);
  bytes.writeUInt32LE(block.start, 8);
  bytes.writeUInt32LE(block.end, 12);
  bytes.writeDoubleLE(block.minMs, 16);
  bytes.writeDoubleLE(block.maxMs, 24);
  bytes.writeUInt32LE(block.levels, 32);
  bytes.set(block.filter, headBytes);
  bytes.writeUInt32LE(crc32(bytes.subarray(8)), 4);
  return bytes;
}

/** The entries that are whole and follow on each other from the start of the segment, as far as it reaches. */
export function decodeBlocks(index: Buffer, segmentBytes: number): Block[] {
  const blocks: Block[] = [];
  let end = 0;
  for (let at = 0; at + blockEntryBytes <= index.length; at += blockEntryBytes) {
    const entry = index.subarray(at, at + blockEntryBytes);
    const isWhole = entry.readUInt32LE(0) === magic && entry.readUInt32LE(4) === crc32(entry.subarray(8));
    const block = isWhole ? decode(entry) : undefined;
    if (block === undefined || block.start !== end || block.end > segmentBytes) break;
    end = block.end;
    blocks.push(block);
  }
  return blocks;
}

function decode(entry: Buffer): Block {
  return {
    start: entry.readUInt32LE(8),
    end: entry.readUInt32LE(12),
    minMs: entry.readDoubleLE(16),
    maxMs: entry.readDoubleLE(24),
    levels: entry.readUInt32LE(32),
    filter: entry.subarray(headBytes),
  };
}

/** Two hashes by FNV-1a; the others are sums of them, which is as good [Kirsch, Mitzenmacher 2006]. */
function hashesOf(nameIndex: number, term: string): { first: number; step: number } {
  let hash = 0x811c9dc5 ^ nameIndex;
  for (let at = 0; at < term.length; at++) hash = Math.imul(hash ^ term.charCodeAt(at), 0x01000193);
  let step = hash ^ (hash >>> 15);
  step = Math.imul(step, 0x2c1b3c6d);
  step ^= step >>> 12;
  return { first: Math.imul(hash ^ (hash >>> 16), 0x45d9f3b), step: step | 1 };
}
