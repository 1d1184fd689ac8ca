/** The two ways in which libraries for DynamoDB reach the table: in process, and with the SDK over the endpoint. */
import { DynamoDB } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { listenDynamoDb, tableService } from '../src/http/dynamodb/index.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { silentLog } from '../src/kernel/log.ts';
import { MemoryDisk } from '../src/kernel/memory-store.ts';
import { seededRandom } from '../src/kernel/random.ts';
import { documentClientOf, openEngine, type TableSchema, tableOn } from '../src/platform/table/index.ts';

export interface LibraryWorld {
  readonly client: DynamoDBDocumentClient;
  close(): Promise<void>;
}

const open = async (tables: readonly TableSchema[]) => {
  const store = new MemoryDisk({ clock: systemClock, syncMs: 0 }).open();
  return openEngine({ store, clock: systemClock, random: seededRandom(1), tables });
};

export const libraryWorlds: Readonly<Record<string, (tables: readonly TableSchema[]) => Promise<LibraryWorld>>> = {
  'in process': async tables => {
    const table = tableOn(await open(tables));
    const client = documentClientOf(table, { marshallOptions: { removeUndefinedValues: true } });
    return { client, close: () => table.close() };
  },
  'over the endpoint': async tables => {
    const engine = await open(tables);
    const { url, close } = await listenDynamoDb({
      clock: systemClock,
      random: seededRandom(2),
      service: tableService(engine),
      log: silentLog,
      host: '127.0.0.1',
      port: 0,
      connectionsMax: 100,
    });
    const credentials = { accessKeyId: 'any', secretAccessKey: 'thing' };
    const sdk = new DynamoDB({ endpoint: url, region: 'us-east-1', credentials, maxAttempts: 1 });
    return {
      client: DynamoDBDocumentClient.from(sdk, { marshallOptions: { removeUndefinedValues: true } }),
      async close() {
        sdk.destroy();
        await close();
        await engine.close();
      },
    };
  },
};
