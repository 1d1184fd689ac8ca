/**
 * Counts as bytes: things in the order of their names, each as what it has in common with the one before, the rest, and
 * its counts. Things of a fleet have names and counts that are alike, so a thing takes a few bytes; above some size all
 * of it is deflated.
 *
 *   0 version u8 · 1 whether the rest is deflated u8 · columns · others' counts · number of things
 *   · for each: bytes in common · bytes of the rest · the rest (UTF-8) · counts, all numbers as varints
 */
import assert from 'node:assert/strict';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { MimamoriError } from '../../kernel/errors.ts';
import { Counts } from './counts.ts';

const version = 1;
const headBytes = 2;
const deflatedFrom = 256; // ours: below, it would grow rather than shrink
const inflatedBytesMax = 4 * 1024 * 1024; // ours: far above what a minute takes; damage must not cost memory

export function packCounts(counts: Counts): Uint8Array {
  const writer = new Writer();
  writer.number(counts.columns);
  for (const count of counts.others) writer.number(count);
  writer.number(counts.size);
  let before: Buffer = Buffer.alloc(0);
  const things = [...counts.things].map(([thingName, row]) => ({ name: Buffer.from(thingName), row }));
  for (const { name, row } of things.sort((left, right) => left.name.compare(right.name))) {
    const common = commonBytes(before, name);
    writer.number(common);
    writer.number(name.length - common);
    writer.bytes(name.subarray(common));
    for (const count of row) writer.number(count);
    before = name;
  }
  const body = writer.written;
  const isDeflated = body.length >= deflatedFrom;
  return Buffer.concat([Buffer.from([version, isDeflated ? 1 : 0]), isDeflated ? deflateRawSync(body) : body]);
}

/** Throws `ledger.formatTooNew`. */
export function unpackCounts(packed: Uint8Array): Counts {
  if (packed[0] !== version) throw formatTooNew(packed[0]);
  const rest = packed.subarray(headBytes);
  const reader = new Reader(packed[1] === 1 ? inflateRawSync(rest, { maxOutputLength: inflatedBytesMax }) : rest);
  const counts = new Counts(reader.number());
  counts.addOthers(reader.row(counts.columns));
  let name: Buffer = Buffer.alloc(0);
  for (let things = reader.number(); things > 0; things--) {
    const common = reader.number();
    name = Buffer.concat([name.subarray(0, common), reader.bytes(reader.number())]);
    counts.addRow(name.toString(), reader.row(counts.columns));
  }
  return counts;
}

function commonBytes(left: Buffer, right: Buffer): number {
  const most = Math.min(left.length, right.length);
  let common = 0;
  while (common < most && left[common] === right[common]) common++;
  return common;
}

class Writer {
  #buffer = Buffer.allocUnsafe(1_024);
  #end = 0;

  get written(): Buffer {
    return this.#buffer.subarray(0, this.#end);
  }

  /** 7 bits in a byte, the lowest first. */
  number(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0);
    this.#reserve(8);
    let rest = value;
    while (rest >= 128) {
      this.#buffer[this.#end++] = (rest % 128) + 128;
      rest = Math.floor(rest / 128);
    }
    this.#buffer[this.#end++] = rest;
  }

  bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#end + bytes));
    this.#buffer.copy(larger, 0, 0, this.#end);
    this.#buffer = larger;
  }
}

class Reader {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  number(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      assert(this.#at < this.#buffer.length); // The table checks what it gives back.
      const byte = this.#buffer[this.#at++];
      value += (byte % 128) * factor;
      if (byte < 128) return value;
    }
  }

  bytes(length: number): Buffer {
    const bytes = this.#buffer.subarray(this.#at, this.#at + length);
    assert(bytes.length === length);
    this.#at += length;
    return bytes;
  }

  row(columns: number): number[] {
    return Array.from({ length: columns }, () => this.number());
  }
}

const formatTooNew = (found: number) =>
  new MimamoriError({
    code: 'ledger.formatTooNew',
    message: `The ledger has version ${found} of its format, this release reads ${version}.`,
    fix: 'Open the data with the release that wrote them, or a later one.',
  });
