/**
 * `npm test` and `npm run test:long`: every *.test.ts of the repository, in processes of their own. Long campaigns read
 * `testScale` and repeat themselves more often; their seeds are printed.
 */
import { spawn } from 'node:child_process';
import path from 'node:path';

const long = process.argv.includes('--long');
const args = process.argv.slice(2).filter(arg => arg !== '--long');
const files = args.length > 0 ? args : ['{src,apps,bench,test}/**/*.test.ts'];
// Hundreds of processes load the same modules: compiled once, they cost each less than half.
const compileCache = path.join(import.meta.dirname, '..', 'node_modules', '.cache', 'compiled');
const child = spawn(process.execPath, ['--test', '--test-concurrency=3', ...files], {
  stdio: 'inherit',
  env: { NODE_COMPILE_CACHE: compileCache, ...process.env, MIMAMORI_TEST_LONG: long ? '1' : '' },
});
child.on('exit', code => process.exit(code ?? 1));
