// NATS JetStream over TCP, as its own client is used: one connection, a publish and its acknowledgement for each record.
import { AckPolicy, DeliverPolicy, jetstream, jetstreamManager, StorageType } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import type { StreamUnderLoad } from './stream-under-load.ts';

const subject = 'bench.records';
const fillAtOnce = 1_000;
const timeout = 30_000; // of a request: a server that syncs each write is slow when many wait

export async function openNatsStream(place: string): Promise<StreamUnderLoad> {
  const connection = await connect({ servers: place });
  const manager = await jetstreamManager(connection, { timeout });
  const client = jetstream(connection, { timeout });
  await manager.streams.add({ name: 'bench', subjects: [subject], storage: StorageType.File });

  const consumerFrom = async (deliver_policy: typeof DeliverPolicy.New | typeof DeliverPolicy.All) => {
    const { name } = await manager.consumers.add('bench', { ack_policy: AckPolicy.None, deliver_policy });
    return client.consumers.get('bench', name);
  };

  return {
    append: data => client.publish(subject, data),
    async fill(data, count) {
      for (let left = count; left > 0; left -= fillAtOnce) {
        const some = Array.from({ length: Math.min(left, fillAtOnce) }, () => client.publish(subject, data));
        await Promise.all(some);
      }
    },
    async follow(onRecords) {
      const consumer = await consumerFrom(DeliverPolicy.New);
      await consumer.consume({ callback: message => onRecords([Buffer.from(message.data)]) });
    },
    async drain(count) {
      const consumer = await consumerFrom(DeliverPolicy.All);
      const { promise, resolve } = Promise.withResolvers<void>();
      let seen = 0;
      const messages = await consumer.consume({
        max_messages: 10_000,
        callback: () => {
          seen++;
          if (seen === count) resolve();
        },
      });
      await promise;
      messages.stop();
    },
    close: () => connection.close(),
  };
}
