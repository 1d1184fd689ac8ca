/** An object whose calls, and those of the objects that hang on it, go through one function that is told their names. */

/** Is given the name of the call, e.g. `entities.Speaker.list.byOwner`, and makes it, or does not. */
export type CallWatcher = (name: string, call: () => unknown) => unknown;

export function watchedCalls<Target extends object>(target: Target, name: string, watch: CallWatcher): Target {
  return watched(target, undefined, name, watch) as Target; // The proxy answers for everything the target has.
}

function watched(target: object, owner: object | undefined, name: string, watch: CallWatcher): object {
  return new Proxy(target, {
    get(_, property) {
      const value: unknown = Reflect.get(target, property);
      const isWatched = typeof property === 'string' && (typeof value === 'function' || isPlain(value));
      return isWatched ? watched(value as object, target, `${name}.${property}`, watch) : value; // As was just asked.
    },
    apply(_, __, args) {
      const call = () => Reflect.apply(target as () => unknown, owner, args); // Only functions are applied.
      const result = watch(name, call);
      return isIterator(result) ? watchedIterator(result, name, watch) : result;
    },
  });
}

function isPlain(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !(value instanceof Promise);
}

function isIterator(value: unknown): value is AsyncGenerator<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value && !(value instanceof Promise);
}

function watchedIterator(
  inner: AsyncGenerator<unknown>,
  name: string,
  watch: CallWatcher,
): AsyncIterableIterator<unknown> {
  return {
    next: () => watch(name, () => inner.next()) as Promise<IteratorResult<unknown>>, // What a watcher gives is what was asked.
    return: value => inner.return(value),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
