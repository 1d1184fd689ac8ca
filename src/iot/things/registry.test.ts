import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MemoryDisk } from '../../kernel/memory-store.ts';
import { seededRandom } from '../../kernel/random.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import { isThingName, ThingRegistry, thingOfClient } from './registry.ts';

function openRegistry() {
  const clock = new VirtualClock();
  const disk = new MemoryDisk({ clock });
  const store = disk.open();
  return { clock, disk, store, things: new ThingRegistry({ store, random: seededRandom(1) }) };
}

describe('the registry of things', () => {
  it('gives each thing a secret of its own, with which it and only it is verified', async () => {
    const { clock, things } = openRegistry();
    const one = await clock.until(things.create('one'));
    const two = await clock.until(things.create('two'));
    assert.deepEqual([one.clientId, one.username], ['one', 'one']);
    assert.equal(Buffer.from(one.password, 'base64url').length, 32);
    assert.notEqual(one.password, two.password);
    assert(things.verify('one', Buffer.from(one.password)));
    assert(!things.verify('one', Buffer.from(two.password)));
    assert(!things.verify('three', Buffer.from(one.password)));
    for (const wrong of ['', one.password.slice(1), `${one.password}x`, 'x'.repeat(100_000)]) {
      assert(!things.verify('one', Buffer.from(wrong)));
    }
  });

  it('keeps a thing over a power cut once its answer was given, and nothing of one before (hostile T01)', async () => {
    const { clock, disk, things } = openRegistry();
    const one = await clock.until(things.create('one'));
    const lost = things.create('two');
    disk.crash();
    await assert.rejects(lost);
    const after = new ThingRegistry({ store: disk.open(), random: seededRandom(2) });
    assert(after.verify('one', Buffer.from(one.password)));
    await clock.until(after.create('two'));
  });

  it('refuses a name twice, also when both come at once', async () => {
    const { clock, things } = openRegistry();
    const both = Promise.allSettled([things.create('one'), things.create('one')]);
    const [first, second] = await clock.until(both);
    assert.equal(first.status, 'fulfilled');
    assert(second.status === 'rejected' && second.reason.code === 'thing.exists');
    assert(first.status === 'fulfilled' && things.verify('one', Buffer.from(first.value.password)));
  });

  it('refuses names that a topic would give a meaning or that look alike (hostile A01, W10)', async () => {
    const { things } = openRegistry();
    const bad = [
      '',
      '+',
      '#',
      'a/b',
      'a.b',
      'a b',
      'a\n',
      'a\0',
      '$a',
      '$\x7biot:ClientId}',
      'a/../b',
      'é',
      'ａ',
      'a\u200b',
      'x'.repeat(129),
    ];
    for (const name of bad) {
      await assert.rejects(things.create(name), { code: 'thing.nameNotValid' }, JSON.stringify(name));
      assert(!things.verify(name, Buffer.from('x')));
    }
    for (const name of ['a', 'A-1:b_c', '__proto__', 'constructor', 'x'.repeat(128)]) assert(isThingName(name), name);
  });

  it('lets nobody in from the call of delete on, and is content if there was none', async () => {
    const { clock, things } = openRegistry();
    const { password } = await clock.until(things.create('one'));
    assert(things.has('one') && !things.has('two') && !things.has('') && !things.has('one.x'));
    const deleted = things.delete('one');
    assert(!things.has('one'));
    assert(!things.verify('one', Buffer.from(password)));
    await clock.until(deleted);
    await clock.until(things.delete('one'));
    await clock.until(things.delete('x'.repeat(10_000)));
    const again = await clock.until(things.create('one'));
    assert.notEqual(again.password, password);
    assert(!things.verify('one', Buffer.from(password)));
  });

  it('does not store the secret, and admits nobody by a record that is damaged (hostile K07, A06)', async () => {
    const { clock, store, things } = openRegistry();
    const { password } = await clock.until(things.create('one'));
    const key = Buffer.from('thing/one');
    const record = Buffer.from(store.get(key) ?? []);
    assert(!record.includes(password) && !record.includes(Buffer.from(password, 'base64url')));
    const damaged = [
      record.subarray(0, -1),
      record.subarray(0, 1),
      Buffer.concat([record, Buffer.alloc(1)]),
      Buffer.alloc(0),
    ];
    damaged.push(Buffer.from(record).fill(2, 0, 1)); // A format version that we do not know.
    for (const bytes of damaged) {
      await clock.until(store.write(transaction => transaction.put(key, bytes)));
      assert.equal(things.verify('one', Buffer.from(password)), false, bytes.toString('hex'));
      assert.equal(things.has('one'), false);
    }
  });

  it('finds the thing of a client id before its first dot', () => {
    assert.deepEqual(['one', 'one.pub', 'one.a.b', '.one', ''].map(thingOfClient), ['one', 'one', 'one', '', '']);
  });
});
