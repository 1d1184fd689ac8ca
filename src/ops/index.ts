import { alarmNotFound, questionNotValid, tooManyFollowers } from './errors.ts';

export {
  AlarmBook,
  type AlarmChange,
  type AlarmControl,
  AlarmEvaluator,
  type AlarmHook,
  type AlarmRule,
  type AlarmState,
  defaultRules,
  FailedInvocations,
  Notifier,
  quietMs,
  readAlarms,
  sentenceOf,
  webhook,
} from './alarms/index.ts';
export { alarmLimits, logLimits, metricLimits } from './limits.ts';
export {
  type FoundLine,
  isLevel,
  type LevelRule,
  LogChannelReader,
  type LogChannelReaderOptions,
  type LoggedError,
  type LogLine,
  type LogQuestion,
  LogReader,
  type LogReaderOptions,
  LogStore,
  type LogStoreOptions,
  type Positions,
  questionParameters,
  readQuestion,
} from './logs/index.ts';
export {
  AppMetrics,
  type ConsumerMeasures,
  consumerSource,
  counter,
  counterSource,
  type Distribution,
  diskSource,
  EmfMetrics,
  emfLine,
  FunctionMetrics,
  gauge,
  gaugeSource,
  KeySkew,
  logSource,
  MetricCollector,
  type MetricSource,
  OtlpPusher,
  processSource,
  prometheusContentType,
  prometheusText,
  quantile,
  type Sample,
} from './metrics/index.ts';

/** What those refuse with who let others ask. */
export const opsProblems = { alarmNotFound, questionNotValid, tooManyFollowers } as const;
