/**
 * AWS Signature Version 4, checked with AWS' words for what is wrong. Source: AWS "Create a signed AWS API
 * request". Everything but the signature itself is checked before a body is read, so a stranger cannot make us read one.
 */
import { timingSafeEqual } from 'node:crypto';
import type { Clock } from '../../kernel/clock.ts';
import { type Claim, type RequestHead, splitPair } from './authorization.ts';
import { endpointLimits } from './limits.ts';
import { incompleteSignature, invalidSignature, type Refusal, unrecognizedClient } from './refusal.ts';
import { algorithm, basicTimestamp, sha256, signatureOf, signingKeyOf, termination } from './signing.ts';

export interface SignatureOptions {
  /** Secrets by access key id. */
  readonly credentials: ReadonlyMap<string, string>;
  readonly clock: Clock;
  /** Signatures for other regions are refused; undefined: any is good. */
  readonly region: string | undefined;
  /** As in the scope, e.g. `dynamodb`. */
  readonly service: string;
}

/** A claim whose form, date and key are good; its signature is still to be compared. */
export interface CheckedClaim {
  readonly claim: Claim;
  readonly keyId: string;
  readonly secret: string;
  /** ISO 8601 basic, as signed. */
  readonly timestamp: string;
  /** `date/region/service/aws4_request` */
  readonly scope: string;
}

export class SignatureCheck {
  readonly #options: SignatureOptions;
  /** By scope and key id. */
  readonly #signingKeys = new Map<string, Buffer>();

  constructor(options: SignatureOptions) {
    this.#options = options;
  }

  /** All that needs no body. */
  checkClaim(claim: Claim): CheckedClaim | Refusal {
    const timestamp = timestampOf(claim.date ?? '');
    if (timestamp === undefined) {
      return incompleteSignature(
        `Date must be in ISO-8601 'basic format'. Got '${claim.date}'. See http://en.wikipedia.org/wiki/ISO_8601`,
      );
    }
    const late = this.#checkAge(timestamp, claim.expiresSeconds) ?? checkSignedHeaders(claim);
    if (late) return late;
    if (claim.algorithm !== algorithm) {
      return incompleteSignature(`Unsupported AWS 'algorithm': '${claim.algorithm}' (only ${algorithm} for now). `);
    }
    const pieces = claim.credential.replace(/\/+$/, '').split('/');
    if (pieces.length !== 5) {
      return incompleteSignature(
        `Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '${claim.credential}'`,
      );
    }
    const [keyId, ...scope] = pieces;
    const misplaced = this.#checkScope(scope, timestamp);
    if (misplaced) return misplaced;
    const secret = this.#options.credentials.get(keyId);
    if (secret === undefined) return unrecognizedClient('The security token included in the request is invalid.');
    // Only temporary credentials have one, and we give out none.
    if (claim.securityToken) return unrecognizedClient('The security token included in the request is invalid');
    return { claim, keyId, secret, timestamp, scope: scope.join('/') };
  }

  checkSignature(head: RequestHead, body: Buffer, checked: CheckedClaim): Refusal | undefined {
    const { claim, timestamp, scope } = checked;
    const headers = canonicalHeaders(head.rawHeaders, claim.signedHeaders);
    // The path is `/`: there is no other.
    const parts = [head.method, '/', canonicalQuery(head.url), headers, claim.signedHeaders, sha256(body)];
    // Node reads header bytes as latin1, so this gives back those that were signed.
    const canonicalRequest = Buffer.from(parts.join('\n'), 'latin1');
    const expected = signatureOf(this.#signingKey(checked), { timestamp, scope, canonicalRequest });
    const given = Buffer.from(claim.signature);
    const isRight = given.length === expected.length && timingSafeEqual(given, Buffer.from(expected));
    if (isRight) return undefined;
    return invalidSignature(
      'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.',
    );
  }

  #checkAge(timestamp: string, expiresSeconds: string | undefined): Refusal | undefined {
    const { signatureAgeMsMax, presignedSecondsMax } = endpointLimits;
    const nowMs = this.#options.clock.nowMs();
    const signedMs = millisecondsOf(timestamp);
    const now = basicTimestamp(nowMs);
    if (signedMs > nowMs + signatureAgeMsMax) {
      const latest = basicTimestamp(nowMs + signatureAgeMsMax);
      return invalidSignature(
        `Signature not yet current: ${timestamp} is still later than ${latest} (${now} + 15 min.)`,
      );
    }
    if (expiresSeconds !== undefined) {
      const seconds = /^\d{1,6}$/.test(expiresSeconds) ? Number(expiresSeconds) : Number.NaN;
      if (!(seconds >= 1 && seconds <= presignedSecondsMax)) {
        return incompleteSignature(`X-Amz-Expires must be a number of seconds from 1 to ${presignedSecondsMax}.`);
      }
      if (signedMs + seconds * 1_000 >= nowMs) return undefined;
      return invalidSignature(
        `Signature expired: ${basicTimestamp(signedMs + seconds * 1_000)} is now earlier than ${now}`,
      );
    }
    if (signedMs >= nowMs - signatureAgeMsMax) return undefined;
    const earliest = basicTimestamp(nowMs - signatureAgeMsMax);
    return invalidSignature(`Signature expired: ${timestamp} is now earlier than ${earliest} (${now} - 15 min.)`);
  }

