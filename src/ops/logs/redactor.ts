/**
 * Keeps secrets out of lines: the values of facts whose names say so, and what looks like a secret in any text. It errs
 * on the side of hiding; a secret in a form that nobody could tell from a word is not found.
 */
import { logLimits } from '../limits.ts';

export const redacted = '[redacted]';

/** Parts of names, as lower case without separators: `AWS_SECRET_ACCESS_KEY`, `x-api-key` and `userPassword` have one. */
const secretNames = [
  'password',
  'passwd',
  'passphrase',
  'pwd',
  'secret',
  'token',
  'authorization',
  'cookie',
  'credential',
  'privatekey',
  'apikey',
  'accesskey',
  'signingkey',
  'encryptionkey',
  'jwt',
];

/** In a text, before `=` or `:`. */
const secretWords =
  'passwords?|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credentials?';

/** One look at a text that has nothing of all this; most have not. */
const suspicious =
  /bearer|basic|eyJ|AKIA|ASIA|PRIVATE KEY|:\/\/|passw|passphrase|pwd|secret|token|(?:api|access|private)[_-]?key|authorization|cookie|credential|[A-Za-z0-9/+]{40}/i;

type Pattern = readonly [pattern: RegExp, replacement: string];

// None of them can go back over more than 40 characters: a text from outside must not cost more than its length.
const patterns: readonly Pattern[] = [
  [/-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|$)/g, redacted],
  [/\b((?:proxy-)?authorization|(?:set-)?cookie)(["']?\s{0,9}[:=]\s{0,9})("[^"]*"|[^\r\n]+)/gi, `$1$2${redacted}`],
  [/\b(bearer)\s{1,9}[\w\-.~+/=]{8,}/gi, `$1 ${redacted}`],
  [/\b([Bb]asic)\s{1,9}(?=[a-z+/]{0,40}[0-9A-Z=])[A-Za-z0-9+/]{8,}={0,2}/g, `$1 ${redacted}`],
  [/\beyJ[\w-]{8,}(?:\.[\w-]*){0,2}/g, redacted],
  [/\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g, redacted],
  // A secret access key: 40 characters of Base64 that are no hexadecimal digest.
  [
    /(?<![A-Za-z0-9/+=])(?=[^A-Z]{0,39}[A-Z])(?=[^a-z]{0,39}[a-z])(?=[^0-9]{0,39}[0-9])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])/g,
    redacted,
  ],
  [/(:\/\/)[^\s/@:]{0,100}:[^\s/@]{1,200}@/g, `$1${redacted}@`],
];

export class Redactor {
  readonly #names: readonly string[];
  readonly #patterns: readonly Pattern[];
  readonly #suspicious: RegExp;
  /** Names come again and again. */
  readonly #known = new Map<string, boolean>();

  /** @param keys  further names of facts that are secret, e.g. `pin`; at most `logLimits.redactKeysMax` are heeded */
  constructor(keys: readonly string[] = []) {
    const own = keys.slice(0, logLimits.redactKeysMax).map(plain);
    const named = own.filter(name => name !== '');
    this.#names = [...secretNames, ...named];
    const words = [secretWords, ...named].join('|'); // `plain` leaves only letters and digits.
    const assigned = new RegExp(
      `\\b([\\w-]{0,40}(?:${words})[\\w-]{0,40})(["']?\\s{0,9}[:=]\\s{0,9})("[^"]*"?|'[^']*'?|[^\\s,;&"'}\\]]+)`,
      'gi',
    );
    this.#patterns = [...patterns, [assigned, `$1$2${redacted}`]];
    this.#suspicious = named.length === 0 ? suspicious : new RegExp(`${suspicious.source}|${named.join('|')}`, 'i');
  }

  isSecret(name: string): boolean {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const simple = plain(name.slice(0, logLimits.keyCharactersMax));
    const isSecret = this.#names.some(secret => simple.includes(secret));
    if (this.#known.size < namesKnownMax) this.#known.set(name, isSecret);
    return isSecret;
  }

  /** The text without secrets, at most `charactersMax` of it. */
  text(text: string, charactersMax: number): string {
    if (text.length <= charactersMax && !this.#suspicious.test(text)) return text;
    const looked = text.length > logLimits.redactedWithin ? text.slice(0, logLimits.redactedWithin) : text;
    let clean = looked;
    if (this.#suspicious.test(looked)) {
      for (const [pattern, replacement] of this.#patterns) clean = clean.replace(pattern, replacement);
    }
    if (clean.length <= charactersMax && looked.length === text.length) return clean;
    return `${clean.slice(0, charactersMax)}… (${text.length} characters)`;
  }
}

const namesKnownMax = 2_000; // ours: names come from code, so they are few; if not, they are looked at again

function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
}
