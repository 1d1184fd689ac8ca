import assert from 'node:assert/strict';
import { copyFileSync, cpSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { temporaryFolder } from '../../test/support.ts';
import { codeOf } from './errors.ts';
import { lmdbLimits } from './lmdb-base.ts';
import { openLmdbStore } from './lmdb-store.ts';
import { seededRandom } from './random.ts';
import { hasCode, key, read } from './store-contract.ts';

const { pageBytes } = lmdbLimits;
const openStore = (path: string) => openLmdbStore({ path, durability: 'sync' });
const nameOf = (number: number) => `entry ${String(number).padStart(6, '0')} ${'k'.repeat(200)}`;
const entries = 3_000; // a tree of three levels

/** A store that was closed, of which every page is needed. */
async function closedStore(): Promise<string> {
  const path = join(temporaryFolder(), 'store');
  const store = await openStore(path);
  await store.write(transaction => {
    for (let number = 0; number < entries; number++) transaction.put(key(nameOf(number)), key(`value ${number}`));
  });
  await store.close();
  return path;
}

async function overwrite(filePath: string, position: number, bytes: Uint8Array): Promise<void> {
  const file = await open(filePath, 'r+');
  await file.write(bytes, 0, bytes.length, position);
  await file.close();
}

describe('a store whose LMDB file is damaged (hostile T04)', () => {
  it('is refused when the file is gone or empty, and not taken for a new one', async () => {
    const path = await closedStore();
    const file = join(path, 'entries.mdb');
    truncateSync(file, 0);
    await assert.rejects(openStore(path), hasCode('store.corrupt'));
    rmSync(file);
    await assert.rejects(openStore(path), hasCode('store.corrupt'));
  });

  it('is refused when the file is cut, wherever something of it is missing', async () => {
    const path = await closedStore();
    const file = join(path, 'entries.mdb');
    const whole = `${file}.whole`;
    copyFileSync(file, whole);
    let refused = 0;
    for (let bytes = statSync(file).size - 1; bytes > 0; bytes -= 3 * pageBytes + 1) {
      copyFileSync(whole, file);
      truncateSync(file, bytes);
      const store = await openStore(path).catch(error => {
        assert.equal(codeOf(error), 'store.corrupt');
        refused++;
      });
      if (store === undefined) continue;
      for (let number = 0; number < entries; number++) assert.equal(read(store, nameOf(number)), `value ${number}`);
      await store.close();
    }
    assert.ok(refused > 20, `${refused} refused`);
  });

  it('is refused when the pages that tell of the tree are overwritten', async () => {
    const random = seededRandom(3);
    for (const length of [pageBytes, 2 * pageBytes]) {
      for (const make of [() => new Uint8Array(length), () => random.bytes(length)]) {
        const path = await closedStore();
        await overwrite(join(path, 'entries.mdb'), 0, make());
        await assert.rejects(openStore(path), hasCode('store.corrupt'));
      }
    }
    const path = await closedStore();
    writeFileSync(join(path, 'entries.mdb'), 'something else');
    await assert.rejects(openStore(path), hasCode('store.corrupt'));
  });
});

describe('a store whose LMDB file is whole', () => {
  it('is opened whatever was put and deleted, and as it was copied while it was closed', async () => {
    const random = seededRandom(5);
    const path = join(temporaryFolder(), 'store');
    const expected = new Map<string, string>();
    for (let life = 0; life < 12; life++) {
      const store = await openStore(path);
      for (const [name, value] of expected) assert.equal(read(store, name), value);
      await store.write(transaction => {
        for (let count = random.integer(800); count > 0; count--) {
          const name = nameOf(random.integer(1_000));
          const value = 'v'.repeat(1 + random.integer(random.integer(10) === 0 ? 30_000 : 100));
          if (life % 3 === 2) {
            transaction.delete(key(name));
            expected.delete(name);
          } else {
            transaction.put(key(name), key(value));
            expected.set(name, value);
          }
        }
      });
      await store.close();
    }
    const copy = join(temporaryFolder(), 'copy');
    cpSync(path, copy, { recursive: true });
    const store = await openStore(copy);
    for (const [name, value] of expected) assert.equal(read(store, name), value);
    await store.close();
  });
});
