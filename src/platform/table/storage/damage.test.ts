import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { crc32 } from 'node:zlib';
import { systemClock } from '../../../kernel/clock.ts';
import { codeOf } from '../../../kernel/errors.ts';
import { MemoryDisk } from '../../../kernel/memory-store.ts';
import { type Random, seededRandom } from '../../../kernel/random.ts';
import { VirtualClock } from '../../../kernel/virtual-clock.ts';
import { type OpenTable, openEmbeddedTable } from '../embedded.ts';
import type { TableSchema } from '../port.ts';
import { decodeChange } from '../streams/change-record.ts';
import { checkTables } from './check-tables.ts';
import { checksumOf } from './checksum.ts';
import { placeOf } from './key-encoding.ts';
import { rebuildIndexes, removeDamaged } from './mend-tables.ts';
import { upgradeStore } from './upgrade.ts';

const things: TableSchema = {
  tableName: 'things',
  partitionKey: { name: 'PK', type: 'S' },
  sortKey: { name: 'SK', type: 'S' },
  stream: 'NEW_IMAGE',
  indexes: [{ indexName: 'byOwner', partitionKey: { name: 'Owner', type: 'S' }, sortKey: { name: 'SK', type: 'S' } }],
};

function itemOf(number: number) {
  const SK = String(number);
  return { PK: `p${number % 3}`, SK, Owner: 'ada', held: 'x'.repeat(number), weight: number / 8, names: new Set([SK]) };
}

const itemsHeld = 12;

async function filledDisk(): Promise<MemoryDisk> {
  const disk = new MemoryDisk({ clock: systemClock, syncMs: 0 });
  const table = await openEmbeddedTable({ store: disk.open(), clock: new VirtualClock(), tables: [things] });
  for (let number = 0; number < itemsHeld; number++) await table.put({ TableName: 'things', Item: itemOf(number) });
  await table.close();
  return disk;
}

function entriesOf(disk: MemoryDisk) {
  return [...disk.open().range({ start: Uint8Array.of(0), end: Uint8Array.of(255) })];
}

/** Flips one to three bits of one value, or of a key, or exchanges two values. */
async function damage(disk: MemoryDisk, random: Random): Promise<string> {
  const entries = entriesOf(disk);
  const { key, value } = entries[random.integer(entries.length)];
  const kind = ['value', 'key', 'exchange', 'cut'][random.integer(4)];
  const changedKey = new Uint8Array(key);
  let changed = new Uint8Array(value);
  const flipped = kind === 'key' ? changedKey : changed;
  if (kind === 'exchange') changed = new Uint8Array(entries[random.integer(entries.length)].value);
  else if (kind === 'cut') changed = changed.slice(0, random.integer(changed.length));
  else {
    const bits = new Set(Array.from({ length: 1 + random.integer(3) }, () => random.integer(flipped.length * 8)));
    for (const bit of bits) flipped[bit >> 3] ^= 1 << (bit & 7);
  }
  await disk.open().write(transaction => {
    transaction.delete(key);
    transaction.put(changedKey, changed);
  });
  return `${kind} of ${Buffer.from(key).toString('hex')}`;
}

/** Everything that can be read; each answer must be right or a refusal. Returns the codes of the refusals. */
async function readAll(table: OpenTable): Promise<string[]> {
  const refusals: string[] = [];
  const read = async (check: () => Promise<void>) =>
    check().catch(error => {
      if (error instanceof assert.AssertionError) throw error;
      refusals.push(codeOf(error));
    });
  const held = new Map(Array.from({ length: itemsHeld }, (_, number) => [String(number), itemOf(number)]));
  const checkItems = (items: Record<string, unknown>[] = []) => {
    for (const item of items) assert.deepEqual(item, held.get(String(item.SK)));
  };
  for (const item of held.values()) {
    await read(async () => {
      const found = await table.get({ TableName: 'things', Key: { PK: item.PK, SK: item.SK } });
      if (found.Item !== undefined) assert.deepEqual(found.Item, item);
    });
  }
  await read(async () => checkItems((await table.scan({ TableName: 'things' })).Items));
  await read(async () =>
    checkItems(
      (
        await table.query({
          TableName: 'things',
          IndexName: 'byOwner',
          KeyConditionExpression: '#o = :o',
          ExpressionAttributeNames: { '#o': 'Owner' },
          ExpressionAttributeValues: { ':o': 'ada' },
        })
      ).Items,
    ),
  );
  await read(async () => {
    for (const { encoded, sequenceNumber } of table.changesOf('things').read(0n, 1_000_000)) {
      assert.deepEqual({ ...decodeChange(encoded).newImage }, itemOf(Number(sequenceNumber) - 1));
    }
  });
  return refusals;
}

