/** One thread of an isolated function, as the thread of the app has it. */
import { Worker } from 'node:worker_threads';
import type { Served } from '../app/index.ts';
import { currentCaller } from '../kernel/callers.ts';
import type { Clock, Timer } from '../kernel/clock.ts';
import {
  functionExited,
  functionNotLoadable,
  functionOutOfMemory,
  type InvocationMeasures,
  type IsolatedCall,
  type IsolatedWorker,
} from '../platform/functions/index.ts';
import { moduleBeside } from './app-supervisor.ts';
import { inward, outward } from './crossing.ts';
import { IsolatedCalls } from './isolated-calls.ts';
import type { IsolatedThreadData, ToApp, ToIsolated } from './isolated-messages.ts';

const isolatedLimits = {
  loadMs: 30_000, // ours: an app's module that takes longer waits for something that does not come
  abortGraceMsDefault: 100, // ours: a handler that heeds its signal keeps its worker
  sampleMs: 100, // ours: how often the memory of an invocation is looked at, and what may come on top of its limit meanwhile
  youngMegabytesMax: 32, // ours: of the heap, for what dies young
} as const;

export interface IsolatedThreadOptions {
  readonly data: IsolatedThreadData;
  readonly memoryMegabytes: number;
  readonly abortGraceMs?: number;
  readonly clock: Clock;
  readonly served: Served;
  /** It may run another invocation. */
  readonly onIdle: (worker: IsolatedThread) => void;
  /** It has ended; `reason` unless it was told to. */
  readonly onGone: (worker: IsolatedThread, reason: string | undefined) => void;
}

/** What runs on it. */
interface Running {
  readonly calls: IsolatedCalls;
  readonly eventId: string | undefined;
  readonly startedMs: number;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly onAbort: () => void;
  readonly signal: AbortSignal;
  sampling?: Timer;
  ending?: Timer;
}

type WhyEnded = 'closed' | 'timedOut' | 'outOfMemory' | 'broken';

export class IsolatedThread implements IsolatedWorker {
  readonly functionName: string;
  readonly memoryMegabytes: number;
  /** Resolves when it has loaded the app. */
  readonly whenReady: Promise<void>;
  coldStartMs: number | undefined;
  measures: InvocationMeasures = {};
  readonly #options: IsolatedThreadOptions;
  readonly #worker: Worker;
  #running: Running | undefined;
  #isReleased = true;
  #isGone = false;
  /** Why it is ended, once it is. */
  #whyEnded: WhyEnded | undefined;
  #failure: unknown;

