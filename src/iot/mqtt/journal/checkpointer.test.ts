import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { codeOf } from '../../../kernel/errors.ts';
import { RecordBatch } from '../../../platform/stream/index.ts';
import type { ClientState, Delivery, Message } from '../client-state.ts';
import { appendInOrder } from './append-in-order.ts';
import { eventTypes, formatVersion, partitionKey } from './format.ts';
import { JournalWorld, type Life, type LifeOptions } from './journal-world.ts';
import { journalLimits } from './limits.ts';
import { ModelClient } from './model.ts';

/** Checkpoints one by one; how they go with everything else is in `journal-model.test.ts`. */

const small: LifeOptions = { segmentBytesMax: 4_000, growthBytesMin: 20_000, stepBytesMax: 2_000 };

/** Far more than any story here needs: a broken promise fails instead of hanging. */
const roundsMax = 5_000;

function messageOf(topic: string, payloadBytes = 100): Message {
  return {
    topic,
    payload: Buffer.alloc(payloadBytes, topic),
    qos: 1,
    retain: false,
    properties: undefined,
    expiresAtMs: undefined,
    bytes: payloadBytes,
    journalNo: 0,
  };
}

/** A client with a session and nothing in it. */
function connect(life: Life): ModelClient {
  const clientNo = life.journal.newClientNo();
  const state: ClientState = {
    clientNo,
    identity: { clientId: `client-${clientNo}`, thingName: undefined, principal: '' },
    protocolVersion: 5,
    presence: { connected: true, sinceMs: 0, versionNumber: 1, sessionIdentifier: '' },
    will: undefined,
    willDueAtMs: undefined,
    session: { expirySeconds: 60, endsAtMs: undefined, subscriptions: [], deliveries: [], received: [] },
  };
  const client = new ModelClient(state);
  life.event(() => {
    life.model.all.set(clientNo, client);
    life.journal.client(state);
  });
  return client;
}

function queue(life: Life, client: ModelClient, message: Message): Delivery {
  const { session, clientNo } = client;
  assert(session);
  const delivery: Delivery = {
    message,
    qos: 1,
    retain: false,
    subscriptionIdentifiers: [],
    deliveryNo: ++session.lastDeliveryNo,
    packetId: 0,
    stage: 'waiting',
  };
  life.event(() => {
    session.waiting.push(delivery);
    life.journal.published(message, [{ clientNo, delivery }]);
  });
  return delivery;
}

function drop(life: Life, { session, clientNo }: ModelClient, delivery: Delivery): void {
  assert(session);
  life.event(() => {
    session.waiting.splice(session.waiting.indexOf(delivery), 1);
    life.journal.dropped(clientNo, delivery.deliveryNo);
  });
}

function retain(life: Life, topic: string): void {
  const message = messageOf(topic);
  life.event(() => {
    life.model.retainedByTopic.set(topic, message);
    life.journal.published(message, [], 'set');
  });
}

/** Messages come and go until a checkpoint is under way. */
async function churnUntilWalking(world: JournalWorld, life: Life, client: ModelClient): Promise<void> {
  for (let round = 0; !life.checkpointer.isWalking; round++) {
    assert.ok(round < roundsMax, 'no checkpoint begins');
    drop(life, client, queue(life, client, messageOf('churn')));
    await world.clock.advance(1);
  }
}

async function untilFinished(world: JournalWorld, life: Life): Promise<void> {
  for (let round = 0; life.checkpointer.isWalking; round++) {
    assert.ok(round < roundsMax, 'the checkpoint does not end');
    await world.clock.advance(1);
  }
}

/** What the next process finds is what this one knew. */
async function assertSurvives(world: JournalWorld, life: Life): Promise<Life> {
  await life.drain();
  world.end('powerCut');
  const next = await world.start(small);
  assert.deepEqual(JSON.parse(next.pictures[0]), JSON.parse(life.pictures.at(-1) ?? ''));
  return next;
}

