/**
 * Seeded lives of a table engine on a disk that forgets: callers write, transact with tokens, and rebuild tables while
 * the power is cut, the process killed, the disk or the base full. What was acknowledged must be there afterwards, once;
 * indexes and counts must be those of a rebuild; and the stream must tell how the table came to be as it is.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { testScale } from '../../../test/support.ts';
import { codeOf } from '../../kernel/errors.ts';
import type { Files } from '../../kernel/files.ts';
import { openJournaledStore } from '../../kernel/journaled-store.ts';
import { type Random, seededRandom } from '../../kernel/random.ts';
import { storeFull } from '../../kernel/store-errors.ts';
import { TestBase } from '../../kernel/test-base.ts';
import { TestDisk, withoutSync } from '../../kernel/test-disk.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import { type OpenTable, tableOn } from './embedded.ts';
import type { Engine } from './engine.ts';
import type { TableSchema } from './port.ts';
import { openEngine } from './storage/open-engine.ts';
import { verifyIndexes } from './storage/verify-indexes.ts';
import { readChange } from './streams/document-change.ts';

const app: TableSchema = {
  tableName: 'app',
  partitionKey: { name: 'PK', type: 'S' },
  sortKey: { name: 'SK', type: 'N' },
  indexes: [{ indexName: 'byColour', partitionKey: { name: 'colour', type: 'S' } }],
  ttlAttribute: 'expires',
  stream: 'NEW_AND_OLD_IMAGES',
};

interface Sums {
  /** Of numbers added by writes that were acknowledged, and by those nobody heard of. */
  acknowledged: number;
  uncertain: number;
}

/** What the world outside of the process knows. */
class Witness {
  readonly counters: Sums = { acknowledged: 0, uncertain: 0 };
  /** Of each register, what was acknowledged last, and what may have come after it. */
  readonly registers = new Map<string, { known: number; maybe: number[] }>();
  /** Tokens whose fate is not known; they will be sent again. */
  readonly openTokens = new Set<string>();
  tokensDone = 0;
  tokensSent = 0;
  /** Acknowledged, by what they are. */
  readonly writes = { counts: 0, puts: 0, transfers: 0, rebuilds: 0 };
}

/** Refused and nothing kept; anything else may be found or not. */
function isRefused(error: unknown): boolean {
  return ['store.full', 'store.busy'].includes(codeOf(error));
}

async function pause(clock: VirtualClock, ms: number): Promise<void> {
  await new Promise<void>(resolve => void clock.setTimer(ms, resolve));
}

interface Life {
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly table: OpenTable;
  readonly witness: Witness;
  readonly signal: AbortSignal;
}

const colours = ['red', 'green', 'blue'];

async function countUntil({ clock, random, table, witness, signal }: Life): Promise<void> {
  while (!signal.aborted) {
    await pause(clock, random.integer(4));
    if (signal.aborted) return;
    const input = {
      TableName: 'app',
      Key: { PK: 'counter', SK: 1 },
      UpdateExpression: 'ADD hits :one SET colour = :colour',
      ExpressionAttributeValues: { ':one': 1, ':colour': colours[random.integer(3)] },
    };
    witness.counters.uncertain++;
    await table.update(input).then(
      () => {
        if (signal.aborted) return;
        witness.counters.uncertain--;
        witness.counters.acknowledged++;
        witness.writes.counts++;
      },
      error => {
        if (!signal.aborted && isRefused(error)) witness.counters.uncertain--;
      },
    );
  }
}

/** Puts ascending numbers into registers of its own, deletes and expiring items among them. */
async function putUntil({ clock, random, table, witness, signal }: Life, caller: string): Promise<void> {
  for (let count = 1; !signal.aborted; count++) {
    await pause(clock, random.integer(4));
    if (signal.aborted) return;
    const PK = `${caller}${random.integer(6)}`;
    const register = witness.registers.get(PK) ?? { known: 0, maybe: [] };
    witness.registers.set(PK, register);
    const number = Math.max(register.known, ...register.maybe) + 1;
    register.maybe.push(number);
    const Item = { PK, SK: 2, number, colour: colours[random.integer(3)], shape: `s${random.integer(3)}` };
    const litter = {
      PK: `litter${random.integer(20)}`,
      SK: count,
      colour: 'grey',
      expires: Math.floor(clock.nowMs() / 1000) + random.integer(3) - 1,
    };
    const written = table.batchWrite({
      RequestItems: { app: [{ PutRequest: { Item } }, { PutRequest: { Item: litter } }] },
    });
    await written.then(
      () => {
        if (signal.aborted) return;
        register.known = number;
        register.maybe = [];
        witness.writes.puts++;
      },
      error => {
        if (!signal.aborted && isRefused(error)) register.maybe = register.maybe.filter(each => each !== number);
      },
    );
  }
}

