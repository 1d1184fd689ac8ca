/**
 * What one invocation calls and uses. Finds the N+1 query: a list is read with one call, then each of its elements with a
 * call of its own. The stack is looked at once per finding, so counting costs next to nothing.
 */
import { fileURLToPath } from 'node:url';

export const callCounterLimits = {
  equalCallsMax: 10, // ours: so many equal calls in one invocation are one list read piece by piece
  kindsMax: 100, // ours: different calls followed in one invocation; further ones are not counted
  effectsMax: 16, // ours: effects of one invocation that are remembered one by one; further ones are counted
  stackFramesMax: 50, // ours: how deep in our own code a caller is looked for
} as const;

export interface RepeatedCall {
  readonly functionName: string;
  /** The method that is called, e.g. `get` or `list`. */
  readonly operation: string;
  /** Of the table, or of the entity. */
  readonly target: string;
  readonly calls: number;
  /** `file:line` of the code that calls, outside of this package; absent when none is on the stack. */
  readonly line?: string;
}

/** What an invocation has used so far. */
export interface InvocationUse {
  /** Every call to a table, whatever it was part of. */
  readonly calls: number;
  readonly readUnits: number;
  readonly writeUnits: number;
}

/** What an invocation has made that others see. */
export type EffectKind = 'write' | 'command' | 'publish';

export interface InvocationEffects {
  /** How many of each kind. */
  readonly counts: Readonly<Partial<Record<EffectKind, number>>>;
  /** The first ones. Of a write the request, of the others a name. */
  readonly first: readonly { readonly kind: EffectKind; readonly of: unknown }[];
}

interface Counted {
  readonly operation: string;
  readonly target: string;
  calls: number;
  line?: string;
}

/** For one invocation of one function. */
export class CallCounter {
  readonly functionName: string;
  readonly #counted = new Map<string, Counted>();
  readonly #use = { calls: 0, readUnits: 0, writeUnits: 0 };
  #effects: { counts: Partial<Record<EffectKind, number>>; first: { kind: EffectKind; of: unknown }[] } | undefined;

  constructor(functionName: string) {
    this.functionName = functionName;
  }

  get use(): InvocationUse {
    return this.#use;
  }

  /** Undefined: it has made nothing. */
  get effects(): InvocationEffects | undefined {
    return this.#effects;
  }

  noteEffect(kind: EffectKind, of: unknown): void {
    this.#effects ??= { counts: {}, first: [] };
    const { counts, first } = this.#effects;
    counts[kind] = (counts[kind] ?? 0) + 1;
    if (first.length < callCounterLimits.effectsMax) first.push({ kind, of });
  }

  noteCall(): void {
    this.#use.calls++;
  }

  noteUnits(kind: 'read' | 'write', units: number): void {
    if (kind === 'read') this.#use.readUnits += units;
    else this.#use.writeUnits += units;
  }

  /** For every call about a single item or list, which could have been part of one about many. */
  count(operation: string, target: string): void {
    const key = `${operation} ${target}`;
    let counted = this.#counted.get(key);
    if (counted === undefined) {
      if (this.#counted.size >= callCounterLimits.kindsMax) return;
      counted = { operation, target, calls: 0 };
      this.#counted.set(key, counted);
    }
    counted.calls++;
    if (counted.calls === callCounterLimits.equalCallsMax) counted.line = callingLine();
  }

  /** To be asked when the invocation has ended. */
  findings(): RepeatedCall[] {
    const repeated = [...this.#counted.values()].filter(({ calls }) => calls >= callCounterLimits.equalCallsMax);
    return repeated.map(counted => ({ functionName: this.functionName, ...counted }));
  }
}

const packageRoot = fileURLToPath(new URL('../', import.meta.url));

function callingLine(): string | undefined {
  const before = Error.stackTraceLimit;
  Error.stackTraceLimit = callCounterLimits.stackFramesMax;
  const stack = new Error('where').stack ?? '';
  Error.stackTraceLimit = before;
  return lineOutside(stack);
}

/** The nearest line on a stack that is neither ours, nor a dependency's, nor the runtime's: `file:line`. */
export function lineOutside(stack: string): string | undefined {
  for (const line of stack.split('\n').slice(1)) {
    const place = /(?:\(|at (?:async )?)((?:file:\/\/)?\/[^()]+:\d+):\d+\)?$/.exec(line)?.[1];
    if (place === undefined) continue;
    const path = place.startsWith('file://') ? fileURLToPath(place) : place;
    if (!path.startsWith(packageRoot) && !path.includes('/node_modules/')) return path;
  }
  return undefined;
}
