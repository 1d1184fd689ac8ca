export type { EndpointListener } from '../aws-json/listener.ts';
export { type ClientOptions, dynamoDbCalls } from './client.ts';
export { listenDynamoDb } from './server.ts';
export type { Operation, Service } from './service.ts';
export { tableService } from './table-service.ts';
