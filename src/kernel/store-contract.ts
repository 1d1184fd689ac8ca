/** What every engine of the store promises, as a function of "make me one". */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { codeOf } from './errors.ts';
import { type KeyValueStore, type StoreReader, type StoreSnapshot, storeLimits } from './store.ts';

/** A place where a store can be opened again and again. */
export interface StoreWorld {
  open(): Promise<KeyValueStore>;
  /** Waits for `promise`, moving the clock if time does not pass by itself. */
  until<T>(promise: Promise<T>): Promise<T>;
  cleanUp(): Promise<void>;
}

type StoreTest = (opened: { store: KeyValueStore; world: StoreWorld }) => Promise<void>;

export function storeContract(engine: string, makeWorld: () => Promise<StoreWorld>): void {
  const test = (promise: string, run: StoreTest) =>
    it(promise, async () => {
      const world = await makeWorld();
      const store = await world.open();
      try {
        await run({ store, world });
      } finally {
        await world.until(store.close());
        await world.cleanUp();
      }
    });

  describe(`store contract: ${engine}`, () => {
    test('gives back what was put, and nothing after it was deleted', async ({ store, world }) => {
      await world.until(put(store, 'a', 'one'));
      assert.equal(read(store, 'a'), 'one');
      await world.until(remove(store, 'a'));
      assert.equal(read(store, 'a'), undefined);
      await world.until(remove(store, 'a'));
    });

    test('keeps what it acknowledged when it is opened again', async ({ store, world }) => {
      await world.until(put(store, 'a', 'one'));
      await world.until(store.close());
      const reopened = await world.open();
      assert.equal(read(reopened, 'a'), 'one');
      await world.until(reopened.close());
    });

    test('finishes pending writes before it closes', async ({ store, world }) => {
      const pending = put(store, 'a', 'one');
      await world.until(store.close());
      await pending;
      const reopened = await world.open();
      assert.equal(read(reopened, 'a'), 'one');
      await world.until(reopened.close());
    });

    test('refuses use after it was closed', async ({ store, world }) => {
      await world.until(store.close());
      assert.throws(() => store.get(key('a')), hasCode('store.failed'));
      assert.throws(() => list(store, '', 'z'), hasCode('store.failed'));
      await assert.rejects(put(store, 'a', 'one'), hasCode('store.failed'));
    });

    for (const when of ['pending', 'acknowledged'] as const) {
      test(`lists ${when} keys in byte order, start inclusive, end exclusive, both ways`, async ({ store, world }) => {
        const written = store.write(transaction => {
          for (const bytes of [[2], [1], [1, 0], [0xff], [1, 0xff], [0]]) {
            transaction.put(Uint8Array.from(bytes), Uint8Array.from(bytes));
          }
        });
        if (when === 'acknowledged') await world.until(written);
        const keys = (start: number[], end: number[], reverse: boolean) =>
          [...store.range({ start: Uint8Array.from(start), end: Uint8Array.from(end), reverse })].map(entry => {
            assert.deepEqual(entry.key, entry.value);
            return [...entry.key];
          });
        const expected = [[1], [1, 0], [1, 0xff], [2]];
        assert.deepEqual(keys([1], [0xff], false), expected);
        assert.deepEqual(keys([1], [0xff], true), expected.toReversed());
        assert.deepEqual(keys([1, 1], [2], false), [[1, 0xff]]);
        assert.deepEqual(keys([1, 1], [2], true), [[1, 0xff]]);
        assert.deepEqual(keys([2], [2], false), []);
        assert.deepEqual(keys([2], [1], true), []);
        assert.equal(keys([0], [0xff, 0], true).length, 6);
        await world.until(written);
      });
    }

    test('merges pending changes into what is acknowledged when it lists', async ({ store, world }) => {
      await world.until(
        store.write(transaction => {
          for (const name of ['b', 'd', 'f']) transaction.put(key(name), key('old'));
        }),
      );
      const written = store.write(transaction => {
        transaction.put(key('a'), key('new'));
        transaction.put(key('d'), key('new'));
        transaction.delete(key('f'));
        transaction.put(key('g'), key('new'));
      });
      const expected = ['a=new', 'b=old', 'd=new', 'g=new'];
      assert.deepEqual(list(store, 'a', 'z'), expected);
      assert.deepEqual(list(store, 'a', 'z', true), expected.toReversed());
      await world.until(written);
      assert.deepEqual(list(store, 'a', 'z'), expected);
    });

    test('stops reading when the caller stops, and can be written to afterwards', async ({ store, world }) => {
      for (const name of ['a', 'b', 'c']) await world.until(put(store, name, name));
      for (const entry of store.range({ start: key('a'), end: key('z') })) {
        assert.equal(text(entry.key), 'a');
        break;
      }
      await world.until(put(store, 'd', 'd'));
      assert.equal(list(store, 'a', 'z').length, 4);
    });

    test('shows work what earlier work of the same turn wrote, and no work sees half of another', async opened => {
      const { store, world } = opened;
      const increment = () =>
        store.write(transaction => {
          const next = Number(read(transaction, 'left') ?? 0) + 1;
          assert.equal(read(transaction, 'right') ?? '0', String(next - 1));
          transaction.put(key('left'), key(String(next)));
          transaction.put(key('right'), key(String(next)));
          return next;
        });
      const results = await world.until(Promise.all(Array.from({ length: 100 }, increment)));
      assert.deepEqual(
        results,
        Array.from({ length: 100 }, (_, index) => index + 1),
      );
      assert.equal(read(store, 'right'), '100');
    });

    test('leaves nothing behind work that throws, and refuses at once', async ({ store, world }) => {
      const refusal = new Error('decided not to');
      const pending = put(store, 'a', 'one');
      const refused = (work: Parameters<KeyValueStore['write']>[0]) => assert.rejects(store.write(work), refusal);
      await refused(() => {
        throw refusal;
      });
      await refused(transaction => {
        transaction.put(key('a'), key('two'));
        transaction.put(key('b'), key('two'));
        transaction.delete(key('a'));
        throw refusal;
      });
      assert.deepEqual(list(store, 'a', 'z'), ['a=one']);
      await world.until(pending);
      assert.deepEqual(list(store, 'a', 'z'), ['a=one']);
    });

    test('resolves work that only read what is pending after that is safe', async ({ store, world }) => {
      const settled: string[] = [];
      const first = put(store, 'a', 'one').then(() => settled.push('written'));
      const second = store.write(transaction => read(transaction, 'a')).then(value => settled.push(`read ${value}`));
      await world.until(Promise.all([first, second]));
      assert.deepEqual(settled, ['written', 'read one']);
    });

    test('gives the caller bytes of its own', async ({ store, world }) => {
      const value = key('one');
      const written = store.write(transaction => transaction.put(key('a'), value));
      value.fill(0);
      for (const when of ['pending', 'acknowledged']) {
        store.get(key('a'))?.fill(0);
        for (const entry of store.range({ start: key('a'), end: key('b') })) entry.value.fill(0);
        assert.equal(read(store, 'a'), 'one', when);
        assert.equal(Object.getPrototypeOf(store.get(key('a'))), Uint8Array.prototype, when);
        await world.until(written);
      }
    });

    test('keeps keys and values of every allowed size', async ({ store, world }) => {
      const sizes: [keyBytes: number, valueBytes: number][] = [
        [1, 0],
        [storeLimits.keyBytesMax, 1],
        [storeLimits.keyBytesMax - 1, 100_000],
        [2, storeLimits.valueBytesMax],
      ];
      for (const [keyBytes, valueBytes] of sizes) {
        const longKey = new Uint8Array(keyBytes).fill(0xfe);
        const value = new Uint8Array(valueBytes).fill(keyBytes);
        await world.until(store.write(transaction => transaction.put(longKey, value)));
        assert.ok(Buffer.from(value).equals(store.get(longKey) ?? key('missing')));
      }
      const listed = [...store.range({ start: Uint8Array.of(0), end: Uint8Array.of(0xff) })];
      assert.deepEqual(
        listed.map(entry => [entry.key.length, entry.value.length]),
        sizes.toSorted(([left], [right]) => left - right),
      );
    });

    test('refuses keys and values over the limits', async ({ store }) => {
      const refused = (keyBytes: number, valueBytes: number, code: string) => {
        const work = store.write(transaction => {
          transaction.put(new Uint8Array(keyBytes), new Uint8Array(valueBytes));
        });
        return assert.rejects(work, hasCode(code));
      };
      await refused(0, 1, 'store.keyTooLarge');
      await refused(storeLimits.keyBytesMax + 1, 1, 'store.keyTooLarge');
      await refused(1, storeLimits.valueBytesMax + 1, 'store.valueTooLarge');
    });

    test('shows in a snapshot what was there, whatever is written, acknowledged and deleted later', async opened => {
      const { store, world } = opened;
      await world.until(Promise.all([put(store, 'a', 'old'), put(store, 'b', 'old'), put(store, 'd', 'old')]));
      const pending = put(store, 'b', 'pending');
      const snapshot = await world.until(store.snapshot());
      await pending; // a snapshot is given when nothing that it shows can be taken back
      const expected = ['a=old', 'b=pending', 'd=old'];
      const seesTheSame = () => {
        assert.deepEqual(list(snapshot, 'a', 'z'), expected);
        assert.deepEqual(list(snapshot, 'a', 'z', true), expected.toReversed());
        assert.deepEqual(list(snapshot, 'b', 'd'), ['b=pending']);
        assert.deepEqual(list(snapshot, 'd', 'b'), []);
        assert.equal(read(snapshot, 'a'), 'old');
        assert.equal(read(snapshot, 'c'), undefined);
      };
      seesTheSame();
      for (let round = 0; round < 5; round++) {
        const written = Promise.all([put(store, 'a', 'new'), remove(store, 'b'), put(store, 'c', `new ${round}`)]);
        seesTheSame();
        await world.until(written);
        seesTheSame();
      }
      const later = await world.until(store.snapshot());
      assert.deepEqual(list(later, 'a', 'z'), ['a=new', 'c=new 4', 'd=old']);
      const [first] = snapshot.range({ start: key('a'), end: key('z') });
      first.value.fill(0);
      seesTheSame();
      snapshot.close();
      snapshot.close();
      assert.throws(() => snapshot.get(key('a')), hasCode('store.failed'));
      assert.throws(() => list(snapshot, 'a', 'z'), hasCode('store.failed'));
      await world.until(store.close());
      assert.throws(() => later.get(key('a')), hasCode('store.failed'));
      later.close();
      await assert.rejects(store.snapshot(), hasCode('store.failed'));
    });

    test('gives a limited number of snapshots, and more when one is closed', async ({ store, world }) => {
      const snapshots: StoreSnapshot[] = [];
      for (let count = 0; count < storeLimits.snapshotsMax; count++) {
        snapshots.push(await world.until(store.snapshot()));
      }
      await assert.rejects(store.snapshot(), hasCode('store.busy'));
      snapshots[0].close();
      await world.until(store.snapshot());
    });

    it('behaves as a map sorted by key, whatever is done to it in whatever order', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(fc.array(change, { maxLength: 8 }), { maxLength: 30 }), async turns => {
          const world = await makeWorld();
          let store = await world.open();
          const model = new Map<string, string>();
          for (const turn of turns) {
            const writes = turn.map(([name, value]) => {
              if (value === undefined) model.delete(name);
              else model.set(name, value);
              return value === undefined ? remove(store, name) : put(store, name, value);
            });
            assertSame(store, model);
            if (writes.length % 2 === 0) await world.until(Promise.all(writes));
            if (writes.length === 7) {
              await world.until(store.close());
              store = await world.open();
            }
            assertSame(store, model);
          }
          await world.until(store.close());
          await world.cleanUp();
        }),
        { numRuns: 60 },
      );
    });
  });
}

