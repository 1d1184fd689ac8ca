/** Which web pages may call the endpoint: those of this machine, and with credentials everybody's who has the key. */
import type { IncomingHttpHeaders } from 'node:http';
import { endpointLimits } from './limits.ts';

/**
 * Without credentials whatever page is open in a browser of this machine could read what is stored: DNS can be made to say
 * that its host is ours, so being of the same origin proves nothing. `null` is what a page says that hides its origin.
 */
export function isForeign(origin: string): boolean {
  if (origin === 'null') return true;
  const page = /^https?:\/\/(.*)$/i.exec(origin);
  return page !== null && !/^(?:(?:[a-z0-9-]+\.)*localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i.test(page[1]);
}

export function preflightHeaders(headers: IncomingHttpHeaders): string[] {
  const answer = ['Access-Control-Max-Age', String(endpointLimits.preflightAgeSeconds)];
  const asked = headers['access-control-request-headers'];
  const method = headers['access-control-request-method'];
  if (asked) answer.push('Access-Control-Allow-Headers', asked);
  if (method) answer.push('Access-Control-Allow-Methods', method);
  return answer;
}
