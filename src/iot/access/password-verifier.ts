import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../../kernel/clock.ts';
import type { Random } from '../../kernel/random.ts';
import { accessLimits } from './limits.ts';
import { type PasswordEntries, type PasswordEntry, pbkdf2Sha512, type SlowHash, sha512 } from './password-file.ts';

/** A guess is `right`, `wrong`, or was not looked at because too many wait already. */
export type PasswordVerdict = 'right' | 'wrong' | 'busy';

/** At most so many hashes at a time and so many waiting; outlives the password files, so that a reload resets neither. */
export class HashQueue {
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  /** Undefined when there is no room; `work` then never runs. */
  run<T>(work: () => Promise<T>): Promise<T> | undefined {
    if (this.#running < accessLimits.hashesAtOnceMax) return this.#start(work);
    if (this.#waiting.length >= accessLimits.hashesWaitingMax) return undefined;
    return new Promise((resolve, reject) => {
      this.#waiting.push(() => this.#start(work).then(resolve, reject));
    });
  }

  async #start<T>(work: () => Promise<T>): Promise<T> {
    this.#running++;
    try {
      return await work();
    } finally {
      this.#running--;
      this.#waiting.shift()?.();
    }
  }
}

interface Remembered {
  readonly digest: Uint8Array;
  readonly untilMs: number;
}

/**
 * Compares passwords with one password file. A guess costs the same whether its user exists or not (hostile K05, U05),
 * at most `passwordBytesMax` are hashed, and never on this thread (hostile K08, S11).
 *
 * Who was verified is remembered for `rememberedMs`, so that a fleet behind a flapping network does not pay the slow hash
 * with every reconnect. The price: for that long the memory of the process holds a fast keyed digest of the password
 * beside its slow hash. The memory goes with the object, so a new password file counts at once.
 */
export class PasswordVerifier {
  readonly #entries: PasswordEntries;
  /** Whose parameters a guess at an unknown user is hashed with. */
  readonly #population: readonly PasswordEntry[];
  readonly #queue: HashQueue;
  readonly #clock: Clock;
  readonly #slowHash: SlowHash;
  readonly #key: Uint8Array;
  /** Least recently used first. */
  readonly #remembered = new Map<string, Remembered>();

  constructor(options: {
    entries: PasswordEntries;
    queue: HashQueue;
    clock: Clock;
    random: Random;
    slowHash?: SlowHash;
  }) {
    this.#entries = options.entries;
    this.#population = [...options.entries.values()];
    this.#queue = options.queue;
    this.#clock = options.clock;
    this.#slowHash = options.slowHash ?? pbkdf2Sha512;
    this.#key = options.random.bytes(32);
  }

  /** Rejects only when hashing itself fails. */
  async verify(username: string, password: Uint8Array): Promise<PasswordVerdict> {
    if (this.#population.length === 0 || password.length > accessLimits.passwordBytesMax) return 'wrong';
    const known = this.#entries.get(username);
    const entry = known ?? this.#decoyFor(username);
    const digest = this.#digest(entry, password);
    const isRemembered = () => known !== undefined && this.#remembers(username, digest);
    const judge = async (): Promise<PasswordVerdict> => {
      // Asked again after waiting: where a fleet shares one user, the first of a storm answers for the others.
      if (isRemembered()) return 'right';
      const hash = await this.#hash(entry, password);
      if (!timingSafeEqual(hash, entry.hash) || !known) return 'wrong';
      this.#remember(username, digest);
      return 'right';
    };
    const isFast = entry.iterations === undefined || isRemembered();
    return isFast ? judge() : (this.#queue.run(judge) ?? 'busy');
  }

  async #hash({ iterations, salt }: PasswordEntry, password: Uint8Array): Promise<Uint8Array> {
    return iterations === undefined ? sha512(password, salt) : this.#slowHash(password, salt, iterations);
  }

  /** Always the same one for the same name, so that an unknown user takes as long each time as some known one does. */
  #decoyFor(username: string): PasswordEntry {
    const number = createHmac('sha256', this.#key).update('decoy').update(username).digest().readUInt32BE();
    return this.#population[number % this.#population.length];
  }

  #digest(entry: PasswordEntry, password: Uint8Array): Uint8Array {
    return createHmac('sha256', this.#key).update(entry.salt).update(password).digest();
  }

  #remembers(username: string, digest: Uint8Array): boolean {
    const remembered = this.#remembered.get(username);
    if (!remembered) return false;
    this.#remembered.delete(username);
    if (remembered.untilMs <= this.#clock.monotonicMs()) return false;
    this.#remembered.set(username, remembered);
    return timingSafeEqual(remembered.digest, digest);
  }

  #remember(username: string, digest: Uint8Array): void {
    this.#remembered.delete(username);
    if (this.#remembered.size >= accessLimits.rememberedUsersMax) {
      for (const oldest of this.#remembered.keys()) {
        this.#remembered.delete(oldest);
        break;
      }
    }
    this.#remembered.set(username, { digest, untilMs: this.#clock.monotonicMs() + accessLimits.rememberedMs });
  }
}
