import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { type File, type Files, systemFiles } from './files.ts';
import { seededRandom } from './random.ts';
import { TestDisk } from './test-disk.ts';
import { VirtualClock } from './virtual-clock.ts';

function makeDisk(seed = 1) {
  const clock = new VirtualClock();
  const disk = new TestDisk({ clock, random: seededRandom(seed) });
  return { clock, disk };
}

async function textOf(file: File): Promise<string> {
  const bytes = Buffer.alloc(100);
  return bytes.toString('latin1', 0, await file.read(bytes, 0));
}

const bytes = (text: string) => Buffer.from(text, 'latin1');

/** What every disk of ours does while the power stays on. */
function filesContract(name: string, makeFiles: () => Promise<{ files: Files; folder: string; until: Until }>): void {
  it(`${name}: reads what was written, overwrites, extends with zeros and truncates`, async () => {
    const { files, folder, until } = await makeFiles();
    const file = await files.open(path.join(folder, 'a'), { create: true });
    await until(file.write(bytes('hello'), 0));
    await until(file.write(bytes('J'), 0));
    assert.equal(await textOf(file), 'Jello');
    await file.truncate(2);
    await until(file.write(bytes('!'), 4));
    assert.equal(await textOf(file), 'Je\0\0!');
    assert.equal(await file.size(), 5);
    assert.equal(await file.read(Buffer.alloc(4), 5), 0);
    await until(file.sync());
    await file.close();
  });

  it(`${name}: lists names sorted, removes them, and refuses to open what is not there`, async () => {
    const { files, folder } = await makeFiles();
    for (const name of ['b', 'a']) await (await files.open(path.join(folder, name), { create: true })).close();
    assert.deepEqual(await files.list(folder), ['a', 'b']);
    await files.remove(path.join(folder, 'b'));
    await files.remove(path.join(folder, 'b'));
    assert.deepEqual(await files.list(folder), ['a']);
    assert.deepEqual(await files.list(path.join(folder, 'none')), []);
    await files.makeDirectory(path.join(folder, 'c'));
    await (await files.open(path.join(folder, 'c', 'inner'), { create: true })).close();
    assert.deepEqual(await files.list(folder), ['a', 'c']);
    await assert.rejects(files.open(path.join(folder, 'b')), { code: 'ENOENT' });
  });
}

type Until = <T>(promise: Promise<T>) => Promise<T>;

describe('files', () => {
  filesContract('test disk', async () => {
    const { clock, disk } = makeDisk();
    return { files: disk, folder: '/d', until: promise => clock.until(promise) };
  });

  filesContract('system', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'mimamori-files-'));
    process.once('exit', () => void rm(folder, { recursive: true, force: true }));
    return { files: systemFiles, folder, until: promise => promise };
  });

  it('makes a directory with its parents, also where they are, also relative', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'mimamori-files-'));
    await systemFiles.makeDirectory(path.join(folder, 'a', 'b', 'c'));
    await systemFiles.makeDirectory(path.relative(process.cwd(), path.join(folder, 'a', 'b', 'd')));
    await systemFiles.makeDirectory(path.join(folder, 'a'));
    assert.deepEqual(await readdir(path.join(folder, 'a', 'b')), ['c', 'd']);
    await rm(folder, { recursive: true });
  });
});

