/** What the table promises in process it promises over the wire too, to the SDK; its tables are made by calls. */
import { DynamoDB } from '@aws-sdk/client-dynamodb';
import { listenDynamoDb } from '../src/http/dynamodb/server.ts';
import { tableService } from '../src/http/dynamodb/table-service.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { silentLog } from '../src/kernel/log.ts';
import { MemoryDisk } from '../src/kernel/memory-store.ts';
import { seededRandom } from '../src/kernel/random.ts';
import { VirtualClock } from '../src/kernel/virtual-clock.ts';
import { tableOverSdk } from '../src/platform/table/contract/over-sdk.ts';
import { createContractTables, tableContract } from '../src/platform/table/contract.ts';
import { openEngine } from '../src/platform/table/index.ts';

const makeWorld = async () => {
  const clock = new VirtualClock();
  const random = seededRandom(1);
  const store = new MemoryDisk({ clock: systemClock, syncMs: 0 }).open();
  const engine = await openEngine({ store, clock, random });
  const service = tableService(engine);
  const listen = {
    clock: systemClock,
    random,
    service,
    log: silentLog,
    host: '127.0.0.1',
    port: 0,
    connectionsMax: 100,
  };
  const { url, close } = await listenDynamoDb(listen);
  const client = new DynamoDB({
    endpoint: url,
    region: 'us-east-1',
    credentials: { accessKeyId: 'any', secretAccessKey: 'thing' },
    maxAttempts: 1,
  });
  await createContractTables(client);
  return {
    table: tableOverSdk(client, async () => {
      await close();
      await engine.close();
    }),
    letPass: (ms: number) => clock.advance(ms),
    cleanUp: async () => {},
  };
};

tableContract('over the wire, with the SDK', makeWorld, [
  {
    test: 'keeps attribute names that mean something to JavaScript',
    reason: 'the SDK loses an attribute called __proto__',
  },
]);
