import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { Cursors } from './cursors.ts';
import { defineEntity } from './definition.ts';
import { entityWorld } from './entity-world.ts';

const refused = { code: 'entity.cursorNotValid' };
const key = Buffer.alloc(32, 1);

describe('a cursor (hostile H12)', () => {
  it('opens for what it was made for, and for nothing else', () => {
    const cursors = new Cursors(key);
    const cursor = cursors.seal(['Note', 'byOwner', ['alice']], ['Note-1', 'x']);
    assert.deepEqual(cursors.open(['Note', 'byOwner', ['alice']], cursor), ['Note-1', 'x']);
    for (const other of [['Note', 'byOwner', ['bob']], ['Note', 'byOwner', ['alice'], 'user'], []])
      assert.throws(() => cursors.open(other, cursor), refused);
    assert.throws(() => new Cursors(Buffer.alloc(32, 2)).open(['Note', 'byOwner', ['alice']], cursor), refused);
  });

  it('does not open when any bit of it is another, or some of it is missing', () => {
    const cursors = new Cursors(key);
    const cursor = cursors.seal(['x'], { at: 'here' });
    const bytes = Buffer.from(cursor, 'base64url');
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Buffer.from(bytes);
      changed[bit >> 3] ^= 1 << (bit & 7);
      assert.throws(() => cursors.open(['x'], changed.toString('base64url')), refused, `bit ${bit}`);
    }
    for (let length = 0; length < cursor.length; length++)
      assert.throws(() => cursors.open(['x'], cursor.slice(0, length)), refused);
    for (const nothing of [undefined, null, 7, {}, `${cursor}=`, `${cursor} `, 'é'.repeat(50), 'A'.repeat(100_000)])
      assert.throws(() => cursors.open(['x'], nothing), refused);
  });

  it('says nothing of the keys in it', () => {
    const cursor = new Cursors(key).seal([], ['Note-secret', 'secret']);
    assert(!Buffer.from(cursor, 'base64url').includes('secret'));
  });

  it('is refused for another list, range, direction or user', async () => {
    const note = defineEntity(z.object({ id: z.string(), owner: z.string(), text: z.string() }), {
      id: 'id',
      patterns: { byOwner: { by: ['owner'], order: 'text' }, byText: { by: ['text'], order: 'owner' } },
    });
    const { entities, until } = await entityWorld({ Note: note, Memo: note });
    for (const owner of ['alice', 'bob'])
      for (const text of ['a', 'b', 'c']) {
        await until(entities.Note.create({ id: `${owner}-${text}`, owner, text }));
        await until(entities.Memo.create({ id: `${owner}-${text}`, owner, text }));
      }
    const { next: cursor } = await until(entities.Note.list.byOwner({ owner: 'bob' }, { limit: 1, user: 'bob' }));
    assert(cursor);
    const options = { cursor, user: 'bob' };
    const { items } = await until(entities.Note.list.byOwner({ owner: 'bob' }, options));
    assert.deepEqual(
      items.map(({ text }) => text),
      ['b', 'c'],
    );
    const { Note, Memo } = entities;
    for (const ask of [
      () => Note.list.byOwner({ owner: 'alice' }, options),
      () => Note.list.byOwner({ owner: 'bob' }, { ...options, user: 'eve' }),
      () => Note.list.byOwner({ owner: 'bob' }, { cursor }),
      () => Note.list.byOwner({ owner: 'bob' }, { ...options, newestFirst: true }),
      () => Note.list.byOwner({ owner: 'bob' }, { ...options, from: 'a' }),
      () => Note.list.byText({ text: 'bob' }, options),
      () => Memo.list.byOwner({ owner: 'bob' }, options),
    ]) {
      await assert.rejects(until(ask()), refused);
    }
  });
});
