/** The files of one writer in one channel: `app-000000012-1767225600000.jsonl`, its lines, and `….index` beside it. */
import type { AppendFiles } from '../../kernel/append-files.ts';
import { joinPath } from '../../kernel/files.ts';

export interface Segment {
  readonly writer: string;
  /** Counts up, and is never used again. */
  readonly number: number;
  /** When it was begun: what the segment before it holds is not newer, unless the clock was set. */
  readonly begunAtMs: number;
  readonly linesPath: string;
  readonly indexPath: string;
}

const pattern = /^([a-z0-9-]{1,40})-(\d{9})-(\d{13,16})\.jsonl$/;
export const segmentNumberMax = 999_999_999; // as many digits as a name has; a segment a second lasts 31 years

export function segmentOf(directory: string, writer: string, number: number, begunAtMs: number): Segment {
  const digits = String(Math.max(begunAtMs, 0)).padStart(13, '0');
  const name = joinPath(directory, `${writer}-${String(number).padStart(9, '0')}-${digits}`);
  return { writer, number, begunAtMs, linesPath: `${name}.jsonl`, indexPath: `${name}.index` };
}

/** By writer, oldest first. Other files are nobody's. */
export function listSegments(files: AppendFiles, directory: string): Map<string, Segment[]> {
  const found = new Map<string, Segment[]>();
  for (const name of files.list(directory)) {
    const match = pattern.exec(name);
    if (match === null) continue;
    const [, writer, number, begunAtMs] = match;
    const segments = found.get(writer) ?? [];
    segments.push(segmentOf(directory, writer, Number(number), Number(begunAtMs)));
    found.set(writer, segments);
  }
  for (const segments of found.values()) segments.sort((left, right) => left.number - right.number);
  return found;
}
