import assert from 'node:assert/strict';
import type { Iot } from '../iot/port.ts';
import { topicBegins } from '../iot/rules/index.ts';
import type { CallCounter } from '../kernel/call-counter.ts';
import { asCaller } from '../kernel/callers.ts';
import type { Clock } from '../kernel/clock.ts';
import { Counters } from '../kernel/counters.ts';
import { idMaker } from '../kernel/ids.ts';
import type { Log } from '../kernel/log.ts';
import type { Random } from '../kernel/random.ts';
import { functionLimits, Invocations, invoke } from '../platform/functions/index.ts';
import {
  Consumer,
  type ConsumerOptions,
  consumerDefaults,
  type DeadLetter,
  eachRecord,
  type InvocationMarks,
  onlyShard,
  type RecordFilter,
  type Selected,
  type SequenceNumber,
  type StreamReader,
  type StreamRecord,
  type Suspects,
} from '../platform/stream/index.ts';
import type { ChangeFeed, Table } from '../platform/table/index.ts';
import { AggregateKeeper, aggregatesConsumer } from './aggregate-keeper.ts';
import { declaredAggregates } from './aggregates.ts';
import { CommandTracker, type EndedCommand } from './commands.ts';
import type { Announcement, AppContext } from './context.ts';
import type { App } from './define-app.ts';
import {
  appTable,
  Backfill,
  type BackfillProgress,
  calling,
  type EntityMap,
  makeRepositories,
  patientTable,
  schemaReport,
} from './entities/index.ts';
import { commandNotKnown } from './errors.ts';
import { KeptRecords } from './kept-records.ts';
import { type CommandEvent, type DecodedTelemetry, MessageReader } from './messages.ts';
import type { CommandMap, CommandResultFunction, TelemetryFunction } from './model.ts';
import { inParallel } from './parallel.ts';
import { type ChangeConsumer, changesShard, entityChangeConsumer, TableChangeReader } from './table-changes.ts';
import { anyTelemetryPrefix, telemetryPrefix } from './topics.ts';

export interface RuntimeOptions {
  readonly app: App;
  readonly table: Table;
  /** The changes of `appTable`; needed only by an app that listens to them. */
  readonly changes?: ChangeFeed;
  /** A reader of its own for each consumer. */
  readonly openReader: () => StreamReader;
  readonly iot: Iot;
  readonly clock: Clock;
  readonly random: Random;
  /** Secret, at least 16 bytes: what the cursors of lists are made with. */
  readonly cursorKey: Uint8Array;
  readonly log: Log;
  /** Writes a line for every invocation: what it called and used. Default: none. */
  readonly tracesInvocations?: boolean;
  readonly announce: (audience: string, announcement: Announcement) => void;
  /** For a watcher on another thread; absent in a test. */
  readonly marksOf?: (consumer: string) => InvocationMarks;
  readonly suspectsOf?: (consumer: string) => Suspects | undefined;
  /** Storage has failed under a consumer: the app thread should end and start again. */
  readonly onFailure: (error: unknown) => void;
}

type AnyContext = AppContext<CommandMap, EntityMap>;

/** Every consumer of an app, in a fixed order: the commands' own first. */
export function consumerNames(app: App): string[] {
  const functions = Object.entries(app.functions).filter(([, declared]) => declared.kind !== 'commandResult');
  const own = declaredAggregates(app).length > 0 ? [commandsConsumer, aggregatesConsumer] : [commandsConsumer];
  return [...own, ...functions.map(([name]) => name)];
}

/** What is asked of a consumer while it runs. */
type Progress = Pick<Consumer<unknown>, 'checkpoint' | 'processed'>;

/** The consumer that feeds the command tracker; functions of the app cannot have this name. */
const commandsConsumer = '$commands';

const backfillToldEveryMs = 10_000; // ours: often enough to see it move

