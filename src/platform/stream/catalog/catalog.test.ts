import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { testScale } from '../../../../test/support.ts';
import { systemClock } from '../../../kernel/clock.ts';
import { codeOf } from '../../../kernel/errors.ts';
import { type Files, systemFiles } from '../../../kernel/files.ts';
import { type Log, silentLog } from '../../../kernel/log.ts';
import { MemoryFiles } from '../../../kernel/memory-files.ts';
import { seededRandom, systemRandom } from '../../../kernel/random.ts';
import { TestDisk, withoutSync } from '../../../kernel/test-disk.ts';
import { VirtualClock } from '../../../kernel/virtual-clock.ts';
import type { StreamRecord } from '../port.ts';
import { RecordBatch } from '../record-batch.ts';
import { equalRanges } from '../shards.ts';
import { type CatalogOptions, StreamCatalog } from './catalog.ts';
import type { CatalogStream } from './catalog-stream.ts';
import { directoryOf } from './directories.ts';
import { embeddedEngines } from './embedded-engine.ts';
import { catalogLimits } from './limits.ts';

const directory = '/kinesis';

/** A disk and a clock, and processes with a catalog on them, one after the other. */
class World {
  readonly clock = new VirtualClock();
  readonly random;
  readonly disk: TestDisk;
  readonly logged: object[] = [];

  constructor(seed = 1) {
    this.random = seededRandom(seed);
    this.disk = new TestDisk({ clock: this.clock, random: this.random });
  }

  /** A process that starts; one that still runs is killed. */
  open(options: Partial<CatalogOptions> = {}, spoil: (files: Files) => Files = files => files): Promise<StreamCatalog> {
    const { clock, random } = this;
    this.disk.kill();
    const files = spoil(this.disk.mount());
    const log: Log = { ...silentLog, error: facts => void this.logged.push(facts) };
    const openEngine = embeddedEngines({ files, clock, random, paddingBytes: 0 });
    return clock.until(StreamCatalog.open({ files, clock, log, directory, openEngine, ...options }));
  }

  until<T>(promise: Promise<T>): Promise<T> {
    return this.clock.until(promise);
  }

  append(stream: CatalogStream, ...texts: string[]) {
    return this.until(stream.append(batchOf(...texts)));
  }

  async readAll(stream: CatalogStream): Promise<string[]> {
    const [{ shardId }] = await this.until(stream.shards());
    const { records } = await this.until(stream.read(shardId, null, { recordsMax: 10_000, bytesMax: 10_000_000 }));
    return records.map(textOf);
  }
}

function batchOf(...texts: string[]): RecordBatch {
  const batch = new RecordBatch(1_024);
  for (const text of texts) batch.add(text.split(':')[0], Buffer.from(text));
  return batch;
}

const textOf = ({ data }: StreamRecord) => data.toString();
const namesOf = (catalog: StreamCatalog) => catalog.list().map(({ name }) => name);
const one = (name: string) => ({ name, shardCount: 1 });

