export { type AlarmRoutesOptions, type AlarmsAnswer, alarmRoutes, alarmsPath } from './alarms.ts';
export { capacityPath, capacityRoutes } from './capacity.ts';
export { consumerRoutes, consumersPath, type ReplayBody, type ShownConsumer } from './consumers.ts';
export {
  deadLetterRoutes,
  deadLettersPath,
  redrivesPath,
  type ShownLetter,
  type ShownPayload,
} from './dead-letters.ts';
export { type FunctionsAnswer, functionRoutes, functionsPath, type InvokeAnswer } from './functions.ts';
export { explainPath, ledgerPath, ledgerRoutes } from './ledger.ts';
export { type LevelSwitch, type LogHead, type LogRoutesOptions, levelsPath, logRoutes, logsPath } from './logs.ts';
export { addOpenMetrics, type MetricsAnswer, metricRoutes, metricsPath, openMetricsPath } from './metrics.ts';
export { addOperatorRoutes, type OperatorOptions, type OperatorRoute, OperatorTokens } from './operator.ts';
export { type RecordedEvent, recordingPath, recordingRoutes } from './recording.ts';
