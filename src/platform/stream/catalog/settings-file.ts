/**
 * What is to be known of a stream, replaced as a whole or not at all: two slots in one file, written in turn. A write that
 * a power cut tears leaves the slot before it, which is then the newest whole one.
 *   0 magic u32 · 4 crc32 of everything from byte 8 · 8 bytes of JSON u32 · 12 number of the write f64 · 20 JSON
 */
import assert from 'node:assert/strict';
import { crc32 } from 'node:zlib';
import { codeOf } from '../../../kernel/errors.ts';
import type { File, Files } from '../../../kernel/files.ts';
import { joinPath } from '../../../kernel/files.ts';
import { settingsFormatTooNew } from './errors.ts';
import { catalogLimits } from './limits.ts';

const fileName = 'settings';
const magic = 0x31434d4d; // "MMC1": the format of settings, version 1
const headerBytes = 20;
const slotBytes = catalogLimits.settingsBytesMax;

/** Where the newest settings lie. */
export interface Written {
  readonly slot: 0 | 1;
  /** Rises by one with each write. */
  readonly number: number;
}

export const neverWritten: Written = { slot: 1, number: 0 };

export interface Found extends Written {
  readonly value: unknown;
  /** That it takes in its slot. */
  readonly bytes: number;
}

/**
 * Undefined: the directory has no settings, as when whoever made it died before the first were safe. `damaged`: it had.
 * What it resolves with is durable. Throws `catalog.formatTooNew`.
 */
export async function readSettings(files: Files, directory: string): Promise<Found | 'damaged' | undefined> {
  let file: File;
  try {
    file = await files.open(joinPath(directory, fileName));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const bytes = Buffer.alloc(2 * slotBytes);
    const length = await file.read(bytes, 0);
    const slots = [readSlot(bytes, 0, directory), readSlot(bytes, 1, directory)].filter(slot => slot !== undefined);
    if (slots.length === 0) return length === 0 ? undefined : 'damaged';
    const newest = slots.reduce((one, other) => (one.number > other.number ? one : other));
    // A process that was killed may have left it in the page cache only, and the next write goes over the other slot.
    await file.write(
      bytes.subarray(newest.slot * slotBytes, newest.slot * slotBytes + newest.bytes),
      newest.slot * slotBytes,
    );
    await file.sync();
    await files.syncDirectory(directory);
    return newest;
  } finally {
    await file.close();
  }
}

/** Durable once it resolves; when it rejects, `before` is what counts still, and where the next write must not go. */
export async function writeSettings(
  files: Files,
  directory: string,
  value: unknown,
  before: Written,
): Promise<Written> {
  const json = Buffer.from(JSON.stringify(value));
  assert(headerBytes + json.length <= slotBytes); // What settings may hold is bounded where it comes in.
  const written: Written = { slot: before.slot === 0 ? 1 : 0, number: before.number + 1 };
  const bytes = Buffer.alloc(headerBytes + json.length);
  bytes.writeUInt32LE(magic, 0);
  bytes.writeUInt32LE(json.length, 8);
  bytes.writeDoubleLE(written.number, 12);
  json.copy(bytes, headerBytes);
  bytes.writeUInt32LE(crc32(bytes.subarray(8)), 4);
  const file = await files.open(joinPath(directory, fileName), { create: true });
  try {
    await file.write(bytes, written.slot * slotBytes);
    await file.sync();
  } finally {
    await file.close();
  }
  if (before === neverWritten) await files.syncDirectory(directory);
  return written;
}

function readSlot(bytes: Buffer, slot: 0 | 1, directory: string): Found | undefined {
  const at = slot * slotBytes;
  const start = bytes.toString('latin1', at, at + 4);
  if (/^MMC[2-9]$/.test(start)) throw settingsFormatTooNew(directory);
  if (bytes.readUInt32LE(at) !== magic) return undefined;
  const end = at + headerBytes + bytes.readUInt32LE(at + 8);
  if (end > at + slotBytes || crc32(bytes.subarray(at + 8, end)) !== bytes.readUInt32LE(at + 4)) return undefined;
  const value: unknown = JSON.parse(bytes.toString('utf8', at + headerBytes, end));
  return { slot, number: bytes.readDoubleLE(at + 12), value, bytes: end - at };
}
