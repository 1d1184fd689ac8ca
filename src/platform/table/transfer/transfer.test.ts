import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { VirtualClock } from '../../../kernel/virtual-clock.ts';
import { tableOn } from '../embedded.ts';
import type { Engine } from '../engine.ts';
import type { TableSchema } from '../port.ts';
import { verifyIndexes } from '../storage/verify-indexes.ts';
import { contentsName, md5Of, stateName } from './format.ts';
import { transferLimits } from './limits.ts';
import {
  callsOf,
  cleanUp,
  exportTo,
  folder,
  importFrom,
  itemsOf,
  openMemoryEngine,
  withoutSnapshots,
} from './transfer-world.ts';

const things: TableSchema = {
  tableName: 'things',
  partitionKey: { name: 'PK', type: 'S' },
  sortKey: { name: 'SK', type: 'N' },
  ttlAttribute: 'expires',
  stream: 'NEW_IMAGE',
  indexes: [
    { indexName: 'byOwner', partitionKey: { name: 'owner', type: 'S' }, sortKey: { name: 'SK', type: 'N' } },
    {
      indexName: 'byRank',
      kind: 'local',
      partitionKey: { name: 'PK', type: 'S' },
      sortKey: { name: 'rank', type: 'N' },
      projection: ['owner'],
    },
  ],
};
const bytes: TableSchema = { tableName: 'bytes', partitionKey: { name: 'id', type: 'B' } };

afterEach(cleanUp);

async function filled(count: number, held = 'x'.repeat(100)): Promise<Engine> {
  const engine = await openMemoryEngine({ tables: [things, bytes] });
  const table = tableOn(engine);
  const writes: Promise<unknown>[] = [];
  for (let number = 0; number < count; number++) {
    const Item = { PK: `p${number % 7}`, SK: number, owner: `o${number % 3}`, rank: -number, held };
    writes.push(table.put({ TableName: 'things', Item }));
  }
  writes.push(table.put({ TableName: 'bytes', Item: { id: Uint8Array.of(1, 2, 3) } }));
  await Promise.all(writes);
  return engine;
}

function dataFiles(directory: string): string[] {
  const root = path.join(directory, 'AWSDynamoDB');
  return readdirSync(root).flatMap(id =>
    readdirSync(path.join(root, id, 'data')).map(name => path.join(root, id, 'data', name)),
  );
}

function assertSameTables(left: Engine, right: Engine, names: readonly string[]): void {
  for (const name of names) {
    assert.deepEqual(itemsOf(right, name), itemsOf(left, name));
    assert.deepEqual(verifyIndexes(right, name).differences, []);
  }
}

