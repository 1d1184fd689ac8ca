/**
 * The store on local disk: LMDB, with a journal before it (see journaled-store.ts). A directory holds
 *   entries.mdb         LMDB's file
 *   journal/            changes that may not be in it yet; empty after a clean stop
 *   data.mdb/           a directory. Releases before the journal had their file there; they would not read the journal,
 *                       so acknowledged writes would be missing, and the directory keeps them from opening.
 *   data.mdb/made       says that there was an LMDB file, so that a store whose file is gone does not pass for a new one
 *
 * One rule for whoever terminates the thread that owns a store: not before this module is loaded and `openLmdbStore` has
 * resolved. A thread terminated while lmdb's native part is being set up aborts the whole process (seen once in 400
 * terminations at random instants; none in 1,800 after the store was open).
 */
import { rename, rm, stat, writeFile } from 'node:fs/promises';
import { codeOf } from './errors.ts';
import { type Files, joinPath, systemFiles } from './files.ts';
import { type JournaledStoreLimits, openJournaledStore } from './journaled-store.ts';
import { lmdbLimits, openLmdb, toStoreError } from './lmdb-base.ts';
import { checkLmdbFile } from './lmdb-file.ts';
import { lockPath } from './path-lock.ts';
import { type Random, systemRandom } from './random.ts';
import type { Durability, KeyValueStore } from './store.ts';
import type { StoreBase } from './store-base.ts';
import { storeFailed, storeInUse, storePagesCorrupt } from './store-errors.ts';

const entriesName = 'entries.mdb';
const guardName = 'data.mdb';
const madeName = 'made';

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
  await claimNames(path);
  await checkEntries(path);
  const lmdb = openLmdb({ filePath: joinPath(path, entriesName), sync: durability === 'sync' });
  undos.push(() => lmdb.close());
  await syncNames(path);
  await writeFile(joinPath(path, guardName, madeName), '');
  const [releaseLock] = undos;
  const close = async () => {
    await lmdb.close();
    await releaseLock();
  };
  const journal = { files, random, directory: joinPath(path, 'journal') };
  return await openJournaledStore({ base: closedBy(lmdb, close), journal, durability, limits });
}

function closedBy(base: StoreBase, close: () => Promise<void>): StoreBase {
  return {
    get: key => base.get(key),
    range: range => base.range(range),
    commit: changes => base.commit(changes),
    snapshot: () => base.snapshot(),
    close,
  };
}

/** Moves the file of a release before the journal, once, and sees that no such release opens the directory again. */
async function claimNames(path: string): Promise<void> {
  const guard = joinPath(path, guardName);
  const entries = joinPath(path, entriesName);
  if ((await stat(guard).catch(ignoreAbsence))?.isFile()) {
    if (await stat(entries).catch(ignoreAbsence)) throw storeFailed(`both ${guard} and ${entries} hold entries`);
    await rename(guard, entries);
    await rm(joinPath(path, 'lock.mdb'), { force: true });
  }
  await systemFiles.makeDirectory(guard);
}

/** A file that has gone, or lost its contents, must not pass for a new store. Throws `store.corrupt`. */
async function checkEntries(path: string): Promise<void> {
  const filePath = joinPath(path, entriesName);
  const found = await stat(filePath).catch(ignoreAbsence);
  if ((found?.size ?? 0) === 0 && (await stat(joinPath(path, guardName, madeName)).catch(ignoreAbsence))) {
    throw storePagesCorrupt(filePath, found === undefined ? 'it is missing' : 'it is empty', undefined);
  }
  checkLmdbFile(filePath, lmdbLimits.pageBytes);
}

function ignoreAbsence(error: unknown): undefined {
  if (codeOf(error) !== 'ENOENT') throw error;
}

/** LMDB syncs its file, but a power cut may still forget a new file's name, which its directory holds. */
async function syncNames(path: string): Promise<void> {
  if (process.platform === 'win32') return; // where a directory cannot be opened
  await systemFiles.syncDirectory(path);
}
