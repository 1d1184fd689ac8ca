/** The directory of a stream, which any file system can hold: names may be `..`, and `A` is not `a`. */
import { createHash } from 'node:crypto';
import { joinPath } from '../../../kernel/files.ts';

/** Readable where possible. A `+` is in no name of a stream, so no two names have one directory. */
export function directoryOf(name: string): string {
  if (/^[a-z0-9_-][a-z0-9_.-]*$/.test(name) && !name.endsWith('.')) return name;
  const readable = name.toLowerCase().replaceAll(/^\.+|\.+$/g, '');
  return `${readable}+${createHash('sha256').update(name).digest('hex').slice(0, 16)}`;
}

/** Where the log of a stream lies, in the folder that holds it: for readers on another thread than the catalog's. */
export function logDirectoryOf(directory: string): string {
  return joinPath(directory, 'log');
}
