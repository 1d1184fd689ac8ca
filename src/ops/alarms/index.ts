export {
  AlarmBook,
  type AlarmBookOptions,
  type AlarmChange,
  type AlarmControl,
  type AlarmState,
  readAlarms,
} from './alarm-book.ts';
export { type AlarmMessage, AlarmRelay } from './alarm-relay.ts';
export { AlarmEvaluator, type EvaluatorOptions } from './evaluator.ts';
export { type FailedInvocation, FailedInvocations } from './failed-invocations.ts';
export { type AlarmHook, Notifier, type NotifierOptions, sentenceOf, webhook } from './notifier.ts';
export { type AlarmRule, type Condition, defaultRules, quietMs } from './rules.ts';