function transfer(table: OpenTable, token: string) {
  const change = (PK: string, by: number) => ({
    Update: {
      TableName: 'app',
      Key: { PK, SK: 3 },
      UpdateExpression: 'ADD balance :by, done :token',
      ExpressionAttributeValues: { ':by': by, ':token': new Set([token]) },
    },
  });
  return table.transactWrite({ ClientRequestToken: token, TransactItems: [change('left', 1), change('right', -1)] });
}

/** Transfers, each sent until it is answered, some of them twice all the same. */
async function transferUntil({ clock, random, table, witness, signal }: Life): Promise<void> {
  while (!signal.aborted) {
    await pause(clock, random.integer(6));
    if (signal.aborted) return;
    const [again] = witness.openTokens;
    const token = again ?? `t${++witness.tokensSent}`;
    witness.openTokens.add(token);
    const times = 1 + random.integer(2);
    const sent = await Promise.allSettled(Array.from({ length: times }, () => transfer(table, token)));
    if (signal.aborted || sent.every(({ status }) => status === 'rejected')) continue;
    witness.openTokens.delete(token);
    witness.tokensDone++;
    witness.writes.transfers++;
  }
}

/** Adds and removes indexes, makes and deletes a second table, and writes to it. */
async function rebuildUntil({ clock, random, table, witness, signal }: Life): Promise<void> {
  const change = async (work: () => Promise<unknown>) => {
    await pause(clock, random.integer(15));
    if (signal.aborted) return;
    await work().then(
      () => {
        witness.writes.rebuilds++;
      },
      () => {}, // refusals by state are part of the noise
    );
  };
  const shape = { AttributeName: 'shape', AttributeType: 'S' } as const;
  while (!signal.aborted) {
    const { admin } = table;
    await change(() =>
      admin.updateTable({
        TableName: 'app',
        AttributeDefinitions: [shape],
        GlobalSecondaryIndexUpdates: [
          {
            Create: {
              IndexName: 'byShape',
              KeySchema: [{ AttributeName: 'shape', KeyType: 'HASH' }],
              Projection: { ProjectionType: 'KEYS_ONLY' },
            },
          },
        ],
      }),
    );
    await change(() =>
      admin.createTable({
        TableName: 'other',
        AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }, shape],
        KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
        BillingMode: 'PAY_PER_REQUEST',
        GlobalSecondaryIndexes: [
          {
            IndexName: 'byShape',
            KeySchema: [{ AttributeName: 'shape', KeyType: 'HASH' }],
            Projection: { ProjectionType: 'ALL' },
          },
        ],
        ...(random.integer(2) === 0 && { StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_IMAGE' } }),
      }),
    );
    for (let count = 0; count < 4; count++) {
      await change(() =>
        table.put({ TableName: 'other', Item: { id: `i${random.integer(9)}`, shape: `s${count}`, at: clock.nowMs() } }),
      );
    }
    const isOn = random.integer(2) === 0;
    await change(() =>
      admin.updateTable({
        TableName: 'other',
        StreamSpecification: isOn ? { StreamEnabled: true, StreamViewType: 'OLD_IMAGE' } : { StreamEnabled: false },
      }),
    );
    await change(() =>
      admin.updateTable({ TableName: 'app', GlobalSecondaryIndexUpdates: [{ Delete: { IndexName: 'byShape' } }] }),
    );
    await change(() => admin.deleteTable({ TableName: 'other' }));
  }
}

/** Everything that a reopened engine must have kept. */
function checkKept(engine: Engine, table: OpenTable, items: Record<string, unknown>[], witness: Witness): void {
  for (const { tableName } of engine.catalog.all()) {
    assert.deepEqual(verifyIndexes(engine, tableName).differences, [], tableName);
  }
  const itemAt = (PK: string) => items.find(item => item.PK === PK) ?? {};
  const total = Number(itemAt('counter').hits ?? 0);
  const { acknowledged, uncertain } = witness.counters;
  assert.ok(total >= acknowledged && total <= acknowledged + uncertain, `${total} of ${acknowledged}+${uncertain}`);
  witness.counters.acknowledged = total;
  witness.counters.uncertain = 0;
  for (const [PK, register] of witness.registers) {
    const number = Number(itemAt(PK).number ?? 0);
    assert.ok(number === register.known || register.maybe.includes(number), `${PK}: ${number} of ${register.known}`);
    witness.registers.set(PK, { known: number, maybe: [] });
  }
  const left = Number(itemAt('left').balance ?? 0);
  assert.equal(left + Number(itemAt('right').balance ?? 0), 0);
  const done = itemAt('left').done;
  assert.equal(left, done instanceof Set ? done.size : 0); // no token counted twice
  assert.ok(left >= witness.tokensDone && left <= witness.tokensDone + witness.openTokens.size);
  checkStream(table, items);
}

