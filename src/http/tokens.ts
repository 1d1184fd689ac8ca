import { SignJWT } from 'jose/jwt/sign';
import { jwtVerify } from 'jose/jwt/verify';
import type { Clock } from '../kernel/clock.ts';
import { type Files, joinPath } from '../kernel/files.ts';
import type { Random } from '../kernel/random.ts';
import { httpLimits } from './limits.ts';

/** Who a token speaks for, and whether it may only look. */
export interface Caller {
  readonly user: string;
  readonly readOnly: boolean;
}

/** What the API needs of whoever issues tokens. */
export interface Tokens {
  issue(caller: Caller, lifetimeSeconds?: number): Promise<string>;
  /** Undefined for anything but a whole, current token. */
  check(token: string): Promise<Caller | undefined>;
}

const issuer = 'mimamori';
const keyBytes = 32;

/** The key of the local issuer; made at first use, readable by its owner only. */
export async function loadSigningKey(files: Files, directory: string, random: Random): Promise<Uint8Array> {
  await files.makeDirectory(directory);
  const file = await files.open(joinPath(directory, 'signing-key'), { create: true });
  try {
    const key = new Uint8Array(keyBytes);
    if ((await file.read(key, 0)) === keyBytes) return key;
    const fresh = random.bytes(keyBytes);
    await file.write(fresh, 0);
    await file.sync();
    await files.syncDirectory(directory);
    return fresh;
  } finally {
    await file.close();
  }
}

/** Issues and checks the bearer tokens of one application: HS256 with the local key, and nothing else. */
export class TokenIssuer implements Tokens {
  readonly #key: Uint8Array;
  readonly #audience: string;
  readonly #clock: Clock;

  constructor(options: { key: Uint8Array; application: string; clock: Clock }) {
    this.#key = options.key;
    this.#audience = options.application;
    this.#clock = options.clock;
  }

  issue({ user, readOnly }: Caller, lifetimeSeconds: number = httpLimits.tokenLifetimeSecondsDefault): Promise<string> {
    const nowSeconds = Math.floor(this.#clock.nowMs() / 1_000);
    return new SignJWT(readOnly ? { scope: 'read' } : {})
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setIssuer(issuer)
      .setAudience(this.#audience)
      .setSubject(user)
      .setIssuedAt(nowSeconds)
      .setExpirationTime(nowSeconds + lifetimeSeconds)
      .sign(this.#key);
  }

  async check(token: string): Promise<Caller | undefined> {
    if (token.length > httpLimits.tokenBytesMax) return undefined;
    try {
      const { payload } = await jwtVerify(token, this.#key, {
        algorithms: ['HS256'],
        issuer,
        audience: this.#audience,
        requiredClaims: ['sub', 'exp', 'iat'],
        currentDate: new Date(this.#clock.nowMs()),
      });
      return payload.sub ? { user: payload.sub, readOnly: payload.scope === 'read' } : undefined;
    } catch {
      return undefined; // Whatever is wrong with it, the caller learns only that it is not valid.
    }
  }
}