describe('a catalog of streams', () => {
  it('makes streams that are apart from each other, and has them again when it is opened again', async () => {
    const world = new World();
    const catalog = await world.open();
    const funnel = await world.until(
      catalog.create({ ...one('funnel'), retentionHours: 48, mode: 'ON_DEMAND', tags: { team: '見守り' } }),
    );
    const other = await world.until(catalog.create(one('other')));
    await world.append(funnel, 'a:1', 'a:2');
    await world.append(other, 'b:1');
    await world.until(catalog.close());
    const reopened = await world.open();
    assert.deepEqual(namesOf(reopened), ['funnel', 'other']);
    assert.deepEqual(reopened.get('funnel').settings, funnel.settings);
    assert.equal(reopened.get('funnel').status, 'ACTIVE');
    assert.deepEqual(await world.readAll(reopened.get('funnel')), ['a:1', 'a:2']);
    assert.deepEqual(await world.readAll(reopened.get('other')), ['b:1']);
  });

  it('refuses a name that is taken, none, or one too many, and streams that would have too many shards', async () => {
    const world = new World();
    const catalog = await world.open();
    const rejects = (stream: Parameters<StreamCatalog['create']>[0], code: string) =>
      assert.rejects(world.until(catalog.create(stream)), { code });
    await world.until(catalog.create(one('a')));
    await rejects(one('a'), 'catalog.streamExists');
    for (const name of ['', 'a/b', 'ä', 'x'.repeat(129), 'a\0', '+']) await rejects(one(name), 'catalog.nameNotValid');
    await rejects({ name: 'wide', shardCount: catalogLimits.openShardsMax }, 'catalog.shardsTooMany');
    for (let count = 1; count < catalogLimits.streamsMax; count++) await world.until(catalog.create(one(`s${count}`)));
    await rejects(one('more'), 'catalog.streamsTooMany');
    await world.until(catalog.delete('s1'));
    await world.until(catalog.create(one('more')));
  });

  it('gives each of two names at once its turn, and one of them to one only', async () => {
    const world = new World();
    const catalog = await world.open();
    const outcomes = await world.until(
      Promise.allSettled([catalog.create(one('a')), catalog.create(one('b')), catalog.create(one('a'))]),
    );
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['fulfilled', 'fulfilled', 'rejected'],
    );
  });

  it('keeps any name in a folder of its own, inside its own, on any file system', () => {
    const names = [
      'a',
      'A',
      '.',
      '..',
      '...',
      'a.',
      '.a',
      'Stream',
      'stream',
      'a'.repeat(128),
      'A'.repeat(128),
      '-',
      '_',
    ];
    const folders = names.map(directoryOf);
    assert.equal(new Set(folders.map(folder => folder.toLowerCase())).size, names.length);
    for (const folder of folders) {
      assert.match(folder, /^[a-z0-9_+-]([a-z0-9_.+-]*[a-z0-9_+-])?$/);
      assert(folder.length <= 255);
    }
    assert.equal(directoryOf('plain.name-1'), 'plain.name-1');
  });

  it('removes all of a stream that is deleted, and begins anew under its name', async () => {
    const world = new World();
    const catalog = await world.open();
    const first = await world.until(catalog.create(one('a')));
    await world.append(first, 'a:old');
    await world.until(catalog.delete('a'));
    assert.deepEqual(await world.disk.list(directory), []);
    assert.throws(() => catalog.get('a'), { code: 'catalog.streamNotFound' });
    await assert.rejects(world.append(first, 'a:late'), { code: 'catalog.streamNotFound' });
    const second = await world.until(catalog.create(one('a')));
    assert.deepEqual(await world.readAll(second), []);
    assert.notEqual(second.settings.createdAtMs, first.settings.createdAtMs);
  });

  it('leaves nothing behind on a real disk', async t => {
    const root = await mkdtemp(path.join(tmpdir(), 'mimamori-catalog-'));
    t.after(() => rm(root, { recursive: true }));
    const files = systemFiles;
    const openEngine = embeddedEngines({ files, clock: systemClock, random: systemRandom });
    const options = { files, clock: systemClock, log: silentLog, directory: root, openEngine };
    const catalog = await StreamCatalog.open(options);
    const stream = await catalog.create(one('..'));
    await stream.append(batchOf('a:1'));
    const [{ shardId }] = await stream.shards();
    const { records } = await stream.read(shardId, null, { recordsMax: 10, bytesMax: 1_000 });
    assert.deepEqual(records.map(textOf), ['a:1']);
    assert.equal((await readdir(root)).length, 1);
    await catalog.delete('..');
    assert.deepEqual(await readdir(root), []);
    await catalog.close();
  });

  it('says CREATING, UPDATING and DELETING for as long as it is told to, and takes nothing meanwhile', async () => {
    const world = new World();
    const catalog = await world.open({ transitionMs: 1_000 });
    const stream = await world.until(catalog.create(one('a')));
    assert.equal(stream.status, 'CREATING');
    await assert.rejects(world.append(stream, 'a:1'), { code: 'catalog.streamNotFound' });
    await assert.rejects(world.until(catalog.delete('a')), { code: 'catalog.streamInUse' });
    await world.clock.advance(1_010); // a write of the settings included
    assert.equal(stream.status, 'ACTIVE');
    await world.append(stream, 'a:1');
    await world.until(catalog.delete('a'));
    assert.equal(catalog.get('a').status, 'DELETING');
    await assert.rejects(world.append(stream, 'a:2'), { code: 'catalog.streamNotFound' });
    await assert.rejects(world.until(catalog.create(one('a'))), { code: 'catalog.streamExists' });
    await world.clock.advance(1_100);
    assert.equal(catalog.find('a'), undefined);
  });

  it('splits, merges and scales the shards of a stream, and counts those of all', async () => {
    const world = new World();
    const catalog = await world.open();
    const stream = await world.until(catalog.create({ name: 'a', shardCount: 2 }));
    await world.until(stream.reshard(async shards => shards.splitShard('shardId-000000000000', 1_000n)));
    assert.deepEqual([stream.settings.openShardCount, catalog.openShardCount, stream.status], [3, 3, 'ACTIVE']);
    for (const count of [6, 5, 4, 8, 1]) {
      await world.until(catalog.updateShardCount('a', count));
      const open = (await stream.shards()).filter(shard => shard.endingSequenceNumber === undefined);
      const ranges = open.map(({ hashKeys }) => hashKeys).sort((left, right) => (left.from < right.from ? -1 : 1));
      assert.deepEqual(ranges, equalRanges(count));
      assert.equal(catalog.openShardCount, count);
    }
    await assert.rejects(world.until(catalog.updateShardCount('a', 5_000)), { code: 'catalog.shardsTooMany' });
    const failed = stream.reshard(async shards => shards.splitShard('shardId-000000000000', 5n));
    await assert.rejects(world.until(failed), { code: 'stream.shardNotOpen' });
    assert.equal(stream.status, 'ACTIVE');
  });

  it('goes on after a crash with shards that were being scaled', async () => {
    const world = new World();
    const catalog = await world.open();
    const stream = await world.until(catalog.create({ name: 'a', shardCount: 2 }));
    await world.append(stream, 'a:1', 'b:2', 'c:3');
    const scaling = catalog.updateShardCount('a', 4).catch(codeOf);
    const twice = catalog.updateShardCount('a', 3).catch(codeOf);
    assert.equal(await twice, 'catalog.streamInUse');
    assert.equal(stream.status, 'UPDATING');
    await world.clock.advance(4); // The target is written, and one shard split.
    world.disk.powerCut();
    await world.until(scaling);
    const reopened = (await world.open()).get('a');
    assert.equal(reopened.settings.openShardCount, 4);
    assert.equal((await reopened.shards()).filter(shard => shard.endingSequenceNumber === undefined).length, 4);
  });

  it('keeps what is changed of a stream, also when several change it at once', async () => {
    const world = new World();
    const catalog = await world.open();
    const stream = await world.until(catalog.create(one('a')));
    const tag = (name: string) => stream.change(({ tags }) => ({ tags: { ...tags, [name]: name } }));
    await world.until(Promise.all([tag('x'), tag('y'), stream.changeRetention(100), tag('z')]));
    world.disk.powerCut();
    const { settings } = (await world.open()).get('a');
    assert.deepEqual([settings.tags, settings.retentionHours], [{ x: 'x', y: 'y', z: 'z' }, 100]);
  });

  it('shows a stream of somebody else, and changes nothing of it', async () => {
    const world = new World();
    const catalog = await world.open();
    const openEngine = embeddedEngines({ files: world.disk.mount(), clock: world.clock, random: world.random });
    const own = await world.until(catalog.create(one('own')));
    const { stream, ...engine } = await world.until(openEngine('/elsewhere', own.settings));
    catalog.addReadOnly({ name: 'speaker', createdAtMs: 1 }, engine);
    await world.until(stream?.append(batchOf('a:1')) ?? assert.fail());
    const shown = catalog.get('speaker');
    assert.deepEqual(await world.readAll(shown), ['a:1']);
    await assert.rejects(world.append(shown, 'a:2'), { code: 'catalog.readOnly' });
    await assert.rejects(world.until(catalog.delete('speaker')), { code: 'catalog.readOnly' });
    await assert.rejects(shown.changeRetention(48), { code: 'catalog.readOnly' });
    await assert.rejects(world.until(catalog.create(one('speaker'))), { code: 'catalog.streamExists' });
    assert.throws(() => catalog.addReadOnly({ name: 'own', createdAtMs: 1 }, engine), { code: 'catalog.streamExists' });
  });

  it('lives in memory, too', async () => {
    const clock = new VirtualClock();
    const files = new MemoryFiles();
    const openEngine = embeddedEngines({
      files,
      clock,
      random: seededRandom(1),
      segmentBytesMax: 1_000,
      paddingBytes: 0,
    });
    const catalog = await StreamCatalog.open({ files, clock, log: silentLog, directory, openEngine });
    const stream = await catalog.create(one('a'));
    for (let number = 0; number < 100; number++) await stream.append(batchOf(`a:${number}:${'x'.repeat(100)}`));
    const [{ shardId }] = await stream.shards();
    const { records, next } = await stream.read(shardId, null, { recordsMax: 99, bytesMax: 1_000_000 });
    assert.deepEqual([records.length, next?.data.toString().slice(0, 5)], [99, 'a:99:']);
    await catalog.delete('a');
    assert.deepEqual(await files.list(directory), []);
  });
});

