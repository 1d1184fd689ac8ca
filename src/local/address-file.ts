/** Where the backend of a data directory answers over HTTP, for commands that ask it. Gone when it is stopped. */
import { type Files, joinPath } from '../kernel/files.ts';

const bytesMax = 300; // ours: of a URL without a path

export async function writeAddress(files: Files, dataDirectory: string, httpUrl: string): Promise<void> {
  const file = await files.open(pathIn(dataDirectory), { create: true });
  try {
    await file.truncate(0);
    await file.write(Buffer.from(`${httpUrl}\n`), 0);
  } finally {
    await file.close();
  }
}

/** Undefined when none runs there. After a crash it may be the address of one that has ended. */
export async function readAddress(files: Files, dataDirectory: string): Promise<string | undefined> {
  if (!(await files.list(dataDirectory)).includes(name)) return undefined;
  const file = await files.open(pathIn(dataDirectory), { readOnly: true });
  try {
    const bytes = Buffer.alloc(bytesMax);
    const length = await file.read(bytes, 0);
    return bytes.toString('utf8', 0, length).trim();
  } finally {
    await file.close();
  }
}

export function removeAddress(files: Files, dataDirectory: string): Promise<void> {
  return files.remove(pathIn(dataDirectory));
}

const name = 'http-url';

function pathIn(dataDirectory: string): string {
  return joinPath(dataDirectory, name);
}