  #checkScope([date, region, service, term]: string[], timestamp: string): Refusal | undefined {
    const { region: expectedRegion, service: expectedService } = this.#options;
    let wrong = '';
    if (region === '' || (expectedRegion !== undefined && region !== expectedRegion)) {
      wrong += `Credential should be scoped to a valid region, not '${region}'. `;
    }
    if (service !== expectedService) wrong += `Credential should be scoped to correct service: '${expectedService}'. `;
    if (term !== termination) {
      wrong += `Credential should be scoped with a valid terminator: '${termination}', not '${term}'. `;
    }
    const day = timestamp.slice(0, 8);
    if (date !== day) {
      wrong += `Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '${date}' != '${day}', from '${timestamp}'. `;
    }
    return wrong === '' ? undefined : invalidSignature(wrong.trimEnd());
  }

  #signingKey({ keyId, secret, scope }: CheckedClaim): Buffer {
    const name = `${keyId} ${scope}`;
    let key = this.#signingKeys.get(name);
    if (key === undefined) {
      key = signingKeyOf(secret, scope);
      if (this.#signingKeys.size >= endpointLimits.signingKeysMax) this.#signingKeys.clear();
      this.#signingKeys.set(name, key);
    }
    return key;
  }
}

/** What is not signed could be exchanged by whoever carries the request; the operation must not be. */
function checkSignedHeaders({ signedHeaders, query }: Claim): Refusal | undefined {
  const names = signedHeaders.toLowerCase().split(';');
  const notSigned = (name: string) => invalidSignature(`'${name}' must be a 'SignedHeader' in the AWS Authorization.`);
  // What HTTP/1.1 calls the host is the authority of HTTP/2; some clients sign it by the one name, some by the other.
  if (!names.includes('host') && !names.includes(':authority')) return notSigned('Host');
  if (query === undefined && !names.includes('x-amz-target')) return notSigned('X-Amz-Target');
  return undefined;
}

/** ISO 8601 basic format of a header's date, which may also be that of HTTP; undefined: neither. */
function timestampOf(date: string): string | undefined {
  if (/^\d{8}T\d{6}Z$/.test(date)) return Number.isNaN(millisecondsOf(date)) ? undefined : date;
  if (!/^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(date)) return undefined;
  const ms = Date.parse(date);
  return Number.isNaN(ms) ? undefined : basicTimestamp(ms);
}

function millisecondsOf(timestamp: string): number {
  return Date.parse(timestamp.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
}

/** Sorted by name, then value, each encoded as RFC 3986 has it; without the signature itself. */
function canonicalQuery(url: string): string {
  const at = url.indexOf('?');
  if (at < 0) return '';
  const pairs: [name: string, value: string][] = [];
  for (const pair of url.slice(at + 1).split('&')) {
    const [name, value] = splitPair(pair);
    if (name !== '' && name !== 'X-Amz-Signature') pairs.push([encoded(name), encoded(value)]);
  }
  const compare = (left: string, right: string) => (left < right ? -1 : left > right ? 1 : 0);
  pairs.sort((left, right) => compare(left[0], right[0]) || compare(left[1], right[1]));
  return pairs.map(([name, value]) => `${name}=${value}`).join('&');
}

function encoded(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, each => `%${each.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** `name:value` a line, in the order they were signed: spaces outside trimmed, inside taken together. */
function canonicalHeaders(rawHeaders: readonly string[], signedHeaders: string): string {
  const values = new Map<string, string>();
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at].toLowerCase();
    const value = rawHeaders[at + 1].trim().replaceAll(/ +/g, ' ');
    const before = values.get(name);
    values.set(name, before === undefined ? value : `${before},${value}`);
  }
  const host = values.get('host') ?? values.get(':authority');
  let lines = '';
  for (const name of signedHeaders.split(';')) {
    const value = name === 'host' ? host : values.get(name.toLowerCase());
    lines += `${name}:${value ?? ''}\n`;
  }
  return lines;
}
