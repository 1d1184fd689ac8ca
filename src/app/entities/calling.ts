/**
 * What the calls of a repository are made for, e.g. `Message.bySpeaker`, for whoever accounts for them. A list is one
 * call, whatever its shards and relations take; the pages that follow the first belong to it. Writes are not counted as
 * repeated: each is a transaction of its own, and nothing could be called instead.
 */
import { asCaller, currentCaller } from '../../kernel/callers.ts';

/** Of the methods of a repository: what the ledger calls them. */
const callNames = {
  create: 'create',
  find: 'get',
  get: 'get',
  findVersioned: 'get',
  getVersioned: 'get',
  getMany: 'getMany',
  update: 'update',
  delete: 'delete',
  readVersion: 'history',
  listHistory: 'history',
  restore: 'restore',
} as const;

type Method = keyof typeof callNames;
type Repository = Record<Method, (...args: never[]) => Promise<unknown>>;

/** The methods of `repository`, each run as what it is. */
export function asCalls(entity: string, repository: Repository): Repository {
  const methods = Object.entries(callNames).map(([method, call]) => {
    const run = calling(`${entity}.${call}`, call === 'get' ? 'entities.get' : undefined);
    // The casts: entries forget the names, and arguments go on as they came.
    return [method, (...args: unknown[]) => run(() => repository[method as Method](...(args as never[])))] as const;
  });
  return Object.fromEntries(methods) as unknown as Repository; // a cast: all of its methods, by their names
}

type CountedAs = 'entities.get' | 'entities.list' | 'entities.aggregate';

/** @param countedAs  what a list read piece by piece would repeat */
export function calling(accessPattern: string, countedAs?: CountedAs): <Result>(work: () => Result) => Result {
  const caller = { accessPattern, isCounted: true };
  return work => {
    const enclosing = currentCaller();
    if (countedAs !== undefined && enclosing?.isCounted !== true) enclosing?.calls?.count(countedAs, accessPattern);
    return asCaller(caller, work);
  };
}
