/** The test double of `append-files`: in memory, with as much room as a test gives it. */
import path from 'node:path';
import type { AppendFile, AppendFiles, ReadFile } from './append-files.ts';

interface Content {
  bytes: Buffer;
  length: number;
}

export class MemoryAppendFiles implements AppendFiles {
  readonly #files = new Map<string, Content>();
  /** Bytes that may still be added; what goes beyond is written in part, then ENOSPC. */
  roomBytes = Number.POSITIVE_INFINITY;

  /** Files of their own with what these hold now. */
  copy(): MemoryAppendFiles {
    const copy = new MemoryAppendFiles();
    for (const [name, { bytes, length }] of this.#files) {
      copy.#files.set(name, { bytes: Buffer.from(bytes.subarray(0, length)), length });
    }
    return copy;
  }

  list(directory: string): string[] {
    const inside = [...this.#files.keys()].filter(name => name.startsWith(directory + path.sep));
    return [...new Set(inside.map(name => path.relative(directory, name).split(path.sep)[0]))].sort();
  }

  makeDirectory(_directory: string): void {}

  openToAppend(filePath: string): AppendFile {
    const content = this.#files.get(filePath) ?? { bytes: Buffer.alloc(256), length: 0 };
    this.#files.set(filePath, content);
    return {
      append: bytes => this.#append(content, bytes),
      truncate: length => {
        content.length = length;
      },
      close: () => {},
    };
  }

  async openToRead(filePath: string): Promise<ReadFile> {
    const content = this.#files.get(filePath);
    if (content === undefined) throw diskError('ENOENT', filePath);
    return {
      read: async (into, position) =>
        content.bytes.copy(into, 0, position, Math.min(content.length, position + into.length)),
      size: async () => content.length,
      close: async () => {},
    };
  }

  sizeOf(filePath: string): number | undefined {
    return this.#files.get(filePath)?.length;
  }

  readAll(filePath: string): Buffer | undefined {
    const content = this.#files.get(filePath);
    return content && Buffer.from(content.bytes.subarray(0, content.length));
  }

  replace(filePath: string, bytes: Uint8Array): void {
    if (bytes.length > this.roomBytes) throw diskError('ENOSPC', filePath);
    this.#files.set(filePath, { bytes: Buffer.from(bytes), length: bytes.length });
  }

  remove(filePath: string): void {
    this.#files.delete(filePath);
  }

  #append(content: Content, bytes: Uint8Array): void {
    const fitting = bytes.subarray(0, Math.min(bytes.length, Math.max(this.roomBytes, 0)));
    const end = content.length + fitting.length;
    if (end > content.bytes.length) {
      content.bytes = Buffer.concat([content.bytes.subarray(0, content.length)], Math.max(end, content.length * 2));
    }
    content.bytes.set(fitting, content.length);
    content.length = end;
    this.roomBytes -= fitting.length;
    if (fitting.length < bytes.length) throw diskError('ENOSPC', 'a file');
  }
}

function diskError(code: 'ENOENT' | 'ENOSPC', filePath: string): Error {
  return Object.assign(new Error(`${code}: ${filePath}`), { code });
}