describe('an export', () => {
  it('has the files of an export of DynamoDB, with their checksums', async () => {
    const engine = await filled(20);
    const directory = folder();
    const contents = await exportTo(directory, callsOf(engine), { tableNames: ['things'] });
    const [{ exportId, itemCount }] = contents.tables;
    assert.match(exportId, /^\d{14}-[0-9a-f]{8}$/);
    assert.equal(itemCount, 20);
    const root = path.join(directory, 'AWSDynamoDB', exportId);
    assert.deepEqual(readdirSync(root).sort(), [
      '_started',
      'data',
      'manifest-files.checksum',
      'manifest-files.json',
      'manifest-summary.checksum',
      'manifest-summary.json',
    ]);
    const summary = JSON.parse(readFileSync(path.join(root, 'manifest-summary.json'), 'utf8'));
    assert.equal(summary.itemCount, 20);
    assert.equal(summary.outputFormat, 'DYNAMODB_JSON');
    assert.equal(summary.manifestFilesS3Key, `AWSDynamoDB/${exportId}/manifest-files.json`);
    const manifest = readFileSync(path.join(root, 'manifest-files.json'));
    assert.equal(readFileSync(path.join(root, 'manifest-files.checksum'), 'utf8'), md5Of(manifest));
    const [entry, ...others] = manifest
      .toString()
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line));
    assert.deepEqual(others, []);
    assert.deepEqual(Object.keys(entry), ['itemCount', 'md5Checksum', 'etag', 'dataFileS3Key']);
    const file = readFileSync(path.join(directory, entry.dataFileS3Key));
    assert.equal(md5Of(file), entry.md5Checksum);
    const lines = gunzipSync(file).toString().trimEnd().split('\n');
    assert.equal(lines.length, 20);
    const { Item } = JSON.parse(lines[0]);
    assert.deepEqual(Object.keys(Item).sort(), ['PK', 'SK', 'held', 'owner', 'rank']);
    assert.deepEqual(Item.rank, { N: String(-Number(Item.SK.N)) });
  });

  it('is of one moment, whatever is written meanwhile', async () => {
    const engine = await filled(3_000, 'x'.repeat(1_000)); // several pages
    const before = itemsOf(engine, 'things');
    const table = tableOn(engine);
    const directory = folder();
    const inner = callsOf(engine);
    let pages = 0;
    const call = async (operation: string, input: object) => {
      const answer = await inner(operation, input);
      if (operation === 'ReadSnapshot') {
        const number = pages++;
        await table.delete({ TableName: 'things', Key: { PK: `p${number % 7}`, SK: 2_999 - number } });
        await table.put({ TableName: 'things', Item: { PK: 'new', SK: number } });
      }
      return answer;
    };
    const contents = await exportTo(directory, call);
    assert.ok(pages > 3, `${pages} pages`);
    assert.equal(contents.isSnapshot, true);
    const copy = await openMemoryEngine();
    await importFrom(directory, callsOf(copy));
    assert.deepEqual(itemsOf(copy, 'things'), before);
  });

  it('of a server without snapshots is made of scans, and says that it is no snapshot', async () => {
    const engine = await filled(500);
    const directory = folder();
    const contents = await exportTo(directory, withoutSnapshots(callsOf(engine)), { isCompressed: false });
    assert.equal(contents.isSnapshot, false);
    assert.equal(dataFiles(directory).filter(name => name.endsWith('.json')).length, 2 * transferLimits.scanSegments);
    const copy = await openMemoryEngine();
    await importFrom(directory, callsOf(copy));
    assertSameTables(engine, copy, ['things', 'bytes']);
  });

  it('is refused in a folder that holds something, and of a table that is not there', async () => {
    const engine = await filled(1);
    const directory = folder();
    writeFileSync(path.join(directory, 'mine.txt'), 'mine');
    await assert.rejects(exportTo(directory, callsOf(engine)), { code: 'transfer.exportNotEmpty' });
    await assert.rejects(exportTo(folder(), callsOf(engine), { tableNames: ['thongs'] }), {
      code: 'transfer.tableNotFound',
    });
    await assert.rejects(exportTo(folder(), callsOf(engine), { resumes: true }), { code: 'transfer.nothingToResume' });
  });
});

/** Fails as a process that is killed: at the call with this number. */
class Killed extends Error {}

function killedAt(call: (operation: string, input: object) => Promise<unknown>, at: number) {
  let calls = 0;
  return (operation: string, input: object) => (++calls >= at ? Promise.reject(new Killed()) : call(operation, input));
}

