export { type ClientOptions, dynamoDbCalls } from './client.ts';
export { Endpoint, type EndpointOptions } from './endpoint.ts';
export { endpointLimits } from './limits.ts';
export { type EndpointListener, isLoopback, type ListenOptions, listenDynamoDb } from './server.ts';
export type { Operation, Service } from './service.ts';
export { tableService } from './table-service.ts';