describe('pages of a shard', () => {
  async function openPages(texts: string[]) {
    const world = new World();
    const catalog = await world.open();
    const stream = await world.until(catalog.create(one('a')));
    for (const text of texts) await world.append(stream, text);
    const [{ shardId }] = await stream.shards();
    const read = async (after: bigint | null, recordsMax: number, bytesMax = 1_000_000) => {
      const page = await world.until(stream.read(shardId, after, { recordsMax, bytesMax }));
      return { texts: page.records.map(textOf), last: page.records.at(-1)?.sequenceNumber ?? after, next: page.next };
    };
    return { world, catalog, stream, shardId, read };
  }

  it('go on where the one before ended, for many readers at different places', async () => {
    const texts = Array.from({ length: 60 }, (_, number) => `a:${number}`);
    const { read } = await openPages(texts);
    const readers = Array.from({ length: catalogLimits.readersMax * 2 }, (_, index) => ({
      size: (index % 7) + 1,
      after: null as bigint | null,
      seen: [] as string[],
    }));
    while (readers.some(({ seen }) => seen.length < texts.length)) {
      await Promise.all(
        readers.map(async reader => {
          const page = await read(reader.after, reader.size);
          reader.seen.push(...page.texts);
          reader.after = page.last;
        }),
      );
    }
    for (const { seen } of readers) assert.deepEqual(seen, texts);
  });

  it('hold as many records and bytes as asked for, but one in any case, and tell what comes behind', async () => {
    const { read } = await openPages(['a:1', 'a:22', 'a:333']);
    const first = await read(null, 10, 6);
    assert.deepEqual([first.texts, first.next?.data.toString()], [['a:1'], 'a:22']);
    assert.deepEqual((await read(null, 10, 1)).texts, ['a:1']);
    assert.deepEqual((await read(null, 10, 9)).texts, ['a:1', 'a:22']);
    const all = await read(null, 10, 100);
    assert.deepEqual([all.texts.length, all.next], [3, undefined]);
    assert.deepEqual(await read(all.last, 10), { texts: [], last: all.last, next: undefined });
    assert.deepEqual((await read(999n, 10)).texts, []); // nothing there yet
  });

  it('end with the stream, whoever is reading', async () => {
    const { world, catalog, read } = await openPages(['a:1']);
    const reading = Array.from({ length: 50 }, () => read(null, 1).catch(codeOf));
    await world.until(catalog.delete('a'));
    for (const outcome of await Promise.all(reading)) {
      if (typeof outcome === 'string') assert.equal(outcome, 'catalog.streamNotFound');
      else assert.deepEqual(outcome.texts, ['a:1']);
    }
    await assert.rejects(read(null, 1), { code: 'catalog.streamNotFound' });
  });
});

