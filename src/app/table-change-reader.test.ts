import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { noAlarms } from '../kernel/alarms.ts';
import { MemoryDisk } from '../kernel/memory-store.ts';
import { VirtualClock } from '../kernel/virtual-clock.ts';
import { LoopGuard } from '../platform/functions/index.ts';
import { type OpenTable, openEmbeddedTable } from '../platform/table/index.ts';
import { appTable } from './entities/index.ts';
import { baseRecordsOf, changesShard, TableChangeReader } from './table-changes.ts';
import { entityChangeTrigger } from './triggers/entity-change.ts';

const hour = 3_600_000;

/** A reader of notes over a table in which other things happen too. */
class ReaderWorld {
  readonly clock = new VirtualClock();
  readonly disk = new MemoryDisk({ clock: this.clock });
  readonly missed: bigint[] = [];
  table!: OpenTable; // `open` comes first

  async open(streamBytesMax?: number): Promise<TableChangeReader> {
    const tables = [{ ...appTable, stream: 'NEW_AND_OLD_IMAGES' as const, ttlAttribute: 'ExpiresAt' }];
    const options = { store: this.disk.open(), clock: this.clock, tables, streamBytesMax };
    this.table = await this.clock.until(openEmbeddedTable(options));
    return new TableChangeReader({
      feed: this.table.changesOf(appTable.tableName),
      wants: baseRecordsOf('Note'),
      onGap: missed => void this.missed.push(missed),
    });
  }

  put(PK: string, SK: string, value: unknown = 0): Promise<unknown> {
    return this.clock.until(this.table.put({ TableName: appTable.tableName, Item: { PK, SK, value } }));
  }

  async read(reader: TableChangeReader, after: bigint | null): Promise<[bigint, string][]> {
    const records = await reader.read(changesShard, after, 1e6);
    return records.map(({ sequenceNumber, partitionKey }) => [sequenceNumber, partitionKey]);
  }
}

describe('a reader of table changes', () => {
  it('gives base records of its entity, and passes by the rest', async () => {
    const world = new ReaderWorld();
    const reader = await world.open();
    await world.put('Note-1', 'Note');
    await world.put('Note-1', 'Note-byOwner');
    await world.put('NoteBook-1', 'NoteBook');
    await world.put('Other-1', 'Note'); // somebody's own record
    await world.put('Note-2', 'Note');
    assert.deepEqual(await world.read(reader, null), [
      [1n, 'Note-1'],
      [5n, 'Note-2'],
    ]);
    assert.deepEqual(await world.read(reader, 1n), [[5n, 'Note-2']]);
    assert.deepEqual(await world.read(reader, 5n), []);
    assert.deepEqual(world.missed, []);
  });

  it('waits until something comes that it has not looked at, and stops waiting when told', async () => {
    const world = new ReaderWorld();
    const reader = await world.open();
    await world.put('Checkpoint-x', 'table-changes');
    assert.deepEqual(await world.read(reader, null), []);
    let woken = false;
    const waiting = reader.waitBeyond(changesShard, null, new AbortController().signal).then(() => {
      woken = true;
    });
    await world.clock.advance(hour);
    assert.equal(woken, false);
    await world.put('Note-1', 'Note');
    await waiting;
    assert.deepEqual(await world.read(reader, null), [[2n, 'Note-1']]);
    const stop = new AbortController();
    const stopped = reader.waitBeyond(changesShard, 2n, stop.signal);
    stop.abort();
    await stopped;
  });

  it('tells how far it is after a thousand changes it has passed by, or an hour of them', async () => {
    const world = new ReaderWorld();
    const reader = await world.open();
    for (let index = 1; index < 1_000; index++) await world.put('Checkpoint-x', 'table-changes', index);
    assert.deepEqual(await world.read(reader, null), []);
    await world.put('Checkpoint-x', 'table-changes');
    assert.deepEqual(await world.read(reader, null), [[1_000n, 'Checkpoint-x']]);
    await world.put('Checkpoint-x', 'table-changes', 'a');
    assert.deepEqual(await world.read(reader, 1_000n), []);
    await world.clock.advance(hour);
    await world.put('Checkpoint-x', 'table-changes', 'b');
    assert.deepEqual(await world.read(reader, 1_000n), [[1_002n, 'Checkpoint-x']]);
  });

  it('goes on behind what was trimmed, and says how much that was', async () => {
    const world = new ReaderWorld();
    const reader = await world.open();
    for (const id of ['1', '2', '3']) await world.put(`Note-${id}`, 'Note');
    await world.clock.advance(25 * hour);
    assert.deepEqual(await world.read(reader, 1n), []);
    assert.deepEqual(world.missed, [2n]);
    assert.deepEqual(await world.read(reader, 1n), []);
    assert.deepEqual(world.missed, [2n]); // not again
    const waiting = reader.waitBeyond(changesShard, 1n, new AbortController().signal);
    await world.put('Note-4', 'Note');
    await waiting;
    assert.deepEqual(await world.read(reader, 1n), [[4n, 'Note-4']]);
    assert.deepEqual(await world.read(await world.open(), null), [[4n, 'Note-4']]); // A new function misses nothing.
    assert.deepEqual(world.missed, [2n]);
  });

  it('says so when the stream was full before it came', async () => {
    const world = new ReaderWorld();
    const reader = await world.open(5_000);
    for (let index = 0; index < 20; index++) await world.put(`Note-${index}`, 'Note', 'x'.repeat(500));
    const [[first]] = await world.read(reader, 0n);
    assert.ok(first > 10n, `${first}`);
    assert.deepEqual(world.missed, [first - 1n]);
  });

  it('tells a function what time to live has removed, and what somebody has deleted', async () => {
    const world = new ReaderWorld();
    const reader = await world.open();
    const atSeconds = world.clock.nowMs() / 1_000 + 60;
    const record = (id: string) => ({ PK: `Note-${id}`, SK: 'Note', ExpiresAt: atSeconds, Data: { noteId: id } });
    const put = (id: string) => world.table.put({ TableName: appTable.tableName, Item: record(id) });
    await world.clock.until(Promise.all([put('expires'), put('deleted')]));
    const Key = { PK: 'Note-deleted', SK: 'Note' };
    await world.clock.until(world.table.delete({ TableName: appTable.tableName, Key }));
    await world.clock.advance(hour);
    const removals = await reader.read(changesShard, null, 1e6);
    const listen = { kind: 'entityChange', entity: 'Note', options: {}, handler: { each: async () => {} } } as const;
    const loopGuard = new LoopGuard({ alarms: noAlarms });
    const { select } = entityChangeTrigger('listen', listen, { loopGuard, invoke: (_call, work) => work({}) });
    assert.deepEqual(
      removals.map(select).flatMap(change => (change?.type === 'REMOVE' ? [[change.oldImage, change.isExpired]] : [])),
      [
        [{ noteId: 'deleted' }, false],
        [{ noteId: 'expires' }, true],
      ],
    );
  });

  it('refuses a checkpoint that the table has not come to', async () => {
    const world = new ReaderWorld();
    const reader = await world.open();
    await assert.rejects(reader.read(changesShard, 7n, 1e6), { code: 'stream.checkpointNotReached' });
  });
});
