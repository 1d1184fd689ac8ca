/**
 * Finds and follows lines in the folder of the logs, whoever wrote them and whether or not anybody still does: a running
 * backend and a command beside a stopped one read in the same way. It never writes.
 */
import type { AppendFiles } from '../../kernel/append-files.ts';
import type { Clock } from '../../kernel/clock.ts';
import { joinPath } from '../../kernel/files.ts';
import { questionNotValid } from '../errors.ts';
import { logLimits } from '../limits.ts';
import type { LogLine } from './line.ts';
import { compareLines, type FoundLine, type LogQuestion, Matcher } from './question.ts';
import { type Position, scan } from './scan.ts';
import { listSegments, type Segment } from './segments.ts';
import { endOf, readOn } from './tail.ts';
import { WrittenLines } from './written-lines.ts';

export interface LogReaderOptions {
  readonly files: AppendFiles;
  readonly directory: string;
  readonly clock: Clock;
  /** Tells of lines of this thread at once; others are looked for every `logLimits.followPollMs`. */
  readonly onWritten?: (listener: () => void) => () => void;
}

/** One writer's lines in one channel. */
interface Source {
  readonly channel: string;
  readonly segments: readonly Segment[];
}

interface Followed {
  readonly position: Position;
  /** At the last look there was nothing behind it. */
  readonly isAtEnd: boolean;
}

/** How far each source is read, by its name. */
export type Positions = ReadonlyMap<string, Position>;

export class LogReader {
  readonly #options: LogReaderOptions;

  constructor(options: LogReaderOptions) {
    this.#options = options;
  }

  /** The newest lines that answer, oldest of them first. Throws `logs.questionNotValid`. */
  async newest(question: LogQuestion, limit: number = logLimits.linesDefault, upTo?: Positions): Promise<FoundLine[]> {
    if (limit > logLimits.linesMax) throw questionNotValid(`one answer has at most ${logLimits.linesMax} lines`);
    const found: FoundLine[] = [];
    let charactersLeft: number = logLimits.gatheredBytesMax;
    for await (const line of this.#merged(question, 'newestFirst', upTo)) {
      charactersLeft -= line.text.length;
      if (found.length >= limit || charactersLeft < 0) break;
      found.push(line);
    }
    return found.reverse();
  }

  /** The same as `newest`, without how they were written. */
  async lines(question: LogQuestion = {}, limit?: number): Promise<LogLine[]> {
    return (await this.newest(question, limit)).map(({ line }) => line);
  }

  /** All lines that answer and are there now, oldest first. */
  all(question: LogQuestion): AsyncGenerator<FoundLine> {
    return this.#merged(question, 'oldestFirst');
  }

  /** Where everything ends that is there now. */
  async end(question: LogQuestion): Promise<Positions> {
    const ends = new Map<string, Position>();
    for (const [name, { segments }] of this.#sources(question)) {
      const end = await endOf(this.#options.files, segments);
      if (end !== undefined) ends.set(name, end);
    }
    return ends;
  }

  /**
   * Lines that answer and come behind `after`, until `signal` aborts. Whoever takes them slowly is behind, and costs no
   * memory; what retention removes meanwhile is told by a line that says so.
   */
  async *follow(question: LogQuestion, after: Positions, signal: AbortSignal): AsyncGenerator<FoundLine> {
    const matcher = new Matcher(question);
    const positions = new Map([...after].map(([name, position]) => [name, { position, isAtEnd: true }]));
    const written = new WrittenLines(this.#options);
    try {
      while (!signal.aborted) {
        const mark = written.mark();
        const { found, hasRead } = await this.#readRound(matcher, positions);
        for (const line of found) {
          if (signal.aborted) return;
          yield line;
        }
        if (!hasRead) await written.beyond(mark, signal);
      }
    } finally {
      written.close();
    }
  }

  /** A piece of every source. */
  async #readRound(
    matcher: Matcher,
    positions: Map<string, Followed>,
  ): Promise<{ found: FoundLine[]; hasRead: boolean }> {
    const { files } = this.#options;
    const found: FoundLine[] = [];
    let hasRead = false;
    for (const [name, { channel, segments }] of this.#sources(matcher.question)) {
      const before = positions.get(name) ?? { position: { number: segments[0].number, offset: 0 }, isAtEnd: false };
      const { lines, next, hasGap } = await readOn(files, segments, before.position, logLimits.followReadBytes);
      positions.set(name, { position: next, isAtEnd: lines.length === 0 });
      hasRead ||= lines.length > 0;
      if (hasGap && !before.isAtEnd) found.push(this.#gap(channel));
      for (const { text } of lines) {
        const line = matcher.find(text);
        if (line !== undefined) found.push(line);
      }
    }
    return { found: found.sort(compareLines), hasRead };
  }

  #gap(channel: string): FoundLine {
    const atMs = this.#options.clock.nowMs();
    const message = 'Lines were removed before they could be shown: retention was faster than their reader.';
    const line: LogLine = { time: new Date(atMs).toISOString(), level: 'warn', channel, message };
    return { line, text: JSON.stringify(line), atMs };
  }

  /** By name, e.g. `app/gateway`. */
  #sources({ channel: wanted }: LogQuestion): Map<string, Source> {
    const { files, directory } = this.#options;
    const sources = new Map<string, Source>();
    const channels = files.list(directory).filter(name => /^[a-z][a-z0-9-]{0,31}$/.test(name));
    for (const channel of channels) {
      if (wanted !== undefined && channel !== wanted) continue;
      for (const [writer, segments] of listSegments(files, joinPath(directory, channel))) {
        sources.set(`${channel}/${writer}`, { channel, segments });
      }
    }
    return sources;
  }

  async *#merged(
    question: LogQuestion,
    direction: 'oldestFirst' | 'newestFirst',
    upTo?: Positions,
  ): AsyncGenerator<FoundLine> {
    const matcher = new Matcher(question);
    const { files } = this.#options;
    const ends = upTo ?? (await this.end(question));
    const scans: AsyncGenerator<FoundLine>[] = [];
    for (const [name, { segments }] of this.#sources(question)) {
      const end = ends.get(name);
      if (end !== undefined) scans.push(scan({ files, segments, matcher, direction, upTo: end }));
    }
    yield* merge(scans, direction === 'oldestFirst' ? 1 : -1);
  }
}

/** @param sign  1: the lowest time first */
async function* merge(sources: readonly AsyncGenerator<FoundLine>[], sign: 1 | -1): AsyncGenerator<FoundLine> {
  try {
    const heads: { source: AsyncGenerator<FoundLine>; line: FoundLine }[] = [];
    for (const source of sources) {
      const { value, done } = await source.next();
      if (!done) heads.push({ source, line: value });
    }
    while (heads.length > 0) {
      let first = 0;
      for (let index = 1; index < heads.length; index++) {
        if (compareLines(heads[index].line, heads[first].line) * sign < 0) first = index;
      }
      const head = heads[first];
      yield head.line;
      const { value, done } = await head.source.next();
      if (done) heads.splice(first, 1);
      else head.line = value;
    }
  } finally {
    for (const source of sources) await source.return(undefined);
  }
}
