/** The streams that an app declares: made by the gateway thread, beside those that anybody makes, and read by the app thread. */
import type { App } from '../app/index.ts';
import { partitionKeyOf } from '../iot/rules/index.ts';
import { joinPath } from '../kernel/files.ts';
import { systemRandom } from '../kernel/random.ts';
import { type StreamCatalog, streamDirectoryOf, streamLogDirectoryOf } from '../platform/stream/index.ts';
import type { DeclaredStream } from './messages.ts';

/** Where streams other than that of the devices lie in a data directory. */
export function catalogDirectory(dataDirectory: string): string {
  return joinPath(dataDirectory, 'kinesis');
}

/** Where its log lies: both threads must mean the same place. */
export function declaredLogDirectory(dataDirectory: string, name: string): string {
  return streamLogDirectoryOf(joinPath(catalogDirectory(dataDirectory), streamDirectoryOf(name)));
}

export function declaredStreams(streams: App['model']['streams']): DeclaredStream[] {
  return Object.entries(streams).map(([name, { shards = 1, partitionKey = 'keep' }]) => ({
    name,
    shards,
    // The key that came with a record takes the place that the thing has among the messages of devices.
    partitionKey: partitionKey === 'keep' ? 'thing' : partitionKey,
  }));
}

/** Makes those that are not there, and keys what comes as the model says. */
export async function openDeclared(catalog: StreamCatalog, declared: readonly DeclaredStream[]): Promise<void> {
  for (const { name, shards, partitionKey } of declared) {
    const stream = await catalog.openStream({ name, shardCount: shards });
    stream.rekey =
      partitionKey === 'thing'
        ? undefined
        : (otherwise, payload) => partitionKeyOf(partitionKey, { otherwise, payload, random: systemRandom });
    await stream.shards(); // Its log is opened: from here on its readers know how far it is.
  }
}
