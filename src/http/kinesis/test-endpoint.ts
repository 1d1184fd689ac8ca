/** For tests: an endpoint before a catalog in memory, on a clock of its own, and real clients of it. */
import type { TestContext } from 'node:test';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { Kinesis, type KinesisClientConfig } from '@aws-sdk/client-kinesis';
import { silentLog } from '../../kernel/log.ts';
import { MemoryFiles } from '../../kernel/memory-files.ts';
import { seededRandom } from '../../kernel/random.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import { awsShardThroughput, embeddedEngines, StreamCatalog } from '../../platform/stream/index.ts';
import type { EndpointListener } from '../aws-json/listener.ts';
import { type ListenKinesisOptions, listenKinesis } from './server.ts';

export interface TestKinesis extends EndpointListener {
  readonly clock: VirtualClock;
  readonly catalog: StreamCatalog;
  client(config?: KinesisClientConfig): Kinesis;
}

export async function openTestKinesis(
  t: TestContext,
  options: Partial<ListenKinesisOptions> & { transitionMs?: number } = {},
): Promise<TestKinesis> {
  const clock = new VirtualClock();
  const random = seededRandom(1);
  const files = new MemoryFiles();
  const throughput = options.limits === 'aws' ? awsShardThroughput : undefined;
  const openEngine = embeddedEngines({ files, clock, random, throughput, paddingBytes: 0 });
  const { transitionMs } = options;
  const catalog = await StreamCatalog.open({ files, clock, log: silentLog, directory: '/k', openEngine, transitionMs });
  const endpoint = await listenKinesis({
    catalog,
    clock,
    random,
    log: silentLog,
    iteratorKey: random.bytes(32),
    host: '127.0.0.1',
    port: 0,
    connectionsMax: 100,
    ...options,
  });
  t.after(async () => {
    await endpoint.close();
    await catalog.close();
  });
  const client = (config: KinesisClientConfig = {}) => {
    const credentials = { accessKeyId: 'any', secretAccessKey: 'thing' };
    const own = { endpoint: endpoint.url, region: 'us-east-1', credentials, maxAttempts: 1 };
    const made = new Kinesis({ ...own, ...config });
    t.after(() => made.destroy());
    return made;
  };
  return { ...endpoint, clock, catalog, client };
}

/** HTTP/1.1, as DynamoDB's client speaks it, where the default of Kinesis' is HTTP/2. */
export const http1 = (): KinesisClientConfig => ({
  requestHandler: new DynamoDBClient({ region: 'us-east-1' }).config.requestHandler,
});
