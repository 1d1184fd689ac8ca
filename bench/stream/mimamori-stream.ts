// Our engine in process, as the gateway uses it, with a consumer on the same thread.
import { join } from 'node:path';
import { systemClock } from '../../src/kernel/clock.ts';
import { systemFiles } from '../../src/kernel/files.ts';
import {
  EmbeddedStream,
  EmbeddedStreamReader,
  LocalTail,
  RecordBatch,
  type SequenceNumber,
  ShardConsumer,
} from '../../src/platform/stream/index.ts';
import type { BatchSettings, StreamUnderLoad } from './stream-under-load.ts';

const partitionKey = 'thing-1';
const batchBytes = 512; // of a batch for one record
const everything: BatchSettings = { batchRecordsMax: 10_000, batchWindowMs: 0 };

/** With more that can be asked of it. */
export interface MimamoriStream extends StreamUnderLoad {
  follow(onRecords: (records: readonly Buffer[]) => void, settings?: BatchSettings): Promise<void>;
}

export async function openMimamoriStream(folder: string): Promise<MimamoriStream> {
  const directory = join(folder, 'stream');
  const tail = new LocalTail(0n);
  const onDurable = (last: SequenceNumber, generation: number) => tail.moveTo(last, generation);
  const stream = await EmbeddedStream.open({ files: systemFiles, clock: systemClock, directory, onDurable });
  const [{ shardId }] = await stream.shards();
  const stop = new AbortController();
  const running: Promise<void>[] = [];

  /** A consumer that keeps its checkpoint nowhere, so that what is measured is reading and handing over. */
  const consume = (
    from: SequenceNumber | null,
    { batchRecordsMax, batchWindowMs }: BatchSettings,
    handle: (records: readonly Buffer[]) => void,
  ) => {
    const consumer = new ShardConsumer<Buffer>({
      name: 'bench',
      clock: systemClock,
      reader: new EmbeddedStreamReader({ files: systemFiles, directory, tail }),
      shardId,
      select: record => record.data,
      invoke: async batch => {
        handle(batch.map(({ event }) => event));
        return { failed: new Map(), skipped: new Set() };
      },
      loadCheckpoint: async () => from,
      saveCheckpoint: async () => {},
      deadLetter: async letter => {
        throw new Error(`a record became a dead letter: ${String(letter.error)}`);
      },
      batchRecordsMax,
      batchWindowMs,
    });
    return consumer;
  };

  return {
    append(data) {
      const batch = new RecordBatch(batchBytes);
      batch.add(partitionKey, data);
      return stream.append(batch);
    },
    async fill(data, count) {
      for (let left = count; left > 0; ) {
        const batch = new RecordBatch(1024 * 1024);
        for (; left > 0 && !batch.isFull; left--) batch.add(partitionKey, data);
        await stream.append(batch);
      }
    },
    async follow(onRecords, settings = everything) {
      const last = tail.lastSequenceNumber();
      running.push(consume(last, settings, onRecords).run(stop.signal));
    },
    async drain(count) {
      const done = new AbortController();
      let seen = 0;
      const consumer = consume(null, everything, records => {
        seen += records.length;
        if (seen >= count) done.abort();
      });
      await consumer.run(done.signal);
    },
    async close() {
      stop.abort();
      await Promise.all(running);
      await stream.close();
    },
  };
}