describe('an interrupted export', () => {
  it('goes on with the same snapshot, without gap or repeat', async () => {
    const engine = await filled(40, 'x'.repeat(390_000)); // 16 MB of items: files of 32 MiB are too large to be many
    const table = tableOn(engine);
    const directory = folder();
    const before = itemsOf(engine, 'things');
    const stop = new AbortController();
    let pages = 0;
    const onProgress = () => {
      if (++pages === 5) stop.abort();
    };
    const first = exportTo(directory, callsOf(engine), { signal: stop.signal, onProgress });
    await assert.rejects(first, { code: 'transfer.interrupted' });
    await table.put({ TableName: 'things', Item: { PK: 'later', SK: 1 } });
    let resumed = '';
    for (let kill = 2; kill < 40; kill += 9) {
      const killed = killedAt(callsOf(engine), kill);
      await exportTo(directory, killed, { resumes: true }).catch(error => {
        if (!(error instanceof Killed)) throw error;
      });
      if (readdirSync(directory).includes(contentsName)) break;
    }
    if (!readdirSync(directory).includes(contentsName)) {
      await exportTo(directory, callsOf(engine), {
        resumes: true,
        onProgress: progress => (resumed = progress.resumed),
      });
      assert.equal(resumed, 'yes');
    }
    assert.equal(readdirSync(directory).includes(stateName), false);
    const copy = await openMemoryEngine();
    await importFrom(directory, callsOf(copy));
    assert.deepEqual(itemsOf(copy, 'things'), before);
  });

  it('starts over when its snapshot is gone, and says so', async () => {
    const engine = await filled(3_000, 'x'.repeat(1_000));
    const directory = folder();
    const stop = new AbortController();
    const first = exportTo(directory, callsOf(engine), { signal: stop.signal, onProgress: () => stop.abort() });
    await assert.rejects(first, { code: 'transfer.interrupted' });
    engine.snapshots.close();
    await tableOn(engine).put({ TableName: 'things', Item: { PK: 'later', SK: 1 } });
    let resumed = '';
    await exportTo(directory, callsOf(engine), { resumes: true, onProgress: progress => (resumed = progress.resumed) });
    assert.equal(resumed, 'over');
    const copy = await openMemoryEngine();
    await importFrom(directory, callsOf(copy));
    assertSameTables(engine, copy, ['things', 'bytes']);
  });

  it('goes on with data that nobody has changed since, and starts over with others', async () => {
    for (const [dataMark, expected] of [
      ['same', 'yes'],
      ['other', 'over'],
    ]) {
      const engine = await filled(3_000, 'x'.repeat(1_000));
      const directory = folder();
      const stop = new AbortController();
      const first = exportTo(directory, callsOf(engine), {
        signal: stop.signal,
        onProgress: () => stop.abort(),
        dataMark: 'same',
      });
      await assert.rejects(first, { code: 'transfer.interrupted' });
      engine.snapshots.close();
      let resumed = '';
      const onProgress = (progress: { resumed: string }) => (resumed = progress.resumed);
      await exportTo(directory, callsOf(engine), { resumes: true, onProgress, dataMark });
      assert.equal(resumed, expected);
    }
  });
});

describe('a held snapshot', () => {
  it('is closed when nobody reads it for a while, and there are few at once', async () => {
    const clock = new VirtualClock();
    const engine = await openMemoryEngine({ clock, tables: [bytes] });
    const call = callsOf(engine);
    const open = async () => (await call('OpenSnapshot', {})) as { SnapshotId: string }; // a cast: our own answer
    const [{ SnapshotId }] = [await open(), await open()];
    await assert.rejects(open(), { name: 'LimitExceededException' });
    const read = () => call('ReadSnapshot', { SnapshotId, TableName: 'bytes' });
    await clock.advance(transferLimits.snapshotIdleMs - 1);
    assert.deepEqual(await read(), { Items: [] });
    await clock.advance(transferLimits.snapshotIdleMs - 1);
    assert.deepEqual(await read(), { Items: [] });
    await clock.advance(transferLimits.snapshotIdleMs);
    await assert.rejects(read(), { name: 'ResourceNotFoundException' });
    await open();
    await assert.rejects(call('ReadSnapshot', { SnapshotId: 7, TableName: 'bytes' }), {
      code: 'table.resourceNotFound',
    });
  });
});

