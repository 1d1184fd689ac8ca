/** The consumers of a running app: each reads its stream from a checkpoint of its own. */
import assert from 'node:assert/strict';
import { asCaller } from '../kernel/callers.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Counters } from '../kernel/counters.ts';
import { codeOf } from '../kernel/errors.ts';
import type { Log } from '../kernel/log.ts';
import type { Random } from '../kernel/random.ts';
import { isRefusalOf } from '../platform/functions/index.ts';
import {
  type ConsumerSnapshot,
  type ConsumerStart,
  compileFilter,
  type DeadLetter,
  handleOne,
  type InvocationMarks,
  type SequenceNumber,
  type ShardId,
  StreamConsumer,
  type StreamConsumerOptions,
  type StreamReader,
  type StreamRecord,
  type Suspects,
  startMarker,
} from '../platform/stream/index.ts';
import type { ChangeFeed } from '../platform/table/index.ts';
import { declaredAggregates } from './aggregates.ts';
import { letterHandlerMissing, letterNotTaken } from './dead-letters/index.ts';
import type { App } from './define-app.ts';
import { consumerBeginsAgain, consumerNotFound, consumerNotReplayable } from './errors.ts';
import type { KeptRecords } from './kept-records.ts';
import type { Ledger } from './ledger/index.ts';
import { type ChangeConsumer, TableChangeReader } from './table-changes.ts';
import type { StreamTrigger } from './triggers/stream-trigger.ts';

/** The consumers that are not functions of the app; none of its functions can have such a name. */
export const ownConsumers = { commands: '$commands', aggregates: '$aggregates' } as const;

/** Every consumer of an app, in a fixed order: the commands' own first. */
export function consumerNames(app: App): string[] {
  const readsStream = new Set(['telemetry', 'presence', 'records', 'entityChange', 'logs']);
  const functions = Object.entries(app.functions).filter(([, { kind }]) => readsStream.has(kind));
  const own = declaredAggregates(app).length > 0 ? Object.values(ownConsumers) : [ownConsumers.commands];
  return [...own, ...functions.map(([name]) => name)];
}

export interface ConsumersOptions {
  /** The changes of `appTable`; needed only by an app that listens to them. */
  readonly changes?: ChangeFeed;
  /** The newest record of the stream: idle shards hold nothing back. */
  readonly newest?: () => SequenceNumber;
  /** Needed only by an app that declares streams. */
  readonly openStream?: (name: string) => StreamSource;
  /** A channel of the logs. Needed only by an app that listens to one. */
  readonly openChannel?: (name: string) => StreamReader;
  readonly random: Random;
  readonly clock: Clock;
  readonly log: Log;
  readonly counters: Counters;
  readonly kept: KeptRecords;
  /** Counts what becomes of messages; its readers tell it what they pass by. */
  readonly ledger: Ledger;
  /** For a watcher on another thread; absent in a test. */
  readonly marksOf?: (consumer: string) => InvocationMarks;
  readonly suspectsOf?: (consumer: string) => Suspects | undefined;
  /** Storage has failed under a consumer: the app thread should end and start again. */
  readonly onFailure: (error: unknown) => void;
}

/** Ours: a window is kept with its checkpoint in one item of the table, which holds 400 KB. */
const windowStateBytesMax = 300 * 1024;

/** Where the consumers of a declared stream read it. */
export interface StreamSource {
  readonly openReader: () => StreamReader;
  readonly newest?: () => SequenceNumber;
}

/** A consumer at work. */
interface Following {
  readonly of: 'messages' | 'records' | 'changes' | 'logs';
  readonly consumer: Pick<StreamConsumer<unknown>, 'consumedUpTo' | 'processed' | 'snapshot' | 'hasRecordsInHand'>;
  readonly stop: AbortController;
  readonly ended: Promise<void>;
  /** Starts it anew. It must have ended. */
  readonly startOver: (startingPosition: ConsumerStart) => void;
  readonly openReader: () => StreamReader;
}

export class Consumers {
  readonly #options: ConsumersOptions;
  readonly #following = new Map<string, Following>();
  /** Of messages and of changes, by name: whom a dead letter can be given to. */
  readonly #triggers = new Map<string, StreamTrigger<unknown>>();
  readonly #stop = new AbortController();

  constructor(options: ConsumersOptions) {
    this.#options = options;
  }

