/**
 * Looks whether a file can be LMDB's before LMDB opens it. LMDB maps the file and believes what it reads, so a file that
 * is cut or written over ends the process without a word. Read here: the two pages that tell of the tree, and the pages
 * of its upper levels, which hold the numbers of all others. What is wrong inside a leaf is found when it is read.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { codeOf } from './errors.ts';
import { storePagesCorrupt } from './store-errors.ts';

const headBytes = 24; // of a page: its number, the transaction that wrote it, a pad, flags, and what is free of it
const magic = 0xbeefc0de;
const noPage = 0xffff_ffff_ffff_ffffn;
const branchFlag = 1;
const leafFlag = 2;
const levelsMax = 32; // LMDB: the depth of its own cursors

interface Tree {
  readonly depth: number;
  readonly root: bigint;
}

/** Content when there is no such file, or nothing in it yet. Throws `store.corrupt`. */
export function checkLmdbFile(filePath: string, pageBytes: number): void {
  let file: number;
  try {
    file = openSync(filePath, 'r');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw error;
  }
  try {
    const bytes = fstatSync(file).size;
    if (bytes > 0) checkPages({ bytes, pageBytes, read: page => readPage(file, page, pageBytes) });
  } catch (error) {
    if (error instanceof Damage) throw storePagesCorrupt(filePath, error.message, error);
    throw error;
  } finally {
    closeSync(file);
  }
}

class Damage extends Error {}

interface PageReader {
  readonly bytes: number;
  readonly pageBytes: number;
  read(page: number): Buffer;
}

function readPage(file: number, page: number, pageBytes: number): Buffer {
  const buffer = Buffer.alloc(pageBytes);
  readSync(file, buffer, 0, pageBytes, page * pageBytes);
  return buffer;
}

function checkPages(reader: PageReader): void {
  const [first, second] = [reader.read(0), reader.read(1)];
  for (const page of [first, second]) {
    const isOurs = page.readUInt32LE(headBytes) === magic && page.readUInt32LE(treesAt) === reader.pageBytes;
    if (!isOurs) throw new Damage('its first two pages are not what LMDB writes');
  }
  const newest = transactionOf(first) > transactionOf(second) ? first : second;
  for (const tree of treesOf(newest)) if (tree.root !== noPage) checkTree(reader, tree);
}

const treeBytes = 48;
const treesAt = headBytes + 24; // behind magic, version, address and the size of the map
const treesEnd = treesAt + 2 * treeBytes;

function transactionOf(page: Buffer): bigint {
  return page.readBigUInt64LE(treesEnd + 8); // behind the number of the last page
}

/** That of free pages and that of entries. */
function treesOf(page: Buffer): Tree[] {
  return [treesAt, treesAt + treeBytes].map(at => ({
    depth: page.readUInt16LE(at + 6),
    root: page.readBigUInt64LE(at + 40),
  }));
}

function checkTree(reader: PageReader, { depth, root }: Tree): void {
  if (depth === 0 || depth > levelsMax) throw new Damage(`its tree cannot be ${depth} levels deep`);
  let level = [root];
  for (let height = depth - 1; height >= 0; height--) {
    for (const page of level) checkPlace(reader, page);
    // Of the lowest level only the first page is looked at: there are as many as the file is large.
    const looked = height === 0 ? level.slice(0, 1) : level;
    level = looked.flatMap(page => childrenOf(reader.read(Number(page)), page, height > 0, reader.pageBytes));
  }
}

function checkPlace({ bytes, pageBytes }: PageReader, page: bigint): void {
  const end = (page + 1n) * BigInt(pageBytes);
  if (page < 2n || end > BigInt(bytes)) throw new Damage(`page ${page} would lie outside of its ${bytes} bytes`);
}

function childrenOf(bytes: Buffer, page: bigint, isBranch: boolean, pageBytes: number): bigint[] {
  const flags = bytes.readUInt16LE(18);
  const kind = isBranch ? branchFlag : leafFlag;
  if (bytes.readBigUInt64LE(0) !== page || (flags & (branchFlag | leafFlag)) !== kind) {
    throw new Damage(`page ${page} holds something else`);
  }
  if (!isBranch) return [];
  const lower = bytes.readUInt16LE(20);
  if (lower + headBytes > pageBytes || lower % 2 !== 0) throw new Damage(`page ${page} cannot hold so much`);
  return Array.from({ length: lower / 2 }, (_, at) => {
    const node = bytes.readUInt16LE(headBytes + at * 2) + headBytes;
    if (node + 8 > pageBytes) throw new Damage(`page ${page} cannot hold so much`);
    return BigInt(bytes.readUInt32LE(node)) | (BigInt(bytes.readUInt16LE(node + 4)) << 32n);
  });
}
