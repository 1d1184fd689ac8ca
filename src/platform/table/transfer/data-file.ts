/** Data files of an export: written page by page, each a gzip member of its own, and read line by line. */
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { createGunzip, gzip } from 'node:zlib';
import { type File, type Files, joinPath } from '../../../kernel/files.ts';
import { transferLimits } from './limits.ts';

const compress = promisify(gzip);
const readBytes = 256 * 1024; // ours: in one read of a file

export interface WrittenFile {
  readonly items: number;
  readonly md5: string;
}

export class DataFileWriter {
  readonly #file: File;
  readonly #isCompressed: boolean;
  readonly #md5 = createHash('md5');
  #end = 0;
  #textBytes = 0;
  #items = 0;

  private constructor(file: File, isCompressed: boolean) {
    this.#file = file;
    this.#isCompressed = isCompressed;
  }

  /** Takes the place of what is there. */
  static async create(files: Files, filePath: string): Promise<DataFileWriter> {
    const file = await files.open(filePath, { create: true });
    await file.truncate(0);
    return new DataFileWriter(file, filePath.endsWith('.gz'));
  }

  get isFull(): boolean {
    return this.#textBytes >= transferLimits.fileBytesMax;
  }

  /** @returns bytes of text */
  async append(items: readonly Record<string, unknown>[]): Promise<number> {
    if (items.length === 0) return 0;
    const text = Buffer.from(items.map(Item => `${JSON.stringify({ Item })}\n`).join(''), 'utf8');
    await this.#write(this.#isCompressed ? await compress(text) : text);
    this.#textBytes += text.length;
    this.#items += items.length;
    return text.length;
  }

  /** On the disk once it resolves, except for its name. */
  async finish(): Promise<WrittenFile> {
    if (this.#items === 0 && this.#isCompressed) await this.#write(await compress(Buffer.alloc(0)));
    await this.#file.sync();
    await this.#file.close();
    return { items: this.#items, md5: this.#md5.digest('base64') };
  }

  async abandon(): Promise<void> {
    await this.#file.close();
  }

  async #write(bytes: Uint8Array): Promise<void> {
    await this.#file.write(bytes, this.#end);
    this.#md5.update(bytes);
    this.#end += bytes.length;
  }
}

/** The MD5 of a file in base64. */
export async function fileMd5(files: Files, filePath: string): Promise<string> {
  const md5 = createHash('md5');
  for await (const chunk of chunksOf(files, filePath)) md5.update(chunk);
  return md5.digest('base64');
}

export interface Line {
  /** From 1. */
  readonly number: number;
  readonly text: string;
}

/** Throws what gunzip throws, and RangeError at a line that is longer than any item. */
export async function* linesOf(files: Files, filePath: string): AsyncGenerator<Line> {
  const chunks = filePath.endsWith('.gz') ? unzipped(chunksOf(files, filePath)) : chunksOf(files, filePath);
  let number = 1;
  let rest: Buffer[] = [];
  let restBytes = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let at = chunk.indexOf(0x0a); at >= 0; at = chunk.indexOf(0x0a, start)) {
      const bytes = Buffer.concat([...rest, chunk.subarray(start, at)]);
      rest = [];
      restBytes = 0;
      yield { number: number++, text: textOf(bytes) };
      start = at + 1;
    }
    if (start < chunk.length) rest.push(Buffer.from(chunk.subarray(start)));
    restBytes += chunk.length - start;
    if (restBytes > transferLimits.lineBytesMax) throw new RangeError(`line ${number} is longer than any item`);
  }
  if (restBytes > 0) yield { number, text: textOf(Buffer.concat(rest)) };
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function textOf(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

async function* chunksOf(files: Files, filePath: string): AsyncGenerator<Buffer> {
  const file = await files.open(joinPath(filePath), { readOnly: true });
  try {
    for (let position = 0; ; ) {
      const chunk = Buffer.alloc(readBytes);
      const bytesRead = await file.read(chunk, position);
      if (bytesRead === 0) return;
      position += bytesRead;
      yield chunk.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

/** Bounded by the stream's own buffers, whatever a small file grows to. */
async function* unzipped(chunks: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  const gunzip = createGunzip();
  const feeding = feed(gunzip, chunks);
  try {
    yield* gunzip as AsyncIterable<Buffer>; // a cast: it has no encoding
  } finally {
    gunzip.destroy();
    await feeding;
  }
}

/** Ends when the stream does, however that is. */
async function feed(gunzip: ReturnType<typeof createGunzip>, chunks: AsyncGenerator<Buffer>): Promise<void> {
  try {
    for await (const chunk of chunks) {
      if (gunzip.destroyed) return;
      if (!gunzip.write(chunk)) await drained(gunzip);
    }
    gunzip.end();
  } catch (error) {
    gunzip.destroy(error instanceof Error ? error : new Error(String(error)));
  }
}

function drained(gunzip: ReturnType<typeof createGunzip>): Promise<void> {
  return new Promise(resolve => {
    const done = () => {
      gunzip.off('drain', done);
      gunzip.off('close', done);
      resolve();
    };
    gunzip.on('drain', done);
    gunzip.on('close', done);
  });
}