/** A name and its new value; undefined deletes it. Few names, so that they meet. */
const change = fc.tuple(
  fc.string({ unit: fc.constantFrom('a', 'b', '~'), minLength: 1, maxLength: 3 }),
  fc.option(fc.string({ maxLength: 5 }), { nil: undefined }),
);

function assertSame(store: KeyValueStore, model: Map<string, string>): void {
  const sorted = [...model].sort(([left], [right]) => (left < right ? -1 : 1));
  for (const [start, end] of [
    ['', '\x7f'],
    ['a~', 'b~'],
  ]) {
    const expected = sorted.filter(([name]) => name >= start && name < end).map(([name, value]) => `${name}=${value}`);
    assert.deepEqual(list(store, start, end), expected);
    assert.deepEqual(list(store, start, end, true), expected.toReversed());
  }
  for (const [name, value] of model) assert.equal(read(store, name), value);
}

export const key = (name: string): Uint8Array => new TextEncoder().encode(name);
export const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

export function put(store: KeyValueStore, name: string, value: string): Promise<void> {
  return store.write(transaction => transaction.put(key(name), key(value)));
}

export function remove(store: KeyValueStore, name: string): Promise<void> {
  return store.write(transaction => transaction.delete(key(name)));
}

export function read(reader: StoreReader, name: string): string | undefined {
  const value = reader.get(key(name));
  return value && text(value);
}

function list(store: StoreReader, start: string, end: string, reverse = false): string[] {
  const entries = store.range({ start: key(start), end: key(end), reverse });
  return [...entries].map(entry => `${text(entry.key)}=${text(entry.value)}`);
}

export function hasCode(code: string): (thrown: unknown) => boolean {
  return thrown => codeOf(thrown) === code;
}
