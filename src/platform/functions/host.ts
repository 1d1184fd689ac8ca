/**
 * Runs every invocation of an app, whatever it is for: when there is room and budget, with a time limit, measured. Streams
 * and queues wait for their turn, so nothing of theirs is lost; callers who wait for an answer are refused at once.
 */
import { type Alarms, noAlarms } from '../../kernel/alarms.ts';
import type { CallCounter } from '../../kernel/call-counter.ts';
import { fromOutside } from '../../kernel/causes.ts';
import type { Clock, Timer } from '../../kernel/clock.ts';
import type { ThreadUsage } from '../../kernel/usage.ts';
import { Breaker, type BreakerStop } from './breaker.ts';
import { Allowance } from './budget.ts';
import { ConcurrencyPool, isolatedRoom } from './concurrency.ts';
import { functionNotFound, functionStopping, functionThrottled } from './errors.ts';
import { type FunctionReport, HostedFunction } from './hosted-function.ts';
import { invoke, type RunningInvocation } from './invoke.ts';
import { functionLimits } from './limits.ts';
import type {
  FunctionSettings,
  Invocation,
  InvocationCall,
  InvocationMeasures,
  InvocationReport,
  IsolatedWorker,
  Isolation,
  Trigger,
} from './port.ts';

export interface FunctionHostOptions {
  readonly clock: Clock;
  readonly newId: () => string;
  /** By the name of the function. Others, such as routes, have none. */
  readonly settings?: Readonly<Record<string, FunctionSettings>>;
  /** Default: nobody is told. */
  readonly alarms?: Alarms;
  /** Invocations at once, of all functions that are not isolated. Default 1,000, Lambda's. */
  readonly concurrencyMax?: number;
  /** Invocations at once, of all isolated functions, if they do not reserve more: each has a thread. Default 4. */
  readonly isolatedConcurrencyMax?: number;
  /** Without it isolated functions run as the others do. */
  readonly isolation?: Isolation;
  /** Without it no processor time is told of functions that are not isolated. */
  readonly usage?: ThreadUsage;
  readonly onEnd?: (calls: CallCounter, report: InvocationReport) => void;
  /** An invocation was refused, or could not be begun. */
  readonly onNotRun?: (report: InvocationReport) => void;
  /** A function has been stopped until it is reset, or has been reset. */
  readonly onStopped?: (functionName: string, stop: BreakerStop | undefined) => void;
}

/** Who calls these waits for the answer and is better told at once that there will be none, or keeps it to call again. */
const refusedAtOnce: ReadonlySet<Trigger> = new Set<Trigger>(['route', 'direct', 'commandResult']);

export class FunctionHost {
  readonly #options: FunctionHostOptions;
  readonly #alarms: Alarms;
  readonly #pool: ConcurrencyPool;
  readonly #isolatedPool: ConcurrencyPool;
  readonly #functions = new Map<string, HostedFunction>();
  readonly #running = new Set<RunningInvocation>();
  /** By request. */
  readonly #workers = new Map<string, IsolatedWorker>();
  #begun = 0;
  #eventsFromOutside = 0;
  #isStopping = false;
  #grace: Timer | undefined;

  /** Throws `function.concurrencyNotValid`. */
  constructor(options: FunctionHostOptions) {
    const { concurrencyMax = functionLimits.concurrencyMaxDefault, settings = {} } = options;
    const { isolatedConcurrencyMax = functionLimits.isolatedConcurrencyMaxDefault } = options;
    this.#options = options;
    this.#alarms = options.alarms ?? noAlarms;
    this.#pool = new ConcurrencyPool(concurrencyMax);
    this.#isolatedPool = new ConcurrencyPool(isolatedRoom(Object.values(settings), isolatedConcurrencyMax), 0);
    for (const [functionName, declared] of Object.entries(settings)) this.#add(functionName, declared);
  }

