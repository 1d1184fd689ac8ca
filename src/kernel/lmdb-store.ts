/**
 * The store on local disk: LMDB, with a journal before it (see journaled-store.ts). A directory holds
 *   data.mdb            LMDB's entries, as every release wrote them
 *   journal/            changes that may not be in data.mdb yet; empty or absent after a clean stop
 *   lock.mdb/           a directory while there is a journal: releases that know of none would not read it, and open
 *                       nothing while their lock file has a directory in its place
 *
 * One rule for whoever terminates the thread that owns a store: not before this module is loaded and `openLmdbStore` has
 * resolved. A thread terminated while lmdb's native part is being set up aborts the whole process (seen once in 400
 * terminations at random instants; none in 1,800 after the store was open).
 */
import { rm, rmdir, stat } from 'node:fs/promises';
import { type Files, joinPath, systemFiles } from './files.ts';
import { JournaledStore, type JournaledStoreLimits } from './journaled-store.ts';
import { openLmdb, toStoreError } from './lmdb-base.ts';
import { lockPath } from './path-lock.ts';
import { type Random, systemRandom } from './random.ts';
import type { Durability, KeyValueStore } from './store.ts';
import { commitAll } from './store-base.ts';
import { storeInUse } from './store-errors.ts';
import { StoreJournal } from './store-journal.ts';

const guardName = 'lock.mdb';

export interface LmdbStoreOptions {
  /** A directory; made when absent. */
  readonly path: string;
  readonly durability: Durability;
  /** Where the journal is; the system's when absent. */
  readonly files?: Files;
  /** Salts the journal; the system's when absent. */
  readonly random?: Random;
  readonly limits?: Partial<JournaledStoreLimits>;
}

/**
 * A store that was killed is whole again when this resolves.
 * Throws `store.inUse`, `store.corrupt`, `store.versionUnknown`, `store.full`, `store.failed`.
 */
export async function openLmdbStore(options: LmdbStoreOptions): Promise<KeyValueStore> {
  const { path } = options;
  const undos: (() => Promise<void>)[] = [];
  try {
    await systemFiles.makeDirectory(path);
    const lock = await lockPath(path, owner => storeInUse(path, owner));
    undos.push(() => lock.release());
    return await openLocked(options, undos);
  } catch (cause) {
    for (const undo of undos.reverse()) await undo();
    throw await toStoreError(cause, path);
  }
}

async function openLocked(options: LmdbStoreOptions, undos: (() => Promise<void>)[]): Promise<KeyValueStore> {
  const { path, durability, files = systemFiles, random = systemRandom, limits } = options;
  const directory = joinPath(path, 'journal');
  const { journal, left } = await StoreJournal.open({ files, random, directory });
  await raiseGuard(path);
  const lmdb = openLmdb({ filePath: joinPath(path, 'data.mdb'), sync: durability === 'sync' });
  undos.push(() => lmdb.close());
  await syncNames(path);
  await commitAll(lmdb, left.changes);
  await journal.removeAll();
  if (durability === 'sync') {
    await journal.roll(left.nextSequenceNumber);
    undos.push(() => journal.close());
  }
  const [release] = undos;
  const close = async () => {
    await lmdb.close();
    if ((await files.list(directory)).length === 0) await lowerGuard(path);
    await release();
  };
  return new JournaledStore({
    base: {
      get: key => lmdb.get(key),
      range: range => lmdb.range(range),
      commit: changes => lmdb.commit(changes),
      snapshot: () => lmdb.snapshot(),
      close,
    },
    journal: durability === 'sync' ? journal : undefined,
    nextSequenceNumber: left.nextSequenceNumber,
    limits,
  });
}

async function raiseGuard(path: string): Promise<void> {
  const guard = joinPath(path, guardName);
  const before = await stat(guard).catch(() => undefined);
  if (before?.isFile()) await rm(guard);
  await systemFiles.makeDirectory(guard);
}

async function lowerGuard(path: string): Promise<void> {
  await rmdir(joinPath(path, guardName));
  await syncNames(path);
}

/** LMDB syncs its file, but a power cut may still forget a new file's name, which its directory holds. */
async function syncNames(path: string): Promise<void> {
  if (process.platform === 'win32') return; // where a directory cannot be opened
  await systemFiles.syncDirectory(path);
}
