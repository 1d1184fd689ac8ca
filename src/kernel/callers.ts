/**
 * On whose behalf a call is made. A port's methods have no room for it, so it travels beside them, with the asynchronous
 * context: a function's invocation says who it is, an access pattern adds its name.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { CallCounter } from './call-counter.ts';
import type { Cause } from './causes.ts';

export interface Caller {
  readonly functionName?: string;
  readonly accessPattern?: string;
  /** Counts the calls of one invocation, and what they use. */
  readonly calls?: CallCounter;
  /** What is called now is part of a call that was counted as a whole, e.g. the shards of a list. */
  readonly isCounted?: boolean;
  /** The id of the invocation. */
  readonly requestId?: string;
  /** The thing whose event it is about, if it is about one. */
  readonly thingName?: string;
  /** The record, change or request it is about. */
  readonly eventId?: string;
  /** Of what is made now: it includes the invocation itself. */
  readonly cause?: Cause;
}

const storage = new AsyncLocalStorage<Caller>();

/** Runs `work` for `caller`; what the enclosing caller said stays unless said anew. */
export function asCaller<Result>(caller: Caller, work: () => Result): Result {
  const enclosing = storage.getStore();
  return storage.run(enclosing === undefined ? caller : { ...enclosing, ...caller }, work);
}

export function currentCaller(): Caller | undefined {
  return storage.getStore();
}
