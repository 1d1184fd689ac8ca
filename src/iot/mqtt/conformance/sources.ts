import { readFileSync } from 'node:fs';
import { glob } from 'node:fs/promises';
import path from 'node:path';
import type { SourceFile } from './report.ts';

/** The root of the repository, whatever directory the process runs in. */
export const repositoryRoot = path.join(import.meta.dirname, '../../../..');
export const documentPath = path.join(repositoryRoot, 'docs/mqtt-conformance.md');

/** Every source that may cite a clause, in an order that is the same everywhere; of this folder the tests only. */
export async function readSources(): Promise<SourceFile[]> {
  const paths: string[] = [];
  for await (const file of glob('{src,apps,test}/**/*.ts', { cwd: repositoryRoot })) {
    const isOurs = path.dirname(path.join(repositoryRoot, file)) === import.meta.dirname;
    if (!isOurs || file.endsWith('.test.ts')) paths.push(file.split(path.sep).join('/'));
  }
  return paths.sort().map(file => ({ path: file, text: readFileSync(path.join(repositoryRoot, file), 'utf8') }));
}
