import { totalmem } from 'node:os';
import { getHeapStatistics } from 'node:v8';

/** How full memory is, 0 to 1: the heap against its limit, or the process against what its container or machine has. */
export function memoryPressure(): number {
  const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics();
  // 0 or a number beyond the machine's memory when there is no limit. Source: Node.js "process.constrainedMemory()".
  const constrained = process.constrainedMemory();
  const available = constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
  return Math.max(used / limit, process.memoryUsage.rss() / available);
}
