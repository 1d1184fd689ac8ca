/**
 * The engine on AWS: the SDK's document client itself, as its methods are the port's. Made by whoever composes an app
 * there, with the region and retries it wants; nothing is added but `close`, nothing taken but the metadata of HTTP.
 */
import type { DynamoDBDocument } from '@aws-sdk/lib-dynamodb';
import type { Table } from './port.ts';

/** With the client that libraries for DynamoDB want (`documentClientOf`). */
export interface AwsTable extends Table {
  readonly document: DynamoDBDocument;
}

export function awsTable(document: DynamoDBDocument): AwsTable {
  return {
    document,
    get: withoutMetadata(input => document.get(input)),
    put: withoutMetadata(input => document.put(input)),
    delete: withoutMetadata(input => document.delete(input)),
    update: withoutMetadata(input => document.update(input)),
    query: withoutMetadata(input => document.query(input)),
    scan: withoutMetadata(input => document.scan(input)),
    batchGet: withoutMetadata(input => document.batchGet(input)),
    batchWrite: withoutMetadata(input => document.batchWrite(input)),
    transactGet: withoutMetadata(input => document.transactGet(input)),
    transactWrite: withoutMetadata(input => document.transactWrite(input)),
    close: async () => document.destroy(),
  };
}

function withoutMetadata<Input, Output extends { $metadata: unknown }>(method: (input: Input) => Promise<Output>) {
  return async (input: Input): Promise<Omit<Output, '$metadata'>> => {
    const { $metadata, ...answer } = await method(input);
    return answer;
  };
}
