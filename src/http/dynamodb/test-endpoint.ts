/** For tests: an endpoint before operations that a test writes, and raw requests to it. */
import http from 'node:http';
import net from 'node:net';
import type { TestContext } from 'node:test';
import { crc32 } from 'node:zlib';
import { silentLog } from '../../kernel/log.ts';
import { seededRandom } from '../../kernel/random.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import type { EndpointListener } from '../aws-json/listener.ts';
import { type ListenDynamoDbOptions, listenDynamoDb } from './server.ts';
import type { Operation } from './service.ts';

export type Calls = Record<string, (input: Record<string, unknown>) => object | Promise<object>>;

export async function openTestEndpoint(
  t: TestContext,
  calls: Calls,
  options: Partial<ListenDynamoDbOptions> = {},
): Promise<EndpointListener> {
  const operations = new Map<string, Operation>();
  for (const [name, call] of Object.entries(calls)) {
    operations.set(`DynamoDB_20120810.${name}`, { name, call: async input => call(input) });
  }
  const endpoint = await listenDynamoDb({
    service: { operations },
    clock: new VirtualClock(),
    random: seededRandom(1),
    log: silentLog,
    host: '127.0.0.1',
    port: 0,
    connectionsMax: 100,
    ...options,
  });
  t.after(() => endpoint.close());
  return endpoint;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test says what it expects by comparing.
  readonly json: any;
}

/** A request as it is written here; the signature is well-formed and nobody's. */
export const unsigned = {
  'x-amz-target': 'DynamoDB_20120810.ListTables',
  'content-type': 'application/x-amz-json-1.0',
};
export const signed = {
  ...unsigned,
  'x-amz-date': '20260101T000000Z',
  authorization:
    'AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host;x-amz-target, Signature=00',
};

export function send(
  url: string,
  {
    method = 'POST',
    path = '/',
    headers = {},
    body,
  }: { method?: string; path?: string; headers?: http.OutgoingHttpHeaders; body?: string | Buffer },
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, path, headers, agent: false }, response => {
      const chunks: Buffer[] = [];
      response.on('data', chunk => chunks.push(chunk));
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        const { 'x-amz-crc32': crc } = response.headers;
        if (crc !== undefined && method !== 'HEAD' && Number(crc) !== crc32(text))
          reject(new Error(`The checksum ${crc} is not of: ${text}`));
        const isJson = response.headers['content-type']?.includes('json');
        const json = isJson && text !== '' ? JSON.parse(text) : undefined;
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

/** Writes `bytes` to a connection of its own; resolves with all that came back when it is closed. */
export function sendBytes(port: number, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: '127.0.0.1', port }, () => socket.write(bytes));
    let text = '';
    socket.on('data', chunk => {
      text += chunk.toString('latin1');
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
  });
}
