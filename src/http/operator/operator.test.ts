import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Hono } from 'hono';
import { SignJWT } from 'jose';
import type { capacityReport } from '../../app/index.ts';
import { derivedKey } from '../../kernel/derived-key.ts';
import { seededRandom } from '../../kernel/random.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import { httpLimits } from '../limits.ts';
import { problemOf } from '../problems.ts';
import { TokenIssuer } from '../tokens.ts';
import { addOperatorRoutes, capacityPath, capacityRoutes, OperatorTokens } from './index.ts';

const clock = new VirtualClock();
const key = seededRandom(1).bytes(32);
const tokens = new OperatorTokens(key, clock);
const report = { patterns: [] } as unknown as ReturnType<typeof capacityReport>; // Only passed on.

async function ask(token: string | undefined, { isOff = false, query = '' } = {}) {
  const asked: (number | undefined)[] = [];
  const capacity = (top: number | undefined) => {
    asked.push(top);
    return report;
  };
  const api = new Hono();
  api.onError(error => {
    const problem = problemOf(error);
    return new Response(JSON.stringify(problem), { status: problem.status });
  });
  addOperatorRoutes(api, { tokens, routes: capacityRoutes(isOff ? undefined : capacity) });
  const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  const answer = await api.request(`${capacityPath}${query}`, { headers });
  const body = (await answer.json()) as { code?: string };
  return { status: answer.status, code: body.code, asked };
}

describe('what only the operator may see', () => {
  it('is given for a token of the operator, for a minute', async () => {
    const token = await tokens.issue();
    assert.deepEqual(await ask(token, { query: '?top=3' }), { status: 200, code: undefined, asked: [3] });
    assert.deepEqual((await ask(token, { query: '?top=many' })).asked, [undefined]);
    assert.deepEqual((await ask(token, { isOff: true })).code, 'capacity.off');
    await clock.advance(httpLimits.operatorTokenSeconds * 1_000 + 1_000);
    assert.equal((await ask(token)).code, 'api.notOperator');
  });

  it('is given to no user, whatever the name or the application a token is made for', async () => {
    const audience = 'mimamori operator';
    for (const application of ['speaker-app', audience]) {
      const issuer = new TokenIssuer({ key, application, clock });
      for (const user of ['operator', audience]) {
        assert.equal((await ask(await issuer.issue({ user, readOnly: false }))).code, 'api.notOperator');
      }
    }
    const nowSeconds = Math.floor(clock.nowMs() / 1_000);
    const forged = (signingKey: Uint8Array) =>
      new SignJWT({})
        .setProtectedHeader({ alg: 'HS256' })
        .setAudience(audience)
        .setIssuedAt(nowSeconds)
        .setExpirationTime(nowSeconds + 60)
        .sign(signingKey);
    assert.equal((await ask(await forged(derivedKey(key, audience)))).status, 200); // So this is what is signed.
    for (const other of [key, derivedKey(key, 'mimamori cursors'), seededRandom(2).bytes(32)])
      assert.equal((await ask(await forged(other))).code, 'api.notOperator');
    assert.equal((await ask(undefined)).code, 'api.notOperator');
    assert.equal((await ask('x'.repeat(httpLimits.tokenBytesMax + 1))).code, 'api.notOperator');
  });

  it('is no token of a user either', async () => {
    const issuer = new TokenIssuer({ key, application: 'speaker-app', clock });
    assert.equal(await issuer.check(await tokens.issue()), undefined);
  });
});