  /**
   * Runs one invocation. Throws what the handler throws and `function.timedOut`; a call that cannot wait for its turn also
   * `function.throttled` and `function.budgetExceeded`. `onEnd` is told before the answer is.
   */
  invoke<T>(
    call: InvocationCall,
    work: (invocation: Invocation) => Promise<T>,
    onEnd?: (calls: CallCounter) => void,
  ): Promise<T> {
    const hosted = this.#hosted(call.functionName);
    if (hosted.tryEnter()) return new Place(this, hosted).invoke(call, work, onEnd);
    if (refusedAtOnce.has(call.trigger)) return Promise.reject(this.#refuse(hosted, call));
    return this.#wait(hosted).then(place => place.invoke(call, work, onEnd));
  }

  /** Resolves when an invocation of the function may begin. Throws `function.throttled` when the app stops meanwhile. */
  async enter(functionName: string): Promise<Place> {
    const hosted = this.#hosted(functionName);
    return hosted.tryEnter() ? new Place(this, hosted) : this.#wait(hosted);
  }

  /** The worker that runs an invocation; undefined when it runs here. */
  workerOf({ requestId }: Invocation): IsolatedWorker | undefined {
    return this.#workers.get(requestId);
  }

  reports(): FunctionReport[] {
    return [...this.#functions.values()].map(hosted => hosted.report());
  }

  /** Lets a function run that its budget has stopped, with a whole one. Throws `function.notFound`. */
  reset(functionName: string): void {
    const hosted = this.#functions.get(functionName);
    if (hosted === undefined) throw functionNotFound(functionName);
    hosted.breaker.reset();
  }

  /** Functions that were stopped until somebody resets them, when the app was last stopped. */
  restore(stops: Readonly<Record<string, BreakerStop>>): void {
    for (const [functionName, stop] of Object.entries(stops)) this.#functions.get(functionName)?.breaker.restore(stop);
  }

  /** An error that nobody caught, of an invocation or of what it has left running. What still runs of it has failed. */
  noteStrayError(functionName: string, requestId: string | undefined, error: unknown): void {
    this.#hosted(functionName).measures.strayErrors++;
    for (const running of this.#running) if (running.requestId === requestId) running.fail(error);
  }

  /** Nobody waits any more. What runs may finish; after a while it is told to. */
  stop(): void {
    this.#isStopping = true;
    for (const { functionName, line, breaker } of this.#functions.values()) {
      line.sendAway(functionStopping(functionName));
      breaker.close();
    }
    this.#grace = this.#options.clock.setTimer(functionLimits.stopGraceMs, () => {
      for (const running of this.#running) running.stop();
    });
  }

  /** When nothing runs any more, or need not be waited for. */
  async close(): Promise<void> {
    this.#grace?.cancel();
    await this.#options.isolation?.close();
  }

  /** @internal  Of a place that is taken; leaves it. */
  async run<T>(
    hosted: HostedFunction,
    call: InvocationCall,
    work: (invocation: Invocation) => Promise<T>,
    onEnd?: (calls: CallCounter) => void,
  ): Promise<T> {
    const { clock, newId, isolation } = this.#options;
    const requestId = newId();
    this.#noteBegin(hosted, call);
    let worker: IsolatedWorker | undefined;
    if (hosted.settings.isolated && isolation !== undefined) {
      worker = await this.#takeWorker(hosted, call, isolation);
      this.#workers.set(requestId, worker);
    }
    const measures = worker === undefined ? this.#measureHere() : () => worker.measures;
    const end = (calls: CallCounter, report: InvocationReport) => {
      worker?.release();
      this.#workers.delete(requestId);
      this.#noteEnd(hosted, calls, report);
      onEnd?.(calls);
    };
    const onSettledLate = () => void hosted.measures.leftBehind--;
    const coldStartMs = worker?.coldStartMs;
    return invoke(
      { call, requestId, clock, coldStartMs, measures, onEnd: end, running: this.#running, onSettledLate },
      work,
    );
  }

  #hosted(functionName: string): HostedFunction {
    const hosted = this.#functions.get(functionName);
    if (hosted !== undefined) return hosted;
    const isFull = this.#functions.size >= functionLimits.functionsMax;
    return isFull ? this.#hosted(otherFunctions) : this.#add(functionName, {});
  }

  #add(functionName: string, settings: FunctionSettings): HostedFunction {
    const { clock, onStopped } = this.#options;
    const pool = settings.isolated ? this.#isolatedPool : this.#pool;
    const breaker = new Breaker({
      functionName,
      budget: settings.budget,
      allowance: new Allowance(() => this.#eventsFromOutside, clock.monotonicMs()),
      clock,
      alarms: this.#alarms,
      onStopped: stop => onStopped?.(functionName, stop),
    });
    const hosted = new HostedFunction(functionName, settings, {
      line: pool.newLine(settings.reservedConcurrency),
      breaker,
    });
    this.#functions.set(functionName, hosted);
    return hosted;
  }

  async #wait(hosted: HostedFunction): Promise<Place> {
    const { functionName, line, breaker } = hosted;
    for (;;) {
      if (this.#isStopping) throw functionStopping(functionName);
      if (hosted.waiting >= functionLimits.waitingMax) throw functionThrottled(functionName, line.max);
      if (breaker.state !== 'closed') await breaker.untilClosed();
      else {
        await line.wait();
        if (breaker.state === 'closed') return new Place(this, hosted);
        line.leave(); // It was stopped while this one waited.
      }
      if (hosted.tryEnter()) return new Place(this, hosted);
    }
  }

  #refuse(hosted: HostedFunction, call: InvocationCall): Error {
    const { functionName, line, breaker, measures } = hosted;
    const stop = breaker.refusal();
    if (stop === undefined) measures.throttles++;
    else measures.stops++;
    const error = stop ?? functionThrottled(functionName, line.max);
    this.#tellNotRun(call, 'refused', error);
    return error;
  }

  async #takeWorker(hosted: HostedFunction, call: InvocationCall, isolation: Isolation): Promise<IsolatedWorker> {
    try {
      return await isolation.take(hosted.functionName, hosted.memoryMegabytes);
    } catch (error) {
      hosted.measures.errors++;
      hosted.line.leave();
      this.#tellNotRun(call, 'failed', error);
      throw error;
    }
  }

