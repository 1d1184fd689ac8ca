import assert from 'node:assert/strict';
import { createHash, pbkdf2 } from 'node:crypto';
import type { Random } from '../../kernel/random.ts';
import { isMqttString } from '../mqtt/utf8.ts';
import { linesOf, type Turns, trimBlanks } from './config-file.ts';
import { passwordFileNotValid, passwordNotValid, usernameNotValid } from './errors.ts';
import { accessLimits } from './limits.ts';

/**
 * Password files as `mosquitto_passwd` writes them: a line `user:$7$iterations$salt$hash` (PBKDF2-HMAC-SHA512) or
 * `user:$6$salt$hash` (SHA-512 of password and salt) each, lines that begin with # are comments.
 */

export interface PasswordEntry {
  /** Of PBKDF2; undefined = one round of SHA-512. */
  readonly iterations: number | undefined;
  readonly salt: Uint8Array;
  readonly hash: Uint8Array;
}

/** By user name. Empty admits nobody. */
export type PasswordEntries = ReadonlyMap<string, PasswordEntry>;

/**
 * Mosquitto skips lines it does not understand; here they are refused, so that nobody is locked out unnoticed.
 * @throws `access.passwordFileNotValid` with the line's number and nothing of what stands there.
 */
export function* parsePasswordFile(bytes: Uint8Array, filePath: string): Turns<PasswordEntries> {
  const entries = new Map<string, PasswordEntry>();
  for (const { lineNumber, text } of linesOf(bytes)) {
    const refuse = (problem: string) => passwordFileNotValid(filePath, lineNumber, problem);
    if (lineNumber % accessLimits.linesPerTurn === 0) yield;
    if (text === undefined) throw refuse(`it is not UTF-8 text of at most ${accessLimits.lineBytesMax} bytes.`);
    if (text === '' || text.startsWith('#')) continue;
    const colon = text.indexOf(':');
    if (colon === -1) throw refuse('there is no ":" between a user name and a hash.');
    const username = trimBlanks(text.slice(0, colon));
    if (!isUsername(username)) throw refuse('the user name is empty, too long, or has a control character in it.');
    if (entries.has(username)) throw refuse('this user has a line further up already.');
    if (entries.size === accessLimits.usersMax) throw refuse(`there are more than ${accessLimits.usersMax} users.`);
    const entry = parseHash(trimBlanks(text.slice(colon + 1)));
    if (typeof entry === 'string') throw refuse(entry);
    entries.set(username, entry);
  }
  return entries;
}

/** The entry, or what is wrong with it. */
function parseHash(text: string): PasswordEntry | string {
  const [before, kind, ...parts] = text.split('$');
  if (before !== '' || kind === undefined)
    return 'the password is not hashed; `mosquitto_passwd -U` hashes a file of such lines.';
  if (kind !== '6' && kind !== '7') return 'this kind of hash is not known; $7$ and $6$ are.';
  const iterations = kind === '7' ? wholeNumber(parts.shift()) : undefined;
  if (kind === '7' && (iterations === undefined || iterations > accessLimits.hashIterationsMax))
    return `the iterations are not a whole number from 1 to ${accessLimits.hashIterationsMax}.`;
  const [salt, hash, ...more] = parts.map(base64);
  if (more.length > 0) return 'there is more in it than a salt and a hash.';
  if (salt === undefined || salt.length === 0 || salt.length > accessLimits.saltBytesMax)
    return `the salt is not base64 of 1 to ${accessLimits.saltBytesMax} bytes.`;
  if (hash?.length !== accessLimits.hashBytes) return `the hash is not base64 of ${accessLimits.hashBytes} bytes.`;
  return { iterations, salt, hash };
}

function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^[1-9][0-9]{0,8}$/.test(text) ? Number(text) : undefined;
}

/** Buffer.from skips what is not base64, so what was read must give the same text back. */
function base64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

function isUsername(text: string): boolean {
  return (
    text !== '' &&
    Buffer.byteLength(text) <= accessLimits.usernameBytesMax &&
    isMqttString(text) &&
    !/[\u0001-\u001f\u007f]/.test(text)
  );
}

/** Whether a client with the old entry's password would still be let in with the new one. */
export function isSameEntry(left: PasswordEntry | undefined, right: PasswordEntry | undefined): boolean {
  if (!left || !right) return left === right;
  return (
    left.iterations === right.iterations &&
    Buffer.compare(left.salt, right.salt) === 0 &&
    Buffer.compare(left.hash, right.hash) === 0
  );
}

/** The slow hash, on a thread of Node's pool. */
export type SlowHash = (password: Uint8Array, salt: Uint8Array, iterations: number) => Promise<Uint8Array>;

export const pbkdf2Sha512: SlowHash = (password, salt, iterations) =>
  new Promise((resolve, reject) => {
    pbkdf2(password, salt, iterations, accessLimits.hashBytes, 'sha512', (error, hash) =>
      error ? reject(error) : resolve(hash),
    );
  });

/** The $6$ hash: fast, so it is done here and now. */
export function sha512(password: Uint8Array, salt: Uint8Array): Uint8Array {
  return createHash('sha512').update(password).update(salt).digest();
}

/**
 * A line for a password file, without its end; `mosquitto` reads it too.
 * @throws `access.usernameNotValid`, `access.passwordNotValid`.
 */
export async function passwordLine(username: string, password: Uint8Array, random: Random): Promise<string> {
  // What the reader would cut off or take for something else must not be written.
  const isReadBack = isUsername(username) && trimBlanks(username) === username && !/^#|:/.test(username);
  if (!isReadBack) throw usernameNotValid();
  return `${username}:${await hashPassword(password, random)}`;
}

/**
 * What stands behind `user:`, with a salt from `random`.
 * @param options.iterations  more makes a stolen file harder to guess from and every connect dearer.
 * @throws `access.passwordNotValid`.
 */
export async function hashPassword(
  password: Uint8Array,
  random: Random,
  { iterations = accessLimits.hashIterationsDefault }: { readonly iterations?: number } = {},
): Promise<string> {
  if (password.length === 0 || password.length > accessLimits.passwordBytesMax) throw passwordNotValid();
  assert(wholeNumber(String(iterations)) !== undefined && iterations <= accessLimits.hashIterationsMax);
  const salt = Buffer.from(random.bytes(mosquittoSaltBytes));
  const hash = Buffer.from(await pbkdf2Sha512(password, salt, iterations));
  return `$7$${iterations}$${salt.toString('base64')}$${hash.toString('base64')}`;
}

const mosquittoSaltBytes = 12; // Mosquitto 2.0 refuses a salt of any other length.
