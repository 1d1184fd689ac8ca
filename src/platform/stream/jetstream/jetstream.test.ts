/** The contract on Debian's nats-server, and what is private to this engine. */
import { randomUUID } from 'node:crypto';
import { after, before, describe } from 'node:test';
import type { NatsConnection } from '@nats-io/transport-node';
import { missing, temporaryFolder } from '../../../../test/support.ts';
import { delay, systemClock } from '../../../kernel/clock.ts';
import { type Gap, type StreamWorld, streamContract, type WorldOptions } from '../contract.ts';
import { openJetStreamReader } from './jetstream-reader.ts';
import { openJetStreamStream } from './jetstream-stream.ts';
import { connectTo, NatsServer } from './nats-server.test-process.ts';

const gaps: readonly Gap[] = [
  {
    test: 'refuses what a shard cannot take record by record, and of a key with one refused all that follow',
    reason: 'NATS has no limit per shard and second',
  },
];

let server: NatsServer;
let connection: NatsConnection;

async function jetStreamWorld({ shards }: WorldOptions): Promise<StreamWorld> {
  const clock = systemClock;
  const streamName = `contract-${randomUUID()}`;
  return {
    open: () => openJetStreamStream({ connection, streamName, clock, shards }),
    openReader: () => openJetStreamReader({ connection, streamName, clock }),
    until: promise => promise,
    pass: ms => delay(clock, ms),
    nowMs: () => clock.nowMs(),
    cleanUp: async () => {},
  };
}

describe('JetStream', { skip: missing('nats-server') }, () => {
  before(async () => {
    server = await NatsServer.start(temporaryFolder());
    connection = await connectTo(server);
  });

  after(async () => {
    await connection.close();
    await server.kill();
  });

  streamContract('JetStream, one server', jetStreamWorld, gaps);
});