  /** Of the messages of devices. */
  followMessages<Event>(name: string, trigger: StreamTrigger<Event>): void {
    const { ledger, newest, kept } = this.#options;
    ledger.register({ consumer: name, isFiltered: filterOf(name, trigger) });
    const openReader = () => ledger.readerFor(name);
    const deadLetter = (letter: DeadLetter) => kept.deadRecord(letter);
    this.#run('messages', name, trigger, { openReader, newest, wants: trigger.wants, deadLetter });
  }

  /** Of a stream that others write to. */
  followRecords<Event>(name: string, stream: string, trigger: StreamTrigger<Event>): void {
    const { openStream, kept } = this.#options;
    assert(openStream !== undefined); // whoever starts an app that declares streams opens them
    const deadLetter = (letter: DeadLetter) => kept.deadRecord(letter);
    this.#run('records', name, trigger, { ...openStream(stream), wants: trigger.wants, deadLetter });
  }

  /** Of a channel of the app's logs. */
  followLogs<Event>(name: string, channel: string, trigger: StreamTrigger<Event>): void {
    const { openChannel, kept } = this.#options;
    assert(openChannel !== undefined); // whoever starts an app that listens to its logs opens them
    const deadLetter = (letter: DeadLetter) => kept.deadRecord(letter);
    this.#run('logs', name, trigger, { openReader: () => openChannel(channel), wants: trigger.wants, deadLetter });
  }

  /** Of the changes of the app's table. */
  followChanges<Event>(name: string, consumer: ChangeConsumer<Event>): void {
    const { changes: feed, onFailure, kept } = this.#options;
    assert(feed !== undefined); // whoever starts an app that listens gives it the changes
    const { wantsKey: wants } = consumer;
    const onGap = (missed: bigint) => {
      this.#noteMissed(name, missed);
      consumer.noteIncomplete?.().catch(onFailure);
    };
    const openReader = () => new TableChangeReader({ feed, wants, onGap });
    this.#run('changes', name, consumer, { openReader, deadLetter: letter => kept.deadChange(letter) });
  }

