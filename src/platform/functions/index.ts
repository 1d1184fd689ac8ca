export { type FunctionUse, Invocations, type InvocationsOptions, type NPlusOneFinding } from './invocations.ts';
export { functionLimits, type InvokeOptions, invoke } from './invoke.ts';
