export { makeApi } from './api.ts';
export { type ApiCall, ApiCalls } from './api-calls.ts';
export { Feed } from './feed.ts';
export { httpLimits } from './limits.ts';
export {
  type AlarmsAnswer,
  addOpenMetrics,
  alarmRoutes,
  alarmsPath,
  capacityPath,
  capacityRoutes,
  consumerRoutes,
  consumersPath,
  deadLetterRoutes,
  deadLettersPath,
  explainPath,
  type FunctionsAnswer,
  functionRoutes,
  functionsPath,
  type InvokeAnswer,
  type LogHead,
  ledgerPath,
  ledgerRoutes,
  levelsPath,
  logRoutes,
  logsPath,
  type MetricsAnswer,
  metricRoutes,
  metricsPath,
  type OperatorRoute,
  OperatorTokens,
  type RecordedEvent,
  type ReplayBody,
  recordingPath,
  recordingRoutes,
  redrivesPath,
  type ShownConsumer,
  type ShownLetter,
  type ShownPayload,
} from './operator/index.ts';
export { type HttpListener, listenHttp } from './server.ts';
export { type Caller, loadSigningKey, TokenIssuer, type Tokens } from './tokens.ts';
