/** Remembers for ten minutes which transactions were done, so that a repeated request is not done again. */

import { createHash } from 'node:crypto';
import { bufferOf } from '../../../kernel/bytes.ts';
import type { StoreReader, StoreTransaction } from '../../../kernel/store.ts';
import { tokenReused } from '../errors.ts';
import { tableLimits } from '../limits.ts';
import { concat, spacePrefix } from '../storage/key-encoding.ts';
import { systemSpaces } from '../storage/records.ts';
import { decodeItem, encodeItem } from '../values/item-encoding.ts';
import { type Item, isMap, isPlainObject, setOwn } from '../values/value.ts';

export interface Token {
  readonly text: string;
  /** Of the request it came with. */
  readonly digest: string;
}

/** What a repeated request costs instead: read units by table. */
export type ReplayUnits = ReadonlyMap<string, number>;

/** Tokens by their text, and by when they may be forgotten. Table id 0 belongs to the engine itself. */
const tokenSpace = spacePrefix(0, systemSpaces.tokens);
const expirySpace = spacePrefix(0, systemSpaces.tokenExpiries);

function tokenKey(text: string): Uint8Array {
  return concat([tokenSpace, Buffer.from(text, 'utf8')]);
}

const expiryDigits = 16;

function expiryKey(expiresAtMs: number, text: string): Uint8Array {
  const expiry = String(expiresAtMs).padStart(expiryDigits, '0');
  return concat([expirySpace, Buffer.from(expiry, 'utf8'), Buffer.from(text, 'utf8')]);
}

/** undefined when the token is new. Throws `table.tokenReused` when it came with another request. */
export function findDone(reader: StoreReader, token: Token, nowMs: number): ReplayUnits | undefined {
  const found = reader.get(tokenKey(token.text));
  if (found === undefined) return undefined;
  const done = decodeItem(found);
  if (isOver(done, nowMs)) return undefined;
  const { digest, units } = done;
  // One that was kept by an older release has no digest.
  if (digest !== undefined && digest !== token.digest) throw tokenReused();
  return new Map(isMap(units) ? Object.entries(units).map(([name, held]) => [name, Number(held)]) : []);
}

function isOver({ expiresAtMs }: Item, nowMs: number): boolean {
  return Number(expiresAtMs) <= nowMs;
}

export function rememberDone(
  transaction: StoreTransaction,
  { text, digest }: Token,
  units: ReplayUnits,
  nowMs: number,
): void {
  forgetExpired(transaction, nowMs);
  const expiresAtMs = nowMs + tableLimits.tokenKeptMs;
  const unitsByTable: Item = {};
  for (const [tableName, count] of units) setOwn(unitsByTable, tableName, count);
  transaction.put(tokenKey(text), encodeItem({ digest, expiresAtMs, units: unitsByTable }, 0));
  transaction.put(expiryKey(expiresAtMs, text), Uint8Array.of());
}

function forgetExpired(transaction: StoreTransaction, nowMs: number): void {
  const expired: Uint8Array[] = [];
  const end = concat([expirySpace, Buffer.from(String(nowMs).padStart(expiryDigits, '0'), 'utf8')]);
  for (const { key } of transaction.range({ start: expirySpace, end })) {
    expired.push(key);
    if (expired.length >= tableLimits.expiredTokensPerWriteMax) break;
  }
  for (const key of expired) {
    transaction.delete(key);
    const place = concat([tokenSpace, key.subarray(expirySpace.length + expiryDigits)]);
    const found = transaction.get(place);
    // One that was used again since has another record by now, to be forgotten later.
    if (found !== undefined && isOver(decodeItem(found), nowMs)) transaction.delete(place);
  }
}

/** Equal requests have equal digests, in whatever order their parameters and the members of sets were written down. */
export function digestOf(items: readonly unknown[]): string {
  return createHash('sha256').update(canonical(items)).digest('base64');
}

function canonical(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (value instanceof Set) return `<${[...value].map(canonical).sort().join()}>`;
  if (value instanceof ArrayBuffer) return canonical(new Uint8Array(value));
  if (ArrayBuffer.isView(value)) {
    return `b${bufferOf(value).toString('base64')}`;
  }
  const entries = value instanceof Map ? [...value] : isPlainObject(value) ? Object.entries(value) : undefined;
  if (entries === undefined) return JSON.stringify(String(value)); // a `NumberValue`
  const given = entries.filter(([, held]) => held !== undefined);
  return `{${given
    .map(([name, held]) => `${JSON.stringify(String(name))}:${canonical(held)}`)
    .sort()
    .join()}}`;
}
