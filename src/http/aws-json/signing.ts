/** What signing a request and checking a signature have in common. Source: AWS "Create a signed AWS API request". */
import { createHash, createHmac } from 'node:crypto';

export const algorithm = 'AWS4-HMAC-SHA256';
/** The end of every scope. */
export const termination = 'aws4_request';

/** ISO 8601 basic format, in seconds. */
export function basicTimestamp(atMs: number): string {
  return new Date(atMs).toISOString().replaceAll(/[-:]|\.\d+/g, '');
}

/** @param scope  `date/region/service/aws4_request` */
export function signingKeyOf(secret: string, scope: string): Buffer {
  const [date, ...others] = scope.split('/');
  return others.reduce((key, part) => hmac(key, part), hmac(`AWS4${secret}`, date));
}

export interface Signed {
  readonly timestamp: string;
  readonly scope: string;
  readonly canonicalRequest: Buffer;
}

/** In hexadecimal digits. */
export function signatureOf(signingKey: Buffer, { timestamp, scope, canonicalRequest }: Signed): string {
  return hmac(signingKey, `${algorithm}\n${timestamp}\n${scope}\n${sha256(canonicalRequest)}`).toString('hex');
}

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text, 'utf8').digest();
}
