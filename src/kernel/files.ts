import { constants, writeSync } from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';

/** The disk, handed in. What is written is safe only after `sync`; a new name only after `syncDirectory`. */
export interface Files {
  /**
   * Opens for reading and writing; creates the file (mode 0600) when `create` is set. `readOnly` is for files of the
   * operator's, which we may not be allowed to write: then `write` and `truncate` fail.
   */
  open(filePath: string, options?: { create?: boolean; readOnly?: boolean }): Promise<File>;
  /** Names in a directory, sorted; [] when there is no such directory. */
  list(directory: string): Promise<string[]>;
  /** With all its parents, mode 0700, safe once it resolves. Content if it exists. */
  makeDirectory(directory: string): Promise<void>;
  remove(filePath: string): Promise<void>;
  /** With everything in it. Content if there is none; none of it comes back once it resolves. */
  removeDirectory(directory: string): Promise<void>;
  /** Makes created, renamed and removed names of `directory` survive a power cut. */
  syncDirectory(directory: string): Promise<void>;
}

export interface File {
  /** Writes all of `bytes` at `position`, or throws (ENOSPC, EIO, …). */
  write(bytes: Uint8Array, position: number): Promise<void>;
  /**
   * The same on this thread, before it returns. For little, into a part of the file that is there already: then it is a
   * copy in memory, and sooner done than handed to another thread. Absent where there is no such difference.
   */
  writeNow?(bytes: Uint8Array, position: number): void;
  /** Fills `into` from `position`; returns how many bytes there were. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** fdatasync: resolves when everything written survives a power cut. */
  sync(): Promise<void>;
  truncate(length: number): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}

class SystemFile implements File {
  readonly #handle: fs.FileHandle;

  constructor(handle: fs.FileHandle) {
    this.#handle = handle;
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done, position + done);
      done += bytesWritten; // A short write goes on where it stopped.
    }
  }

  writeNow(bytes: Uint8Array, position: number): void {
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(this.#handle.fd, bytes, done, bytes.length - done, position + done);
    }
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    let done = 0;
    while (done < into.length) {
      const { bytesRead } = await this.#handle.read(into, done, into.length - done, position + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return done;
  }

  sync(): Promise<void> {
    return this.#handle.datasync();
  }

  truncate(length: number): Promise<void> {
    return this.#handle.truncate(length);
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

export const systemFiles: Files = {
  async open(filePath, options) {
    const access = options?.readOnly ? constants.O_RDONLY : constants.O_RDWR;
    const flags = access | (options?.create ? constants.O_CREAT : 0);
    return new SystemFile(await fs.open(filePath, flags, 0o600));
  },
  async list(directory) {
    try {
      return (await fs.readdir(directory)).sort();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []; // Node types what readdir throws as unknown.
      throw error;
    }
  },
  async makeDirectory(directory) {
    const first = await fs.mkdir(directory, { recursive: true, mode: 0o700 });
    if (first === undefined) return;
    // Each name that was made is safe once the directory it stands in is synced.
    const above = path.dirname(path.resolve(first));
    for (let made = path.resolve(directory); made !== above; made = path.dirname(made)) {
      await this.syncDirectory(path.dirname(made));
    }
  },
  async remove(filePath) {
    await fs.rm(filePath, { force: true });
  },
  async removeDirectory(directory) {
    await fs.rm(directory, { recursive: true, force: true });
    await this.syncDirectory(path.dirname(path.resolve(directory))); // What nothing leads to any more is gone.
  },
  async syncDirectory(directory) {
    const handle = await fs.open(directory, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
};

export function joinPath(...parts: string[]): string {
  return path.join(...parts);
}