/** Nothing was trimmed, so the stream tells everything. */
function checkStream(table: OpenTable, items: Record<string, unknown>[]): void {
  const replayed = new Map<string, Record<string, unknown>>();
  const feed = table.changesOf('app');
  let next = 1n;
  for (const stored of feed.read(0n, Number.POSITIVE_INFINITY)) {
    assert.equal(stored.sequenceNumber, next++);
    const change = readChange(stored.encoded);
    const key = `${change.keys.PK} ${change.keys.SK}`;
    assert.deepEqual(replayed.get(key), change.oldImage);
    if (change.newImage === undefined) replayed.delete(key);
    else replayed.set(key, change.newImage);
  }
  assert.equal(feed.lastSequenceNumber(), next - 1n);
  assert.equal(replayed.size, items.length);
  for (const item of items) assert.deepEqual(replayed.get(`${item.PK} ${item.SK}`), item);
}

async function scanAll(table: OpenTable): Promise<Record<string, unknown>[]> {
  const items: Record<string, unknown>[] = [];
  for (let ExclusiveStartKey: Record<string, unknown> | undefined; ; ) {
    const page = await table.scan({ TableName: 'app', ConsistentRead: true, ExclusiveStartKey });
    items.push(...(page.Items ?? []));
    ExclusiveStartKey = page.LastEvaluatedKey;
    if (ExclusiveStartKey === undefined) return items;
  }
}

/** Some lives that end at any instant. Resolves with what was acknowledged. */
async function playLives(seed: number, spoil: (files: Files) => Files = files => files): Promise<Witness['writes']> {
  const clock = new VirtualClock();
  const random = seededRandom(seed);
  const disk = new TestDisk({ clock, random });
  const base = new TestBase(clock, random);
  const witness = new Witness();
  const limits = { journalFileBytesMax: random.integer(20_000), overlayBytesMax: 5_000 + random.integer(100_000) };
  const open = async (): Promise<Engine> => {
    const journal = { files: spoil(disk.mount()), random, directory: '/store/journal' };
    try {
      const store = await clock.until(openJournaledStore({ base: base.mount(), journal, durability: 'sync', limits }));
      return await clock.until(openEngine({ store, clock, random, tables: [app] }));
    } catch (error) {
      if (!['store.full', 'store.failed', 'EIO', 'ENOSPC'].includes(codeOf(error))) throw error;
      return open(); // a failing disk ends a process; whoever watches it starts another
    }
  };
  for (let life = 0; life < 4; life++) {
    const engine = await open();
    const table = tableOn(engine);
    await clock.until(engine.upkeep.settled()); // what is read may be newer than what the stream tells
    checkKept(engine, table, await scanAll(table), witness);
    const stop = new AbortController();
    const here = { clock, random, table, witness, signal: stop.signal };
    const callers = [
      countUntil(here),
      countUntil(here),
      putUntil(here, 'a'),
      putUntil(here, 'b'),
      transferUntil(here),
      rebuildUntil(here),
    ];
    base.latencyMs = random.integer(20);
    for (let spell = random.integer(4); spell >= 0; spell--) {
      await clock.advance(random.integer(80));
      if (random.integer(3) === 0) disk.failNext({ operation: 'write', code: 'ENOSPC' });
      if (random.integer(12) === 0) disk.failNext({ operation: 'sync', code: 'EIO' });
      if (random.integer(6) === 0) disk.failNext({ operation: 'open', code: 'ENOSPC' });
      if (random.integer(4) === 0) base.failNext(storeFull(undefined));
    }
    await clock.advance(random.integer(20));
    // What a running engine shows must fit together at any moment too.
    for (const { tableName } of engine.catalog.all()) {
      assert.deepEqual(verifyIndexes(engine, tableName).differences, [], `${tableName}, running`);
    }
    stop.abort();
    if (random.integer(4) > 0) disk.powerCut();
    else disk.kill();
    base.kill();
    await clock.until(Promise.all(callers));
  }
  const engine = await open();
  const table = tableOn(engine);
  await clock.until(engine.upkeep.settled());
  checkKept(engine, table, await scanAll(table), witness);
  await clock.until(engine.close());
  return witness.writes;
}

describe('a table whose power is cut', () => {
  const rounds = testScale(8, 2_000);
  it(`keeps what it acknowledged, its indexes and its stream, in ${rounds} lives`, async () => {
    const firstSeed = Number(process.env.MIMAMORI_SEED ?? 1);
    const played: Witness['writes'][] = [];
    for (let seed = firstSeed; seed < firstSeed + rounds; seed++) {
      const writes = await playLives(seed).catch(cause => {
        throw new Error(`MIMAMORI_SEED=${seed}: ${cause.message}`, { cause });
      });
      played.push(writes);
    }
    for (const kind of ['counts', 'puts', 'transfers', 'rebuilds'] as const) {
      const count = played.reduce((sum, writes) => sum + writes[kind], 0);
      assert.ok(count > rounds * 5, `only ${count} ${kind} put to the test`);
    }
  });

  it('would notice a journal that acknowledges before it syncs', async () => {
    let noticed = false;
    for (let seed = 1; seed <= 20 && !noticed; seed++) {
      noticed = await playLives(seed, withoutSync).then(
        () => false,
        () => true,
      );
    }
    assert.ok(noticed);
  });
});
