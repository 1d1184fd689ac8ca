/**
 * What only the operator may see. Whoever can read the data directory's key can make these tokens, and nobody else: they
 * are signed with a key of their own, so no token of a user is one, whatever name or application it is made for.
 */
import type { Context, Hono } from 'hono';
import { SignJWT } from 'jose/jwt/sign';
import { jwtVerify } from 'jose/jwt/verify';
import type { Clock } from '../../kernel/clock.ts';
import { derivedKey } from '../../kernel/derived-key.ts';
import { httpLimits } from '../limits.ts';
import { notOperator } from '../problems.ts';

const audience = 'mimamori operator';

export class OperatorTokens {
  readonly #key: Uint8Array;
  readonly #clock: Clock;

  /** @param signingKey  that of the data directory */
  constructor(signingKey: Uint8Array, clock: Clock) {
    this.#key = derivedKey(signingKey, audience);
    this.#clock = clock;
  }

  issue(): Promise<string> {
    const nowSeconds = Math.floor(this.#clock.nowMs() / 1_000);
    return new SignJWT({})
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setAudience(audience)
      .setIssuedAt(nowSeconds)
      .setExpirationTime(nowSeconds + httpLimits.operatorTokenSeconds)
      .sign(this.#key);
  }

  async check(token: string): Promise<boolean> {
    if (token.length > httpLimits.tokenBytesMax) return false;
    const currentDate = new Date(this.#clock.nowMs());
    const options = { algorithms: ['HS256'], audience, requiredClaims: ['exp', 'iat'], currentDate };
    return jwtVerify(token, this.#key, options).then(
      () => true,
      () => false, // Whatever is wrong with it, the caller learns only that it is not valid.
    );
  }
}

/** One thing the operator may ask or do. Each part of the backend gives its own. */
export interface OperatorRoute {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** Below `/operator/`, with parameters as Hono writes them: `/operator/dead-letters/:id`. */
  readonly path: string;
  /** The token has been checked. What it throws is answered as a problem. */
  readonly answer: (c: Context) => Response | Promise<Response>;
}

export interface OperatorOptions {
  readonly tokens: OperatorTokens;
  readonly routes: readonly OperatorRoute[];
}

export function addOperatorRoutes(api: Hono, { tokens, routes }: OperatorOptions): void {
  for (const { method, path, answer } of routes) {
    api.on(method, path, async c => {
      const header = c.req.header('Authorization') ?? '';
      const isOperator = header.startsWith('Bearer ') && (await tokens.check(header.slice('Bearer '.length)));
      if (!isOperator) throw notOperator();
      c.header('Cache-Control', 'no-store');
      return answer(c);
    });
  }
}