describe('a catalog after a crash', () => {
  it('goes on with what was begun: a creation, a deletion', async () => {
    const world = new World();
    const catalog = await world.open({ transitionMs: 10_000 });
    await world.until(catalog.create(one('made')));
    await world.clock.advance(10_010);
    await world.append(catalog.get('made'), 'a:1');
    await world.until(catalog.create(one('creating')));
    await world.until(catalog.delete('made'));
    world.disk.powerCut();
    const reopened = await world.open();
    assert.deepEqual(
      reopened.list().map(({ name, status }) => [name, status]),
      [['creating', 'ACTIVE']],
    );
    assert.deepEqual(await world.disk.list(directory), ['creating']);
  });

  it('serves the others when the settings of one are damaged, and gives its name to nobody', async () => {
    const world = new World();
    const catalog = await world.open();
    await world.append(await world.until(catalog.create(one('broken'))), 'a:1');
    await world.append(await world.until(catalog.create(one('whole'))), 'b:1');
    await world.until(catalog.close());
    const settings = `${directory}/broken/settings`;
    for (const position of [30, catalogLimits.settingsBytesMax + 30]) world.disk.flipByte(settings, position);
    const reopened = await world.open();
    assert.deepEqual(namesOf(reopened), ['whole']);
    assert.deepEqual(await world.readAll(reopened.get('whole')), ['b:1']);
    await assert.rejects(world.until(reopened.create(one('broken'))), { code: 'catalog.settingsDamaged' });
    assert.equal(world.logged.length, 1);
    assert(world.disk.sizeOf(`${directory}/broken/log/00000000000000000001.log`) > 0);
  });

  it('takes the settings before when the newest are torn, and refuses those of a newer release', async () => {
    const world = new World();
    const catalog = await world.open();
    const stream = await world.until(catalog.create(one('a')));
    await world.until(stream.changeRetention(48));
    await world.until(catalog.close());
    world.disk.flipByte(`${directory}/a/settings`, 30); // creating, kept, then this one: in the first slot
    assert.equal((await world.open()).get('a').settings.retentionHours, 24);
    const file = await world.disk.open(`${directory}/a/settings`);
    await world.until(file.write(Buffer.from('MMC2'), 0));
    await assert.rejects(world.until((await world.open()).create(one('a'))), { code: 'catalog.formatTooNew' });
  });

  it('makes no stream on a disk that is full, and makes it when there is room', async () => {
    const world = new World();
    const catalog = await world.open();
    for (let write = 0; write < 4; write++) {
      world.disk.failNext({ operation: write % 2 === 0 ? 'write' : 'sync', code: 'ENOSPC' });
      await assert.rejects(world.until(catalog.create(one('a'))), { code: 'ENOSPC' });
      assert.equal(catalog.find('a'), undefined);
    }
    await world.append(await world.until(catalog.create(one('a'))), 'a:1');
    world.disk.failNext({ operation: 'write', code: 'ENOSPC' });
    await assert.rejects(world.until(catalog.delete('a')), { code: 'ENOSPC' });
    assert.equal(catalog.get('a').status, 'ACTIVE');
    assert.deepEqual(await world.readAll(catalog.get('a')), ['a:1']);
  });
});

