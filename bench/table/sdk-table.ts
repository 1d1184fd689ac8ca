// A server that speaks DynamoDB's protocol, through the AWS SDK as its users would.
import { DynamoDB } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocument } from '@aws-sdk/lib-dynamodb';
import { documentTable } from './document-table.ts';
import { benchSchema } from './schema.ts';
import type { TableUnderLoad } from './table-under-load.ts';

export async function openSdkTable(url: string): Promise<TableUnderLoad> {
  const client = new DynamoDB({
    endpoint: url,
    region: 'us-east-1',
    credentials: { accessKeyId: 'bench', secretAccessKey: 'bench' },
    maxAttempts: 1,
    requestHandler: { httpAgent: { maxSockets: 256, keepAlive: true } },
  });
  await createOnce(client);
  const table = DynamoDBDocument.from(client);
  return documentTable(table, async () => client.destroy());
}

async function createOnce(client: DynamoDB): Promise<void> {
  const { TableNames = [] } = await client.listTables({});
  if (!TableNames.includes(benchSchema.tableName)) {
    const [index] = benchSchema.indexes;
    const keys = ({ partitionKey, sortKey }: { partitionKey: { name: string }; sortKey: { name: string } }) => [
      { AttributeName: partitionKey.name, KeyType: 'HASH' as const },
      { AttributeName: sortKey.name, KeyType: 'RANGE' as const },
    ];
    await client.createTable({
      TableName: benchSchema.tableName,
      BillingMode: 'PAY_PER_REQUEST',
      KeySchema: keys(benchSchema),
      AttributeDefinitions: ['PK', 'SK', 'City', 'Rank'].map(AttributeName => ({ AttributeName, AttributeType: 'S' })),
      GlobalSecondaryIndexes: [
        { IndexName: index.indexName, KeySchema: keys(index), Projection: { ProjectionType: 'ALL' } },
      ],
    });
  }
  for (;;) {
    const { Table } = await client.describeTable({ TableName: benchSchema.tableName });
    if (Table?.TableStatus === 'ACTIVE') return;
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}
