import path from 'node:path';
import type { Clock } from './clock.ts';
import type { File, Files } from './files.ts';
import type { Random } from './random.ts';

/** A change that is in the page cache only: it may or may not have reached the disk when the power goes. */
type UnsyncedChange =
  | { readonly kind: 'write'; readonly position: number; readonly bytes: Uint8Array }
  | { readonly kind: 'truncate'; readonly length: number };

interface Inode {
  /** What every reader sees. */
  content: Bytes;
  /** What would be left after a power cut that loses everything unsynced. */
  durable: Bytes;
  unsynced: UnsyncedChange[];
}

/** What a test can make the disk do. Each entry is used up by the call it fails. */
export interface DiskFault {
  readonly operation: 'open' | 'write' | 'sync' | 'truncate' | 'remove' | 'syncDirectory';
  readonly code: 'ENOSPC' | 'EDQUOT' | 'EIO';
}

/**
 * A disk in memory that forgets what was not synced. `powerCut` keeps what was synced plus a random part of the rest:
 * each unsynced write is lost, kept, torn at any byte or has a hole, in any order, as real disks do. Names are as
 * volatile as bytes: a file that was created but whose directory was not synced may be gone. A sync that fails drops
 * what it should have saved while readers go on seeing it, as Linux does. Directories are not modelled: one exists while
 * it has a file in it.
 */
export class TestDisk implements Files {
  readonly #clock: Clock;
  readonly #random: Random;
  /** How long each write and sync takes. A test may change it to let the disk stall. */
  latencyMs: number;
  #names = new Map<string, Inode>();
  #durableNames = new Map<string, Inode>();
  #faults: DiskFault[] = [];
  readonly #lasting = new Set<DiskFault>();
  #generation = 0;
  syncs = 0;

  constructor(options: { clock: Clock; random: Random; latencyMs?: number }) {
    this.#clock = options.clock;
    this.#random = options.random;
    this.latencyMs = options.latencyMs ?? 1;
  }

  /** The next operation of that kind fails with that code. */
  failNext(fault: DiskFault): void {
    this.#faults.push(fault);
  }

  /** Every operation of that kind fails with that code until the returned function is called. */
  failWhile(fault: DiskFault): () => void {
    this.#lasting.add(fault);
    return () => void this.#lasting.delete(fault);
  }

  /** A disk of its own with what this one holds now, synced or not. */
  copy({ clock, random }: { clock: Clock; random: Random }): TestDisk {
    const copy = new TestDisk({ clock, random, latencyMs: this.latencyMs });
    for (const [name, { content }] of this.#names) {
      const inode: Inode = { content: content.copy(), durable: content.copy(), unsynced: [] };
      copy.#names.set(name, inode);
      copy.#durableNames.set(name, inode);
    }
    return copy;
  }

  /** The process is killed: everything it held is over, but what it has written stays. */
  kill(): void {
    this.#generation++;
  }

  /** The disk as one process sees it: of no use any more after its end, not even for what it opens anew. */
  mount(): Files {
    const { check } = this.#access();
    const whilePowered =
      <Args extends [string, ...unknown[]], Result>(operation: (...args: Args) => Promise<Result>) =>
      async (...args: Args): Promise<Result> => {
        check(args[0]);
        return operation.apply(this, args);
      };
    return {
      open: whilePowered(this.open),
      list: whilePowered(this.list),
      makeDirectory: whilePowered(this.makeDirectory),
      remove: whilePowered(this.remove),
      removeDirectory: whilePowered(this.removeDirectory),
      syncDirectory: whilePowered(this.syncDirectory),
    };
  }

  /** Everything held by open files is over; what `open` gives afterwards is what survived. */
  powerCut(): void {
    this.kill();
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
    inode.content.flip(position);
    inode.durable.flip(position);
  }

  sizeOf(filePath: string): number {
    return this.#inode(filePath).content.length;
  }

  async open(filePath: string, options?: { create?: boolean }): Promise<File> {
    const access = this.#access();
    access.failIfAsked('open', filePath);
    let inode = this.#names.get(filePath);
    if (!inode) {
      if (!options?.create) throw diskError('ENOENT', filePath);
      inode = { content: new Bytes(), durable: new Bytes(), unsynced: [] };
      this.#names.set(filePath, inode);
    }
    return new TestFile(inode, filePath, access);
  }

