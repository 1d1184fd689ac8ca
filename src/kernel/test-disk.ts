import path from 'node:path';
import type { Clock } from './clock.ts';
import type { File, Files } from './files.ts';
import type { Random } from './random.ts';

/** A write that is in the page cache only: it may or may not have reached the disk when the power goes. */
interface UnsyncedWrite {
  readonly position: number;
  readonly bytes: Uint8Array;
}

interface Inode {
  /** What every reader sees. */
  content: Uint8Array;
  length: number;
  /** What would be left after a power cut that loses everything unsynced. */
  durable: Uint8Array;
  unsynced: UnsyncedWrite[];
}

/** What a test can make the disk do. Each entry is used up by the call it fails. */
export type DiskFault = { operation: 'write' | 'sync'; code: 'ENOSPC' | 'EIO' };

/**
 * A disk in memory that forgets what was not synced. `powerCut` keeps what was synced plus a random part of the rest:
 * each unsynced write is lost, kept, or torn at any byte, in any order, as real disks do. Names are as volatile as
 * bytes: a file that was created but whose directory was not synced may be gone.
 */
export class TestDisk implements Files {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #latencyMs: number;
  #names = new Map<string, Inode>();
  #durableNames = new Map<string, Inode>();
  #faults: DiskFault[] = [];
  #generation = 0;
  syncs = 0;

  constructor(options: { clock: Clock; random: Random; latencyMs?: number }) {
    this.#clock = options.clock;
    this.#random = options.random;
    this.#latencyMs = options.latencyMs ?? 1;
  }

  /** The next operation of that kind fails with that code. */
  failNext(fault: DiskFault): void {
    this.#faults.push(fault);
  }

  /** Everything held by open files is over; what `open` gives afterwards is what survived. */
  powerCut(): void {
    this.#generation++;
    const survivors = new Map<string, Inode>();
    for (const inode of new Set([...this.#names.values(), ...this.#durableNames.values()])) this.#lose(inode);
    for (const [name, inode] of this.#names) {
      if (this.#durableNames.get(name) === inode || this.#random.integer(2) === 1) survivors.set(name, inode);
    }
    for (const [name, inode] of this.#durableNames) {
      if (!this.#names.has(name) && this.#random.integer(2) === 1) survivors.set(name, inode); // An unsynced removal.
    }
    this.#names = survivors;
    this.#durableNames = new Map(survivors);
  }

  /** Changes one stored byte, as a decaying disk does. */
  flipByte(filePath: string, position: number): void {
    const inode = this.#inode(filePath);
    inode.content[position] ^= 0xff;
    inode.durable[position] ^= 0xff;
  }

  sizeOf(filePath: string): number {
    return this.#inode(filePath).length;
  }

  async open(filePath: string, options?: { create?: boolean }): Promise<File> {
    let inode = this.#names.get(filePath);
    if (!inode) {
      if (!options?.create) throw diskError('ENOENT', filePath);
      inode = { content: new Uint8Array(0), length: 0, durable: new Uint8Array(0), unsynced: [] };
      this.#names.set(filePath, inode);
    }
    return new TestFile(inode, filePath, this.#access());
  }

  async list(directory: string): Promise<string[]> {
    const names = [...this.#names.keys()].filter(name => path.dirname(name) === directory);
    return names.map(name => path.basename(name)).sort();
  }

  async makeDirectory(): Promise<void> {}

  async remove(filePath: string): Promise<void> {
    this.#names.delete(filePath);
  }

  async syncDirectory(directory: string): Promise<void> {
    await this.#access().wait();
    for (const name of this.#durableNames.keys()) {
      if (path.dirname(name) === directory && !this.#names.has(name)) this.#durableNames.delete(name);
    }
    for (const [name, inode] of this.#names) {
      if (path.dirname(name) === directory) this.#durableNames.set(name, inode);
    }
  }

  #access(): DiskAccess {
    const generation = this.#generation;
    const check = (filePath: string) => {
      if (generation !== this.#generation) throw diskError('EIO', `${filePath} (the power was cut)`);
    };
    return {
      check,
      wait: () => new Promise(resolve => this.#clock.setTimer(this.#latencyMs, resolve)),
      fault: operation => {
        const index = this.#faults.findIndex(fault => fault.operation === operation);
        return index < 0 ? undefined : this.#faults.splice(index, 1)[0].code;
      },
      synced: () => {
        this.syncs++;
      },
    };
  }

  #inode(filePath: string): Inode {
    const inode = this.#names.get(filePath);
    if (!inode) throw diskError('ENOENT', filePath);
    return inode;
  }

  #lose(inode: Inode): void {
    let content = inode.durable;
    for (const write of inode.unsynced) {
      const fate = this.#random.integer(3);
      if (fate === 0) continue;
      const kept = fate === 1 ? write.bytes : write.bytes.subarray(0, this.#random.integer(write.bytes.length + 1));
      content = overlay(content, kept, write.position);
    }
    inode.content = content;
    inode.length = content.length;
    inode.durable = content.slice();
    inode.unsynced = [];
  }
}

interface DiskAccess {
  check(filePath: string): void;
  wait(): Promise<void>;
  fault(operation: DiskFault['operation']): string | undefined;
  synced(): void;
}

class TestFile implements File {
  readonly #inode: Inode;
  readonly #path: string;
  readonly #access: DiskAccess;

  constructor(inode: Inode, filePath: string, access: DiskAccess) {
    this.#inode = inode;
    this.#path = filePath;
    this.#access = access;
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    this.#access.check(this.#path);
    const copy = bytes.slice();
    const fault = this.#access.fault('write');
    const written = fault ? copy.subarray(0, copy.length >> 1) : copy; // A failed write leaves half of it behind.
    this.#inode.content = overlay(this.#inode.content, written, position);
    this.#inode.length = this.#inode.content.length;
    this.#inode.unsynced.push({ position, bytes: written });
    await this.#access.wait();
    if (fault) throw diskError(fault, this.#path);
    this.#access.check(this.#path);
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    this.#access.check(this.#path);
    const part = this.#inode.content.subarray(position, position + into.length);
    into.set(part);
    return part.length;
  }

  async sync(): Promise<void> {
    this.#access.check(this.#path);
    const covered = this.#inode.unsynced.length;
    await this.#access.wait();
    this.#access.check(this.#path);
    const fault = this.#access.fault('sync');
    if (fault) throw diskError(fault, this.#path);
    for (const write of this.#inode.unsynced.splice(0, covered)) {
      this.#inode.durable = overlay(this.#inode.durable, write.bytes, write.position);
    }
    this.#access.synced();
  }

  async truncate(length: number): Promise<void> {
    this.#access.check(this.#path);
    this.#inode.content = this.#inode.content.slice(0, length);
    this.#inode.length = length;
    // Truncation is treated as durable with the sync that follows; our log always syncs after it.
    this.#inode.durable = this.#inode.durable.slice(0, length);
    this.#inode.unsynced = this.#inode.unsynced.filter(write => write.position + write.bytes.length <= length);
  }

  async size(): Promise<number> {
    this.#access.check(this.#path);
    return this.#inode.length;
  }

  async close(): Promise<void> {}
}

function overlay(base: Uint8Array, bytes: Uint8Array, position: number): Uint8Array {
  const end = position + bytes.length;
  const result = new Uint8Array(Math.max(base.length, end));
  result.set(base);
  result.set(bytes, position);
  return result;
}

function diskError(code: string, filePath: string): Error {
  return Object.assign(new Error(`${code}: ${filePath}`), { code });
}
