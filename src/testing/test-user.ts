/** A person, or a service, who uses the HTTP API of an app under test. */
import type { ApiAnswer } from '../local/one-thread.ts';
import { requestRefused } from './errors.ts';

type Ask = (user: string | undefined, method: string, path: string, body?: unknown) => Promise<ApiAnswer>;

// biome-ignore lint/suspicious/noExplicitAny: a test says what it expects by comparing.
type Body = any;

export class TestUser {
  readonly #user: string | undefined;
  readonly #ask: Ask;

  /** @param user  undefined: somebody without a token */
  constructor(user: string | undefined, ask: Ask) {
    this.#user = user;
    this.#ask = ask;
  }

  /** Any request: its status and body. */
  ask(method: string, path: string, body?: unknown): Promise<ApiAnswer> {
    return this.#ask(this.#user, method, path, body);
  }

  /** The body of the answer. As all below: throws `testing.requestRefused` for a refusal. */
  get(path: string): Promise<Body> {
    return this.#expectSuccess('GET', path, undefined);
  }

  post(path: string, body?: unknown): Promise<Body> {
    return this.#expectSuccess('POST', path, body);
  }

  put(path: string, body?: unknown): Promise<Body> {
    return this.#expectSuccess('PUT', path, body);
  }

  patch(path: string, body?: unknown): Promise<Body> {
    return this.#expectSuccess('PATCH', path, body);
  }

  delete(path: string): Promise<Body> {
    return this.#expectSuccess('DELETE', path, undefined);
  }

  async #expectSuccess(method: string, path: string, body: unknown): Promise<Body> {
    const { status, body: answer } = await this.ask(method, path, body);
    if (status >= 200 && status < 300) return answer;
    const { code, detail, fix } = answer ?? {};
    throw requestRefused(
      `${method} ${path}`,
      status,
      code === undefined ? 'without a reason' : `${code}: ${detail} ${fix}`,
    );
  }
}
