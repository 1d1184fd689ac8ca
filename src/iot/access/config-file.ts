import type { Clock } from '../../kernel/clock.ts';
import type { Files } from '../../kernel/files.ts';
import { fileNotReadable, fileTooLarge } from './errors.ts';
import { accessLimits } from './limits.ts';

/** Files that the operator writes and we only read: in one go, bounded, then line by line. */

/** @throws `access.fileNotReadable`, `access.fileTooLarge`. */
export async function readConfigFile(files: Files, filePath: string): Promise<Uint8Array> {
  try {
    const file = await files.open(filePath, { readOnly: true });
    try {
      const size = await file.size();
      if (size > accessLimits.fileBytesMax) throw fileTooLarge(filePath, size);
      const bytes = Buffer.alloc(size);
      return bytes.subarray(0, await file.read(bytes, 0));
    } finally {
      await file.close();
    }
  } catch (error) {
    throw isTooLarge(error) ? error : fileNotReadable(filePath, error);
  }
}

function isTooLarge(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'access.fileTooLarge';
}

/** Work that may be interrupted at each `yield`. */
export type Turns<Result> = Generator<void, Result>;

/** A large file is read in turns, between which the gateway serves its clients. */
export async function inTurns<Result>(clock: Clock, work: Turns<Result>): Promise<Result> {
  for (;;) {
    const turn = work.next();
    if (turn.done) return turn.value;
    await new Promise<void>(resolve => clock.soon(resolve));
  }
}

/** For whoever serves nobody meanwhile. */
export function atOnce<Result>(work: Turns<Result>): Result {
  for (;;) {
    const turn = work.next();
    if (turn.done) return turn.value;
  }
}

export interface ConfigLine {
  /** From 1. */
  readonly lineNumber: number;
  /** Without its end; undefined when it is too long or not UTF-8 without U+0000. */
  readonly text: string | undefined;
}

const lineFeed = 0x0a;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Each line; what editors leave at its end (spaces, tabs, a carriage return) is no part of it, as in Mosquitto. */
export function* linesOf(bytes: Uint8Array): Generator<ConfigLine> {
  let lineNumber = 1;
  for (let start = 0; start < bytes.length; lineNumber++) {
    const found = bytes.indexOf(lineFeed, start);
    const end = found === -1 ? bytes.length : found;
    const text = textOf(bytes.subarray(start, end));
    // A byte order mark is an editor's too; it would become part of the first user's name.
    yield { lineNumber, text: lineNumber === 1 && text?.startsWith('\ufeff') ? text.slice(1) : text };
    start = end + 1;
  }
}

function textOf(line: Uint8Array): string | undefined {
  if (line.length > accessLimits.lineBytesMax || line.includes(0)) return undefined;
  try {
    return trimBlanksAtEnd(utf8.decode(line));
  } catch {
    return undefined; // Not UTF-8; whose file it is says so in words of its own.
  }
}

/** What C's `isspace` takes for blank, which is less than `trim` does: a name may begin with U+00A0. */
const blanks = ' \t\n\v\f\r';

export function trimBlanks(text: string): string {
  let start = 0;
  while (start < text.length && blanks.includes(text[start])) start++;
  return trimBlanksAtEnd(text.slice(start));
}

function trimBlanksAtEnd(text: string): string {
  let end = text.length;
  while (end > 0 && blanks.includes(text[end - 1])) end--;
  return text.slice(0, end);
}