  #tellNotRun(call: InvocationCall, outcome: 'refused' | 'failed', error: unknown): void {
    const { newId, clock, onNotRun } = this.#options;
    const requestId = newId();
    const { attempt = 1, cause = fromOutside(requestId) } = call;
    const use = { calls: 0, readUnits: 0, writeUnits: 0 };
    const startedAtMs = clock.nowMs();
    onNotRun?.({ ...call, requestId, attempt, cause, outcome, error, startedAtMs, durationMs: 0, use, measures: {} });
  }

  #noteBegin({ breaker }: HostedFunction, { cause, records }: InvocationCall): void {
    this.#begun++;
    const isCaused = cause !== undefined && cause.depth > 0;
    if (!isCaused) this.#eventsFromOutside += records?.count ?? 1;
    breaker.noteBegin(isCaused);
  }

  #noteEnd({ line, breaker, measures }: HostedFunction, calls: CallCounter, report: InvocationReport): void {
    line.leave();
    breaker.noteEnd(report.durationMs);
    measures.noteEnd(report);
    this.#options.onEnd?.(calls, report);
  }

  /** On this thread processor time is that of an invocation only while no other has run. */
  #measureHere(): (() => InvocationMeasures) | undefined {
    const { usage } = this.#options;
    if (usage === undefined || this.#running.size > 0) return undefined;
    const begun = this.#begun;
    const cpuMs = usage.cpuMs();
    return () => (this.#begun === begun ? { cpuMs: usage.cpuMs() - cpuMs } : {});
  }
}

const otherFunctions = '(other functions)';

/** Room for one invocation. Whoever has it uses it, or leaves it. */
export class Place {
  readonly #host: FunctionHost;
  readonly #hosted: HostedFunction;

  constructor(host: FunctionHost, hosted: HostedFunction) {
    this.#host = host;
    this.#hosted = hosted;
  }

  invoke<T>(
    call: InvocationCall,
    work: (invocation: Invocation) => Promise<T>,
    onEnd?: (calls: CallCounter) => void,
  ): Promise<T> {
    return this.#host.run(this.#hosted, call, work, onEnd);
  }

  leave(): void {
    this.#hosted.line.leave();
  }
}
