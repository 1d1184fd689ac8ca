export { type AlarmRoutesOptions, type AlarmsAnswer, alarmRoutes } from './alarms.ts';
export { capacityRoutes } from './capacity.ts';
export { consumerRoutes, type ReplayBody, type ShownConsumer } from './consumers.ts';
export {
  deadLetterRoutes,
  type ShownLetter,
  type ShownPayload,
} from './dead-letters.ts';
export { type FunctionsAnswer, functionRoutes, type InvokeAnswer } from './functions.ts';
export { ledgerRoutes } from './ledger.ts';
export { type LevelSwitch, type LogHead, type LogRoutesOptions, logRoutes } from './logs.ts';
export { addOpenMetrics, type MetricsAnswer, metricRoutes } from './metrics.ts';
export { addOperatorRoutes, type OperatorOptions, type OperatorRoute, OperatorTokens } from './operator.ts';
export * from './paths.ts';
export { type RecordedEvent, recordingRoutes } from './recording.ts';
