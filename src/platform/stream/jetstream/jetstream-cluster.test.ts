/** Servers that are killed while records are on their way: one that comes back, and one of three. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { NatsConnection } from '@nats-io/transport-node';
import { connectTo, NatsServer } from '../../../../test/nats-server.ts';
import { eventually, missing, temporaryFolder, testScale } from '../../../../test/support.ts';
import { batchOf, textOf } from '../contract/world.ts';
import type { JetStreamStream } from './jetstream-stream.ts';
import { JetStreamWorld, newName, readAll } from './jetstream-world.ts';

let servers: NatsServer[];
let connection: NatsConnection;
let world: JetStreamWorld;

before(async () => {
  if (missing('nats-server')) return;
  servers = await NatsServer.startCluster(temporaryFolder());
  connection = await connectTo(servers);
  world = new JetStreamWorld(connection);
});

after(async () => {
  await connection?.close();
  for (const server of servers ?? []) await server.kill();
});

/** The server that leads the first shard of a stream, or one that does not. */
async function serverThat(leads: boolean, streamName: string): Promise<NatsServer> {
  return eventually('the shard has a leader', async () => {
    const answer = await connection.request(`$JS.API.STREAM.INFO.${streamName}-0`, '', { timeout: 1_000 });
    const leader = answer.json<{ cluster?: { leader?: string } }>().cluster?.leader;
    return leader ? servers.find((_, index) => (`node-${index}` === leader) === leads) : undefined;
  });
}

/** A caller that appends one record after the other, and remembers which were acknowledged. */
class Caller {
  readonly acknowledged: string[] = [];
  readonly #stream: JetStreamStream;
  readonly #key: string;
  #number = 0;

  constructor(stream: JetStreamStream, key: string) {
    this.#stream = stream;
    this.#key = key;
  }

  /** Until so many more are acknowledged. */
  async append(count: number): Promise<void> {
    for (const until = this.acknowledged.length + count; this.acknowledged.length < until; ) {
      const text = `${this.#key}:${this.#number++}`;
      await this.#stream.append(batchOf([this.#key, text]));
      this.acknowledged.push(text);
    }
  }
}

const leaderOnlyInLongRun = testScale(1, 0) === 1 && 'part of the long run';

describe('JetStream, three servers', { skip: missing('nats-server') }, () => {
  async function killMidway(leads: boolean): Promise<void> {
    const streamName = newName();
    const stream = await world.open(streamName, { replicas: 3 });
    const callers = Array.from({ length: 8 }, (_, index) => new Caller(stream, `key-${index}`));
    await Promise.all(callers.map(caller => caller.append(50)));
    const victim = await serverThat(leads, streamName);
    const appending = Promise.all(callers.map(caller => caller.append(200)));
    await victim.kill();
    await appending;
    await Promise.all(callers.map(caller => caller.append(50)));
    const found = (await readAll(await world.openReader(streamName))).map(textOf);
    checkAll(found, callers);
    victim.restart();
  }

  it('lose nothing that was acknowledged when one is killed, and go on', async () => {
    for (let round = 0; round < testScale(1, 5); round++) await killMidway(false);
  });

  // Another is elected after 4 to 9 seconds.
  it('lose nothing when the one that leads is killed, and go on with another', {
    skip: leaderOnlyInLongRun,
  }, async () => {
    for (let round = 0; round < testScale(1, 5); round++) await killMidway(true);
  });
});

describe('JetStream, one server that is killed and comes back', { skip: missing('nats-server') }, () => {
  it('has all it acknowledged, each once and in order, and what was sent meanwhile', async () => {
    const alone = await NatsServer.start(temporaryFolder());
    const own = await connectTo([alone]);
    const ownWorld = new JetStreamWorld(own);
    const streamName = newName();
    const stream = await ownWorld.open(streamName, { shards: 2 });
    const callers = Array.from({ length: 8 }, (_, index) => new Caller(stream, `key-${index}`));
    for (let round = 0; round < testScale(1, 20); round++) {
      const appending = Promise.all(callers.map(caller => caller.append(200)));
      await Promise.race(callers.map(caller => caller.append(20)));
      await alone.kill();
      alone.restart();
      await appending;
    }
    await Promise.all(callers.map(caller => caller.append(1)));
    checkAll((await readAll(await ownWorld.openReader(streamName))).map(textOf), callers);
    await own.close();
    await alone.kill();
  });
});

/** Each acknowledged record is there once, in the order of its caller, and nothing else. */
function checkAll(found: readonly string[], callers: readonly Caller[]): void {
  for (const { acknowledged } of callers) {
    const [key] = acknowledged[0].split(':');
    assert.deepEqual(
      found.filter(text => text.startsWith(`${key}:`)),
      acknowledged,
    );
  }
}