describe('a checkpoint', () => {
  it('keeps the log short, however much comes and goes', async () => {
    const world = new JournalWorld();
    const life = await world.start(small);
    const client = connect(life);
    retain(life, 'kept');
    let checkpoints = 0;
    let logBytesMax = 0;
    for (let round = 0; round < 3_000; round++) {
      const { redundantUpTo } = life.recovered.log;
      drop(life, client, queue(life, client, messageOf('churn')));
      if (round % 10 === 0) await world.clock.advance(3);
      if (life.recovered.log.redundantUpTo !== redundantUpTo) checkpoints++;
      logBytesMax = Math.max(logBytesMax, await world.logBytes());
    }
    assert.ok(life.journal.bytes > 400_000);
    assert.ok(checkpoints >= 20, `${checkpoints} checkpoints`);
    // Twice the growth, as the next checkpoint comes only then, and the segments that are not full yet.
    assert.ok(logBytesMax < 2 * 20_000 + 4 * 4_000, `${logBytesMax} bytes`);
    await assertSurvives(world, life);
  });

  it('waits until the log has grown by twice what the last one took', async () => {
    const world = new JournalWorld();
    const life = await world.start(small);
    const client = connect(life);
    for (let index = 0; index < 150; index++) queue(life, client, messageOf('waits'));
    await churnUntilWalking(world, life, client);
    await untilFinished(world, life);
    const bytesBefore = life.journal.bytes;
    await churnUntilWalking(world, life, client);
    // 150 messages of some 140 bytes, twice; well beyond the 20,000 that are enough for a smaller state.
    assert.ok(life.journal.bytes - bytesBefore > 36_000, `${life.journal.bytes - bytesBefore} bytes`);
  });

  it('writes no more than its share in a turn, and a client with much waiting over many', async () => {
    const world = new JournalWorld();
    const life = await world.start({ ...small, stepBytesMax: 8_000 });
    const client = connect(life);
    const deliveries = Array.from({ length: 80 }, () => queue(life, client, messageOf('waits', 1_000)));
    await life.drain();
    let stepBytesMax = 0;
    let turns = 0;
    for (; life.checkpointer.isWalking || turns === 0; turns++) {
      assert.ok(turns < roundsMax, 'the checkpoint does not end');
      const { bytes } = life.journal;
      await world.clock.advance(1);
      stepBytesMax = Math.max(stepBytesMax, life.journal.bytes - bytes);
      // The client is written as it is in the end, not as it was when its messages were begun.
      if (turns === 6) for (const delivery of deliveries.splice(20, 40)) drop(life, client, delivery);
    }
    assert.ok(turns > 80_000 / 8_000, `${turns} turns`);
    assert.ok(stepBytesMax > 8_000 && stepBytesMax < 8_000 + 1_500, `${stepBytesMax} bytes`);
    await assertSurvives(world, life);
  });

  it('does not bring back what was deleted while it was under way', async () => {
    const world = new JournalWorld();
    const life = await world.start(small);
    const client = connect(life);
    const others = Array.from({ length: 20 }, () => connect(life));
    for (let index = 0; index < 40; index++) retain(life, `retained/${index}`);
    await churnUntilWalking(world, life, client);
    const { model, journal } = life;
    for (let index = 0; index < 40; index += 2) {
      life.event(() => {
        model.retainedByTopic.delete(`retained/${index}`);
        journal.retainedDeleted(`retained/${index}`);
      });
      const other = others.pop();
      if (other) {
        life.event(() => {
          model.forget(other);
          journal.clientForgotten(other.clientNo);
        });
      }
      await world.clock.advance(1);
    }
    await untilFinished(world, life);
    await churnUntilWalking(world, life, client); // Enough for the segments before it to be deleted.
    const { recovered } = await assertSurvives(world, life);
    assert.equal(recovered.retained.length, 20);
    assert.equal(recovered.clients.length, 1);
  });

  it('frees segments after a restart as well', async () => {
    const world = new JournalWorld();
    let life = await world.start(small);
    await churnUntilWalking(world, life, connect(life));
    await untilFinished(world, life);
    const { redundantUpTo } = life.recovered.log;
    assert.notEqual(redundantUpTo, null);
    life = await world.start(small);
    assert.equal(life.recovered.log.redundantUpTo, redundantUpTo);
    const [oldest] = await world.segments();
    const client = connect(life);
    for (let round = 0; round < 60; round++) {
      drop(life, client, queue(life, client, messageOf('churn')));
      await world.clock.advance(3);
    }
    assert.ok(!(await world.segments()).includes(oldest)); // Two segments were filled.
    assert.equal(life.recovered.log.redundantUpTo, redundantUpTo); // It took no other checkpoint.
    await assertSurvives(world, life);
  });

  it('leaves a log whose beginning cannot be deleted without anyone noticing: T04', async () => {
    const world = new JournalWorld();
    const life = await world.start(small);
    const client = connect(life);
    for (let index = 0; index < 100; index++) {
      queue(life, client, messageOf('waits'));
      await world.clock.advance(3);
    }
    await life.drain();
    world.end();
    const [oldest] = await world.segments();
    await world.disk.remove(oldest);
    await assert.rejects(world.recover(), error => codeOf(error) === 'journal.notReadable');
  });

  it('that fails costs nothing but itself', async () => {
    const world = new JournalWorld();
    const failure = new Error('a mistake of ours');
    const life = await world.start({
      ...small,
      source: model => ({
        clients: () => {
          throw failure;
        },
        retained: () => model.retained(),
      }),
    });
    const client = connect(life);
    for (let round = 0; life.failures.length === 0; round++) {
      assert.ok(round < roundsMax, 'no checkpoint begins');
      drop(life, client, queue(life, client, messageOf('churn')));
      await world.clock.advance(1);
    }
    assert.deepEqual(life.failures.splice(0), [failure]);
    for (let index = 0; index < 300; index++) queue(life, client, messageOf('goes on'));
    await world.clock.advance(100);
    assert.deepEqual(life.failures, []); // It is not tried again.
    await assertSurvives(world, life);
  });

  it('is not gone on with once stopped', async () => {
    const world = new JournalWorld();
    const life = await world.start(small);
    const client = connect(life);
    for (let index = 0; index < 100; index++) queue(life, client, messageOf('waits'));
    await churnUntilWalking(world, life, client);
    life.checkpointer.stop();
    await life.drain();
    const { records } = life.journal;
    await world.clock.advance(1_000);
    assert.equal(life.journal.records, records);
    assert.equal(life.recovered.log.redundantUpTo, null);
    await assertSurvives(world, life);
  });
});

