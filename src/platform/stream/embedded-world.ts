/** A disk, a clock and the stream on it, for tests: it can be killed, lose power, and be opened again. */
import type { Files } from '../../kernel/files.ts';
import { type Random, seededRandom } from '../../kernel/random.ts';
import { TestDisk } from '../../kernel/test-disk.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import { EmbeddedStream, onlyShard } from './embedded.ts';
import type { EmbeddedStreamOptions } from './embedded-options.ts';
import { EmbeddedStreamReader } from './embedded-reader.ts';
import type { Appended, SequenceNumber, Shard, StreamReader, StreamRecord } from './port.ts';
import { RecordBatch } from './record-batch.ts';
import { LocalTail } from './tail.ts';

export const directory = '/stream';

export class EmbeddedWorld {
  readonly clock = new VirtualClock();
  readonly random: Random;
  readonly disk: TestDisk;
  tail = new LocalTail(0n);

  constructor(seed = 1) {
    this.random = seededRandom(seed);
    this.disk = new TestDisk({ clock: this.clock, random: this.random });
  }

  /** A process that starts; one that still runs is killed. `spoil` may make its disk a worse one. */
  async open(
    options: Partial<EmbeddedStreamOptions> = {},
    spoil: (files: Files) => Files = files => files,
  ): Promise<EmbeddedStream> {
    const { clock, random } = this;
    this.disk.kill();
    const tail = new LocalTail(0n);
    const onDurable = (last: SequenceNumber, generation: number) => tail.moveTo(last, generation);
    const files = spoil(this.disk.mount());
    const small = { paddingBytes: 0 }; // What a test finds on the disk is what it wrote.
    const stream = await clock.until(
      EmbeddedStream.open({ files, clock, random, directory, onDurable, ...small, ...options }),
    );
    this.tail = tail;
    return stream;
  }

  openReader(): StreamReader {
    return new EmbeddedStreamReader({ files: this.disk.mount(), directory, tail: this.tail });
  }

  append(stream: EmbeddedStream, ...texts: string[]): Promise<Appended> {
    return this.clock.until(stream.append(batchOf(...texts)));
  }

  /** Everything that is kept, as a reader that starts now sees it. */
  async readAll(after: SequenceNumber | null = null): Promise<string[]> {
    const reader = this.openReader();
    const texts: string[] = [];
    for (let at = after; ; ) {
      const records = await reader.read(onlyShard, at, 1_000);
      if (records.length === 0) return texts;
      texts.push(...records.map(textOf));
      at = records[records.length - 1].sequenceNumber;
    }
  }

  /** The segments' paths, oldest first. */
  async segments(): Promise<string[]> {
    const names = await this.disk.list(directory);
    return names.filter(name => name.endsWith('.log')).map(name => `${directory}/${name}`);
  }

  /** The newest segment's path. */
  async newest(): Promise<string> {
    return (await this.segments()).at(-1) ?? '';
  }

  /** The whole file as it is. */
  async bytesOf(filePath: string): Promise<Buffer> {
    const bytes = Buffer.alloc(this.disk.sizeOf(filePath));
    await (await this.disk.open(filePath)).read(bytes, 0);
    return bytes;
  }

  /** Makes the file hold exactly these bytes, durably. */
  async replace(filePath: string, bytes: Uint8Array): Promise<void> {
    const file = await this.disk.open(filePath, { create: true });
    await file.truncate(0);
    await this.clock.until(file.write(bytes, 0));
    await this.clock.until(file.sync());
    await this.clock.until(this.disk.syncDirectory(directory));
  }
}

/** A batch of records `key:rest`, each with its whole text as data. */
export function batchOf(...texts: string[]): RecordBatch {
  const batch = new RecordBatch(1_024);
  for (const text of texts) batch.add(text.split(':')[0], Buffer.from(text));
  return batch;
}

export function isOpenShard(shard: Shard): boolean {
  return shard.endingSequenceNumber === undefined;
}

export function textOf(record: StreamRecord): string {
  return record.data.toString();
}