/** What callers were told of a stream: what it must hold, and whether it must or must not be there. */
interface Told {
  state: 'absent' | 'present' | 'unknown';
  texts: string[];
}

/** A life of a catalog that ends with the power; what it acknowledged is noted. */
async function live(
  world: World,
  catalog: StreamCatalog,
  told: Map<string, Told>,
  isOver: () => boolean,
): Promise<void> {
  const { random } = world;
  const names = [...told.keys()];
  await Promise.all(
    names.map(async name => {
      const known = told.get(name) ?? assert.fail();
      for (let number = 0; !isOver(); number++) {
        const stream = catalog.find(name);
        const before = known.state;
        try {
          if (stream === undefined) {
            known.state = 'unknown';
            await catalog.create(one(name));
            if (!isOver()) Object.assign(known, { state: 'present', texts: [] });
          } else if (random.integer(4) === 0) {
            known.state = 'unknown';
            await catalog.delete(name);
            if (!isOver()) Object.assign(known, { state: 'absent', texts: [] });
          } else {
            const text = `${name}:${number}`;
            await stream.append(batchOf(text));
            if (!isOver()) known.texts.push(text);
          }
        } catch (error) {
          if (isOver()) return;
          if (codeOf(error).startsWith('ENOSPC')) known.state = before === 'present' ? 'unknown' : before;
          else if (!codeOf(error).startsWith('stream.')) throw error;
        }
      }
    }),
  );
}

