import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

/** What is in use of the heap once the garbage is gone. For tests of what a structure takes. */
export function heapBytes(): number {
  collectGarbage();
  collectGarbage(); // What the first left behind for weak references.
  return process.memoryUsage().heapUsed;
}
