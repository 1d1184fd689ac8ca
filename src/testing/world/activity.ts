/** What is under way in an app, by name, so that a test can wait until nothing is and be told what still is. */
import { testingLimits } from '../limits.ts';

/** A handler at work. */
export class RunningHandler {
  readonly functionName: string;
  /** Calls it has made that are not answered yet, and timers it has set. */
  waitingFor = 0;
  /** It waits for nothing that the kit knows of, and has been waited for long enough. */
  isGivenUp = false;

  constructor(functionName: string) {
    this.functionName = functionName;
  }
}

export class Activity {
  readonly #underWay = new Map<symbol, string>();
  readonly #handlers = new Set<RunningHandler>();
  /** Consumers, by the shard they read, and what each does: undefined when it waits for more to come. */
  readonly #consumers = new Map<string, 'starting' | 'working' | undefined>();
  readonly #watched: (() => readonly string[])[] = [];
  #indexesLagUntilMs = 0;

  /** Something has begun; to be called when it is over. */
  begin(what: string): () => void {
    const key = Symbol();
    this.#underWay.set(key, what);
    return () => void this.#underWay.delete(key);
  }

  async during<T>(what: string, work: Promise<T>): Promise<T> {
    const end = this.begin(what);
    try {
      return await work;
    } finally {
      end();
    }
  }

  /** What says of itself what it is busy with. */
  watch(busyWith: () => readonly string[]): void {
    this.#watched.push(busyWith);
  }

  handlerBegins(functionName: string): RunningHandler {
    const handler = new RunningHandler(functionName);
    this.#handlers.add(handler);
    return handler;
  }

  handlerEnds(handler: RunningHandler): void {
    this.#handlers.delete(handler);
  }

  expectConsumers(names: readonly string[]): void {
    for (const name of names) this.#consumers.set(name, 'starting');
  }

  consumerWorks(name: string, shardId: string): void {
    this.#consumerIs(name, shardId, 'working');
  }

  consumerWaits(name: string, shardId: string): void {
    this.#consumerIs(name, shardId, undefined);
  }

  /** It reads this shard no more. */
  consumerEnds(name: string, shardId: string): void {
    this.#consumers.delete(`${name} (${shardId})`);
  }

  #consumerIs(name: string, shardId: string, state: 'working' | undefined): void {
    if (this.#consumers.get(name) === 'starting') this.#consumers.delete(name);
    this.#consumers.set(`${name} (${shardId})`, state);
  }

  /** Writes to the table since the start. */
  writes = 0;

  /** Something was written: lists show it from then on. */
  indexesLag(untilMs: number): void {
    this.#indexesLagUntilMs = Math.max(this.#indexesLagUntilMs, untilMs);
  }

  /** Monotonic time at which lists show everything. */
  get indexesLagUntilMs(): number {
    return this.#indexesLagUntilMs;
  }

  /** Whether a handler waits for something that is none of ours: time must not pass for it meanwhile. */
  get waitsOutside(): boolean {
    for (const { waitingFor, isGivenUp } of this.#handlers) if (waitingFor === 0 && !isGivenUp) return true;
    return false;
  }

  giveUpOutside(): void {
    for (const handler of this.#handlers) if (handler.waitingFor === 0) handler.isGivenUp = true;
  }

  /** What is under way now. */
  busy(): string[] {
    const handlers = [...this.#handlers].map(({ functionName }) => `${functionName} runs`);
    const consumers = [...this.#consumers].flatMap(([name, state]) =>
      state === undefined
        ? []
        : [state === 'starting' ? `${name} has not begun to read` : `${name} handles what it has read`],
    );
    const watched = this.#watched.flatMap(busyWith => busyWith());
    return [...handlers, ...this.#underWay.values(), ...consumers, ...watched].slice(0, testingLimits.linesKept);
  }
}
