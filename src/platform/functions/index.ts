export { functionLoop } from './errors.ts';
export { type FunctionUse, Invocations, type NPlusOneFinding } from './invocations.ts';
export { functionLimits, type InvokeOptions, invoke } from './invoke.ts';
export { LoopGuard, loopAlarm } from './loop-guard.ts';
export type { Invocation, InvocationCall, InvocationOutcome, InvocationReport, Trigger } from './port.ts';