  /**
   * Gives one record to a consumer's function again. Rejects with what the function throws, `letter.notTaken` and
   * `letter.noHandler`.
   */
  async redrive(name: string, { record, shardId }: { record: StreamRecord; shardId: ShardId }): Promise<void> {
    const trigger = this.#triggers.get(name);
    if (trigger === undefined) throw letterHandlerMissing(name);
    const event = trigger.select(record);
    if (event === undefined) throw letterNotTaken(name);
    await handleOne(trigger.run, { consumer: name, shardId, record, event, signal: this.#stop.signal });
  }

  /** How far every consumer of the stream has got: the last record all are done with; null = at the start. */
  get consumedUpTo(): SequenceNumber | null {
    let least: SequenceNumber | undefined;
    for (const [name, { consumer }] of this.#ofMessages()) {
      const { consumedUpTo } = consumer;
      if (consumedUpTo === null) return null;
      const upTo = this.#accountedUpTo(name, consumedUpTo);
      if (least === undefined || upTo < least) least = upTo;
    }
    return least ?? null;
  }

  /** The log is needed for what the ledger has not stored yet: after a kill it counts that again. */
  #accountedUpTo(name: string, consumedUpTo: SequenceNumber): SequenceNumber {
    const stored = this.#options.ledger.storedUpTo(name);
    return stored === undefined || stored > consumedUpTo ? consumedUpTo : stored;
  }

  /** Those that have read what is not done, by name: it is being handled, or waits to be tried again. */
  get atWork(): string[] {
    return [...this.#following].filter(([, { consumer }]) => consumer.hasRecordsInHand).map(([name]) => name);
  }

  /** Messages handled by the app's own functions since the start. */
  get processed(): number {
    let sum = 0;
    for (const [name, { consumer }] of this.#ofMessages()) {
      if (name !== ownConsumers.commands) sum += consumer.processed;
    }
    return sum;
  }

  snapshots(): ConsumerSnapshot[] {
    return [...this.#following.values()].map(({ consumer }) => consumer.snapshot());
  }

  /**
   * Lets a function see its stream again from `from` on, and goes on from there; no other is disturbed. What it has in hand
   * is finished first. Throws `consumer.notFound`, `consumer.notReplayable` and
   * `consumer.beginsAgain`. Killed on the way, it begins where a new function would.
   */
  async replay(name: string, from: ConsumerStart): Promise<void> {
    const following = this.#following.get(name);
    if (following === undefined) throw consumerNotFound(name);
    const isOwn = Object.values<string>(ownConsumers).includes(name);
    const isOfTime = from.type === 'AT_TIMESTAMP';
    if (isOwn || (following.of === 'changes' && isOfTime)) throw consumerNotReplayable(name, isOwn);
    if (following.stop.signal.aborted) throw consumerBeginsAgain(name); // Two would start it twice.
    following.stop.abort();
    await following.ended;
    const { kept, ledger } = this.#options;
    const reader = following.openReader();
    for (const { shardId } of await reader.shards()) await kept.deleteCheckpoint(name, shardId);
    await reader.close();
    await kept.deleteCheckpoint(name, startMarker);
    if (following.of === 'messages') await ledger.startOver(name);
    if (!this.#stop.signal.aborted) following.startOver(from);
  }

  #ofMessages(): [string, Following][] {
    return [...this.#following].filter(([, { of }]) => of === 'messages');
  }

  /** Finishes the batches in hand, then stops. */
  async close(): Promise<void> {
    this.#stop.abort();
    await Promise.allSettled([...this.#following.values()].map(({ ended }) => ended));
  }

  /** Starts a consumer with what all of them share. */
  #run<Event>(
    of: Following['of'],
    name: string,
    trigger: StreamTrigger<Event>,
    source: Pick<StreamConsumerOptions<Event>, 'openReader' | 'newest' | 'wants' | 'deadLetter'>,
  ): void {
    const { clock, random, kept, marksOf, suspectsOf, onFailure } = this.#options;
    const { select, run, settings, filteredData } = trigger;
    this.#triggers.set(name, trigger as StreamTrigger<unknown>); // Given what it has selected itself.
    const consumer = new StreamConsumer<Event>({
      name,
      ...settings,
      ...source,
      clock,
      random,
      select,
      filteredData,
      invoke: run,
      isFinal: error => codeOf(error) === 'function.loop',
      loadCheckpoint: (consumer, shardId) => kept.loadCheckpoint(consumer, shardId),
      windowStateBytesMax,
      loadWindow: (consumer, shardId) => kept.loadWindow(consumer, shardId),
      saveCheckpoint: (consumer, shardId, upTo, settled, window) =>
        kept.saveCheckpoint(consumer, shardId, upTo, settled, window),
      deleteCheckpoint: (consumer, shardId) => kept.deleteCheckpoint(consumer, shardId),
      marks: marksOf?.(name),
      suspects: suspectsOf?.(name),
      // That a function has no room, or that the app stops, is no fault of its records; nor is a full disk.
      isThrottle: error => isRefusalOf(name, error) || codeOf(error) === 'store.full',
    });
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, this.#stop.signal]);
    const ended = asCaller({ functionName: name }, () => consumer.run(signal)).catch(unlessClosing(onFailure));
    const startOver = (startingPosition: ConsumerStart) =>
      this.#run(of, name, { ...trigger, settings: { ...settings, startingPosition } }, source);
    this.#following.set(name, { of, consumer, stop, ended, startOver, openReader: source.openReader });
  }

  /** Changes went before a consumer had seen them: it was behind for a day, or the stream was full. */
  #noteMissed(consumer: string, missed: bigint): void {
    this.#options.counters.add('functions.changesMissed', Number(missed));
    this.#options.log.error({ consumer, missed: Number(missed) }, 'Changes were gone before they could be handled.');
  }
}

/** A consumer waits for room for its dead letters until the app stops, and then says why it does not go on. */
function unlessClosing(onFailure: (error: unknown) => void): (error: unknown) => void {
  return error => {
    if (codeOf(error) !== 'letter.full') onFailure(error);
  };
}

/** Whether a consumer passes a record by. What it cannot read is no message that it passes by: that is dead-lettered. */
function filterOf(
  name: string,
  trigger: Pick<StreamTrigger<unknown>, 'wants' | 'select' | 'meaningOf' | 'settings' | 'filteredData'>,
) {
  const { wants, settings, filteredData, meaningOf = trigger.select } = trigger;
  const matches = settings.filter && compileFilter(name, settings.filter, filteredData);
  return (record: StreamRecord): boolean => {
    if (wants?.(record.data, 0, record.data.length) === false || matches?.(record) === false) return true;
    try {
      return meaningOf(record) === undefined;
    } catch {
      return false;
    }
  };
}
