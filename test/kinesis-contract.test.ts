/** Our own Kinesis endpoint is an engine of the stream like any other: the Kinesis engine before it, over HTTP/2. */
import { after, before } from 'node:test';
import { Kinesis } from '@aws-sdk/client-kinesis';
import { listenKinesis } from '../src/http/kinesis/index.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { silentLog } from '../src/kernel/log.ts';
import { MemoryFiles } from '../src/kernel/memory-files.ts';
import { systemRandom } from '../src/kernel/random.ts';
import { streamContract } from '../src/platform/stream/contract.ts';
import { embeddedEngines, StreamCatalog } from '../src/platform/stream/index.ts';
import { kinesisWorld } from '../src/platform/stream/kinesis/kinesis-world.ts';

let client: Kinesis;
let close: () => Promise<void>;

before(async () => {
  const world = { files: new MemoryFiles(), clock: systemClock, random: systemRandom, log: silentLog };
  const openEngine = embeddedEngines({ ...world, paddingBytes: 0 });
  const catalog = await StreamCatalog.open({ ...world, directory: '/kinesis', openEngine });
  const address = { host: '127.0.0.1', port: 0, connectionsMax: 100 };
  const endpoint = await listenKinesis({ ...world, ...address, catalog, iteratorKey: systemRandom.bytes(32) });
  const credentials = { accessKeyId: 'any', secretAccessKey: 'thing' };
  client = new Kinesis({ endpoint: endpoint.url, region: 'us-east-1', credentials });
  close = async () => {
    client.destroy();
    await endpoint.close();
    await catalog.close();
  };
});

after(() => close());

streamContract('Kinesis, by our endpoint', options => kinesisWorld(client, options));