describe('batches of the journal', () => {
  /** An event of a client that is not known. */
  function batchOf(clientNo: number): RecordBatch {
    const batch = new RecordBatch();
    batch.add(partitionKey, Buffer.from([formatVersion, eventTypes.sessionEnded, clientNo]));
    return batch;
  }

  it('are appended in order and without a gap while the disk is full: T07', async () => {
    const world = new JournalWorld();
    const { stream } = await world.recover();
    const batches = [1, 2, 3].map(batchOf);
    for (let times = 0; times < 3; times++) world.disk.failNext({ operation: 'write', code: 'ENOSPC' });
    const before = stream.lastSequenceNumber;
    let isDone = false;
    const appending = appendInOrder(batches, { stream, clock: world.clock }).then(() => {
      isDone = true;
    });
    await world.clock.advance(2 * journalLimits.retryMs);
    assert.equal(isDone, false);
    assert.equal(stream.lastSequenceNumber, before); // The second batch did not overtake the first.
    await world.clock.until(appending);
    assert.equal(stream.lastSequenceNumber, before + 3n);
  });

  it('are given up when the process ends first, and at once when the stream is over: T06 T07', async () => {
    const world = new JournalWorld();
    const { stream } = await world.recover();
    const stop = new AbortController();
    for (let times = 0; times < 2; times++) world.disk.failNext({ operation: 'write', code: 'ENOSPC' });
    const refused = appendInOrder([batchOf(1)], { stream, clock: world.clock, signal: stop.signal });
    await world.clock.advance(10);
    stop.abort();
    await assert.rejects(world.clock.until(refused), error => codeOf(error) === 'stream.full');
    world.disk.failNext({ operation: 'sync', code: 'EIO' });
    const failed = appendInOrder([batchOf(1)], { stream, clock: world.clock });
    await assert.rejects(world.clock.until(failed, 100), error => codeOf(error) === 'stream.failed');
  });
});
