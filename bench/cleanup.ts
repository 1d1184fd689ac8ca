// Children and temporary folders of a run, so that none outlives it, however it ends (except by SIGKILL).
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const children = new Set<ChildProcess>();
const folders = new Set<string>();

export function trackChild<T extends ChildProcess>(child: T): T {
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

/** A new folder in `root`, removed when the process exits. */
export function temporaryFolder(root: string): string {
  const folder = mkdtempSync(join(root, 'mimamori-bench-'));
  folders.add(folder);
  return folder;
}

export function cleanUpOnExit(): void {
  process.on('SIGINT', () => process.exit(130));
  process.on('SIGTERM', () => process.exit(143));
  process.on('exit', () => {
    for (const child of children) child.kill('SIGKILL');
    // Retried, for a child that was just killed may be writing its last file.
    for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  });
}
