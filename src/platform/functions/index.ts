export { functionLimits, invoke } from './invoke.ts';
