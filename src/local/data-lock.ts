import { MimamoriError } from '../kernel/errors.ts';
import { lockPath, type PathLock } from '../kernel/path-lock.ts';

export type DataLock = PathLock;

/** One process per data directory. Throws `data.inUse`. */
export function lockDataDirectory(directory: string): Promise<DataLock> {
  return lockPath(directory, owner => dataInUse(directory, owner));
}

const dataInUse = (directory: string, owner: string) =>
  new MimamoriError({
    code: 'data.inUse',
    message: `${directory} is in use by ${owner}.`,
    fix: 'Stop that one first, or choose another folder with --data.',
  });
