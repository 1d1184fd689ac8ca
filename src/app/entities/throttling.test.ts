import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { GetCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import { z } from 'zod';
import { openMemoryStore } from '../../kernel/memory-store.ts';
import { seededRandom } from '../../kernel/random.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import { CloudMeter, documentClientOf, openEngine, tableOn } from '../../platform/table/index.ts';
import { inParallel } from '../parallel.ts';
import { appTable } from './app-table.ts';
import { defineEntity } from './definition.ts';
import { patientTable } from './patient-table.ts';
import { makeRepositories } from './repository.ts';

const entities = {
  Sample: defineEntity(z.object({ sampleId: z.string(), value: z.number() }), { id: 'sampleId', patterns: {} }),
  Note: defineEntity(z.object({ noteId: z.string(), owner: z.string() }), {
    id: 'noteId',
    patterns: { byOwner: { by: ['owner'] } },
  }),
};

/** A table as on AWS: 4,000 writes a second on demand, 1,000 of them in one partition. */
async function cloudTable() {
  const clock = new VirtualClock();
  const meter = new CloudMeter(clock);
  const store = await openMemoryStore({ clock });
  const engine = await clock.until(openEngine({ store, clock, random: seededRandom(1), tables: [appTable], meter }));
  meter.follow(engine);
  const world = { clock, random: seededRandom(2) };
  const table = tableOn(engine);
  const repositories = makeRepositories(entities, { table, ...world, cursorKey: Buffer.alloc(32, 7) });
  return { clock, world, table, patient: patientTable(table, world), repositories };
}

function itemIn(partition: string, index: number) {
  return { TableName: appTable.tableName, Item: { PK: partition, SK: String(index) } };
}

/** How long `work` takes on the clock of the table. */
async function timeOf(clock: VirtualClock, work: Promise<unknown>): Promise<number> {
  const startedMs = clock.monotonicMs();
  await clock.until(work);
  return clock.monotonicMs() - startedMs;
}

describe('a table that is throttled as on AWS (covers S0-20)', () => {
  it('refuses the write after 1,000 in a second to one partition as DynamoDB does', async () => {
    const { clock, table } = await cloudTable();
    const writes = Array.from({ length: 1_050 }, (_, index) => table.put(itemIn('hot', index)));
    const outcomes = await clock.until(Promise.allSettled(writes));
    const refused = outcomes.flatMap(outcome => (outcome.status === 'rejected' ? [outcome.reason] : []));
    assert.equal(refused.length, 50);
    assert.equal(refused[0].name, 'ProvisionedThroughputExceededException');
    assert.equal(refused[0].ThrottlingReasons[0].reason, 'TableWriteKeyRangeThroughputExceeded');
    assert.match(refused[0].ThrottlingReasons[0].resource, /:table\/app$/);
  });

  it('is waited for by entities and by the context, with nothing lost', async () => {
    const { clock, table, patient, repositories } = await cloudTable();
    for (let index = 0; index < 1_000; index++) await clock.until(table.put(itemIn('Sample-one', index)));
    const { Sample } = repositories;
    const created = Sample.create({ sampleId: 'one', value: 1 });
    assert((await timeOf(clock, created)) > 0);
    const writes = Array.from({ length: 1_500 }, (_, index) => patient.put(itemIn('hot', index)));
    const tookMs = await timeOf(clock, Promise.all(writes));
    assert(tookMs > 450 && tookMs < 3_000, `${tookMs}`);
    const { Count } = await clock.until(
      patient.query({
        TableName: appTable.tableName,
        KeyConditionExpression: 'PK = :hot',
        ExpressionAttributeValues: { ':hot': 'hot' },
        Select: 'COUNT',
      }),
    );
    assert.equal(Count, 1_500);
  });

  it('is waited for by libraries that have its document client', async () => {
    const { clock, patient } = await cloudTable();
    const client = documentClientOf(patient);
    const puts = Array.from({ length: 1_500 }, (_, index) => client.send(new PutCommand(itemIn('hot', index))));
    const tookMs = await timeOf(clock, Promise.all(puts));
    assert(tookMs > 450 && tookMs < 3_000, `${tookMs}`);
    const wrapping = documentClientOf(patient, { unmarshallOptions: { wrapNumbers: String } });
    const got = await wrapping.send(new GetCommand({ TableName: appTable.tableName, Key: { PK: 'hot', SK: '7' } }));
    assert.deepEqual(got.Item, itemIn('hot', 7).Item);
  });

  it('is given up after some seconds, and says so by its code, for one write and for a transaction', async () => {
    const { clock, table, repositories, world } = await cloudTable();
    let attempts = 0;
    const always = (error: Error) => async () => {
      attempts++;
      throw error;
    };
    const refusal = Object.assign(new Error('slow down'), { name: 'ProvisionedThroughputExceededException' });
    const cancelled = Object.assign(new Error('cancelled'), {
      name: 'TransactionCanceledException',
      CancellationReasons: [{ Code: 'None' }, { Code: 'ProvisionedThroughputExceeded' }],
    });
    const throttled = { ...table, put: always(refusal), transactWrite: always(cancelled) };
    const { Sample, Note } = makeRepositories(entities, { ...world, table: throttled, cursorKey: Buffer.alloc(32, 7) });
    await assert.rejects(clock.until(Sample.create({ sampleId: 'x', value: 1 })), refusal);
    assert.equal(attempts, 8);
    const startedMs = clock.monotonicMs();
    await assert.rejects(clock.until(Note.create({ noteId: 'x', owner: 'a' })), {
      code: 'table.throttled',
      retryable: true,
    });
    assert.equal(attempts, 16);
    assert(clock.monotonicMs() - startedMs < 3_000); // What a function has.
    assert.equal(await clock.until(repositories.Note.find('x')), undefined);
  });

  it('sends a write that failed inside the service no second time, a read it does', async () => {
    const { clock, table, world } = await cloudTable();
    let attempts = 0;
    const fail = async () => {
      attempts++;
      throw Object.assign(new Error('oops'), { name: 'InternalServerError' });
    };
    const patient = patientTable({ ...table, put: fail, get: fail }, world);
    await assert.rejects(clock.until(patient.put(itemIn('a', 1))), { name: 'InternalServerError' });
    assert.equal(attempts, 1);
    await assert.rejects(clock.until(patient.get({ TableName: 'app', Key: {} })), { name: 'InternalServerError' });
    assert.equal(attempts, 1 + 8);
  });

  it('takes a load in less time when its partitions take turns', async () => {
    // Two keys that the model puts into different partitions of the table.
    const load = ['north', 'south'].flatMap(partition =>
      Array.from({ length: 2_500 }, (_, index) => ({ partition, index })),
    );
    const timeWith = async (spreadBy?: (each: { partition: string }) => string) => {
      const { clock, world, patient } = await cloudTable();
      const write = (each: { partition: string; index: number }) => patient.put(itemIn(each.partition, each.index));
      const working = inParallel(load, write, { ...world, concurrency: 100, spreadBy });
      const tookMs = await timeOf(clock, working);
      assert((await working).every(({ isDone }) => isDone));
      return tookMs;
    };
    const [inTurn, oneByOne] = [await timeWith(({ partition }) => partition), await timeWith()];
    assert(inTurn < oneByOne * 0.75, `${inTurn} ms in turn, ${oneByOne} ms one partition after the other`);
  });
});
