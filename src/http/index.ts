export { makeApi } from './api.ts';
export { Feed } from './feed.ts';
export { httpLimits } from './limits.ts';
export {
  capacityPath,
  capacityRoutes,
  deadLetterRoutes,
  deadLettersPath,
  type LogHead,
  levelsPath,
  logRoutes,
  logsPath,
  type OperatorRoute,
  OperatorTokens,
  redrivesPath,
  type ShownLetter,
  type ShownPayload,
} from './operator/index.ts';
export { type HttpListener, listenHttp } from './server.ts';
export { type Caller, loadSigningKey, TokenIssuer, type Tokens } from './tokens.ts';
