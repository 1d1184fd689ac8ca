export { type ClientOptions, dynamoDbCalls } from './client.ts';
export { type EndpointListener, listenDynamoDb } from './server.ts';
export type { Operation, Service } from './service.ts';
export { tableService } from './table-service.ts';
