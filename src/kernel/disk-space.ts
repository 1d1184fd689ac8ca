import { statfs } from 'node:fs/promises';

/** Of the disk that a directory lies on, as far as we may use it. */
export async function diskSpace(directory: string): Promise<{ freeBytes: number; totalBytes: number }> {
  const { bsize, bavail, blocks } = await statfs(directory);
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
}
