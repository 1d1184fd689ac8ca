import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { DynamoDBClient, type DynamoDBClientConfig, ListTablesCommand } from '@aws-sdk/client-dynamodb';
import { systemClock } from '../../kernel/clock.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import type { ListenDynamoDbOptions } from './server.ts';
import { openTestEndpoint, type RawAnswer, send } from './test-endpoint.ts';

const accessKeyId = 'AKIDEXAMPLE';
const secretAccessKey = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
const credentials = new Map([
  [accessKeyId, secretAccessKey],
  ['AKIDOTHER', 'another secret'],
]);
const calls = { ListTables: () => ({ TableNames: ['a'] }), DeleteTable: () => ({ deleted: true }) };

interface SignedRequest {
  headers: Record<string, string>;
  body: string;
}

async function openChecking(t: TestContext, options: Partial<ListenDynamoDbOptions> = {}) {
  return openTestEndpoint(t, calls, { clock: systemClock, credentials, ...options });
}

function sdk(t: TestContext, endpoint: string, config: DynamoDBClientConfig = {}): DynamoDBClient {
  const own = { credentials: { accessKeyId, secretAccessKey }, region: 'us-east-1', maxAttempts: 1 };
  const client = new DynamoDBClient({ endpoint, ...own, ...config });
  t.after(() => client.destroy());
  return client;
}

/** A request as the real SDK signs it for this endpoint, now. */
async function sign(t: TestContext, url: string, config?: DynamoDBClientConfig): Promise<SignedRequest> {
  let captured: SignedRequest | undefined;
  const handle = async ({ headers, body }: SignedRequest) => {
    captured = { headers: { ...headers }, body: Buffer.from(body).toString() };
    throw new Error('It is not sent, only looked at.');
  };
  const requestHandler = { handle } as unknown as DynamoDBClientConfig['requestHandler']; // a cast: nothing else is used
  await assert.rejects(sdk(t, url, { ...config, requestHandler }).send(new ListTablesCommand({})), /only looked at/);
  assert(captured);
  return captured;
}

interface Presigner {
  presign(request: object, options: { expiresIn: number }): Promise<{ query: Record<string, string | string[]> }>;
}

