/** What the invocations of each function have used since the start, and which of them read a list piece by piece. */
import type { CallCounter, InvocationUse, RepeatedCall } from '../../kernel/call-counter.ts';
import type { Log } from '../../kernel/log.ts';

export const invocationLimits = {
  functionsMax: 1_000, // ours: an app's functions and routes; further ones are not followed
  findingsMax: 200, // ours: further ones are counted, not listed
} as const;

/** Sums over all invocations of a function. */
export interface FunctionUse extends InvocationUse {
  readonly functionName: string;
  readonly invocations: number;
}

/** The same call from the same line again and again; told once. */
export interface NPlusOneFinding extends Omit<RepeatedCall, 'calls'> {
  /** In how many invocations. */
  readonly invocations: number;
  /** In the worst of them. */
  readonly callsMax: number;
  /** What to do instead. */
  readonly fix: string;
}

interface Sums {
  invocations: number;
  calls: number;
  readUnits: number;
  writeUnits: number;
}

export interface InvocationsOptions {
  readonly log: Log;
  /** Writes a line for every invocation. */
  readonly traces?: boolean;
  /** A list was read piece by piece, in one more invocation. */
  readonly onRepeated?: () => void;
}

export class Invocations {
  readonly #options: InvocationsOptions;
  readonly #functions = new Map<string, Sums>();
  readonly #findings = new Map<string, NPlusOneFinding>();

  constructor(options: InvocationsOptions) {
    this.#options = options;
  }

  /** An invocation has ended. */
  note(calls: CallCounter): void {
    const { functionName, use } = calls;
    this.#add(functionName, use);
    if (this.#options.traces) this.#options.log.info({ functionName, ...use }, 'An invocation has ended.');
    for (const finding of calls.findings()) this.#find(finding);
  }

  /** The function that used most first. */
  functions(): FunctionUse[] {
    const all = [...this.#functions].map(([functionName, sums]) => ({ functionName, ...sums }));
    return all.sort((left, right) => right.readUnits + right.writeUnits - left.readUnits - left.writeUnits);
  }

  /** The worst first. */
  findings(): NPlusOneFinding[] {
    return [...this.#findings.values()].sort((left, right) => right.callsMax - left.callsMax);
  }

  #add(functionName: string, { calls, readUnits, writeUnits }: InvocationUse): void {
    let sums = this.#functions.get(functionName);
    if (sums === undefined) {
      if (this.#functions.size >= invocationLimits.functionsMax) return;
      sums = { invocations: 0, calls: 0, readUnits: 0, writeUnits: 0 };
      this.#functions.set(functionName, sums);
    }
    sums.invocations++;
    sums.calls += calls;
    sums.readUnits += readUnits;
    sums.writeUnits += writeUnits;
  }

  #find({ calls, ...call }: RepeatedCall): void {
    this.#options.onRepeated?.();
    const { functionName, operation, target, line } = call;
    const key = JSON.stringify([functionName, operation, target, line]);
    const known = this.#findings.get(key);
    if (known !== undefined) {
      const callsMax = Math.max(known.callsMax, calls);
      this.#findings.set(key, { ...known, invocations: known.invocations + 1, callsMax });
      return;
    }
    if (this.#findings.size >= invocationLimits.findingsMax) return;
    const fix = fixOf(operation);
    this.#findings.set(key, { ...call, invocations: 1, callsMax: calls, fix });
    this.#options.log.warn(
      { functionName, calls, operation, target, line, fix },
      'The same call was made again and again in one invocation (N+1).',
    );
  }
}

const fixes: Readonly<Record<string, string>> = {
  'entities.get':
    'Read them together: getMany(ids), or bring them along with the list that names them: `related` and `with:`.',
  'entities.list':
    'Declare a relation with `latest: 1` and bring it along: list(…, { with: […] }); or one pattern that answers for all.',
  'entities.aggregate': 'Keep an aggregate over all of them, or a list that brings along what is needed of each.',
  get: 'Read them together: table.batchGet takes 100 keys.',
  query: 'Put what is asked for together under one partition key, so that one query answers.',
  put: 'Write them together: table.batchWrite takes 25, and table.transactWrite 100 with conditions.',
  delete: 'Write them together: table.batchWrite takes 25, and table.transactWrite 100 with conditions.',
  update: 'Write them together: table.transactWrite takes 100.',
};

function fixOf(operation: string): string {
  return fixes[operation] ?? 'Make one call about many of them.';
}
