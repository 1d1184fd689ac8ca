export type { Announcement, AppContext, CommandResult, ContextOf, TelemetryEvent } from './context.ts';
export { type App, appLimits, defineApp } from './define-app.ts';
export { appTable, type EntityMap, entityIsThere, type Page } from './entities.ts';
export { ApiError, notFound } from './errors.ts';
export { type CommandMap, defineModel, type HttpMethod, type Model, type Route, type TelemetryMap } from './model.ts';
export { openApiOf, statusOf } from './openapi.ts';
export { problemsOf } from './problems.ts';
export { consumerNames, Runtime, type RuntimeOptions } from './runtime.ts';
export { commandTopic, devicePolicy, telemetryTopic } from './topics.ts';