  constructor(options: IsolatedThreadOptions) {
    const { data, memoryMegabytes, clock } = options;
    this.#options = options;
    this.functionName = data.functionName;
    this.memoryMegabytes = memoryMegabytes;
    const startedMs = clock.monotonicMs();
    this.#worker = new Worker(moduleBeside('isolated-thread'), {
      name: data.functionName,
      workerData: data,
      resourceLimits: {
        maxOldGenerationSizeMb: memoryMegabytes,
        maxYoungGenerationSizeMb: Math.min(isolatedLimits.youngMegabytesMax, memoryMegabytes / 4),
      },
    });
    this.whenReady = new Promise((resolve, reject) => {
      // Ending a thread that loads native code can end the process; one that loads for so long is worth the risk.
      const timer = clock.setTimer(isolatedLimits.loadMs, () => {
        reject(functionNotLoadable(data.functionName, `it takes longer than ${isolatedLimits.loadMs / 1_000} s`));
        this.end('closed');
      });
      this.#worker.on('message', (message: ToApp) => {
        if (message?.type === 'ready') {
          timer.cancel();
          this.coldStartMs = clock.monotonicMs() - startedMs;
          resolve();
        } else if (message?.type === 'notLoadable') reject(functionNotLoadable(data.functionName, message.reason));
        else this.#receive(message);
      });
      this.#worker.on('error', error => {
        this.#failure ??= error;
      });
      this.#worker.on('exit', code => {
        timer.cancel();
        this.#gone(code);
        reject(functionNotLoadable(data.functionName, this.#reasonOf(code)));
      });
    });
    this.whenReady.catch(() => {}); // Whoever takes it is told.
  }

  run({ input, invocation }: IsolatedCall): Promise<unknown> {
    const { requestId, attempt, depth, signal } = invocation;
    const { thingName, eventId, cause } = currentCaller() ?? {};
    const { served, clock } = this.#options;
    const calls = new IsolatedCalls(served, this.functionName, message => this.#post(message));
    return new Promise((resolve, reject) => {
      const onAbort = () => this.#abort();
      const running: Running = { calls, eventId, startedMs: clock.monotonicMs(), resolve, reject, onAbort, signal };
      this.#running = running;
      this.#isReleased = false;
      this.measures = {};
      if (this.#isGone) return this.#gone(0); // It has ended since it was taken.
      signal.addEventListener('abort', onAbort);
      this.#sampleLater(running);
      try {
        const caller = { thingName, eventId, cause };
        const facts = {
          requestId,
          attempt,
          depth,
          caller,
          remainingMs: invocation.remainingMs(),
          building: served.building(),
        };
        this.#post({ type: 'run', input: outward(input), ...facts });
      } catch (error) {
        this.#settled(running); // It cannot be posted.
        reject(error);
      }
    });
  }

  release(): void {
    this.coldStartMs = undefined;
    this.#isReleased = true;
    if (this.#running === undefined && !this.#isGone) this.#options.onIdle(this);
  }

  end(why: WhyEnded): void {
    this.#whyEnded ??= why;
    void this.#worker.terminate();
  }

  async close(): Promise<void> {
    this.#whyEnded ??= 'closed';
    await this.#worker.terminate();
  }

  #post(message: ToIsolated): void {
    this.#worker.postMessage(message);
  }

  /** A handler may post what it likes: what makes no sense costs it its worker, and nobody else anything. */
  #receive(message: ToApp): void {
    const running = this.#running;
    if (running === undefined) return; // What it has left behind asks in vain.
    try {
      this.#take(message, running);
    } catch (error) {
      this.#failure ??= error;
      this.end('broken');
    }
  }

  #take(message: ToApp, running: Running): void {
    if (message.type === 'call') void running.calls.answer(message);
    else if (message.type === 'note') this.#note(message, running);
    else if (message.type === 'done' || message.type === 'failed') {
      this.#noteMeasures(message.measures);
      if (message.type === 'done') running.resolve(inward(message.value));
      else running.reject(inward(message.error));
      this.#settled(running);
      if (this.#isReleased) this.#options.onIdle(this);
    }
  }

  /** What it would have thrown there, as for a metric that has no valid name, fails the invocation here. */
  #note(message: Extract<ToApp, { type: 'note' }>, running: Running): void {
    try {
      running.calls.note(message);
    } catch (error) {
      running.reject(error);
    }
  }

  /** The time is over. A handler that heeds its signal keeps its worker; another is ended. */
  #abort(): void {
    const running = this.#running;
    if (running === undefined) return;
    this.#post({ type: 'abort', reason: outward(running.signal.reason) });
    const { clock, abortGraceMs = isolatedLimits.abortGraceMsDefault } = this.#options;
    running.ending = clock.setTimer(abortGraceMs, () => this.end('timedOut'));
  }

  #settled(running: Running): void {
    running.sampling?.cancel();
    running.ending?.cancel();
    running.signal.removeEventListener('abort', running.onAbort);
    this.#running = undefined;
  }

  // --- Memory -----------------------------------------------------------------------------------------------------

  /** The limit of the heap does not know of buffers; those are looked at from here, also while the handler computes. */
  #sampleLater(running: Running): void {
    running.sampling = this.#options.clock.setTimer(isolatedLimits.sampleMs, () => {
      this.#worker.getHeapStatistics().then(
        ({ used_heap_size: heap, external_memory: outside }) => {
          if (this.#running !== running) return;
          this.#noteMeasures({ memoryBytes: heap + outside });
          if (heap + outside > this.memoryMegabytes * 2 ** 20) this.end('outOfMemory');
          else this.#sampleLater(running);
        },
        () => {}, // It has ended.
      );
    });
  }

  /** The most that was seen. */
  #noteMeasures({ cpuMs, memoryBytes = 0 }: InvocationMeasures): void {
    const most = Math.max(this.measures.memoryBytes ?? 0, memoryBytes);
    this.measures = { cpuMs: cpuMs ?? this.measures.cpuMs, memoryBytes: most };
  }

  // --- Its end ----------------------------------------------------------------------------------------------------

  #gone(code: number): void {
    const isFirst = !this.#isGone;
    this.#isGone = true;
    const running = this.#running;
    if (running !== undefined) {
      this.#settled(running);
      running.reject(this.#errorOf(running, code));
    }
    if (isFirst) this.#options.onGone(this, this.#whyEnded === 'closed' ? undefined : this.#reasonOf(code));
  }

  #errorOf({ eventId, startedMs, signal }: Running, code: number): unknown {
    const durationMs = this.#options.clock.monotonicMs() - startedMs;
    const { memoryBytes } = this.measures;
    const ended = { functionName: this.functionName, eventId, durationMs, memoryBytes };
    if (this.#whyEnded === 'outOfMemory' || isOutOfMemory(this.#failure))
      return functionOutOfMemory(this.memoryMegabytes, ended);
    return this.#whyEnded === 'timedOut' ? signal.reason : functionExited(this.#reasonOf(code), ended);
  }

  #reasonOf(code: number): string {
    const failure = this.#failure;
    if (isOutOfMemory(failure)) return 'it ran out of memory';
    if (failure instanceof Error) return `nobody caught "${failure.message.slice(0, 200)}"`;
    if (failure !== undefined) return `nobody caught ${String(failure).slice(0, 200)}`;
    return `it exited with ${code}`;
  }
}

function isOutOfMemory(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY';
}