describe('an import', () => {
  it('gives back every item in its very bytes, with indexes, counts, expiry and stream (property)', async t => {
    const name = fc.oneof(
      fc.constantFrom('__proto__', 'constructor', 'toString', '1', '0', 'a.b', '日本'),
      fc.string({ minLength: 1, maxLength: 8, unit: 'grapheme' }),
    );
    const number = fc.oneof(
      fc.integer().map(String),
      fc
        .double({ noNaN: true, noDefaultInfinity: true, min: -1e100, max: 1e100 })
        .filter(value => Math.abs(value) > 1e-100)
        .map(value => value.toExponential(14)),
      fc
        .tuple(fc.boolean(), fc.stringMatching(/^[1-9]\d{0,36}[1-9]$/), fc.integer({ min: -120, max: 80 }))
        .map(([isNegative, digits, exponent]) => `${isNegative ? '-' : ''}${digits}e${exponent}`),
    );
    const base64 = fc.uint8Array({ maxLength: 12 }).map(value => Buffer.from(value).toString('base64'));
    const text = fc.string({ maxLength: 12, unit: 'grapheme' });
    const unique = { minLength: 1, maxLength: 4 };
    const leaf = fc.oneof(
      text.map(S => ({ S })),
      number.map(N => ({ N })),
      base64.map(B => ({ B })),
      fc.boolean().map(BOOL => ({ BOOL })),
      fc.constant({ NULL: true }),
      fc.uniqueArray(text, unique).map(SS => ({ SS })),
      fc.uniqueArray(fc.integer().map(String), unique).map(NS => ({ NS })),
      fc.uniqueArray(base64, unique).map(BS => ({ BS })),
    );
    const value = fc.letrec(tie => ({
      value: fc.oneof(
        { depthSize: 'small', maxDepth: 4 },
        leaf,
        fc.array(tie('value'), { maxLength: 3 }).map(L => ({ L })),
        fc.array(fc.tuple(name, tie('value')), { maxLength: 3 }).map(M => ({ M: Object.fromEntries(M) })),
      ),
    })).value;
    const item = fc.array(fc.tuple(name, value), { maxLength: 5 }).map(entries => Object.fromEntries(entries));
    const seed = 20_261_121;
    t.diagnostic(`seed ${seed}`);
    const property = fc.asyncProperty(fc.array(item, { maxLength: 60 }), fc.boolean(), async (items, isCompressed) => {
      const engine = await openMemoryEngine({ tables: [things, bytes] });
      const call = callsOf(engine);
      for (const [at, each] of items.entries()) {
        const keys = { PK: { S: `p${at % 3}` }, SK: { N: String(at) } };
        const indexed = at % 2 === 0 ? { owner: { S: 'ada' }, rank: { N: String(-at) } } : {};
        await call('PutItem', { TableName: 'things', Item: { ...each, ...indexed, ...keys } });
      }
      const directory = folder();
      await exportTo(directory, call, { isCompressed });
      const copy = await openMemoryEngine();
      const imported = await importFrom(directory, callsOf(copy));
      assert.deepEqual(imported, [
        { tableName: 'bytes', items: 0, isNew: true },
        { tableName: 'things', items: items.length, isNew: true },
      ]);
      assertSameTables(engine, copy, ['things', 'bytes']);
      const { indexes, settings, timeToLive, stream, keys } = copy.catalog.stored('things');
      const original = engine.catalog.stored('things');
      const shape = (all: typeof indexes) =>
        all
          .filter(({ kind }) => kind !== 'expiry')
          .map(({ id: _id, throughput: _throughput, ...index }) => index)
          .sort((left, right) => (left.indexName < right.indexName ? -1 : 1));
      assert.deepEqual(shape(indexes), shape(original.indexes));
      assert.deepEqual(
        [settings.billingMode, timeToLive?.attributeName, stream, keys],
        [original.settings.billingMode, 'expires', 'NEW_IMAGE', original.keys],
      );
      assert.equal(copy.changes.lastDurable(copy.catalog.table('things').id), 0n); // no change was made by the import
      await cleanUp();
    });
    await fc.assert(property, { seed, numRuns: 40 });
  });

  it('reads an export of DynamoDB, whose files it finds under a prefix of a bucket', async () => {
    const directory = folder();
    const exportId = '01693685827463-2d8752fd';
    const root = path.join(directory, 'AWSDynamoDB', exportId);
    mkdirSync(path.join(root, 'data'), { recursive: true });
    const lines = [
      { Item: { id: { B: 'AQID' }, n: { N: '12345678901234567890123456789012345678' } } },
      { Item: { id: { B: 'BA==' } } },
    ];
    const data = gzipSync(lines.map(line => `${JSON.stringify(line)}\n`).join(''));
    writeFileSync(path.join(root, 'data', 'asdf.json.gz'), data);
    const empty = gzipSync('');
    writeFileSync(path.join(root, 'data', 'qwer.json.gz'), empty);
    const entry = (name: string, itemCount: number, file: Buffer) =>
      JSON.stringify({
        itemCount,
        md5Checksum: md5Of(file),
        etag: 'e-1',
        dataFileS3Key: `some/prefix/AWSDynamoDB/${exportId}/data/${name}`,
      });
    writeFileSync(
      path.join(root, 'manifest-files.json'),
      `${entry('asdf.json.gz', 2, data)}\n${entry('qwer.json.gz', 0, empty)}\n`,
    );
    const tableArn = 'arn:aws:dynamodb:us-east-1:123456789012:table/bytes';
    writeFileSync(
      path.join(root, 'manifest-summary.json'),
      JSON.stringify({ version: '2020-06-30', tableArn, itemCount: 2, outputFormat: 'DYNAMODB_JSON' }),
    );
    const none = await openMemoryEngine();
    await assert.rejects(importFrom(directory, callsOf(none)), { code: 'transfer.schemaMissing' });
    const engine = await openMemoryEngine({ tables: [bytes] });
    assert.deepEqual(await importFrom(directory, callsOf(engine)), [{ tableName: 'bytes', items: 2, isNew: false }]);
    const { Item } = (await callsOf(engine)('GetItem', { TableName: 'bytes', Key: { id: { B: 'AQID' } } })) as {
      Item: unknown;
    };
    assert.deepEqual(Item, lines[0].Item);
    for (const [outputFormat, exportType] of [
      ['ION', 'FULL_EXPORT'],
      ['DYNAMODB_JSON', 'INCREMENTAL_EXPORT'],
    ]) {
      writeFileSync(
        path.join(root, 'manifest-summary.json'),
        JSON.stringify({ tableArn, itemCount: 2, outputFormat, exportType }),
      );
      await assert.rejects(importFrom(directory, callsOf(engine), { merges: true }), {
        code: 'transfer.formatNotSupported',
      });
    }
  });

  it('refuses a table that holds items, unless it may merge, which can be done twice', async () => {
    const engine = await filled(30);
    const directory = folder();
    await exportTo(directory, callsOf(engine));
    await assert.rejects(importFrom(directory, callsOf(engine)), { code: 'transfer.tableNotEmpty' });
    const before = itemsOf(engine, 'things');
    await tableOn(engine).delete({ TableName: 'things', Key: { PK: 'p0', SK: 0 } });
    for (const _time of [1, 2]) await importFrom(directory, callsOf(engine), { merges: true });
    assert.deepEqual(itemsOf(engine, 'things'), before);
    await assert.rejects(importFrom(directory, callsOf(engine), { newName: 'other' }), {
      code: 'transfer.severalTables',
    });
    const imported = await importFrom(directory, callsOf(engine), { tableName: 'things', newName: 'other' });
    assert.deepEqual(imported, [{ tableName: 'other', items: 30, isNew: true }]);
    assert.deepEqual(verifyIndexes(engine, 'other'), { items: 30, differences: [] });
  });

  it('goes on where a kill has stopped it, and ends with the same', async () => {
    const engine = await filled(5_000, '');
    const directory = folder();
    await exportTo(directory, callsOf(engine));
    const copy = await openMemoryEngine();
    let kills = 0;
    for (let at = 3; ; at += 40) {
      const isDone = await importFrom(directory, killedAt(callsOf(copy), at)).then(
        () => true,
        error => {
          if (!(error instanceof Killed)) throw error;
          return false;
        },
      );
      if (isDone) break;
      kills++;
    }
    assert.ok(kills > 3, `${kills} kills`);
    assertSameTables(engine, copy, ['things', 'bytes']);
    assert.equal(copy.catalog.stored('things').timeToLive?.attributeName, 'expires');
    assert.equal(copy.catalog.stored('things').stream, 'NEW_IMAGE');
    assert.deepEqual(
      readdirSync(directory).filter(name => name.endsWith('.state')),
      [],
    );
  });

  it('writes nothing of an export of which any file is damaged', async t => {
    const engine = await filled(200);
    const copy = await openMemoryEngine();
    const call = callsOf(copy);
    for (const isCompressed of [true, false]) {
      const directory = folder();
      await exportTo(directory, callsOf(engine), { isCompressed });
      const files = [
        ...dataFiles(directory),
        ...readdirSync(path.join(directory, 'AWSDynamoDB')).flatMap(id =>
          ['manifest-files.json', 'manifest-summary.json'].map(name => path.join(directory, 'AWSDynamoDB', id, name)),
        ),
      ];
      for (const file of files) {
        const whole = readFileSync(file);
        for (const at of [0, Math.floor(whole.length / 2), whole.length - 1]) {
          const damaged = Buffer.from(whole);
          damaged[at] ^= 4;
          writeFileSync(file, damaged);
          await assert.rejects(importFrom(directory, call), { code: 'transfer.fileDamaged' }, `${file} at ${at}`);
        }
        writeFileSync(file, whole.subarray(0, whole.length >> 1));
        await assert.rejects(importFrom(directory, call), { code: 'transfer.fileDamaged' });
        writeFileSync(file, whole);
      }
    }
    assert.deepEqual(copy.catalog.list(), []);
    t.diagnostic('all refused');
  });

  it('names the line that is no item', async () => {
    const engine = await filled(5);
    const copy = await openMemoryEngine();
    for (const [line, message] of [
      ['{"Item":', /^Line 3 of .*json is not an item: /],
      ['{"Key":{}}', /it has no "Item"/],
      ['{"Item":{"PK":{"S":"a"},"SK":{"N":"one"}}}', /not an item: .*numeric/],
      ['{"Item":{"PK":{"S":"a"},"SK":{"N":"1"},"list":{"L":5}}}', /not an item/],
    ] as const) {
      const directory = folder();
      await exportTo(directory, callsOf(engine), { isCompressed: false, tableNames: ['things'] });
      const [file] = dataFiles(directory);
      const lines = readFileSync(file, 'utf8').split('\n');
      lines[2] = line;
      rewrite(file, lines.join('\n'));
      await assert.rejects(importFrom(directory, callsOf(copy)), { code: 'transfer.lineNotValid', message });
    }
    assert.deepEqual(copy.catalog.list(), []);
  });

  it('says at which line the table refuses an item, and how many it took before', async () => {
    const engine = await filled(40);
    const directory = folder();
    await exportTo(directory, callsOf(engine), { isCompressed: false, tableNames: ['things'] });
    const [file] = dataFiles(directory);
    const lines = readFileSync(file, 'utf8').split('\n');
    lines[30] = '{"Item":{"PK":{"S":""},"SK":{"N":"1"}}}';
    rewrite(file, lines.join('\n'));
    const copy = await openMemoryEngine();
    const importing = importFrom(directory, callsOf(copy));
    await assert.rejects(importing, {
      code: 'transfer.itemNotTaken',
      message: /^Line 31 of .* \d+ items are imported\.$/,
    });
    lines[30] = '{"Item":{"PK":{"S":"mended"},"SK":{"N":"1"}}}';
    rewrite(file, lines.join('\n'));
    await importFrom(directory, callsOf(copy));
    assert.equal(itemsOf(copy, 'things').size, 40);
  });

  it('refuses an export that a later release has written, and one with other keys', async () => {
    const engine = await filled(1);
    const directory = folder();
    await exportTo(directory, callsOf(engine), { tableNames: ['bytes'] });
    const other = await openMemoryEngine({ tables: [{ tableName: 'bytes', partitionKey: { name: 'id', type: 'S' } }] });
    await assert.rejects(importFrom(directory, callsOf(other)), { code: 'transfer.keysDiffer' });
    const contents = JSON.parse(readFileSync(path.join(directory, contentsName), 'utf8'));
    writeFileSync(path.join(directory, contentsName), JSON.stringify({ ...contents, version: 2 }));
    await assert.rejects(importFrom(directory, callsOf(other)), { code: 'transfer.formatTooNew' });
    await assert.rejects(importFrom(folder(), callsOf(other)), { code: 'transfer.exportNotFound' });
  });
});

/** Changes a data file together with its checksum, as an editor that knows the format would. */
function rewrite(file: string, text: string): void {
  const root = path.dirname(path.dirname(file));
  writeFileSync(file, text);
  const entry = JSON.parse(readFileSync(path.join(root, 'manifest-files.json'), 'utf8'));
  const manifest = `${JSON.stringify({ ...entry, md5Checksum: md5Of(Buffer.from(text)) })}\n`;
  writeFileSync(path.join(root, 'manifest-files.json'), manifest);
  writeFileSync(path.join(root, 'manifest-files.checksum'), md5Of(Buffer.from(manifest)));
}