describe('damage in the store', () => {
  it('is never served, whatever is read', async t => {
    const seed = 20_261_121;
    t.diagnostic(`seed ${seed}`);
    const random = seededRandom(seed);
    const seen = new Map<string, number>();
    for (let round = 0; round < 150; round++) {
      const disk = await filledDisk();
      const what = await damage(disk, random);
      const opened = openEmbeddedTable({ store: disk.open(), clock: new VirtualClock(), tables: [things] });
      const table = await opened.catch(error => {
        seen.set(codeOf(error), (seen.get(codeOf(error)) ?? 0) + 1);
        return undefined;
      });
      const refusals = table === undefined ? [] : await readAll(table).catch(error => assert.fail(`${what}: ${error}`));
      for (const code of refusals) seen.set(code, (seen.get(code) ?? 0) + 1);
      await table?.close();
    }
    t.diagnostic(JSON.stringify([...seen]));
    assert.ok((seen.get('table.corrupt') ?? 0) > 100);
    assert.deepEqual(
      [...seen.keys()].filter(code => !code.startsWith('table.')),
      [],
    );
  });

  it('names the table and the key, and is an InternalServerError to a client', async () => {
    const disk = await filledDisk();
    const [{ key, value }] = entriesOf(disk).filter(entry => placeOf(entry.key).tableId === 1);
    value[3] ^= 1;
    await disk.open().write(transaction => transaction.put(key, value));
    const table = await openEmbeddedTable({ store: disk.open(), clock: new VirtualClock(), tables: [things] });
    await assert.rejects(table.scan({ TableName: 'things' }), {
      name: 'InternalServerError',
      code: 'table.corrupt',
      message:
        /^The stored bytes of the item PK = "p\d", SK = "\d+" of table things are damaged, and are not served\.$/,
    });
  });

  it('keeps nobody from writing and reading the other items', async () => {
    const disk = await filledDisk();
    const [{ key, value }] = entriesOf(disk).filter(entry => placeOf(entry.key).tableId === 1);
    value[3] ^= 1;
    await disk.open().write(transaction => transaction.put(key, value));
    const table = await openEmbeddedTable({ store: disk.open(), clock: new VirtualClock(), tables: [things] });
    let refused = 0;
    for (let number = 0; number < itemsHeld; number++) {
      const written = table.put({ TableName: 'things', Item: { ...itemOf(number), again: true } });
      await written.catch(error => {
        assert.equal(codeOf(error), 'table.corrupt');
        refused++;
      });
    }
    assert.equal(refused, 1);
  });
});

interface Round {
  readonly round: number;
  readonly wrong?: number;
  readonly absent: number;
  readonly codes: readonly string[];
  readonly findings: number;
}

/** What each round has seen; undefined for one that LMDB has not survived. */
function damagedFiles(directory: string, rounds: number): (Round | undefined)[] {
  const script = fileURLToPath(new URL('./damaged-file.test-process.ts', import.meta.url));
  const results: (Round | undefined)[] = [];
  while (results.length < rounds) {
    const args = [script, directory, String(results.length), String(rounds)];
    const { stdout } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 100_000 });
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line): Round => JSON.parse(line));
    const done = lines.filter(({ wrong }) => wrong !== undefined);
    assert.ok(stdout !== '');
    results.push(...done);
    if (results.length < rounds) results.push(undefined);
  }
  return results;
}

