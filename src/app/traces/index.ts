export { traceLimits } from './limits.ts';
export type { Trace } from './port.ts';
export { Traces } from './traces.ts';
