// What is measured at each size of a growing table.
import type { Operation } from './table-under-load.ts';

export interface GrowthLoad {
  name: string;
  operation: Operation;
  callers: number;
}

export const growthLoads: readonly GrowthLoad[] = [
  { name: 'get', operation: 'get', callers: 64 },
  { name: 'query', operation: 'query', callers: 64 },
  { name: 'put', operation: 'put', callers: 64 },
  { name: 'update', operation: 'update', callers: 64 },
  { name: 'put-alone', operation: 'put', callers: 1 },
];

export function callersOf(loads: readonly GrowthLoad[]): string {
  return loads.map(({ name, callers }) => `${name} ${callers}`).join(', ');
}