describe('damage in the file of LMDB', () => {
  it('is never served as an item, and a check sees it', t => {
    const directory = mkdtempSync(path.join(os.tmpdir(), 'mimamori-damage-'));
    t.after(() => rmSync(directory, { recursive: true, force: true }));
    const rounds = process.env.MIMAMORI_TEST_LONG ? 600 : 30;
    const results = damagedFiles(directory, rounds);
    const ended = results.filter(each => each !== undefined);
    t.diagnostic(`${rounds - ended.length} of ${rounds} damaged files ended the process`);
    const seen = ended.filter(({ codes }) => codes.length > 0).length;
    t.diagnostic(`${seen} were refused, ${ended.filter(({ absent }) => absent > 0).length} hid items`);
    assert.ok(seen > 0);
    for (const { round, wrong, absent, codes, findings } of ended) {
      assert.equal(wrong, 0, `round ${round}`);
      for (const code of codes) assert.match(code, /^(table|store)\.(corrupt|indexDamaged|failed)$/, `round ${round}`);
      if (absent > 0 || codes.length > 0) assert.ok(findings > 0, `round ${round}`);
    }
    assert.ok(ended.length > rounds * 0.9);
  });
});

describe('a check', () => {
  it('finds nothing in a store that is whole, and changes nothing', async () => {
    const disk = await filledDisk();
    const before = entriesOf(disk);
    const { findings, tables, entries } = checkTables(disk.open());
    assert.deepEqual(findings, []);
    assert.deepEqual(tables, [{ tableName: 'things', items: itemsHeld }]);
    assert.equal(entries, before.length - 1); // the record of the version has no checksum
    assert.deepEqual(entriesOf(disk), before);
  });

  it('finds all damage, and what it can mend is whole afterwards', async t => {
    const seed = 5;
    t.diagnostic(`seed ${seed}`);
    const random = seededRandom(seed);
    const remedies = { rebuild: 0, remove: 0, restore: 0, none: 0 };
    for (let round = 0; round < 150; round++) {
      const disk = await filledDisk();
      const before = entriesOf(disk);
      const what = await damage(disk, random);
      await upgradeStore(disk.open(), { clock: systemClock, random }).catch(error => {
        assert.match(codeOf(error), /^table\.(corrupt|formatTooNew)$/);
      });
      const isSame = JSON.stringify(entriesOf(disk).map(textOf)) === JSON.stringify(before.map(textOf));
      const { findings } = checkTables(disk.open());
      const worst = (['restore', 'remove', 'rebuild'] as const).find(remedy =>
        findings.some(each => each.remedy === remedy),
      );
      remedies[worst ?? 'none']++;
      if (worst === undefined) assert.ok(isSame || isHarmless(what), what);
      if (worst === undefined || worst === 'restore') continue;
      const kept: Uint8Array[] = [];
      if (worst === 'remove') await removeDamaged(disk.open(), async ({ key }) => void kept.push(key));
      await rebuildIndexes(disk.open(), new VirtualClock());
      assert.deepEqual(checkTables(disk.open()).findings, [], what);
      const table = await openEmbeddedTable({ store: disk.open(), clock: new VirtualClock(), tables: [things] });
      assert.deepEqual(await readAll(table), [], what);
      await table.close();
    }
    t.diagnostic(JSON.stringify(remedies));
    assert.ok(remedies.rebuild > 20 && remedies.remove > 20 && remedies.restore > 3);
  });
});

function textOf({ key, value }: { key: Uint8Array; value: Uint8Array }): string {
  return Buffer.concat([key, value]).toString('hex');
}

/** The version of the format has a place outside, and is made again when it is not there. */
function isHarmless(what: string): boolean {
  return what.endsWith(Buffer.from('D\0\0\x03format', 'latin1').toString('hex'));
}

describe('checksumOf', () => {
  it('is CRC-32, however long the bytes are and however they are cut', () => {
    const random = seededRandom(1);
    for (let length = 0; length < 300; length++) {
      const bytes = random.bytes(length);
      assert.equal(checksumOf(bytes), crc32(bytes));
      const cut = random.integer(length + 1);
      assert.equal(checksumOf(bytes.subarray(cut), checksumOf(bytes.subarray(0, cut))), crc32(bytes));
    }
  });
});
