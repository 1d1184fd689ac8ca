/** An independent implementation on a port of this machine, for tests. */
import { Agent, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import dynalite from 'dynalite';

export type Body = Readonly<Record<string, unknown>>;

export interface DynaliteClient {
  send(operation: string, input: unknown): Promise<{ readonly status: number; readonly body: Body }>;
  close(): void;
}

export async function openDynalite(): Promise<DynaliteClient> {
  const server = dynalite({ createTableMs: 0 });
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo; // a cast: it listens on a port
  return {
    send: (operation, input) => post(agent, port, operation, JSON.stringify(input)),
    close() {
      agent.destroy();
      server.close();
    },
  };
}

function post(
  agent: Agent,
  port: number,
  operation: string,
  json: string,
): Promise<{ readonly status: number; readonly body: Body }> {
  const headers = {
    'Content-Type': 'application/x-amz-json-1.0',
    'X-Amz-Target': `DynamoDB_20120810.${operation}`,
    'X-Amz-Date': '20260101T000000Z',
    Authorization: 'AWS4-HMAC-SHA256 Credential=a, SignedHeaders=b, Signature=c', // not looked at
  };
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ port, host: '127.0.0.1', method: 'POST', agent, headers }, answer => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => {
        text += chunk;
      });
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body: JSON.parse(text) }));
    });
    sent.on('error', reject);
    sent.end(json);
  });
}

/** `ValidationException` of `com.amazon.coral.validate#ValidationException`. */
export function errorName(body: Body): string {
  return String(body.__type).split('#')[1];
}

export function errorMessage(body: Body): string {
  return String(body.message ?? body.Message ?? '');
}
