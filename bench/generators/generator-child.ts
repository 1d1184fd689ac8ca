// What every load generator does as a child process: take requests, answer each once, and give up aloud.

export type GeneratorAnswer<Result> = { kind: 'done'; result: Result } | { kind: 'failed'; message: string };

const patiencePollMs = 1_000;
const patiencePolls = 30; // half a minute

/** Answers every message of the parent with what `handle` makes of it. Ends with the parent. */
export function serveParent<Request, Result>(handle: (request: Request) => Promise<Result>): void {
  process.on('uncaughtException', error => fail(error.message));
  process.on('unhandledRejection', reason => fail(reason instanceof Error ? reason.message : String(reason)));
  process.on('disconnect', () => process.exit()); // the parent is gone or has no more use for us
  process.on('message', async (request: Request) => {
    process.send?.({ kind: 'done', result: await handle(request) } satisfies GeneratorAnswer<Result>);
  });
}

/** Ends the generator; to be called where an exception would not reach the parent soon enough. */
export function giveUp(message: string): never {
  fail(message);
  throw new Error(message);
}

function fail(message: string): void {
  process.send?.({ kind: 'failed', message } satisfies GeneratorAnswer<never>, () => process.exit(1));
}

/** Waits for `work` as long as `progressOf` changes now and then; calls `onStall` when it has not for half a minute. */
export async function withPatience<T>(work: Promise<T>, progressOf: () => number, onStall: () => void): Promise<T> {
  let progress = progressOf();
  let pollsWithout = 0;
  const timer = setInterval(() => {
    const now = progressOf();
    pollsWithout = now === progress ? pollsWithout + 1 : 0;
    progress = now;
    if (pollsWithout === patiencePolls) onStall();
  }, patiencePollMs);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}

/** `work` on every item, on at most `atOnceMax` of them at a time, in order of their beginning. */
export async function forEachAtOnce<Item>(
  items: readonly Item[],
  atOnceMax: number,
  work: (item: Item, index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const takeTurns = async () => {
    while (next < items.length) {
      const index = next++;
      await work(items[index], index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnceMax, items.length) }, takeTurns));
}
