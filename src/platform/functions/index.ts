export { type FunctionUse, Invocations, type NPlusOneFinding } from './invocations.ts';
export { functionLimits, invoke } from './invoke.ts';
