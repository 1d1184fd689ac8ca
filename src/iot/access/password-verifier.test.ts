import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../../kernel/random.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import { bites } from '../mqtt/gateway-world.ts';
import { accessLimits } from './limits.ts';
import { type PasswordEntries, type PasswordEntry, sha512 } from './password-file.ts';
import { HashQueue, PasswordVerifier } from './password-verifier.ts';

const text = (password: string) => Buffer.from(password);

/** A file of one user per number of iterations, and a slow hash that takes as long as the test wants. */
class HashWorld {
  readonly clock = new VirtualClock();
  readonly queue = new HashQueue();
  readonly entries: PasswordEntries;
  /** Iterations of each slow hash that was asked for. */
  readonly hashed: number[] = [];
  atOnce = 0;
  mostAtOnce = 0;
  #held: (() => void)[] | undefined;
  verifier: PasswordVerifier;

  constructor(iterations: Record<string, number | undefined>) {
    this.entries = new Map(
      Object.entries(iterations).map(([username, of]): [string, PasswordEntry] => {
        const salt = text(username);
        return [username, { iterations: of, salt, hash: this.#hashOf(text(`${username}'s`), salt, of) }];
      }),
    );
    this.verifier = this.reloaded();
  }

  reloaded(): PasswordVerifier {
    this.verifier = new PasswordVerifier({
      entries: this.entries,
      queue: this.queue,
      clock: this.clock,
      random: seededRandom(1),
      slowHash: async (password, salt, iterations) => {
        this.hashed.push(iterations);
        this.mostAtOnce = Math.max(this.mostAtOnce, ++this.atOnce);
        if (this.#held) await new Promise<void>(resolve => this.#held?.push(resolve));
        this.atOnce--;
        return this.#hashOf(password, salt, iterations);
      },
    });
    return this.verifier;
  }

  #hashOf(password: Uint8Array, salt: Uint8Array, iterations: number | undefined): Uint8Array {
    return sha512(Buffer.concat([password, text(String(iterations))]), salt).subarray(0, accessLimits.hashBytes);
  }

  hold(): void {
    this.#held = [];
  }

  async release(): Promise<void> {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const resolve of held) resolve();
    await this.clock.settle();
  }

  /** How many slow hashes a guess takes, and with what iterations. */
  async costOf(username: string, password: string): Promise<number[]> {
    const before = this.hashed.length;
    assert.equal(await this.verifier.verify(username, text(password)), 'wrong', username);
    return this.hashed.slice(before);
  }
}

describe('a password', () => {
  it('costs the same to guess at for users there are and users there are not (hostile K05, U05)', async () => {
    const world = new HashWorld({ low: 100, high: 5_000 });
    const promise = async () => {
      const known = new Set([...(await world.costOf('low', 'x')), ...(await world.costOf('high', 'x'))]);
      const costs = new Map<number, number>();
      for (let n = 0; n < 40; n++) {
        const [cost, ...more] = await world.costOf(`unknown-${n}`, 'x');
        assert(known.has(cost) && more.length === 0);
        assert.deepEqual(await world.costOf(`unknown-${n}`, "low's"), [cost]); // The same again.
        costs.set(cost, (costs.get(cost) ?? 0) + 1);
      }
      for (const cost of known) assert((costs.get(cost) ?? 0) > 5); // As spread as those of the known.
    };
    await promise();
    const { verify } = PasswordVerifier.prototype;
    const value = function (this: PasswordVerifier, username: string, password: Uint8Array) {
      return world.entries.has(username) ? verify.call(this, username, password) : Promise.resolve('wrong' as const);
    };
    await bites(PasswordVerifier.prototype, 'verify', { value, writable: true }, promise);
  });

  it('is never right for a user there is not, also when it is the password whose hash it was compared with', async () => {
    const world = new HashWorld({ only: 100 });
    assert.equal(await world.verifier.verify('only', text("only's")), 'right');
    for (let n = 0; n < 20; n++) assert.equal(await world.verifier.verify(`other-${n}`, text("only's")), 'wrong');
  });

  it('is not hashed beyond its limit (hostile K08)', async () => {
    const world = new HashWorld({ one: 100, quick: undefined });
    const promise = async () => {
      const before = world.hashed.length;
      for (const username of ['one', 'quick', 'unknown'])
        assert.equal(await world.verifier.verify(username, Buffer.alloc(1025)), 'wrong');
      assert.equal(world.hashed.length, before);
    };
    await promise();
    await bites(accessLimits, 'passwordBytesMax', { value: 1_000_000 }, promise);
  });

  it('is hashed a few at a time, and not at all once too many wait (hostile S11, K08)', async () => {
    const { hashesAtOnceMax, hashesWaitingMax } = accessLimits;
    const promise = async () => {
      const world = new HashWorld({ one: 100, two: 100 });
      world.hold();
      const storm = Array.from({ length: 1_000 }, (_, n) => world.verifier.verify(`guess-${n}`, text('x')));
      await world.clock.settle();
      assert.equal(world.atOnce, hashesAtOnceMax);
      assert.equal(await world.verifier.verify('one', text("one's")), 'busy');
      // A reload does not open a second queue.
      assert.equal(await world.reloaded().verify('one', text("one's")), 'busy');
      await world.release();
      const verdicts = await Promise.all(storm);
      assert.equal(verdicts.filter(verdict => verdict === 'wrong').length, hashesAtOnceMax + hashesWaitingMax);
      assert.equal(world.mostAtOnce, hashesAtOnceMax);
      assert.equal(await world.verifier.verify('one', text("one's")), 'right');
    };
    await promise();
    const { run } = HashQueue.prototype;
    const unbounded = { value: (work: () => Promise<unknown>) => work(), writable: true };
    await bites(HashQueue.prototype, 'run', unbounded, promise);
    assert.equal(HashQueue.prototype.run, run);
  });

  it('is remembered for a while, for its own user only, until the file is read again', async () => {
    const world = new HashWorld({ one: 100, two: 100 });
    const guess = (username: string, password: string) => world.verifier.verify(username, text(password));
    const hashes = async (count: number, guesses: () => Promise<string>, expected: string) => {
      const before = world.hashed.length;
      assert.equal(await guesses(), expected);
      assert.equal(world.hashed.length - before, count);
    };
    await hashes(1, () => guess('one', "one's"), 'right');
    await hashes(0, () => guess('one', "one's"), 'right');
    await hashes(1, () => guess('one', "two's"), 'wrong');
    await hashes(1, () => guess('two', "one's"), 'wrong');
    await hashes(0, () => guess('one', "one's"), 'right');
    await world.clock.advance(accessLimits.rememberedMs - 1);
    await hashes(0, () => guess('one', "one's"), 'right');
    await world.clock.advance(1); // From when it was hashed, however often it was used since.
    await hashes(1, () => guess('one', "one's"), 'right');
    world.reloaded();
    await hashes(1, () => guess('one', "one's"), 'right');
  });

  it('of a user that a whole fleet shares is hashed once in a storm', async () => {
    const world = new HashWorld({ shared: 100 });
    world.hold();
    const storm = Array.from({ length: 100 }, () => world.verifier.verify('shared', text("shared's")));
    await world.clock.settle();
    await world.release();
    assert.deepEqual([...new Set(await Promise.all(storm))], ['right']);
    assert.equal(world.hashed.length, accessLimits.hashesAtOnceMax);
  });

  it('is remembered for so many users only, those of late', async () => {
    const rememberedUsersMax = Object.getOwnPropertyDescriptor(accessLimits, 'rememberedUsersMax');
    assert(rememberedUsersMax);
    const promise = async () => {
      const world = new HashWorld({ a: 100, b: 100, c: 100 });
      const enter = (username: string) => world.verifier.verify(username, text(`${username}'s`));
      for (const username of ['a', 'b', 'a', 'c', 'a', 'c', 'b']) assert.equal(await enter(username), 'right');
      assert.equal(world.hashed.length, 4); // b had to go for c.
    };
    await bites(accessLimits, 'rememberedUsersMax', { value: 1_000 }, promise);
    Object.defineProperty(accessLimits, 'rememberedUsersMax', { ...rememberedUsersMax, value: 2 });
    try {
      await promise();
    } finally {
      Object.defineProperty(accessLimits, 'rememberedUsersMax', rememberedUsersMax);
    }
  });

  it('that could not be hashed is an error of that guess and leaves the queue open', async () => {
    const world = new HashWorld({ one: 100 });
    const failing = new PasswordVerifier({
      entries: world.entries,
      queue: world.queue,
      clock: world.clock,
      random: seededRandom(1),
      slowHash: () => Promise.reject(new Error('no thread')),
    });
    for (let n = 0; n < 10; n++) await assert.rejects(failing.verify('one', text("one's")));
    assert.equal(await world.verifier.verify('one', text("one's")), 'right');
  });
});
