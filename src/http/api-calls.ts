/** Requests to the app's API, with their answers, for whoever records them. Without anybody they are not looked at. */
import type { Context } from 'hono';
import { problemOf } from './problems.ts';

export interface ApiCall {
  /** When it was answered, Unix epoch milliseconds. */
  readonly atMs: number;
  readonly user: string;
  readonly method: string;
  /** With its query. */
  readonly path: string;
  /** As JSON; absent: none, or not JSON. */
  readonly body?: unknown;
  readonly status: number;
  readonly answer?: unknown;
}

const callsKept = 10_000; // ours: of one recorder that is slow; further ones are left out, and counted

/** What one recorder has not taken yet. */
export class FollowedCalls {
  #calls: ApiCall[] = [];
  #leftOut = 0;

  add(call: ApiCall): void {
    if (this.#calls.length < callsKept) this.#calls.push(call);
    else this.#leftOut++;
  }

  take(): { calls: ApiCall[]; leftOut: number } {
    const taken = { calls: this.#calls, leftOut: this.#leftOut };
    this.#calls = [];
    this.#leftOut = 0;
    return taken;
  }
}

export class ApiCalls {
  readonly #followers = new Set<FollowedCalls>();

  /** From now on; to be given back with `unfollow`. */
  follow(): FollowedCalls {
    const followed = new FollowedCalls();
    this.#followers.add(followed);
    return followed;
  }

  unfollow(followed: FollowedCalls): void {
    this.#followers.delete(followed);
  }

  /** Answers as `answer` does, and notes it if anybody wants to know. */
  async noting(
    c: Context,
    { answer, userOf, nowMs }: { answer: () => Promise<Response>; userOf: () => Promise<string>; nowMs: () => number },
  ): Promise<Response> {
    if (this.#followers.size === 0) return answer();
    const { pathname, search } = new URL(c.req.url);
    const facts = { user: await userOf(), method: c.req.method, path: pathname + search };
    const body = jsonOf(await c.req.text());
    const note = (status: number, text: string) => {
      const call: ApiCall = {
        atMs: nowMs(),
        ...facts,
        ...withValue('body', body),
        status,
        ...withValue('answer', jsonOf(text)),
      };
      for (const followed of this.#followers) followed.add(call);
    };
    try {
      const response = await answer();
      note(response.status, await response.clone().text());
      return response;
    } catch (error) {
      const problem = problemOf(error);
      note(problem.status, JSON.stringify(problem));
      throw error;
    }
  }
}

function withValue<Name extends string>(name: Name, value: unknown): { readonly [Each in Name]?: unknown } {
  return value === undefined ? {} : ({ [name]: value } as { [Each in Name]: unknown }); // One property, so named.
}

function jsonOf(text: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