describe('test disk', () => {
  it('keeps through a power cut what was synced, whole, and of the rest any part', async () => {
    const seen = new Set<string>();
    for (let seed = 1; seed <= 200; seed++) {
      const { clock, disk } = makeDisk(seed);
      const file = await disk.open('/d/a', { create: true });
      await clock.until(disk.syncDirectory('/d'));
      await clock.until(file.write(bytes('safe'), 0));
      await clock.until(file.sync());
      await clock.until(file.write(bytes('12345'), 4));
      disk.powerCut();
      seen.add(await textOf(await disk.open('/d/a')));
    }
    for (const text of seen) assert.match(text, /^safe[12345\0]{0,5}$/);
    for (const expected of ['safe', 'safe12345', 'safe12']) assert.ok(seen.has(expected), expected); // lost, kept, torn
    assert.ok([...seen].some(text => /\0\d/.test(text))); // a hole
  });

  it('may forget a name whose directory was not synced, and bring back a removed one', async () => {
    const kept = { created: 0, removed: 0, synced: 0 };
    for (let seed = 1; seed <= 50; seed++) {
      const { clock, disk } = makeDisk(seed);
      for (const name of ['/d/removed', '/d/synced']) await disk.open(name, { create: true });
      await clock.until(disk.syncDirectory('/d'));
      await disk.open('/d/created', { create: true });
      await disk.remove('/d/removed');
      disk.powerCut();
      for (const name of await disk.list('/d')) kept[name as keyof typeof kept]++; // Only these were made.
    }
    assert.equal(kept.synced, 50);
    for (const times of [kept.created, kept.removed]) assert.ok(times > 0 && times < 50);
  });

  it('may undo a truncation that was not synced', async () => {
    const lengths = new Set<number>();
    for (let seed = 1; seed <= 50; seed++) {
      const { clock, disk } = makeDisk(seed);
      const file = await disk.open('/d/a', { create: true });
      await clock.until(disk.syncDirectory('/d'));
      await clock.until(file.write(bytes('12345'), 0));
      await clock.until(file.sync());
      await file.truncate(2);
      disk.powerCut();
      lengths.add(disk.sizeOf('/d/a'));
    }
    assert.deepEqual([...lengths].sort(), [2, 5]);
  });

  it('loses for good what a failed sync should have saved, though readers go on seeing it', async () => {
    const { clock, disk } = makeDisk();
    const file = await disk.open('/d/a', { create: true });
    await clock.until(disk.syncDirectory('/d'));
    await clock.until(file.write(bytes('lost'), 0));
    disk.failNext({ operation: 'sync', code: 'EIO' });
    await assert.rejects(clock.until(file.sync()), { code: 'EIO' });
    assert.equal(await textOf(file), 'lost');
    await clock.until(file.sync());
    disk.powerCut();
    assert.equal(disk.sizeOf('/d/a'), 0);
  });

  it('leaves half of a write that fails, and works again afterwards', async () => {
    const { clock, disk } = makeDisk();
    const file = await disk.open('/d/a', { create: true });
    disk.failNext({ operation: 'write', code: 'ENOSPC' });
    await assert.rejects(clock.until(file.write(bytes('1234'), 0)), { code: 'ENOSPC' });
    assert.equal(await textOf(file), '12');
    await clock.until(file.write(bytes('5678'), 0));
    assert.equal(await textOf(file), '5678');
  });

  it('keeps what a killed process has written, and takes nothing more from it', async () => {
    const { clock, disk } = makeDisk();
    const file = await disk.open('/d/a', { create: true });
    await clock.until(file.write(bytes('1234'), 0));
    disk.kill();
    await assert.rejects(file.write(bytes('late'), 0), { code: 'EIO' });
    assert.equal(await textOf(await disk.open('/d/a')), '1234');
  });

  it('is of no use to a process that ran before the power was cut', async () => {
    const { clock, disk } = makeDisk();
    const mounted = disk.mount();
    const file = await mounted.open('/d/a', { create: true });
    const writing = file.write(bytes('late'), 0);
    disk.powerCut();
    await assert.rejects(clock.until(writing), { code: 'EIO' });
    await assert.rejects(file.size(), { code: 'EIO' });
    await assert.rejects(mounted.open('/d/b', { create: true }), { code: 'EIO' });
    await assert.rejects(mounted.remove('/d/a'), { code: 'EIO' });
    await assert.rejects(mounted.syncDirectory('/d'), { code: 'EIO' });
    await disk.mount().open('/d/b', { create: true });
  });
});
