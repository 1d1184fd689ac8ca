/** The contract on an implementation of Kinesis by others: what both agree on is no misunderstanding of ours. */
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before } from 'node:test';
import type { Kinesis } from '@aws-sdk/client-kinesis';
import kinesalite from 'kinesalite';
import { testScale } from '../../../../test/support.ts';
import { poisonContract } from '../consumers/poison-contract.ts';
import { type Gap, streamContract } from '../contract.ts';
import { kinesisClient, kinesisWorld } from './kinesis-world.ts';

const noLaterRecord = 'asked for an instant behind the last record it never answers';
const gaps: readonly Gap[] = [
  { test: 'takes keys of 1 to 256 characters and refuses any other', reason: 'it counts 😀 as two characters' },
  { test: 'begins at the first record of an instant or behind it', reason: noLaterRecord },
  { test: 'begins in a closed shard, and behind it', reason: noLaterRecord },
];

let server: Server;
let client: Kinesis;

before(async () => {
  server = kinesalite({ createStreamMs: 0, deleteStreamMs: 0, updateStreamMs: 0, shardLimit: 1_000 });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo; // It listens on a port, not on a pipe.
  client = kinesisClient(`http://127.0.0.1:${port}`);
});

after(() => {
  client.destroy();
  server.close();
});

streamContract('Kinesis, by kinesalite', options => kinesisWorld(client, options), gaps);

poisonContract(
  'Kinesis, by kinesalite',
  async () => {
    const world = await kinesisWorld(client, { shards: 2 });
    return { ...world, openReader: world.makeReader };
  },
  testScale(1, 3),
);
