/** An engine behind DynamoDB's protocol, as the contract wants it: through the SDK, as on AWS. */
import type { DynamoDB, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocument } from '@aws-sdk/lib-dynamodb';
import { awsTable } from '../aws.ts';
import type { Table } from '../port.ts';

/** @param close  what closes the engine; the client is closed before */
export function tableOverSdk(client: DynamoDB | DynamoDBClient, close: () => Promise<void>): Table {
  const table = awsTable(DynamoDBDocument.from(client));
  return {
    ...table,
    async close() {
      await table.close();
      client.destroy(); // the document client's `destroy` leaves a client that it was given
      await close();
    },
  };
}
