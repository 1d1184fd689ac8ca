/**
 * What only the operator may see. Whoever can read the data directory's key can make these tokens, and nobody else: they
 * are signed with a key of their own, so no token of a user is one, whatever name or application it is made for.
 */
import type { Hono } from 'hono';
import { jwtVerify, SignJWT } from 'jose';
import { type CapacityReport, derivedKey } from '../app/index.ts';
import type { Clock } from '../kernel/clock.ts';
import { httpLimits } from './limits.ts';
import { capacityOff, notOperator } from './problems.ts';

export const capacityPath = '/operator/capacity';

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

export interface OperatorOptions {
  readonly tokens: OperatorTokens;
  /** Undefined: nothing is accounted for. */
  readonly capacity: ((hotPartitions: number | undefined) => CapacityReport) | undefined;
}

export function addOperatorRoutes(api: Hono, { tokens, capacity }: OperatorOptions): void {
  api.get(capacityPath, async c => {
    const header = c.req.header('Authorization') ?? '';
    const isOperator = header.startsWith('Bearer ') && (await tokens.check(header.slice('Bearer '.length)));
    if (!isOperator) throw notOperator();
    if (capacity === undefined) throw capacityOff();
    const top = Number(c.req.query('top') ?? Number.NaN);
    c.header('Cache-Control', 'no-store');
    return c.json(capacity(Number.isInteger(top) ? top : undefined));
  });
}
