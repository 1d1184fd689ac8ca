import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Counters } from '../../kernel/counters.ts';
import { MimamoriError } from '../../kernel/errors.ts';
import { seededRandom } from '../../kernel/random.ts';
import { TestDisk } from '../../kernel/test-disk.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import {
  type Appended,
  appendedInOrder,
  EmbeddedStream,
  EmbeddedStreamReader,
  LocalTail,
  noneFailed,
  onlyShard,
  type RecordBatch,
  type Stream,
  streamLimits,
  wholeShard,
} from '../../platform/stream/index.ts';
import { type AckTarget, Ingest, readEnvelope } from './index.ts';

/** A stream whose durability a test decides. */
class HeldStream implements Stream {
  readonly batches: RecordBatch[] = [];
  readonly #waiting: { resolve: (failed?: Appended['failed']) => void; reject: (error: Error) => void }[] = [];

  get pendingBytes(): number {
    return this.batches.slice(-this.#waiting.length).reduce((sum, batch) => sum + batch.bytes, 0);
  }

  /** Whether an append waits for its answer. */
  get isAsked(): boolean {
    return this.#waiting.length > 0;
  }

  append(batch: RecordBatch) {
    this.batches.push(batch);
    return new Promise<Appended>((resolve, reject) => {
      const keep = (failed = noneFailed) => resolve({ ...appendedInOrder(onlyShard, 1n), failed });
      this.#waiting.push({ resolve: keep, reject });
    });
  }

  /** Answers the oldest waiting append: with success but for the records in `failed`, or with a refusal of this code. */
  answer(code?: string, failed?: Appended['failed']): void {
    const waiting = this.#waiting.shift();
    assert(waiting);
    if (code) waiting.reject(new MimamoriError({ code, message: '', fix: '' }));
    else waiting.resolve(failed);
  }

  async shards() {
    return [wholeShard()];
  }

  async close() {}
}

function startOn(stream: Stream, clock = new VirtualClock()) {
  const heard: string[] = [];
  const failures: unknown[] = [];
  const counters = new Counters();
  const ingest = new Ingest({
    stream,
    clock,
    counters,
    random: seededRandom(1),
    afterAcks: () => void heard.push('flush'),
    onFailure: error => void failures.push(error),
  });
  const targetOf = (name: string): AckTarget => ({
    acknowledge: (packetId, reasonCode) => void heard.push(`${name}${packetId}=${reasonCode}`),
    refuse: (packetId, code) => void heard.push(`${name}${packetId} ${code}`),
  });
  return { ingest, clock, counters, heard, failures, targetOf };
}

const payload = Buffer.from('{"celsius":21.5}');

describe('ingest', () => {
  it('puts a message into the stream under its thing, and gives it back as it came', async () => {
    const clock = new VirtualClock();
    const files = new TestDisk({ clock, random: seededRandom(1) });
    const tail = new LocalTail(0n);
    const onDurable = (last: bigint, generation: number) => tail.moveTo(last, generation);
    const opening = EmbeddedStream.open({ files, clock, directory: '/stream', onDurable });
    const { ingest, heard, targetOf } = startOn(await clock.until(opening), clock);
    ingest.offer('寝室-1', 'speaker/寝室-1/data', payload, targetOf('a'), 7);
    ingest.offer('寝室-1', 'speaker/寝室-1/data', Buffer.alloc(0));
    await clock.advance(10);
    assert.deepEqual(heard, ['a7=0', 'flush']);
    const reader = new EmbeddedStreamReader({ files, directory: '/stream', tail });
    const records = await reader.read(onlyShard, null, 1_000);
    assert.deepEqual(
      records.map(record => [record.partitionKey, readEnvelope(record.data)]),
      [payload, Buffer.alloc(0)].map(bytes => ['寝室-1', { topic: 'speaker/寝室-1/data', payload: bytes }]),
    );
  });

  it('acknowledges only what is durable, in the order it came, answers without a record included: D10 D11', async () => {
    const stream = new HeldStream();
    const { ingest, clock, counters, heard, targetOf } = startOn(stream);
    const [a, b] = [targetOf('a'), targetOf('b')];
    ingest.offer('a', 't', payload, a, 1);
    ingest.answerInOrder(b, 1, 0x87);
    ingest.offer('a', 't', payload, a, 2);
    await clock.settle();
    ingest.offer('b', 't', payload, b, 2);
    ingest.answerInOrder(a, 3, 0);
    await clock.settle();
    assert.deepEqual(heard, []);
    assert.equal(stream.batches.length, 1); // What came meanwhile gathers.
    stream.answer();
    await clock.settle();
    assert.deepEqual(heard, ['a1=0', 'b1=135', 'a2=0', 'flush']);
    stream.answer();
    await clock.settle();
    assert.deepEqual(heard.slice(4), ['b2=0', 'a3=0', 'flush']);
    assert.equal(counters.get('ingest.received'), 3);
    assert.equal(counters.get('ingest.durable'), 3);
  });

  it('answers what needs no record without the stream', async () => {
    const { ingest, clock, heard, targetOf } = startOn(new HeldStream());
    ingest.answerInOrder(targetOf('a'), 1, 0);
    await clock.settle();
    assert.deepEqual(heard, ['a1=0', 'flush']);
  });

  it('acknowledges what a stream kept of a batch, and refuses the records it did not', async () => {
    const stream = new HeldStream();
    const { ingest, clock, counters, heard, targetOf } = startOn(stream);
    const a = targetOf('a');
    ingest.offer('hot', 't', payload); // QoS 0
    ingest.offer('a', 't', payload, a, 1);
    ingest.answerInOrder(a, 2, 0);
    ingest.offer('hot', 't', payload, a, 3);
    await clock.settle();
    const throttled = new MimamoriError({ code: 'stream.throttled', message: '', fix: '' });
    stream.answer(undefined, new Map([0, 2].map(index => [index, throttled])));
    await clock.settle();
    assert.deepEqual(heard, ['a1=0', 'a2=0', 'a3 stream.throttled', 'flush']);
    assert.deepEqual(
      ['received', 'durable', 'refused.stream.throttled'].map(name => counters.get(`ingest.${name}`)),
      [3, 1, 2],
    );
  });

  it('tells everyone in a group that was refused, and takes the next one: T07', async () => {
    const stream = new HeldStream();
    const { ingest, clock, counters, heard, failures, targetOf } = startOn(stream);
    ingest.offer('a', 't', payload, targetOf('a'), 1);
    ingest.offer('b', 't', payload, targetOf('b'), 1);
    await clock.settle();
    ingest.offer('a', 't', payload, targetOf('a'), 2);
    stream.answer('stream.full');
    await clock.settle();
    stream.answer();
    await clock.settle();
    assert.deepEqual(heard, ['a1 stream.full', 'b1 stream.full', 'flush', 'a2=0', 'flush']);
    assert.deepEqual(counters.all(), { 'ingest.durable': 1, 'ingest.received': 3, 'ingest.refused.stream.full': 2 });
    assert.deepEqual(failures, []);
  });

  it('reports that the stream is over, and acknowledges nothing afterwards: T06', async () => {
    const stream = new HeldStream();
    const { ingest, clock, heard, failures, targetOf } = startOn(stream);
    for (const packetId of [1, 2]) {
      ingest.offer('a', 't', payload, targetOf('a'), packetId);
      await clock.settle();
      stream.answer('stream.failed');
      await clock.settle();
    }
    assert.deepEqual(heard, ['a1 stream.failed', 'flush', 'a2 stream.failed', 'flush']);
    assert.equal(failures.length, 2);
  });

  it('cuts a group into batches that are blocks of at most 4 MiB, and answers across them in order', async () => {
    const stream = new HeldStream();
    const { ingest, clock, heard, targetOf } = startOn(stream);
    const a = targetOf('a');
    for (let packetId = 1; packetId <= 60; packetId++) ingest.offer('a', 't', Buffer.alloc(200_000), a, packetId);
    await clock.settle();
    assert.equal(stream.batches.length, 4);
    for (const batch of stream.batches) assert.ok(batch.bytes <= streamLimits.blockBytesMax);
    for (const code of [undefined, 'stream.full', undefined, undefined]) stream.answer(code);
    await clock.settle();
    const packetIds = heard.slice(0, -1).map(text => Number.parseInt(text.slice(1), 10));
    assert.deepEqual(
      packetIds,
      Array.from({ length: 60 }, (_, index) => index + 1),
    );
    const refused = heard.filter(text => text.includes('stream.full'));
    assert.equal(refused.length, stream.batches[1].count);
  });

  it('is saturated while more gathers than one group takes, and then resumes its senders: D10', async () => {
    const stream = new HeldStream();
    const { ingest, clock, heard, targetOf } = startOn(stream);
    let resumed = 0;
    ingest.onceDrained(() => resumed++); // Nothing to wait for.
    await clock.settle();
    assert.equal(resumed, 1);
    ingest.offer('a', 't', payload, targetOf('a'), 1);
    await clock.settle();
    const messageBytes = 1_000_000;
    let offered = 0;
    while (!ingest.isSaturated) {
      ingest.offer('a', 't', Buffer.alloc(messageBytes));
      offered++;
    }
    assert.ok(offered * messageBytes <= 8 * streamLimits.blockBytesMax);
    ingest.onceDrained(() => resumed++);
    for (let more = 0; more < 40; more++) ingest.offer('a', 't', Buffer.alloc(messageBytes)); // They do not listen.
    await clock.settle();
    assert.equal(resumed, 1);
    stream.answer();
    await clock.settle();
    assert.ok(stream.pendingBytes <= streamLimits.pendingBytesMax); // The stream never has to refuse it as busy.
    while (ingest.isSaturated) {
      assert.equal(resumed, 1);
      for (let answers = 0; answers < 8; answers++) stream.answer();
      await clock.settle();
    }
    assert.equal(resumed, 2);
    assert.deepEqual(heard.slice(0, 2), ['a1=0', 'flush']);
  });

  it('throws for what can never be a record, and has taken nothing of it', async () => {
    const stream = new HeldStream();
    const { ingest, clock, targetOf } = startOn(stream);
    const tooLarge = Buffer.alloc(streamLimits.recordBytesMax);
    assert.throws(() => ingest.offer('a', 't', tooLarge, targetOf('a'), 1), { code: 'stream.recordTooLarge' });
    assert.throws(() => ingest.offer('', 't', payload, targetOf('a'), 1), { code: 'stream.partitionKeyNotValid' });
    await clock.settle();
    assert.equal(stream.batches.length, 0);
  });

  it('lets senders go on when the journal has room again, however long the disk was full: T07', async () => {
    const journal = new HeldStream();
    const clock = new VirtualClock();
    const parts = { stream: undefined, journal, clock, random: seededRandom(1), counters: new Counters() };
    const ingest = new Ingest({ ...parts, afterAcks: () => {}, onFailure: error => assert.fail(String(error)) });
    for (let group = 0; !ingest.isSaturated; group++) {
      assert(group < 100);
      ingest.journalBatch().add('k', payload);
      await clock.settle();
      journal.answer('stream.full');
      await clock.settle();
    }
    let resumed = 0;
    ingest.onceDrained(() => resumed++);
    await clock.advance(1_000); // It is tried again,
    assert.equal(resumed, 0);
    for (let answers = 0; answers < 100 && ingest.isSaturated; answers++) {
      journal.answer(); // and there is room.
      await clock.settle();
    }
    while (journal.isAsked) {
      journal.answer();
      await clock.settle();
    }
    assert.equal(resumed, 1);
  });
});