  async list(directory: string): Promise<string[]> {
    const inside = [...this.#names.keys()].filter(name => name.startsWith(directory + path.sep));
    return [...new Set(inside.map(name => path.relative(directory, name).split(path.sep)[0]))].sort();
  }

  async makeDirectory(_directory: string): Promise<void> {}

  async remove(filePath: string): Promise<void> {
    this.#access().failIfAsked('remove', filePath);
    this.#names.delete(filePath);
  }

  async removeDirectory(directory: string): Promise<void> {
    const access = this.#access();
    access.failIfAsked('remove', directory);
    const inside = (name: string) => name.startsWith(directory + path.sep);
    for (const name of this.#names.keys()) if (inside(name)) this.#names.delete(name);
    await access.wait();
    access.check(directory);
    for (const name of this.#durableNames.keys()) {
      if (inside(name) && !this.#names.has(name)) this.#durableNames.delete(name);
    }
  }

  async syncDirectory(directory: string): Promise<void> {
    const access = this.#access();
    await access.wait();
    access.check(directory);
    access.failIfAsked('syncDirectory', directory);
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
      if (generation !== this.#generation) throw diskError('EIO', `${filePath} (this process has ended)`);
    };
    const fault = (operation: DiskFault['operation']) => {
      const index = this.#faults.findIndex(asked => asked.operation === operation);
      if (index >= 0) return this.#faults.splice(index, 1)[0].code;
      for (const asked of this.#lasting) if (asked.operation === operation) return asked.code;
      return undefined;
    };
    return {
      check,
      wait: () => new Promise(resolve => this.#clock.setTimer(this.latencyMs, resolve)),
      fault,
      failIfAsked: (operation, filePath) => {
        const code = fault(operation);
        if (code) throw diskError(code, filePath);
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
    const { durable } = inode;
    for (const change of inode.unsynced) {
      const fate = this.#random.integer(4);
      if (fate === 0) continue;
      if (fate === 1 || change.kind === 'truncate') {
        apply(change, durable);
        continue;
      }
      const { bytes, position } = change;
      const lostFrom = this.#random.integer(bytes.length + 1);
      durable.write(bytes.subarray(0, lostFrom), position);
      if (fate === 2) continue;
      const lostTo = lostFrom + this.#random.integer(bytes.length - lostFrom + 1);
      if (lostTo < bytes.length) durable.write(bytes.subarray(lostTo), position + lostTo);
    }
    inode.content = durable.copy();
    inode.unsynced = [];
  }
}

interface DiskAccess {
  check(filePath: string): void;
  wait(): Promise<void>;
  fault(operation: DiskFault['operation']): string | undefined;
  failIfAsked(operation: DiskFault['operation'], filePath: string): void;
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
    const fault = this.#access.fault('write');
    const written = bytes.slice(0, fault ? bytes.length >> 1 : bytes.length); // A failed write leaves half of it behind.
    this.#change({ kind: 'write', position, bytes: written });
    await this.#access.wait();
    if (fault) throw diskError(fault, this.#path);
    this.#access.check(this.#path);
  }

  writeNow(bytes: Uint8Array, position: number): void {
    this.#access.check(this.#path);
    const fault = this.#access.fault('write');
    this.#change({ kind: 'write', position, bytes: bytes.slice(0, fault ? bytes.length >> 1 : bytes.length) });
    if (fault) throw diskError(fault, this.#path);
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    this.#access.check(this.#path);
    return this.#inode.content.read(into, position);
  }

  async sync(): Promise<void> {
    this.#access.check(this.#path);
    const covered = new Set(this.#inode.unsynced);
    await this.#access.wait();
    this.#access.check(this.#path);
    const fault = this.#access.fault('sync');
    const settled = this.#inode.unsynced.filter(change => covered.has(change));
    this.#inode.unsynced = this.#inode.unsynced.filter(change => !covered.has(change));
    if (fault) throw diskError(fault, this.#path); // Linux marks the pages clean: no later sync will write them.
    for (const change of settled) apply(change, this.#inode.durable);
    this.#access.synced();
  }

  async truncate(length: number): Promise<void> {
    this.#access.check(this.#path);
    this.#access.failIfAsked('truncate', this.#path);
    this.#change({ kind: 'truncate', length });
  }

  async size(): Promise<number> {
    this.#access.check(this.#path);
    return this.#inode.content.length;
  }

  async close(): Promise<void> {}

  #change(change: UnsyncedChange): void {
    apply(change, this.#inode.content);
    this.#inode.unsynced.push(change);
  }
}

function apply(change: UnsyncedChange, bytes: Bytes): void {
  if (change.kind === 'write') bytes.write(change.bytes, change.position);
  else bytes.truncate(change.length);
}

/** The bytes of a file. Room is doubled when it runs out, so that a long log is not copied at every write. */
class Bytes {
  #room = new Uint8Array(0);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  write(bytes: Uint8Array, position: number): void {
    this.#extend(position + bytes.length);
    this.#room.set(bytes, position);
  }

  read(into: Uint8Array, position: number): number {
    const part = this.#room.subarray(Math.min(position, this.#length), Math.min(position + into.length, this.#length));
    into.set(part);
    return part.length;
  }

  /** Longer than before: zeros follow. */
  truncate(length: number): void {
    this.#extend(length);
    this.#room.fill(0, length, this.#length);
    this.#length = length;
  }

  flip(position: number): void {
    this.#room[position] ^= 0xff;
  }

  copy(): Bytes {
    const copy = new Bytes();
    copy.write(this.#room.subarray(0, this.#length), 0);
    return copy;
  }

  #extend(length: number): void {
    if (length > this.#room.length) {
      const larger = new Uint8Array(Math.max(length, this.#room.length * 2));
      larger.set(this.#room);
      this.#room = larger;
    }
    this.#length = Math.max(this.#length, length);
  }
}

function diskError(code: string, filePath: string): Error {
  return Object.assign(new Error(`${code}: ${filePath}`), { code });
}

/** The same files, but nothing of them is ever synced although it is said to be: a test that does not notice is none. */
export const withoutSync = (files: Files): Files => ({
  ...files,
  open: async (filePath, options) => {
    const file = await files.open(filePath, options);
    return {
      write: (bytes, position) => file.write(bytes, position),
      read: (into, position) => file.read(into, position),
      sync: async () => {},
      truncate: length => file.truncate(length),
      size: () => file.size(),
      close: () => file.close(),
    };
  },
});

/** The same files, but the names of new ones are never synced although it is said that they are. */
export const withoutSyncDirectory = (files: Files): Files => ({ ...files, syncDirectory: async () => {} });
