export { type EndpointListener, listenDynamoDb } from '../aws-json/server.ts';
export type { Operation, Service } from '../aws-json/service.ts';
export { type ClientOptions, dynamoDbCalls } from './client.ts';
export { tableService } from './table-service.ts';
