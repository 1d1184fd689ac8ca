/** An engine behind DynamoDB's protocol, as the contract wants it: the SDK's document client, without its metadata. */
import type { DynamoDB, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocument } from '@aws-sdk/lib-dynamodb';
import type { Table } from '../port.ts';

/** @param close  what closes the engine; the client is closed before */
export function tableOverSdk(client: DynamoDB | DynamoDBClient, close: () => Promise<void>): Table {
  const document = DynamoDBDocument.from(client);
  const call =
    <Input, Output extends { $metadata: unknown }>(method: (input: Input) => Promise<Output>) =>
    async (input: Input): Promise<Omit<Output, '$metadata'>> => {
      const { $metadata, ...answer } = await method.call(document, input);
      return answer;
    };
  return {
    get: call(input => document.get(input)),
    put: call(input => document.put(input)),
    delete: call(input => document.delete(input)),
    update: call(input => document.update(input)),
    query: call(input => document.query(input)),
    scan: call(input => document.scan(input)),
    batchGet: call(input => document.batchGet(input)),
    batchWrite: call(input => document.batchWrite(input)),
    transactGet: call(input => document.transactGet(input)),
    transactWrite: call(input => document.transactWrite(input)),
    async close() {
      client.destroy();
      await close();
    },
  };
}
