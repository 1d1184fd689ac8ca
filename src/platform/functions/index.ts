export { lambdaPrices, type MemoryAdvice, memoryAdvice } from './advice.ts';
export { type BreakerState, type BreakerStop, budgetAlarms } from './breaker.ts';
export { isolatedRoom } from './concurrency.ts';
export {
  delayNotValid,
  effectInProgress,
  effectKeyMissing,
  effectKeyNotValid,
  effectResultNotValid,
  FunctionRefusal,
  functionExited,
  functionLoop,
  functionNotFound,
  functionNotInvocable,
  functionNotLoadable,
  functionOutOfMemory,
  inputNotValid,
  inputTooLarge,
  isRefusalOf,
  outputNotValid,
  tooManyCalls,
} from './errors.ts';
export { FunctionHost, type FunctionHostOptions, type Place } from './host.ts';
export type { FunctionReport } from './hosted-function.ts';
export { type FunctionUse, Invocations, type NPlusOneFinding } from './invocations.ts';
export type {
  DestinationRecord,
  LaterDeadLetter,
  LaterInvocation,
  LaterSettings,
  LaterStore,
  OpenLater,
} from './later.ts';
export { LaterQueue } from './later-queue.ts';
export { functionLimits, laterLimits, onceLimits } from './limits.ts';
export { LoopGuard, loopAlarm } from './loop-guard.ts';
export type {
  FunctionBudget,
  FunctionSettings,
  Invocation,
  InvocationCall,
  InvocationMeasures,
  InvocationOutcome,
  InvocationReport,
  IsolatedCall,
  IsolatedWorker,
  Isolation,
  Trigger,
} from './port.ts';
