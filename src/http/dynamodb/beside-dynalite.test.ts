import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import dynalite from 'dynalite';
import { openTestEndpoint, type RawAnswer, send } from './test-endpoint.ts';

const authorizations: Record<string, string>[] = [
  {},
  { authorization: 'AWS4-' },
  { authorization: 'AWS4-HMAC-SHA256 Credential=a' },
  { authorization: 'AWS4-HMAC-SHA256 Credential=a, Signature=b' },
  { authorization: 'AWS4-HMAC-SHA256 Credential=a,Signature=b,SignedHeaders=c' },
  { authorization: 'AWS4-HMAC-SHA256 Credential=a,Signature=b,SignedHeaders=c', 'x-amz-date': 'x' },
  { authorization: 'AWS4-X Credential=a=b,  Signature=b, SignedHeaders=', date: 'x' },
  { authorization: 'AWS4-HMAC-SHA256 Credential, Signature=b,    Credential,    SignedHeaders' },
  { origin: 'whatever' },
];
const targets = [undefined, 'DynamoDB_20120810.ListTables', 'DynamoDB_20120810.ListTable', 'DynamoDB_20120810'];
const types = [undefined, 'application/json', 'application/x-amz-json-1.0; charset=utf-8', 'text/plain'];
const bodies = ['', '{}', 'hi'];
const paths = [
  '/',
  '/?X-Amz-Algorithm',
  '/?X-Amz-Algorithm=a&X-Amz-Credential=b',
  '/?X-Amz-Algorithm=a&X-Amz-Credential=b&X-Amz-Signature=c&X-Amz-SignedHeaders=d&X-Amz-Date=e',
];

/** An independent implementation, whose authors took its answers from the service. */
describe('the protocol beside dynalite', () => {
  it('gives the same answer to each mixture of what can be wrong', async t => {
    const other = dynalite({ createTableMs: 0 });
    other.listen(0, '127.0.0.1');
    await once(other, 'listening');
    t.after(() => other.close());
    const { url } = await openTestEndpoint(t, { ListTables: () => ({ TableNames: [] }) });
    const address = other.address();
    assert(typeof address === 'object' && address);
    const otherUrl = `http://127.0.0.1:${address.port}`;
    const names = ['content-type', 'content-length', 'x-amz-crc32', 'access-control-allow-origin'];
    const seen = ({ status, text, headers }: RawAnswer) => [status, text, ...names.map(name => headers[name])];
    let compared = 0;
    const compare = async (request: Parameters<typeof send>[1]) => {
      const [ours, theirs] = await Promise.all([send(url, request), send(otherUrl, request)]);
      assert.deepEqual(seen(ours), seen(theirs), JSON.stringify(request));
      compared++;
    };
    for (const authorization of authorizations) {
      for (const target of targets) {
        for (const type of types) {
          const headers = {
            ...authorization,
            ...(target !== undefined && { 'x-amz-target': target }),
            ...(type !== undefined && { 'content-type': type }),
          };
          await Promise.all(bodies.flatMap(body => paths.map(path => compare({ path, headers, body }))));
        }
      }
    }
    for (const method of ['GET', 'PUT', 'DELETE', 'OPTIONS', 'HEAD']) {
      for (const headers of [{}, { origin: 'whatever' }]) await compare({ method, headers });
    }
    assert.equal(compared, authorizations.length * targets.length * types.length * bodies.length * paths.length + 10);
  });
});