const typeOf = ({ json }: RawAnswer) => String(json.__type).replace(/.*#/, '');

describe('with credentials the endpoint', () => {
  it('takes what the SDK has signed with one of them, for any region', async t => {
    const { url } = await openChecking(t);
    for (const region of ['us-east-1', 'ap-northeast-1']) {
      assert.deepEqual((await sdk(t, url, { region }).send(new ListTablesCommand({}))).TableNames, ['a']);
    }
    const other = { accessKeyId: 'AKIDOTHER', secretAccessKey: 'another secret' };
    assert.deepEqual((await sdk(t, url, { credentials: other }).send(new ListTablesCommand({}))).TableNames, ['a']);
  });

  it('takes only signatures for its region where it is told to', async t => {
    const { url } = await openChecking(t, { region: 'eu-west-1' });
    assert((await sdk(t, url, { region: 'eu-west-1' }).send(new ListTablesCommand({}))).TableNames);
    await assert.rejects(sdk(t, url).send(new ListTablesCommand({})), {
      name: 'InvalidSignatureException',
      message: "Credential should be scoped to a valid region, not 'us-east-1'.",
    });
  });

  it('refuses another secret, an unknown key and temporary credentials', async t => {
    const { url } = await openChecking(t);
    const using = (own: object) =>
      sdk(t, url, { credentials: { accessKeyId, secretAccessKey, ...own } }).send(new ListTablesCommand({}));
    await assert.rejects(using({ secretAccessKey: 'wrong' }), {
      name: 'InvalidSignatureException',
      message: /^The request signature we calculated does not match the signature you provided/,
    });
    const unknown = {
      name: 'UnrecognizedClientException',
      message: /^The security token included in the request is invalid/,
    };
    await assert.rejects(using({ accessKeyId: 'AKIDUNKNOWN' }), unknown);
    await assert.rejects(using({ sessionToken: 'token' }), unknown);
  });

  it('refuses signatures of more than a quarter of an hour ago or ahead', async t => {
    const minutes = 60_000;
    const ask = async (aheadMs: number) => {
      const { url } = await openChecking(t, { clock: new VirtualClock(Date.now() + aheadMs) });
      return sdk(t, url).send(new ListTablesCommand({}));
    };
    assert((await ask(-14.9 * minutes)).TableNames);
    assert((await ask(14.9 * minutes)).TableNames);
    const name = 'InvalidSignatureException';
    const time = String.raw`\d{8}T\d{6}Z`;
    const old = new RegExp(`^Signature expired: ${time} is now earlier than ${time} \\(${time} - 15 min\\.\\)$`);
    const early = new RegExp(
      `^Signature not yet current: ${time} is still later than ${time} \\(${time} \\+ 15 min\\.\\)$`,
    );
    await assert.rejects(ask(15.1 * minutes), { name, message: old });
    await assert.rejects(ask(-15.1 * minutes), { name, message: early });
  });
});

describe('a signed request that was changed on its way', () => {
  const change = (name: string, from: string | RegExp, to: string) => (request: SignedRequest) => {
    assert.match(request.headers[name], from instanceof RegExp ? from : new RegExp(from));
    request.headers[name] = request.headers[name].replace(from, to);
  };
  const cases: [name: string, change: (request: SignedRequest) => void, type: string, message: RegExp][] = [
    ['its body', request => Object.assign(request, { body: '{ }' }), 'InvalidSignatureException', /does not match/],
    [
      'its operation',
      change('x-amz-target', 'ListTables', 'DeleteTable'),
      'InvalidSignatureException',
      /does not match/,
    ],
    ['a signed header', change('x-amz-user-agent', 'js', 'ts'), 'InvalidSignatureException', /does not match/],
    [
      'the signature',
      change('authorization', /Signature=.*/, 'Signature=00'),
      'InvalidSignatureException',
      /does not match/,
    ],
    ['its length', change('authorization', /$/, '0'), 'InvalidSignatureException', /does not match/],
    [
      'the operation, which is not signed any more',
      change('authorization', ';x-amz-target', ''),
      'InvalidSignatureException',
      /^'X-Amz-Target' must be a 'SignedHeader' in the AWS Authorization\.$/,
    ],
    [
      'the host, which is not signed any more',
      change('authorization', ';host', ''),
      'InvalidSignatureException',
      /^'Host' must be a 'SignedHeader' in the AWS Authorization\.$/,
    ],
    [
      'the algorithm',
      change('authorization', 'SHA256', 'SHA25'),
      'IncompleteSignatureException',
      /^Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA25' \(only AWS4-HMAC-SHA256 for now\)\. $/,
    ],
    [
      'the credential',
      change('authorization', /Credential=[^,]*/, 'Credential=a/b/c/d'),
      'IncompleteSignatureException',
      /^Credential must have exactly 5 slash-delimited elements, e\.g\. keyid\/date\/region\/service\/term, got 'a\/b\/c\/d'$/,
    ],
    [
      'all of the scope',
      change('authorization', /Credential=[^,]*/, 'Credential=a/b//d/e'),
      'InvalidSignatureException',
      /^Credential should be scoped to a valid region, not ''\. Credential should be scoped to correct service: 'dynamodb'\. Credential should be scoped with a valid terminator: 'aws4_request', not 'e'\. Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: 'b' != '\d{8}', from '\d{8}T\d{6}Z'\.$/,
    ],
    [
      'the date',
      change('x-amz-date', /.*/, '2013'),
      'IncompleteSignatureException',
      /^Date must be in ISO-8601 'basic format'\. Got '2013'\. See http:\/\/en\.wikipedia\.org\/wiki\/ISO_8601$/,
    ],
    [
      'the date, to none that there is',
      change('x-amz-date', /.*/, '20131399T000000Z'),
      'IncompleteSignatureException',
      /^Date must be/,
    ],
    [
      'all of it',
      request => void delete request.headers.authorization,
      'MissingAuthenticationTokenException',
      /missing/,
    ],
  ];
  for (const [name, changeIt, type, message] of cases) {
    it(`is refused: ${name}`, async t => {
      const { url } = await openChecking(t);
      const request = await sign(t, url);
      const accepted = await send(url, request);
      assert.equal(accepted.status, 200); // as it was, it is good
      changeIt(request);
      delete request.headers['content-length'];
      const refused = await send(url, request);
      assert.deepEqual([refused.status, typeOf(refused)], [400, type]);
      assert.match(refused.json.message, message);
    });
  }

  it('is good again where only spaces in headers have changed, which proxies may', async t => {
    const { url } = await openChecking(t);
    const request = await sign(t, url);
    request.headers['x-amz-user-agent'] = `  ${request.headers['x-amz-user-agent']} `;
    assert.equal((await send(url, request)).status, 200);
  });
});

describe('a stranger', () => {
  it('is refused before the body is read, and before it is parsed', async t => {
    const { url } = await openChecking(t);
    const { headers } = await sign(t, url, { credentials: { accessKeyId: 'AKIDUNKNOWN', secretAccessKey: 'x' } });
    const large = Buffer.alloc(8 * 1024 * 1024, '[');
    delete headers['content-length'];
    assert.equal(typeOf(await send(url, { headers, body: large })), 'UnrecognizedClientException');
    const wrong = await sign(t, url, { credentials: { accessKeyId, secretAccessKey: 'wrong' } });
    delete wrong.headers['content-length'];
    assert.equal(typeOf(await send(url, { headers: wrong.headers, body: '{' })), 'InvalidSignatureException');
  });

  it('may be a page of any host: what it cannot do is sign', async t => {
    const { url } = await openChecking(t);
    const request = await sign(t, url);
    const answer = await send(url, { ...request, headers: { ...request.headers, origin: 'https://console.example' } });
    assert.deepEqual([answer.status, answer.headers['access-control-allow-origin']], [200, '*']);
  });
});

describe('a signature in the query', () => {
  async function presign(t: TestContext, url: string, expiresIn: number): Promise<string> {
    const { hostname, port } = new URL(url);
    const signer = (await sdk(t, url).config.signer()) as unknown as Presigner; // a cast: it is SignatureV4
    const body = '{}';
    const presigned = await signer.presign(
      {
        method: 'POST',
        protocol: 'http:',
        hostname,
        port: Number(port),
        path: '/',
        headers: { host: `${hostname}:${port}`, 'content-type': 'application/x-amz-json-1.0' },
        query: { extra: "a b+c!'()*", 'extra-2': '', e: ['2', '1'] },
        body,
      },
      { expiresIn },
    );
    const pairs = Object.entries(presigned.query).flatMap(([name, value]) =>
      [value].flat().map(each => `${encodeURIComponent(name)}=${encodeURIComponent(each)}`),
    );
    return `/?${pairs.join('&')}`;
  }
  const headers = { 'x-amz-target': 'DynamoDB_20120810.ListTables', 'content-type': 'application/x-amz-json-1.0' };

  it('is as good as one in the header, until it expires', async t => {
    const clock = new VirtualClock(Date.now());
    const { url } = await openChecking(t, { clock });
    const path = await presign(t, url, 3_600);
    assert.equal((await send(url, { path, headers, body: '{}' })).status, 200);
    assert.equal(typeOf(await send(url, { path: `${path}&more=1`, headers, body: '{}' })), 'InvalidSignatureException');
    assert.equal(typeOf(await send(url, { path, headers, body: '{ }' })), 'InvalidSignatureException');
    await clock.advance(3_602_000);
    const late = await send(url, { path, headers, body: '{}' });
    assert.equal(typeOf(late), 'InvalidSignatureException');
    assert.match(late.json.message, /^Signature expired: /);
  });

  it('is not valid for longer than a week', async t => {
    const { url } = await openChecking(t);
    const path = (await presign(t, url, 604_800)).replace('X-Amz-Expires=604800', 'X-Amz-Expires=604801');
    assert.equal(typeOf(await send(url, { path, headers, body: '{}' })), 'IncompleteSignatureException');
  });
});
