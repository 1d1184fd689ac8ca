/**
 * Bad requests, generated from good ones, to an independent implementation and to our checks. Where they differ the
 * reason stands below: dynalite 4 has the service's words of some years ago.
 */
import assert from 'node:assert/strict';
import { Agent, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import dynalite from 'dynalite';
import { checkRequest, type OperationName, wireFormat } from '../../../platform/table/index.ts';
import { differences } from './dynalite-differences.ts';
import { badRequests } from './generated-requests.ts';
import { translateLegacy } from './index.ts';

const agent = new Agent({ keepAlive: true, maxSockets: 8 });

/** `accepted`, or name and message of a refusal. */
type Verdict = readonly [string, string];

describe('checks of requests, beside dynalite', () => {
  const server = dynalite();
  let port = 0;
  before(
    () =>
      new Promise<void>(resolve => {
        server.listen(0, '127.0.0.1', () => {
          port = (server.address() as AddressInfo).port; // a cast: it listens on a port
          resolve();
        });
      }),
  );
  after(() => {
    agent.destroy();
    server.close();
  });

  it('refuse the same in the same words, but for known differences', async () => {
    const requests = badRequests();
    const unexplained: string[] = [];
    const explained = new Set<string>();
    let refused = 0;
    await Promise.all(
      requests.map(async ({ name, input }) => {
        const theirs = await verdictOf(port, name, input);
        const ours = ourVerdict(name, structuredClone(input));
        if (ours[0] !== 'accepted') refused++;
        if (ours[0] === theirs[0] && withoutEchoes(ours[1]) === withoutEchoes(theirs[1])) return;
        const difference = differences.find(each => each.explains({ name, input, ours, theirs }));
        if (difference !== undefined) explained.add(difference.reason);
        else unexplained.push([name, JSON.stringify(input).slice(0, 300), ...ours, ...theirs].join('\n  '));
      }),
    );
    assert.ok(requests.length >= 500 && refused >= 400, `${requests.length} requests, ${refused} refused`);
    assert.deepEqual(unexplained.slice(0, 20), [], `${unexplained.length} of ${requests.length} differ`);
    const unused = differences.filter(({ reason }) => !explained.has(reason));
    assert.deepEqual(
      unused.map(({ reason }) => reason),
      [],
    );
  });
});

function ourVerdict(name: OperationName, input: unknown): Verdict {
  try {
    translateLegacy(name, checkRequest(name, input, { format: wireFormat }));
    return ['accepted', ''];
  } catch (thrown) {
    assert.ok(thrown instanceof Error);
    return [thrown.name, thrown.message];
  }
}

/** dynalite repeats values as JSON, DynamoDB as Java prints them. */
function withoutEchoes(message: string): string {
  return message.replace(/Value ('[\s\S]*?'|null) at '/g, "Value … at '");
}

function verdictOf(port: number, name: OperationName, input: unknown): Promise<Verdict> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(
      {
        port,
        host: '127.0.0.1',
        method: 'POST',
        agent,
        headers: {
          'Content-Type': 'application/x-amz-json-1.0',
          'X-Amz-Target': `DynamoDB_20120810.${name}`,
          'X-Amz-Date': '20260101T000000Z',
          Authorization: 'AWS4-HMAC-SHA256 Credential=a, SignedHeaders=b, Signature=c',
        },
      },
      answer => {
        let body = '';
        answer.setEncoding('utf8');
        answer.on('data', (chunk: string) => {
          body += chunk;
        });
        answer.on('end', () => resolve(verdictFrom(answer.statusCode, JSON.parse(body))));
      },
    );
    sent.on('error', reject);
    sent.end(JSON.stringify(input));
  });
}

/** What is refused for the state of tables has passed the checks. */
function verdictFrom(status: number | undefined, body: Readonly<Record<string, unknown>>): Verdict {
  const name = String(body.__type).split('#')[1];
  if (status === 200 || (name !== 'ValidationException' && name !== 'SerializationException')) return ['accepted', ''];
  return [name, String(body.message ?? body.Message ?? '')];
}
