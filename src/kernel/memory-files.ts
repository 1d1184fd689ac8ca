/** A disk that is memory, for what ends with the process on purpose. Unlike the disk of tests, it never fails or forgets. */
import path from 'node:path';
import type { File, Files } from './files.ts';

export class MemoryFiles implements Files {
  readonly #contents = new Map<string, Content>();

  async open(filePath: string, options?: { create?: boolean }): Promise<File> {
    let content = this.#contents.get(filePath);
    if (!content) {
      if (!options?.create) throw Object.assign(new Error(`ENOENT: ${filePath}`), { code: 'ENOENT' });
      content = new Content();
      this.#contents.set(filePath, content);
    }
    return content;
  }

  async list(directory: string): Promise<string[]> {
    const names = new Set<string>();
    for (const name of this.#contents.keys()) {
      if (isIn(name, directory)) names.add(path.relative(directory, name).split(path.sep)[0]);
    }
    return [...names].sort();
  }

  async makeDirectory(_directory: string): Promise<void> {}

  async remove(filePath: string): Promise<void> {
    this.#contents.delete(filePath);
  }

  async removeDirectory(directory: string): Promise<void> {
    for (const name of this.#contents.keys()) if (isIn(name, directory)) this.#contents.delete(name);
  }

  async syncDirectory(_directory: string): Promise<void> {}
}

function isIn(filePath: string, directory: string): boolean {
  return filePath.startsWith(directory + path.sep);
}

/** Like a file on a disk, it stays for whoever has it open when its name is gone. */
class Content implements File {
  #bytes = Buffer.alloc(0);
  #length = 0;

  async write(bytes: Uint8Array, position: number): Promise<void> {
    this.#extend(position + bytes.length);
    this.#bytes.set(bytes, position);
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    const part = this.#bytes.subarray(Math.min(position, this.#length), Math.min(position + into.length, this.#length));
    into.set(part);
    return part.length;
  }

  async sync(): Promise<void> {}

  /** Longer than before: zeros follow. */
  async truncate(length: number): Promise<void> {
    this.#extend(length);
    this.#bytes.fill(0, length, this.#length);
    this.#length = length;
  }

  async size(): Promise<number> {
    return this.#length;
  }

  async close(): Promise<void> {}

  #extend(length: number): void {
    if (length > this.#bytes.length) {
      const larger = Buffer.alloc(Math.max(length, this.#bytes.length * 2));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#length = Math.max(this.#length, length);
  }
}
