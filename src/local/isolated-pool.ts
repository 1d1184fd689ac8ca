/**
 * Workers for isolated functions: started when they are needed, kept warm for the next invocation of the same function,
 * replaced when they end. How many run at once is the host's business; how many there are is bounded here.
 */
import type { Served } from '../app/index.ts';
import type { Clock, Timer } from '../kernel/clock.ts';
import type { Log } from '../kernel/log.ts';
import type { Isolation } from '../platform/functions/index.ts';
import { IsolatedThread } from './isolated-worker.ts';

const poolLimits = {
  idleMs: 300_000, // ours: a worker that was not needed for so long is ended
} as const;

export interface IsolatedPoolOptions {
  readonly appUrl: string;
  readonly served: Served;
  /** How long a handler may heed its signal before its worker is ended. Default 100 ms. */
  readonly abortGraceMs?: number;
  readonly clock: Clock;
  readonly log: Log;
}

export class IsolatedPool implements Isolation {
  readonly #options: IsolatedPoolOptions;
  /** The one that was used longest ago first. */
  readonly #idle = new Map<IsolatedThread, Timer>();
  readonly #all = new Set<IsolatedThread>();
  #isClosed = false;

  constructor(options: IsolatedPoolOptions) {
    this.#options = options;
  }

  async take(functionName: string, memoryMegabytes: number): Promise<IsolatedThread> {
    for (const worker of [...this.#idle.keys()].reverse()) {
      if (worker.functionName !== functionName) continue;
      this.#stopIdling(worker);
      return worker;
    }
    if (this.#all.size >= this.#options.served.workersMax) this.#endOldest();
    const worker = this.#start(functionName, memoryMegabytes);
    await worker.whenReady;
    return worker;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const timer of this.#idle.values()) timer.cancel();
    this.#idle.clear();
    await Promise.all([...this.#all].map(worker => worker.close()));
  }

  #start(functionName: string, memoryMegabytes: number): IsolatedThread {
    const { appUrl, served, abortGraceMs, clock, log } = this.#options;
    const { cursorKey, life } = served;
    const worker = new IsolatedThread({
      data: { appUrl, functionName, cursorKey, life },
      memoryMegabytes,
      abortGraceMs,
      clock,
      served,
      onIdle: () => this.#keep(worker),
      onGone: (_worker, reason) => {
        this.#all.delete(worker);
        this.#stopIdling(worker);
        if (reason !== undefined) log.warn({ functionName, reason }, 'The worker of an isolated function has ended.');
      },
    });
    this.#all.add(worker);
    return worker;
  }

  #keep(worker: IsolatedThread): void {
    if (this.#isClosed || !this.#all.has(worker)) return;
    this.#idle.set(
      worker,
      this.#options.clock.setTimer(poolLimits.idleMs, () => this.#endIdle(worker)),
    );
  }

  #stopIdling(worker: IsolatedThread): void {
    this.#idle.get(worker)?.cancel();
    this.#idle.delete(worker);
  }

  #endOldest(): void {
    const [oldest] = this.#idle.keys();
    if (oldest !== undefined) this.#endIdle(oldest);
  }

  #endIdle(worker: IsolatedThread): void {
    this.#stopIdling(worker);
    this.#all.delete(worker);
    worker.end('closed');
  }
}
