import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { testScale } from '../../../../test/support.ts';
import { codeOf } from '../../../kernel/errors.ts';
import { seededRandom } from '../../../kernel/random.ts';
import type { Message } from '../client-state.ts';
import { JournalWorld, type LifeOptions } from './journal-world.ts';
import { pictureOf } from './model.ts';
import { anyMoveOf, make } from './moves.ts';

/** What became of a journal that was damaged after the fact. */
type Outcome = 'refused' | 'unharmed' | 'lastGroupLost' | 'wrong';

/** A journal of several segments and a checkpoint, each event a group of its own; nobody runs on it any more. */
class StoredJournal {
  readonly world: JournalWorld;
  readonly #pictures: readonly string[];
  readonly #newest: { readonly path: string; readonly bytes: Buffer };

  private constructor(world: JournalWorld, pictures: readonly string[], newest: { path: string; bytes: Buffer }) {
    this.world = world;
    this.#pictures = pictures;
    this.#newest = newest;
  }

  static async make(): Promise<StoredJournal> {
    const world = new JournalWorld(7);
    const options: LifeOptions = { segmentBytesMax: 2_000, growthBytesMin: 4_000, stepBytesMax: 400 };
    const life = await world.start(options);
    const random = seededRandom(7);
    const recent: Message[] = [];
    while (life.recovered.log.redundantUpTo === null || life.checkpointer.isWalking || life.pictures.length < 200) {
      assert.ok(life.pictures.length < 2_000, 'no checkpoint ends');
      make(anyMoveOf(random), life, recent);
      await life.drain();
    }
    world.end();
    const path = (await world.segments()).at(-1) ?? '';
    const bytes = Buffer.alloc(world.disk.sizeOf(path));
    await (await world.disk.open(path)).read(bytes, 0);
    return new StoredJournal(world, life.pictures, { path, bytes });
  }

  /** Recovers; then puts the newest segment, the only one that recovery changes, back to what it was. */
  async outcome(): Promise<Outcome> {
    try {
      const { clients, retained, stream } = await this.world.recover();
      const picture = pictureOf(clients, retained);
      await this.world.clock.until(stream.close());
      if (picture === this.#pictures.at(-1)) return 'unharmed';
      return picture === this.#pictures.at(-2) ? 'lastGroupLost' : 'wrong';
    } catch (error) {
      assert.ok(['stream.corrupt', 'journal.notReadable'].includes(codeOf(error)), `${error}`);
      return 'refused';
    } finally {
      const { path, bytes } = this.#newest;
      const file = await this.world.disk.open(path, { create: true });
      await file.truncate(0);
      await this.world.clock.until(file.write(bytes, 0));
      await this.world.clock.until(file.sync());
    }
  }
}

describe('a damaged journal', () => {
  const stride = testScale(29, 1);
  it(`is refused, or has lost its last group, whichever byte it is (each ${stride}th tried): T03 T04`, async () => {
    const stored = await StoredJournal.make();
    const { world } = stored;
    assert.equal(await stored.outcome(), 'unharmed');
    const outcomes = new Map<Outcome, number>();
    const segments = await world.segments();
    assert.ok(segments.length > 2);
    for (const path of segments) {
      const isNewest = path === segments.at(-1);
      for (let position = 0; position < world.disk.sizeOf(path); position += stride) {
        world.disk.flipByte(path, position);
        const outcome = await stored.outcome();
        if (!isNewest) world.disk.flipByte(path, position);
        assert.notEqual(outcome, 'wrong', `${path} byte ${position}`);
        assert.notEqual(outcome, 'unharmed', `${path} byte ${position}`);
        assert.ok(outcome === 'refused' || isNewest, `${path} byte ${position}: ${outcome}`);
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      }
    }
    assert.ok((outcomes.get('refused') ?? 0) > 100 / stride);
  });

  it('loses only its last group when it is cut within it, at any byte: T03', async () => {
    const stored = await StoredJournal.make();
    const { world } = stored;
    const path = (await world.segments()).at(-1) ?? '';
    const size = world.disk.sizeOf(path);
    let lost = 0;
    for (let length = size - 1; length > size - 40; length--) {
      await (await world.disk.open(path)).truncate(length);
      const outcome = await stored.outcome();
      assert.equal(outcome, 'lastGroupLost', `cut to ${length} of ${size}`);
      lost++;
    }
    assert.equal(lost, 39);
  });

  it('is refused when a segment in the middle is gone, or an older copy of it has come back: T04 T05', async () => {
    const stored = await StoredJournal.make();
    const { world } = stored;
    const path = (await world.segments())[1];
    const size = world.disk.sizeOf(path);
    const file = await world.disk.open(path);
    const bytes = Buffer.alloc(size);
    await file.read(bytes, 0);
    await file.truncate(size / 2);
    assert.equal(await stored.outcome(), 'refused');
    await world.disk.remove(path);
    assert.equal(await stored.outcome(), 'refused');
  });
});
