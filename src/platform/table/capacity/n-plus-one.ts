/**
 * Finds the N+1 query: a list is read with one call, then each of its elements with a call of its own. Counted per
 * invocation, by what is called and where; the stack is looked at once per finding, so counting costs next to nothing.
 */
import { fileURLToPath } from 'node:url';

export const nPlusOneLimits = {
  callsMax: 10, // ours: so many equal calls in one invocation are one list read piece by piece
  kindsMax: 100, // ours: different calls followed in one invocation; further ones are not counted
} as const;

export interface RepeatedCall {
  readonly functionName: string;
  /** The SDK's name of the call, e.g. `get`. */
  readonly operation: string;
  readonly tableName: string;
  readonly accessPattern?: string;
  calls: number;
  /** `file:line` of the code that calls, outside of this package; absent when none is on the stack. */
  readonly line?: string;
}

interface Counted {
  calls: number;
  finding?: RepeatedCall;
}

/** For one invocation of one function. */
export class CallCounter {
  readonly #functionName: string;
  readonly #counted = new Map<string, Counted>();

  constructor(functionName: string) {
    this.#functionName = functionName;
  }

  /** For every call that reads or writes a single item or page, and could have been part of one for many. */
  count(operation: string, tableName: string, accessPattern: string | undefined): void {
    const key = `${operation} ${tableName} ${accessPattern ?? ''}`;
    let counted = this.#counted.get(key);
    if (counted === undefined) {
      if (this.#counted.size >= nPlusOneLimits.kindsMax) return;
      counted = { calls: 0 };
      this.#counted.set(key, counted);
    }
    counted.calls++;
    if (counted.finding !== undefined) counted.finding.calls = counted.calls;
    else if (counted.calls === nPlusOneLimits.callsMax)
      counted.finding = this.#find(operation, tableName, accessPattern);
  }

  /** To be asked when the invocation has ended. */
  findings(): readonly RepeatedCall[] {
    return [...this.#counted.values()].flatMap(({ finding }) => finding ?? []);
  }

  #find(operation: string, tableName: string, accessPattern: string | undefined): RepeatedCall {
    const calls = nPlusOneLimits.callsMax;
    return { functionName: this.#functionName, operation, tableName, accessPattern, calls, line: callingLine() };
  }
}

const packageRoot = fileURLToPath(new URL('../../../', import.meta.url));

/** The nearest line on the stack that is neither ours, nor a dependency's, nor the runtime's. */
function callingLine(): string | undefined {
  const before = Error.stackTraceLimit;
  Error.stackTraceLimit = 50;
  const stack = new Error('where').stack ?? '';
  Error.stackTraceLimit = before;
  for (const line of stack.split('\n').slice(1)) {
    const place = /(?:\(|at (?:async )?)((?:file:\/\/)?\/[^()]+:\d+):\d+\)?$/.exec(line)?.[1];
    if (place === undefined) continue;
    const path = place.startsWith('file://') ? fileURLToPath(place) : place;
    if (!path.startsWith(packageRoot) && !path.includes('/node_modules/')) return path;
  }
  return undefined;
}
