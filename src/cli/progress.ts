/** How far a long work is: a bar on a terminal, lines for a program, nothing into a file. */
export interface Progress {
  show(facts: ProgressFacts): void;
  /** Ends the bar's line. */
  end(): void;
}

export interface ProgressFacts {
  readonly step: string;
  readonly items: number;
  readonly itemsExpected: number;
  readonly bytes?: number;
}

const barCharacters = 24;
const barEveryMs = 100; // ours: often enough to be seen moving
const lineEveryMs = 1_000; // ours

export function progressFor({ json }: { readonly json: boolean }): Progress {
  if (json) return everyMs(lineEveryMs, facts => console.log(JSON.stringify({ event: 'progress', ...facts })));
  if (!process.stderr.isTTY) return { show: () => {}, end: () => {} };
  const startedAtMs = performance.now();
  const progress = everyMs(barEveryMs, facts => {
    process.stderr.write(`\r${barOf(facts, performance.now() - startedAtMs)}\x1b[K`);
  });
  return {
    show: progress.show,
    end: () => {
      progress.end();
      process.stderr.write('\n');
    },
  };
}

/** The last facts are always shown. */
function everyMs(ms: number, print: (facts: ProgressFacts) => void): Progress {
  let shownAtMs = Number.NEGATIVE_INFINITY;
  let waiting: ProgressFacts | undefined;
  return {
    show: facts => {
      waiting = facts;
      if (performance.now() - shownAtMs < ms) return;
      shownAtMs = performance.now();
      waiting = undefined;
      print(facts);
    },
    end: () => {
      if (waiting !== undefined) print(waiting);
    },
  };
}

export function barOf({ step, items, itemsExpected, bytes }: ProgressFacts, elapsedMs: number): string {
  const part = itemsExpected === 0 ? 1 : Math.min(1, items / itemsExpected);
  const full = Math.floor(part * barCharacters);
  const bar = `${'█'.repeat(full)}${'░'.repeat(barCharacters - full)}`;
  const perSecond = elapsedMs < 1_000 ? '' : ` · ${whole((items * 1_000) / elapsedMs)}/s`;
  const megabytes = bytes === undefined ? '' : ` · ${(bytes / 1e6).toFixed(1)} MB`;
  return `${step} ${bar} ${Math.floor(part * 100)}% · ${whole(items)} of ${whole(itemsExpected)} items${megabytes}${perSecond}`;
}

export function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** The first signal ends a work where it can be taken up again, the second ends the process. */
export function abortOnSignal(): AbortSignal {
  const stop = new AbortController();
  const onSignal = () => {
    if (stop.signal.aborted) process.exit(130);
    stop.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return stop.signal;
}
