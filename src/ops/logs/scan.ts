/** Reads the segments of one writer in one channel, block by block, and gives the lines that answer. */
import type { AppendFiles, ReadFile } from '../../kernel/append-files.ts';
import { codeOf } from '../../kernel/errors.ts';
import { type Block, decodeBlocks } from './block.ts';
import type { FoundLine, Matcher } from './question.ts';
import type { Segment } from './segments.ts';

/** Up to where a source is read: what was there when somebody asked. */
export interface Position {
  readonly number: number;
  readonly offset: number;
}

export interface ScanOptions {
  readonly files: AppendFiles;
  /** Oldest first. */
  readonly segments: readonly Segment[];
  readonly matcher: Matcher;
  readonly direction: 'oldestFirst' | 'newestFirst';
  /** What comes behind is left out. */
  readonly upTo: Position;
}

export async function* scan(options: ScanOptions): AsyncGenerator<FoundLine> {
  const { segments, matcher, direction, upTo } = options;
  const sinceMs = matcher.question.sinceMs ?? Number.NEGATIVE_INFINITY;
  const wanted = segments.filter((segment, index) => {
    const endedAtMs = segments[index + 1]?.begunAtMs ?? Number.POSITIVE_INFINITY;
    return segment.number <= upTo.number && endedAtMs + clockSetMs >= sinceMs;
  });
  if (direction === 'newestFirst') wanted.reverse();
  for (const segment of wanted) yield* scanSegment(segment, options);
}

const clockSetMs = 3_600_000; // ours: by how much the wall clock may have been set back, e.g. the end of summer time

async function* scanSegment(segment: Segment, options: ScanOptions): AsyncGenerator<FoundLine> {
  const { files, matcher, direction, upTo } = options;
  const file = await openIfThere(files, segment.linesPath);
  if (file === undefined) return; // Retention was faster.
  try {
    const size = segment.number === upTo.number ? Math.min(await file.size(), upTo.offset) : await file.size();
    const blocks = decodeBlocks(await readAll(files, segment.indexPath), size);
    const wanted = blocks.filter(block => matcher.mayHold(block));
    const indexed = blocks.at(-1)?.end ?? 0;
    const spans: Pick<Block, 'start' | 'end'>[] = indexed < size ? [...wanted, { start: indexed, end: size }] : wanted;
    if (direction === 'newestFirst') spans.reverse();
    for (const span of spans) {
      const found = linesIn(await readSpan(file, span), matcher);
      yield* direction === 'newestFirst' ? found.reverse() : found;
    }
  } finally {
    await file.close();
  }
}

function linesIn(bytes: Buffer, matcher: Matcher): FoundLine[] {
  const found: FoundLine[] = [];
  for (const text of bytes.toString('utf8').split('\n')) {
    const line = text === '' ? undefined : matcher.find(text);
    if (line !== undefined) found.push(line);
  }
  return found;
}

async function readSpan(file: ReadFile, { start, end }: Pick<Block, 'start' | 'end'>): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(end - start);
  for (let done = 0; done < bytes.length; ) {
    const read = await file.read(bytes.subarray(done), start + done);
    if (read === 0) return bytes.subarray(0, done);
    done += read;
  }
  return bytes;
}

async function readAll(files: AppendFiles, filePath: string): Promise<Buffer> {
  const file = await openIfThere(files, filePath);
  if (file === undefined) return Buffer.alloc(0); // Without an index every line is looked at.
  try {
    return await readSpan(file, { start: 0, end: await file.size() });
  } finally {
    await file.close();
  }
}

export async function openIfThere(files: AppendFiles, filePath: string): Promise<ReadFile | undefined> {
  return files.openToRead(filePath).catch(error => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  });
}
