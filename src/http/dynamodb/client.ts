/**
 * Calls of the table's API over HTTP, to our own endpoint or DynamoDB: signed with AWS Signature Version 4, repeated
 * while the other side is busy. Items stay JSON, so numbers keep every digit.
 */
import { type Clock, delay } from '../../kernel/clock.ts';
import { MimamoriError, messageOf } from '../../kernel/errors.ts';
import type { Random } from '../../kernel/random.ts';
import { algorithm, basicTimestamp, sha256, signatureOf, signingKeyOf, termination } from '../aws-json/signing.ts';
import { exportsApi } from './table-service.ts';

export interface ClientOptions {
  readonly url: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of temporary credentials. */
  readonly sessionToken?: string;
  readonly clock: Clock;
  readonly random: Random;
}

export const clientLimits = {
  answerMs: 60_000, // ours: for one answer
  retriesMax: 8, // ours: with growing pauses, about 30 s in all
  retryMsMin: 50, // ours
  retryMsMax: 10_000, // ours
} as const;

const exportOperations: ReadonlySet<string> = new Set([
  'OpenSnapshot',
  'DescribeSnapshot',
  'ReadSnapshot',
  'CloseSnapshot',
]);

const busy = /^(ThrottlingException|ProvisionedThroughputExceededException|RequestLimitExceeded|ServiceUnavailable)$/;

/** An error the other side answered; its `name` is DynamoDB's. */
class AnsweredError extends MimamoriError {
  constructor(name: string, message: string, status: number) {
    super({
      code: 'dynamodb.refused',
      message: `${name}: ${message}`,
      fix: 'Do what the message says; DynamoDB documents its errors under their names.',
      retryable: status >= 500 || busy.test(name),
    });
    this.name = name;
  }
}

/** Throws `dynamodb.refused` with DynamoDB's name of the error, and `dynamodb.notReachable`. */
export function dynamoDbCalls(options: ClientOptions): (operation: string, input: object) => Promise<unknown> {
  const { clock, random } = options;
  let hasAnswered = false; // else the URL is wrong, and nothing is gained by waiting
  return async (operation, input) => {
    const api = exportOperations.has(operation) ? exportsApi : 'DynamoDB_20120810';
    const body = JSON.stringify(input);
    for (let attempt = 0; ; attempt++) {
      try {
        const answer = await once(options, `${api}.${operation}`, body);
        hasAnswered = true;
        return answer;
      } catch (error) {
        hasAnswered ||= error instanceof AnsweredError;
        const isBusy = error instanceof MimamoriError && error.retryable && hasAnswered;
        const mayRetry = isBusy && attempt < clientLimits.retriesMax;
        if (!mayRetry) throw error;
        const most = Math.min(clientLimits.retryMsMax, clientLimits.retryMsMin * 2 ** attempt);
        await delay(clock, most / 2 + random.integer(Math.ceil(most / 2)));
      }
    }
  };
}

async function once(options: ClientOptions, target: string, body: string): Promise<unknown> {
  const url = new URL(options.url);
  let answer: { status: number; text: string };
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: signedHeaders(options, url, target, body),
      body,
      redirect: 'error',
      signal: AbortSignal.timeout(clientLimits.answerMs),
    });
    answer = { status: response.status, text: await response.text() };
  } catch (cause) {
    throw notReachable(options.url, cause);
  }
  const json = parsed(answer.text);
  if (answer.status === 200 && json !== undefined) return json;
  const { __type: type, message, Message } = (json ?? {}) as Record<string, unknown>; // a cast: an object of JSON
  const name = typeof type === 'string' ? (type.split('#').at(-1) ?? type) : `HTTP ${answer.status}`;
  throw new AnsweredError(name, String(message ?? Message ?? answer.text.slice(0, 200)), answer.status);
}

function parsed(text: string): object | undefined {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === 'object' && json !== null ? json : undefined;
  } catch {
    return undefined;
  }
}

function signedHeaders(options: ClientOptions, url: URL, target: string, body: string): Record<string, string> {
  const { region, accessKeyId, secretAccessKey, sessionToken, clock } = options;
  const timestamp = basicTimestamp(clock.nowMs());
  const sent: Record<string, string> = {
    'content-type': 'application/x-amz-json-1.0',
    host: url.host,
    'x-amz-date': timestamp,
    ...(sessionToken !== undefined && { 'x-amz-security-token': sessionToken }),
    'x-amz-target': target,
  };
  const names = Object.keys(sent).sort();
  const lines = names.map(name => `${name}:${sent[name]}\n`).join('');
  const parts = ['POST', url.pathname, '', lines, names.join(';'), sha256(Buffer.from(body))];
  const scope = `${timestamp.slice(0, 8)}/${region}/dynamodb/${termination}`;
  const canonicalRequest = Buffer.from(parts.join('\n'));
  const signature = signatureOf(signingKeyOf(secretAccessKey, scope), { timestamp, scope, canonicalRequest });
  const { host: _host, ...headers } = sent; // the runtime sends its own, the same
  return {
    ...headers,
    authorization: `${algorithm} Credential=${accessKeyId}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`,
  };
}

const notReachable = (url: string, cause: unknown) =>
  new MimamoriError({
    code: 'dynamodb.notReachable',
    message: `${url} gives no answer: ${reasonOf(cause)}`,
    fix: 'Check the URL and that something is running there; `mimamori start` and `mimamori dynamodb` print theirs.',
    retryable: true,
    cause,
  });

/** What Node's fetch says is in the cause of what it throws. */
function reasonOf(cause: unknown): string {
  return cause instanceof Error && cause.cause !== undefined ? messageOf(cause.cause) : messageOf(cause);
}
