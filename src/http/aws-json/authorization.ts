/**
 * What a request says about who signed it: AWS Signature Version 4 in the Authorization header or in the query. Only
 * the form is looked at here, in the order and the words of AWS; whether the signature is right is `signature.ts`.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { incompleteSignature, invalidSignature, missingToken, type Refusal } from './refusal.ts';

/** Of an HTTP request, what is signed and what says so. */
export interface RequestHead {
  readonly method: string;
  /** Path and query as sent. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  /** Names and values alternating, as sent. */
  readonly rawHeaders: readonly string[];
}

export interface Claim {
  readonly algorithm: string;
  readonly credential: string;
  readonly signedHeaders: string;
  readonly signature: string;
  /** As sent; undefined only when the form is not complete. */
  readonly date: string | undefined;
  readonly securityToken: string | undefined;
  /** Of a signature in the query: how long it is valid. */
  readonly expiresSeconds: string | undefined;
  /** Of a signature in the query: the parameters; undefined when it is in the header. */
  readonly query: ReadonlyMap<string, string> | undefined;
}

export function readClaim(head: RequestHead): Claim | Refusal {
  const { authorization } = head.headers;
  const query = queryOf(head.url);
  const isInQuery = query?.has('X-Amz-Algorithm') === true;
  if (authorization && isInQuery) {
    return invalidSignature("Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.");
  }
  if (isInQuery) return readQuery(query);
  if (!authorization?.trim().startsWith('AWS4-')) return missingToken();
  return readHeader(authorization, head.headers);
}

function readHeader(authorization: string, headers: IncomingHttpHeaders): Claim | Refusal {
  const [algorithm, ...pieces] = authorization.trim().split(/[, ]+/);
  const parts = new Map<string, string>();
  for (const piece of pieces) {
    const at = piece.indexOf('=');
    if (at > 0) parts.set(piece.slice(0, at), piece.slice(at + 1));
  }
  const date = headerOf(headers, 'x-amz-date') ?? headers.date;
  let missing = '';
  for (const name of ['Credential', 'Signature', 'SignedHeaders']) {
    if (!parts.get(name)) missing += `Authorization header requires '${name}' parameter. `;
  }
  if (!date) missing += "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ";
  if (missing !== '') return incompleteSignature(`${missing}Authorization=${authorization}`);
  return {
    algorithm,
    credential: parts.get('Credential') ?? '',
    signedHeaders: parts.get('SignedHeaders') ?? '',
    signature: parts.get('Signature') ?? '',
    date,
    securityToken: headerOf(headers, 'x-amz-security-token'),
    expiresSeconds: undefined,
    query: undefined,
  };
}

function readQuery(query: ReadonlyMap<string, string>): Claim | Refusal {
  let missing = '';
  for (const name of ['X-Amz-Algorithm', 'X-Amz-Credential', 'X-Amz-Signature', 'X-Amz-SignedHeaders', 'X-Amz-Date']) {
    if (!query.get(name)) missing += `AWS query-string parameters must include '${name}'. `;
  }
  if (missing !== '') return incompleteSignature(`${missing}Re-examine the query-string parameters.`);
  return {
    algorithm: query.get('X-Amz-Algorithm') ?? '',
    credential: query.get('X-Amz-Credential') ?? '',
    signedHeaders: query.get('X-Amz-SignedHeaders') ?? '',
    signature: query.get('X-Amz-Signature') ?? '',
    date: query.get('X-Amz-Date'),
    securityToken: query.get('X-Amz-Security-Token'),
    expiresSeconds: query.get('X-Amz-Expires'),
    query,
  };
}

/** The decoded parameters, the last of each name; undefined when there are none. */
function queryOf(url: string): ReadonlyMap<string, string> | undefined {
  const at = url.indexOf('?');
  if (at < 0) return undefined;
  const query = new Map<string, string>();
  for (const pair of url.slice(at + 1).split('&')) {
    const [name, value] = splitPair(pair);
    if (name !== '') query.set(name, value);
  }
  return query;
}

/** `name=value` of a query, both decoded. */
export function splitPair(pair: string): [name: string, value: string] {
  const at = pair.indexOf('=');
  return at < 0 ? [decoded(pair), ''] : [decoded(pair.slice(0, at)), decoded(pair.slice(at + 1))];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // Not what anybody signed; it will not fit.
  }
}

function headerOf(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value.join(',') : value;
}