describe('a catalog and the power', () => {
  const playLives = async (seed: number, spoil?: (files: Files) => Files): Promise<number> => {
    const world = new World(seed);
    const told = new Map<string, Told>(['a', 'B', '..'].map(name => [name, { state: 'absent', texts: [] }]));
    let checked = 0;
    for (let life = 0; life < 3; life++) {
      world.logged.length = 0; // What a process says that has lost its disk is nobody's concern.
      const catalog = await world.open({}, spoil);
      for (const [name, { state, texts }] of told) {
        const stream = catalog.find(name);
        if (state === 'present') assert(stream, `${name} is gone`);
        if (state === 'absent') assert.equal(stream, undefined, `${name} is back`);
        const kept = stream ? await world.readAll(stream) : [];
        if (state === 'present') assert.deepEqual(kept.slice(0, texts.length), texts, `${name} has lost something`);
        checked += state === 'unknown' ? 0 : 1 + texts.length;
        told.set(name, { state: stream ? 'present' : 'absent', texts: kept });
      }
      assert.deepEqual(world.logged, []);
      let isOver = false;
      const living = live(world, catalog, told, () => isOver);
      await world.clock.advance(world.random.integer(60));
      isOver = true;
      if (world.random.integer(3) > 0) world.disk.powerCut();
      else world.disk.kill();
      await world.until(living);
    }
    return checked;
  };

  const rounds = testScale(60, 5_000);
  it(`keeps every stream it has made and no other, with all that was acknowledged, in ${rounds} lives`, async () => {
    const firstSeed = Number(process.env.MIMAMORI_SEED ?? 1);
    let checked = 0;
    for (let seed = firstSeed; seed < firstSeed + rounds; seed++) {
      checked += await playLives(seed).catch(cause => {
        throw new Error(`MIMAMORI_SEED=${seed}: ${cause.message}`, { cause });
      });
    }
    assert(checked > rounds * 5, `only ${checked} facts were put to the test`);
  });

  it('would notice a disk that only pretends to sync', async () => {
    const outcomes: boolean[] = [];
    for (let seed = 1; seed <= 30 && !outcomes.includes(false); seed++) {
      outcomes.push(
        await playLives(seed, withoutSync).then(
          () => true,
          () => false,
        ),
      );
    }
    assert(outcomes.includes(false));
  });
});
