/** Hands a batch to the function and says what came of it. What the function throws is a verdict, never an exception. */
import type { Clock } from '../../../kernel/clock.ts';
import type { ShardId, StreamRecord } from '../port.ts';
import type { BatchContext, BatchHandler } from './batch.ts';
import type { Item } from './item.ts';
import type { MarkedRange } from './marks.ts';
import type { BatchReport, ConsumerObserver, ShardCounts } from './measures.ts';
import { judge, type Verdict } from './verdict.ts';

export interface InvokerOptions<Event> {
  readonly consumer: string;
  readonly shardId: ShardId;
  readonly clock: Clock;
  readonly invoke: BatchHandler<Event>;
  readonly heedsFailures: boolean;
  /** Whether an error says that there was no room to run, so that the records are not to blame. */
  readonly isThrottle: (error: unknown) => boolean;
  readonly marks: MarkedRange;
  readonly counts: ShardCounts;
  readonly observe?: ConsumerObserver;
  readonly signal: AbortSignal;
}

export type WindowFacts = Required<
  Pick<BatchContext, 'window' | 'state' | 'isFinalInvokeForWindow' | 'isWindowTerminatedEarly'>
>;

/** What is invoked: the records in the order of reading, and how often they were tried. */
export interface Trial<Event> {
  readonly items: Item<Event>[];
  readonly attempts: number;
  readonly window?: WindowFacts;
  /** What a watcher is told that it runs; without it the records. */
  readonly marked?: StreamRecord['sequenceNumber'];
}

export class Invoker<Event> {
  readonly #options: InvokerOptions<Event>;
  #inFlight = 0;

  constructor(options: InvokerOptions<Event>) {
    this.#options = options;
  }

  /** Invocations that have not ended. */
  get inFlight(): number {
    return this.#inFlight;
  }

  isThrottle(error: unknown): boolean {
    return this.#options.isThrottle(error);
  }

  async invoke(trial: Trial<Event>): Promise<Verdict> {
    const { clock, heedsFailures } = this.#options;
    const context = this.#contextOf(trial);
    const startedAtMs = clock.monotonicMs();
    const verdict = await this.#run(trial, context).then(
      answer => judge(answer, trial.items, heedsFailures),
      (error): Verdict => ({ kind: 'thrown', error }),
    );
    this.#count(trial, context, verdict, clock.monotonicMs() - startedAtMs);
    return verdict;
  }

  async #run({ items, marked }: Trial<Event>, context: BatchContext): Promise<unknown> {
    const { invoke, marks } = this.#options;
    for (const item of items) item.wasGiven = true;
    const first = marked ?? items[0].record.sequenceNumber;
    const leave = marks.enter(first, marked ?? items[items.length - 1].record.sequenceNumber);
    this.#inFlight++;
    try {
      return await invoke(items.slice(), context); // Its own, as it may sort or empty it.
    } finally {
      this.#inFlight--;
      leave();
    }
  }

  #contextOf({ items, attempts, window }: Trial<Event>): BatchContext {
    const { consumer, shardId, clock, signal } = this.#options;
    const last = items.at(-1);
    return {
      consumer,
      shardId,
      attempt: attempts + 1,
      isRedelivered: attempts > 0 || items.some(({ wasGiven }) => wasGiven),
      // Of the last record, as Lambda's IteratorAge; another machine's clock may be ahead of ours.
      iteratorAgeMs: last === undefined ? 0 : Math.max(0, clock.nowMs() - last.record.arrivalAtMs),
      signal,
      ...window,
    };
  }

  #count({ items }: Trial<Event>, context: BatchContext, verdict: Verdict, durationMs: number): void {
    const { consumer, shardId, counts, observe } = this.#options;
    const outcome = this.#outcomeOf(verdict);
    counts.invocations++;
    counts.given += items.length;
    counts.batchRecordsMost = Math.max(counts.batchRecordsMost, items.length);
    if (context.isRedelivered) counts.retries++;
    if (outcome === 'throttled') counts.throttles++;
    else if (outcome !== 'done') counts.failures++;
    if (observe === undefined) return;
    const { attempt, isRedelivered, iteratorAgeMs } = context;
    const bytes = items.reduce((sum, { record }) => sum + record.data.length, 0);
    const error = verdict.kind === 'thrown' ? verdict.error : undefined;
    const of = { consumer, shardId, attempt, isRedelivered, iteratorAgeMs };
    observe({ ...of, records: items.length, bytes, durationMs, outcome, ...(error !== undefined && { error }) });
  }

  #outcomeOf(verdict: Verdict): BatchReport['outcome'] {
    if (verdict.kind === 'done') return 'done';
    if (verdict.kind === 'thrown') return this.isThrottle(verdict.error) ? 'throttled' : 'failed';
    for (const error of verdict.outcome.failed.values()) if (!this.isThrottle(error)) return 'partial';
    return 'throttled';
  }
}
