/** What can go wrong between an app and its table. */
import { currentCaller } from '../../kernel/callers.ts';
import { type Clock, delay } from '../../kernel/clock.ts';
import type { Random } from '../../kernel/random.ts';
import { storeFull } from '../../kernel/store-errors.ts';
import { type Table, TableError, ThrottledError } from '../../platform/table/index.ts';
import { type Duration, durationMs } from '../world/durations.ts';
import { type Fault, type FaultOptions, FaultRules } from './fault.ts';

export type TableOperation = Exclude<keyof Table, 'close'>;

/** Which calls are met. Default: those of functions and routes, not what the runtime keeps for itself. */
export interface TableFaultOptions extends FaultOptions {
  readonly operation?: TableOperation;
  /** Of a function or route, by its name. */
  readonly functionName?: string;
  /** As `mimamori capacity` names it, e.g. `Speaker.create`; `$checkpoint` is where a consumer has got to. */
  readonly accessPattern?: string;
}

interface TableCall {
  readonly operation: string;
  readonly functionName: string | undefined;
  readonly accessPattern: string | undefined;
  /** Made by a handler, not by the runtime around it. */
  readonly isInvocations: boolean;
}

type TableFault =
  | { readonly kind: 'refuse'; readonly error: () => Error }
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'loseAnswer' };

/** Calls that change nothing. */
const readOperations: ReadonlySet<string> = new Set(['get', 'query', 'scan', 'batchGet', 'transactGet']);

export function isWrite(operation: string): boolean {
  return !readOperations.has(operation);
}

export class TableFaults {
  readonly #clock: Clock;
  readonly #rules: FaultRules<TableCall, TableFault>;

  constructor({ clock, random }: { clock: Clock; random: Random }) {
    this.#clock = clock;
    this.#rules = new FaultRules(random);
  }

  /** Refused as DynamoDB refuses what comes too fast; entities and the SDK wait and try again. */
  throttle(options: TableFaultOptions = {}): Fault {
    return this.fail(new ThrottledError([], 'the table'), options);
  }

  /** Refused with this error; nothing of the call is done. Default: an `InternalServerError`. */
  fail(error: Error = internalError(), options: TableFaultOptions = {}): Fault {
    return this.#add({ kind: 'refuse', error: () => error }, options);
  }

  /** Done, but so much later. */
  delay(duration: Duration, options: TableFaultOptions = {}): Fault {
    return this.#add({ kind: 'delay', ms: durationMs(duration) }, options);
  }

  /** Done, but whoever asked is told that it failed. */
  loseAnswer(options: TableFaultOptions = {}): Fault {
    return this.#add({ kind: 'loseAnswer' }, options);
  }

  /** The disk is full: every write is refused, whoever makes it. For `faults.disk`. */
  refuseWrites(): Fault {
    return this.#rules.add({ kind: 'refuse', error: () => storeFull(undefined) }, ({ operation }) =>
      isWrite(operation),
    );
  }

  async apply<T>(operation: string, call: () => Promise<T>): Promise<T> {
    const { functionName, accessPattern, requestId } = currentCaller() ?? {};
    const isInvocations = requestId !== undefined;
    const fault = this.#rules.take({ operation, functionName, accessPattern, isInvocations });
    if (fault?.kind === 'refuse') throw fault.error();
    if (fault?.kind === 'delay') await delay(this.#clock, fault.ms);
    const answer = await call();
    if (fault?.kind === 'loseAnswer') throw internalError();
    return answer;
  }

  stopAll(): void {
    this.#rules.stopAll();
  }

  #add(fault: TableFault, { operation, functionName, accessPattern, ...how }: TableFaultOptions): Fault {
    const meets = (call: TableCall) => {
      if (!call.isInvocations && accessPattern === undefined) return false;
      return (
        (operation === undefined || call.operation === operation) &&
        (functionName === undefined || call.functionName === functionName) &&
        (accessPattern === undefined || call.accessPattern === accessPattern)
      );
    };
    return this.#rules.add(fault, meets, how);
  }
}

function internalError(): TableError {
  return new TableError({
    name: 'InternalServerError',
    code: 'testing.fault',
    message: 'The test has asked for this failure.',
    fix: 'Expect it, or stop the fault.',
    retryable: true,
  });
}