/** A running app half: its consumers, its commands, and the context its functions and routes work in. */
export class Runtime {
  readonly app: App;
  readonly counters = new Counters();
  readonly context: AnyContext;
  /** What its functions and routes have used. */
  readonly invocations: Invocations;
  readonly #options: RuntimeOptions;
  /** That of the options, with patience where it is throttled. */
  readonly #table: Table;
  readonly #tracker: CommandTracker;
  readonly #messages: MessageReader;
  readonly #kept: KeptRecords;
  /** Those of the stream of messages, the commands' own first. */
  readonly #consumers: Progress[] = [];
  readonly #readers: StreamReader[] = [];
  readonly #stop = new AbortController();
  #running: Promise<void>[] = [];
  #backfill: Backfill | undefined;

  constructor(options: RuntimeOptions) {
    const { app, iot, clock, log } = options;
    const table = patientTable(options.table, options);
    this.app = app;
    this.#options = options;
    this.#table = table;
    this.invocations = new Invocations({
      log,
      traces: options.tracesInvocations,
      onRepeated: () => this.counters.add('functions.nPlusOne'),
    });
    this.#messages = new MessageReader(app);
    this.#kept = new KeptRecords({ table, counters: this.counters, log });
    this.#tracker = new CommandTracker({
      application: app.model.application,
      commands: app.model.commands,
      table,
      iot,
      clock,
      log,
      onResult: (command, result) => this.#runResultFunction(command, result),
      onResultGivenUp: (command, result, error, attempts) =>
        this.#kept.deadResult(command, result, { consumer: commandsConsumer, error, attempts }),
      onFailure: options.onFailure,
    });
    const tracker = this.#tracker;
    this.context = {
      entities: makeRepositories(app.model.entities, {
        table: options.table,
        clock,
        random: options.random,
        cursorKey: options.cursorKey,
        buildingOf: part => this.#backfill?.scannedFor(part),
      }),
      commands: Object.fromEntries(
        Object.keys(app.model.commands).map(command => [
          command,
          {
            send: (order: Parameters<CommandTracker['send']>[1]) =>
              calling(`${command}.send`)(() => tracker.send(command, order)),
            cancel: (sessionId: string) => calling(`${command}.cancel`)(() => tracker.cancel(sessionId)),
          },
        ]),
      ),
      iot,
      table,
      clock,
      newId: idMaker(clock, options.random),
      inParallel: (items, work, how) => inParallel(items, work, { ...how, clock, random: options.random }),
      log,
      announce: options.announce,
    };
  }

  /** Functions run once the stored records are what the entities' definitions say; until then events wait in the stream. */
  async start(): Promise<void> {
    const { clock, random, log, changes } = this.#options;
    const table = this.#table;
    const keeper = new AggregateKeeper(this.app, { table, tableName: appTable.tableName, clock, changes });
    await keeper.start(); // before anything else may write
    if (declaredAggregates(this.app).length > 0) this.#consumeChanges(aggregatesConsumer, keeper);
    const { application, entities } = this.app.model;
    for (const warning of schemaReport(application, entities).warnings) log.warn({}, warning);
    this.#backfill = await Backfill.open({ table, clock, random }, entities);
    if (!this.#backfill.isDone) await this.#backfill.step(); // A table that is empty, or small, is done then.
    if (this.#backfill.isDone) return this.#startFunctions();
    const filling = this.#fill(this.#backfill).then(() => this.#startFunctions());
    this.#running.push(filling.catch(error => this.#options.onFailure(error)));
  }

  async #fill(backfill: Backfill): Promise<void> {
    const { clock, log } = this.#options;
    let toldAtMs = Number.NEGATIVE_INFINITY;
    const tell = (progress: BackfillProgress) => {
      if (clock.monotonicMs() - toldAtMs < backfillToldEveryMs) return;
      toldAtMs = clock.monotonicMs();
      log.info({ ...progress, building: backfill.building }, 'Access patterns are being filled; functions wait.');
    };
    tell(backfill.progress);
    await backfill.run(tell, this.#stop.signal);
    if (backfill.isDone) log.info({ ...backfill.progress }, 'All access patterns are filled.');
  }

  async #startFunctions(): Promise<void> {
    if (this.#stop.signal.aborted) return;
    this.#running.push(this.#tracker.resume().catch(error => this.#options.onFailure(error)));
    this.#consume(
      commandsConsumer,
      record => this.#messages.commandEvent(record),
      eachRecord(selected => this.#track(selected)),
      {
        batchRecordsMax: consumerDefaults.eachRecordsMax,
        // Telemetry is most of the stream, and never a command's business.
        wants: (bytes, start, end) => !topicBegins(bytes, start, end, anyTelemetryPrefix),
      },
    );
    for (const [name, declared] of Object.entries(this.app.functions)) {
      if (declared.kind === 'telemetry') this.#consumeTelemetry(name, declared);
      else if (declared.kind === 'entityChange') {
        this.#consumeChanges(name, entityChangeConsumer(name, declared, this));
      }
    }
  }

  /** How far every consumer of the stream has got: the last record all are done with; null = at the start. */
  get consumedUpTo(): SequenceNumber | null {
    let least: SequenceNumber | null | undefined;
    for (const { checkpoint } of this.#consumers) {
      if (checkpoint === null) return null;
      if (least === undefined || least === null || checkpoint < least) least = checkpoint;
    }
    return least ?? null;
  }

  /** Messages handled by the app's own functions since the start. */
  get processed(): number {
    return this.#consumers.slice(1).reduce((sum, consumer) => sum + consumer.processed, 0);
  }

  /** Runs one of the app's handlers: as `invoke` does, and what it uses is noted. `onEnd` is told of it, too. */
  invoke<T>(
    functionName: string,
    timeoutMs: number = functionLimits.timeoutMsDefault,
    work: () => Promise<T>,
    onEnd?: (calls: CallCounter) => void,
  ): Promise<T> {
    const end = (calls: CallCounter) => {
      this.invocations.note(calls);
      onEnd?.(calls);
    };
    return invoke({ functionName, clock: this.#options.clock, timeoutMs, onEnd: end }, work);
  }

  /** Finishes the batches in hand, then stops. */
  async close(): Promise<void> {
    this.#stop.abort();
    await Promise.allSettled(this.#running);
    this.#tracker.close();
    for (const reader of this.#readers) await reader.close();
  }

  // --- Telemetry --------------------------------------------------------------------------------------------------

  #consumeTelemetry(name: string, declared: TelemetryFunction): void {
    const { timeoutMs, attemptsMax, batchItemsMax, batchWindowMs } = declared.options;
    const select = (record: StreamRecord) => this.#messages.telemetry(record, declared.context);
    const prefix = telemetryPrefix(this.app.model.application, declared.context);
    const wants: RecordFilter = (bytes, start, end) => topicBegins(bytes, start, end, prefix);
    if ('each' in declared.handler) {
      const batchRecordsMax = consumerDefaults.eachRecordsMax;
      // The event has been validated against the schemas that the handler's type was made from.
      const handler = declared.handler.each as (event: DecodedTelemetry, context: AnyContext) => Promise<void>;
      const run = ({ event }: Selected<DecodedTelemetry>) =>
        this.invoke(name, timeoutMs, () => handler(event, this.context));
      this.#consume(name, select, eachRecord(run), { attemptsMax, wants, batchRecordsMax });
    } else {
      const handler = declared.handler.batch as (events: DecodedTelemetry[], context: AnyContext) => Promise<void>;
      const run = async (batch: Selected<DecodedTelemetry>[]) => {
        const events = batch.map(({ event }) => event);
        await this.invoke(name, timeoutMs, () => handler(events, this.context));
        return allDone;
      };
      this.#consume(name, select, run, { attemptsMax, wants, batchRecordsMax: batchItemsMax, batchWindowMs });
    }
  }

  // --- Commands ---------------------------------------------------------------------------------------------------

  async #track({ event, record }: Selected<CommandEvent>): Promise<void> {
    if (event.kind === 'cameBack') return this.#tracker.thingCameBack(event.thingName);
    if (await this.#tracker.receive(event.command, event.thingName, event.response)) return;
    // Set aside at once: trying again would not make it known, and would keep others waiting.
    const error = commandNotKnown(String(event.response.sessionId), event.thingName);
    await this.#kept.deadRecord({ consumer: commandsConsumer, shardId: onlyShard, record, error, attempts: 1 });
  }

  async #runResultFunction(command: string, result: EndedCommand): Promise<void> {
    for (const [name, declared] of Object.entries(this.app.functions)) {
      if (declared.kind !== 'commandResult' || declared.command !== command) continue;
      // Request and response have been validated against the schemas that the handler's type was made from.
      const handler = declared.handler as CommandResultFunction['handler'] as (
        result: EndedCommand,
        context: AnyContext,
      ) => Promise<void>;
      await this.invoke(name, declared.options.timeoutMs, () => handler(result, this.context));
    }
  }

  // --- Consumers --------------------------------------------------------------------------------------------------

  #consume<Event>(
    name: string,
    select: (record: StreamRecord) => Event | undefined,
    run: (batch: Selected<Event>[]) => Promise<typeof allDone>,
    limits: Pick<ConsumerOptions<Event>, 'attemptsMax' | 'batchRecordsMax' | 'batchWindowMs' | 'wants'>,
  ): void {
    const reader = this.#options.openReader();
    const deadLetter = (letter: DeadLetter) => this.#kept.deadRecord(letter);
    const consumer = this.#run({ name, reader, shardId: onlyShard, select, invoke: run, deadLetter, ...limits });
    this.#consumers.push(consumer);
  }

  #consumeChanges<Event>(name: string, consumer: ChangeConsumer<Event>): void {
    const { changes: feed, onFailure } = this.#options;
    assert(feed !== undefined); // whoever starts an app that listens gives it the changes
    const { wants, select, run, limits } = consumer;
    const onGap = (missed: bigint) => {
      this.#noteMissed(name, missed);
      consumer.noteIncomplete?.().catch(onFailure);
    };
    const reader = new TableChangeReader({ feed, wants, onGap });
    const deadLetter = (letter: DeadLetter) => this.#kept.deadChange(letter);
    this.#run({ name, reader, shardId: changesShard, select, invoke: run, deadLetter, ...limits });
  }

  /** Starts a consumer with what all of them share. */
  #run<Event>(
    options: Omit<ConsumerOptions<Event>, 'clock' | 'loadCheckpoint' | 'saveCheckpoint' | 'marks' | 'suspects'>,
  ): Consumer<Event> {
    const { name, reader, shardId } = options;
    const consumer = new Consumer<Event>({
      ...options,
      clock: this.#options.clock,
      loadCheckpoint: () => this.#kept.loadCheckpoint(name, shardId),
      saveCheckpoint: upTo => this.#kept.saveCheckpoint(name, shardId, upTo),
      marks: this.#options.marksOf?.(name),
      suspects: this.#options.suspectsOf?.(name),
    });
    this.#readers.push(reader);
    const running = asCaller({ functionName: name }, () => consumer.run(this.#stop.signal));
    this.#running.push(running.catch(error => this.#options.onFailure(error)));
    return consumer;
  }

  /** Changes went before a consumer had seen them: it was behind for a day, or the stream was full. */
  #noteMissed(consumer: string, missed: bigint): void {
    this.counters.add('functions.changesMissed', Number(missed));
    this.#options.log.error({ consumer, missed: Number(missed) }, 'Changes were gone before they could be handled.');
  }
}

const allDone: { readonly failed: ReadonlyMap<number, unknown>; readonly skipped: ReadonlySet<number> } = {
  failed: new Map(),
  skipped: new Set(),
};
