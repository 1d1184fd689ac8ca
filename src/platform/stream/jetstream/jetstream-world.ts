/** Streams on NATS servers, for tests. */
import { randomUUID } from 'node:crypto';
import type { NatsConnection } from '@nats-io/transport-node';
import { delay, systemClock } from '../../../kernel/clock.ts';
import { batchOf } from '../contract/world.ts';
import type { StreamWorld, WorldOptions } from '../contract.ts';
import type { Shard, ShardId, StreamReader, StreamRecord } from '../port.ts';
import { jetStreamReaders } from './jetstream-reader.ts';
import { type JetStreamStream, type JetStreamStreamOptions, openJetStreamStream } from './jetstream-stream.ts';

/** Makes streams and readers over one connection. */
export class JetStreamWorld {
  readonly #connection: NatsConnection;

  constructor(connection: NatsConnection) {
    this.#connection = connection;
  }

  open(streamName: string, more: Partial<JetStreamStreamOptions> = {}): Promise<JetStreamStream> {
    return openJetStreamStream({ connection: this.#connection, streamName, clock: systemClock, ...more });
  }

  readers(streamName: string): Promise<() => StreamReader> {
    return jetStreamReaders({ connection: this.#connection, streamName, clock: systemClock });
  }

  async openReader(streamName: string): Promise<StreamReader> {
    return (await this.readers(streamName))();
  }

  /** For the contract: one new stream. */
  streamWorld({ shards }: WorldOptions, streamName = newName()): StreamWorld {
    return {
      open: () => this.open(streamName, { shards }),
      openReader: () => this.openReader(streamName),
      until: promise => promise,
      pass: ms => delay(systemClock, ms),
      nowMs: () => systemClock.nowMs(),
      cleanUp: async () => {},
    };
  }
}

export function newName(): string {
  return `test-${randomUUID()}`;
}

/** All that the stream holds, parents before children. */
export async function readAll(reader: StreamReader): Promise<StreamRecord[]> {
  const all: StreamRecord[] = [];
  for (const { shardId } of await reader.shards()) all.push(...(await readShard(reader, shardId)));
  return all;
}

export async function readShard(reader: StreamReader, shardId: ShardId): Promise<StreamRecord[]> {
  const all: StreamRecord[] = [];
  for (;;) {
    const records = await reader.read(shardId, all.at(-1)?.sequenceNumber ?? null, 10_000);
    if (records.length === 0) return all;
    all.push(...records);
  }
}

/** Those that records go to, by range. */
export function openOf(shards: Shard[]): Shard[] {
  const open = shards.filter(({ endingSequenceNumber }) => endingSequenceNumber === undefined);
  return open.sort((left, right) => (left.hashKeys.from < right.hashKeys.from ? -1 : 1));
}

/** Appends `count` records of a few keys one batch after the other; what each key should then hold, in order. */
export async function appendMany(
  stream: JetStreamStream,
  writer: string,
  count: number,
): Promise<Map<string, string[]>> {
  const sent = new Map<string, string[]>();
  for (let number = 0; number < count; number++) {
    const key = `${writer}-${number % 5}`;
    sent.set(key, [...(sent.get(key) ?? []), `${number}`]);
    const append = stream.append(batchOf([key, `${number}`]));
    if (number % 3 === 0) await append;
    else append.catch(() => {}); // The last of the batches is waited for, and comes last.
  }
  await stream.append(batchOf([`${writer}-end`, 'end']));
  return sent.set(`${writer}-end`, ['end']);
}
