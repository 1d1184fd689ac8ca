import { createHash, timingSafeEqual } from 'node:crypto';
import type { Random } from '../../kernel/random.ts';
import type { KeyValueStore } from '../../kernel/store.ts';
import type { ThingCredentials } from '../port.ts';
import { thingExists, thingNameNotValid } from './errors.ts';
import { thingLimits } from './limits.ts';

/** One stored thing: format version (1), salt, SHA-256 of salt and secret. The secret itself is nowhere. */
const formatVersion = 1;
const saltAt = 1;
const hashAt = saltAt + thingLimits.saltBytes;
const hashBytes = 32;
const recordBytes = hashAt + hashBytes;

/** The things that may connect, by name. The name is the MQTT client id. */
export class ThingRegistry {
  readonly #store: KeyValueStore;
  readonly #random: Random;

  constructor(options: { store: KeyValueStore; random: Random }) {
    this.#store = options.store;
    this.#random = options.random;
  }

  /** Registers a thing; its secret is in this answer and nowhere else. Durable when it resolves. */
  async create(thingName: string): Promise<ThingCredentials> {
    if (!isThingName(thingName)) throw thingNameNotValid();
    const password = Buffer.from(this.#random.bytes(thingLimits.secretBytes)).toString('base64url');
    const salt = this.#random.bytes(thingLimits.saltBytes);
    const record = Buffer.concat([Uint8Array.of(formatVersion), salt, hash(salt, Buffer.from(password))]);
    const key = keyOf(thingName);
    const created = await this.#store.write(transaction => {
      if (transaction.get(key)) return false;
      transaction.put(key, record);
      return true;
    });
    if (!created) throw thingExists(thingName);
    return { clientId: thingName, username: thingName, password };
  }

  /** Content if there was none. Who connects from now on is refused; durable when it resolves. */
  async delete(thingName: string): Promise<void> {
    if (!isThingName(thingName)) return;
    await this.#store.write(transaction => transaction.delete(keyOf(thingName)));
  }

  /** Whether there is such a thing. One whose record is damaged counts as gone (hostile A06). */
  has(thingName: string): boolean {
    return this.#recordOf(thingName) !== undefined;
  }

  /** Whether `password` is the thing's secret. An unknown thing costs the same time as a wrong secret. */
  verify(thingName: string, password: Uint8Array): boolean {
    const record = this.#recordOf(thingName);
    const salt = record?.subarray(saltAt, hashAt) ?? new Uint8Array(thingLimits.saltBytes);
    const expected = record?.subarray(hashAt) ?? new Uint8Array(hashBytes);
    return timingSafeEqual(hash(salt, password), expected) && record !== undefined;
  }

  /** A record that is not as we write it admits nobody (hostile A06). */
  #recordOf(thingName: string): Uint8Array | undefined {
    const record = isThingName(thingName) ? this.#store.get(keyOf(thingName)) : undefined;
    return record?.length === recordBytes && record[0] === formatVersion ? record : undefined;
  }
}

export function isThingName(text: string): boolean {
  return text.length <= thingLimits.thingNameCharactersMax && /^[a-zA-Z0-9:_-]+$/.test(text);
}

/**
 * The thing that a client id names: the id itself, or what stands before its first dot. So a device may hold further
 * connections (`speaker-1.upload`) without taking over its own; no thing name has a dot.
 */
export function thingOfClient(clientId: string): string {
  const dot = clientId.indexOf('.');
  return dot === -1 ? clientId : clientId.slice(0, dot);
}

function keyOf(thingName: string): Uint8Array {
  return Buffer.from(`thing/${thingName}`);
}

function hash(salt: Uint8Array, secret: Uint8Array): Buffer {
  return createHash('sha256').update(salt).update(secret).digest();
}
