/**
 * Files that are only added to, at once: what `append` took is the operating system's when it returns, so a thread that
 * ends in the next instant, or the process, leaves it behind. A power cut takes what was not synced.
 */
import fs from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import type { File } from './files.ts';

export interface AppendFiles {
  /** Names in a directory, sorted; [] when there is no such directory. */
  list(directory: string): string[];
  /** With all its parents, mode 0700. */
  makeDirectory(directory: string): void;
  /** Created (mode 0600) when absent. Throws ENOSPC and the like, as do its methods. */
  openToAppend(filePath: string): AppendFile;
  openToRead(filePath: string): Promise<ReadFile>;
  /** Undefined when there is none. */
  sizeOf(filePath: string): number | undefined;
  /** Everything in a file; undefined when there is none. */
  readAll(filePath: string): Buffer | undefined;
  /** Everything in a file, at once: a reader never sees a part. Not synced: a power cut may bring back what was there. */
  replace(filePath: string, bytes: Uint8Array): void;
  /** Content when it is gone. */
  remove(filePath: string): void;
}

export interface AppendFile {
  /** Adds all of `bytes`, or throws: then a part may have been added. */
  append(bytes: Uint8Array): void;
  truncate(length: number): void;
  close(): void;
}

export type ReadFile = Pick<File, 'read' | 'size' | 'close'>;

class SystemAppendFile implements AppendFile {
  readonly #descriptor: number;

  constructor(filePath: string) {
    this.#descriptor = fs.openSync(filePath, 'a', 0o600);
  }

  append(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      done += fs.writeSync(this.#descriptor, bytes, done, bytes.length - done);
    }
  }

  truncate(length: number): void {
    fs.ftruncateSync(this.#descriptor, length);
  }

  close(): void {
    fs.closeSync(this.#descriptor);
  }
}

export const systemAppendFiles: AppendFiles = {
  list(directory) {
    return unlessAbsent(() => fs.readdirSync(directory).sort()) ?? [];
  },
  makeDirectory(directory) {
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
  },
  openToAppend: filePath => new SystemAppendFile(filePath),
  async openToRead(filePath) {
    const handle = await open(filePath, 'r');
    return {
      read: async (into, position) => (await handle.read(into, 0, into.length, position)).bytesRead,
      size: async () => (await handle.stat()).size,
      close: () => handle.close(),
    };
  },
  sizeOf: filePath => fs.statSync(filePath, { throwIfNoEntry: false })?.size,
  readAll: filePath => unlessAbsent(() => fs.readFileSync(filePath)),
  replace(filePath, bytes) {
    const written = path.join(path.dirname(filePath), `.${path.basename(filePath)}.new`);
    fs.writeFileSync(written, bytes, { mode: 0o600 });
    fs.renameSync(written, filePath);
  },
  remove(filePath) {
    fs.rmSync(filePath, { force: true });
  },
};

function unlessAbsent<Result>(work: () => Result): Result | undefined {
  try {
    return work();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined; // Node types what it throws as unknown.
    throw error;
  }
}
