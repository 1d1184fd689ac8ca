import type { Iot } from '../iot/port.ts';
import { topicBegins } from '../iot/rules/index.ts';
import { type Alarms, noAlarms } from '../kernel/alarms.ts';
import type { CallCounter } from '../kernel/call-counter.ts';
import { fromOutside } from '../kernel/causes.ts';
import type { Clock } from '../kernel/clock.ts';
import { Counters } from '../kernel/counters.ts';
import { idMaker } from '../kernel/ids.ts';
import { type AppLog, appLogOn, type Log } from '../kernel/log.ts';
import { type Metrics, noMetrics } from '../kernel/metrics.ts';
import type { Random } from '../kernel/random.ts';
import { FunctionRefusal, type InvocationCall, Invocations, LoopGuard } from '../platform/functions/index.ts';
import {
  type ConsumerSnapshot,
  type ConsumerStart,
  consumerDefaults,
  eachRecord,
  type InvocationMarks,
  type Selected,
  type SequenceNumber,
  type ShardId,
  type StreamReader,
  type Suspects,
} from '../platform/stream/index.ts';
import type { ChangeFeed, Table } from '../platform/table/index.ts';
import { AggregateKeeper } from './aggregate-keeper.ts';
import { declaredAggregates } from './aggregates.ts';
import { type AnyContext, AppFunctions, type FunctionsChoices, type Handler, handlerOf } from './app-functions.ts';
import { causedIot } from './caused-iot.ts';
import { CommandTracker, type EndedCommand } from './commands.ts';
import { Consumers, consumerNames, ownConsumers, type StreamSource } from './consumers.ts';
import type { Announcement } from './context.ts';
import { DeadLetters, type RedrivenEvent } from './dead-letters/index.ts';
import type { App } from './define-app.ts';
import {
  appTable,
  Backfill,
  type BackfillProgress,
  calling,
  makeRepositories,
  patientTable,
  schemaReport,
} from './entities/index.ts';
import { commandNotKnown } from './errors.ts';
import { Explainer } from './explain/index.ts';
import { KeptRecords } from './kept-records.ts';
import { Ledger, namesLieInTopics } from './ledger/index.ts';
import { type CommandEvent, MessageReader } from './messages.ts';
import { inParallel } from './parallel.ts';
import { anyTelemetryPrefix } from './topics.ts';
import { Traces } from './traces/index.ts';
import { entityChangeTrigger } from './triggers/entity-change.ts';
import { logLinesTrigger } from './triggers/log-lines.ts';
import { presenceTrigger } from './triggers/presence.ts';
import { recordsTrigger } from './triggers/records.ts';
import type { Runner } from './triggers/stream-trigger.ts';
import { telemetryTrigger } from './triggers/telemetry.ts';

export interface RuntimeOptions {
  readonly app: App;
  readonly table: Table;
  /** The changes of `appTable`; needed only by an app that listens to them. */
  readonly changes?: ChangeFeed;
  /** A reader of its own for each consumer. */
  readonly openReader: () => StreamReader;
  /** The newest record of the stream, where one counter counts all of them. */
  readonly newest?: () => SequenceNumber;
  /** Lets the gateway tell the ledger now what it has counted until now; resolves when it has. */
  readonly askReceived?: () => Promise<void>;
  /** Needed only by an app that declares streams. */
  readonly openStream?: (name: string) => StreamSource;
  /** A channel of the logs. Needed only by an app that listens to one. */
  readonly openChannel?: (name: string) => StreamReader;
  readonly iot: Iot;
  readonly clock: Clock;
  readonly random: Random;
  /** Secret, at least 16 bytes: what the cursors of lists are made with. */
  readonly cursorKey: Uint8Array;
  readonly log: Log;
  /** What handlers write to. Default: `log`. */
  readonly appLog?: AppLog;
  readonly metrics?: Metrics;
  /** Default: nobody is told. */
  readonly alarms?: Alarms;
  /** Writes a line for every invocation: what it called and used. Default: none. */
  readonly tracesInvocations?: boolean;
  readonly announce: (audience: string, announcement: Announcement) => void;
  /** For a watcher on another thread; absent in a test. */
  readonly marksOf?: (consumer: string) => InvocationMarks;
  readonly suspectsOf?: (consumer: string) => Suspects | undefined;
  /** Storage has failed under a consumer: the app thread should end and start again. */
  readonly onFailure: (error: unknown) => void;
  /** How functions run. */
  readonly functions?: FunctionsChoices;
}

const backfillToldEveryMs = 10_000; // ours: often enough to see it move

/** A running app half: its consumers, its commands, and the context its functions and routes work in. */
export class Runtime implements Runner {
  readonly app: App;
  readonly counters = new Counters();
  /** What every invocation's context is made of. */
  readonly context: Omit<AnyContext, 'invocation' | 'once'>;
  readonly functions: AppFunctions;
  /** What its functions and routes have used. */
  readonly invocations: Invocations;
  readonly loopGuard: LoopGuard;
  readonly deadLetters: DeadLetters;
  readonly ledger: Ledger;
  readonly traces: Traces;
  readonly explainer: Explainer;
  readonly #options: RuntimeOptions;
  readonly #newId: () => string;
  /** That of the options, with patience where it is throttled. */
  readonly #table: Table;
  readonly #tracker: CommandTracker;
  readonly #messages: MessageReader;
  readonly #kept: KeptRecords;
  readonly #consumers: Consumers;
  readonly #stop = new AbortController();
  readonly #starting: Promise<void>[] = [];
  #backfill: Backfill | undefined;

  constructor(options: RuntimeOptions) {
    const { app, clock, log, random, alarms = noAlarms } = options;
    const table = patientTable(options.table, options);
    this.app = app;
    this.#options = options;
    this.#table = table;
    this.#newId = idMaker(clock, random);
    this.loopGuard = new LoopGuard({ alarms });
    this.invocations = new Invocations({
      log,
      traces: options.tracesInvocations,
      onRepeated: () => this.counters.add('functions.nPlusOne'),
    });
    this.#messages = new MessageReader(app);
    this.deadLetters = new DeadLetters({
      ...options,
      table,
      alarms,
      counters: this.counters,
      newId: this.#newId,
      runOne: (consumer, event) => this.redrive(consumer, event),
    });
    this.ledger = new Ledger({ ...options, table, alarms, namesLieInTopics: namesLieInTopics(app.model) });
    this.traces = new Traces({ table, clock, counters: this.counters });
    this.explainer = new Explainer({
      ...options,
      ledger: this.ledger,
      traces: this.traces,
      deadLetters: this.deadLetters,
      namesLieInTopics: namesLieInTopics(app.model),
    });
    this.#kept = new KeptRecords({
      table,
      letters: this.deadLetters,
      ledger: this.ledger,
      traces: this.traces,
    });
    this.#consumers = new Consumers({ ...options, counters: this.counters, kept: this.#kept, ledger: this.ledger });
    this.#tracker = this.#makeTracker();
    this.functions = new AppFunctions({
      ...options,
      ...options.functions,
      table,
      alarms,
      counters: this.counters,
      newId: this.#newId,
      loopGuard: this.loopGuard,
      invocations: this.invocations,
      kept: this.#kept,
      served: { table: options.table, cursorKey: options.cursorKey, building: () => this.#building() },
      context: () => this.context,
      onInvocation: report => {
        this.traces.note(report);
        options.functions?.onInvocation?.(report);
      },
    });
    this.context = this.#makeContext();
  }

  /** Functions run once the stored records are what the entities' definitions say; until then events wait in the stream. */
  async start(): Promise<void> {
    const { clock, random, log, changes } = this.#options;
    const table = this.#table;
    const keeper = new AggregateKeeper(this.app, { table, tableName: appTable.tableName, clock, changes });
    await keeper.start(); // before anything else may write
    if (declaredAggregates(this.app).length > 0) this.#consumers.followChanges(ownConsumers.aggregates, keeper);
    const { application, entities } = this.app.model;
    for (const warning of schemaReport(application, entities).warnings) log.warn({}, warning);
    this.#backfill = await Backfill.open({ table, clock, random }, entities);
    if (!this.#backfill.isDone) await this.#backfill.step(); // A table that is empty, or small, is done then.
    if (this.#backfill.isDone) return this.#startFunctions();
    const filling = this.#fill(this.#backfill).then(() => this.#startFunctions());
    this.#starting.push(filling.catch(error => this.#options.onFailure(error)));
  }

  /** How far every consumer of the stream has got: the last record all are done with; null = at the start. */
  get consumedUpTo(): SequenceNumber | null {
    return this.#consumers.consumedUpTo;
  }

  /** Messages handled by the app's own functions since the start. */
  get processed(): number {
    return this.#consumers.processed;
  }

  /** Consumers that have read what is not done. */
  get consumersAtWork(): string[] {
    return this.#consumers.atWork;
  }

  /** What each consumer of the stream tells of itself. */
  consumers(): ConsumerSnapshot[] {
    return this.#consumers.snapshots();
  }

  /** As `Consumers.replay`. */
  replay(consumer: string, from: ConsumerStart): Promise<void> {
    return this.#consumers.replay(consumer, from);
  }

  /** Runs one of the app's handlers: as `invoke` does, and what it uses is noted. `onEnd` is told of it, too. */
  invoke<T>(
    call: InvocationCall,
    work: (context: AnyContext) => Promise<T>,
    onEnd?: (calls: CallCounter) => void,
  ): Promise<T> {
    return this.functions.invoke(call, work, onEnd);
  }

  /** Gives an event to its handler again, once. Rejects with what that throws, `letter.notTaken` and `letter.noHandler`. */
  async redrive(consumer: string, event: RedrivenEvent): Promise<void> {
    if (event.kind === 'commandResult') return this.#runResultFunction(event.command, event.result);
    if ('functionName' in event) return this.functions.redrive(event);
    if (consumer !== ownConsumers.commands) return this.#consumers.redrive(consumer, event);
    const command = this.#messages.commandEvent(event.record);
    if (command !== undefined && !(await this.#take(command))) throw notKnown(command);
  }

  /** Finishes the batches in hand, then stops. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.deadLetters.close();
    await Promise.allSettled(this.#starting);
    this.functions.stop(); // Before the consumers: what waits for its turn would keep them from stopping.
    await this.#consumers.close();
    await this.ledger.close();
    await this.traces.close();
    this.#tracker.close();
    await this.functions.close();
  }

  // --- Starting ---------------------------------------------------------------------------------------------------

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

  /** How many records have been looked at for each part that is being filled. */
  #building(): Record<string, number> {
    const backfill = this.#backfill;
    if (backfill === undefined || backfill.isDone) return {};
    return Object.fromEntries(backfill.building.map(part => [part, backfill.scannedFor(part) ?? 0]));
  }

  async #startFunctions(): Promise<void> {
    if (this.#stop.signal.aborted) return;
    this.#starting.push(this.#tracker.resume().catch(error => this.#options.onFailure(error)));
    this.#consumers.followMessages<CommandEvent>(ownConsumers.commands, {
      select: record => this.#messages.commandEvent(record),
      run: eachRecord((selected, { shardId }) => this.#track(selected, shardId)),
      settings: { batchRecordsMax: consumerDefaults.eachRecordsMax },
      // Telemetry is most of the stream, and never a command's business.
      wants: (bytes, start, end) => !topicBegins(bytes, start, end, anyTelemetryPrefix),
    });
    const parts = { runner: this, messages: this.#messages, application: this.app.model.application };
    await this.functions.start();
    for (const [name, given] of Object.entries(this.app.functions)) {
      const declared = this.functions.hosted(name, given);
      if (declared.kind === 'telemetry') this.#consumers.followMessages(name, telemetryTrigger(name, declared, parts));
      else if (declared.kind === 'presence') {
        this.#consumers.followMessages(name, presenceTrigger(name, declared, parts));
      } else if (declared.kind === 'entityChange') {
        this.#consumers.followChanges(name, entityChangeTrigger(name, declared, this));
      } else if (declared.kind === 'logs') {
        this.#consumers.followLogs(name, declared.channel, logLinesTrigger(name, declared, this));
      } else if (declared.kind === 'records') {
        const definition = this.app.model.streams[declared.stream];
        this.#consumers.followRecords(
          name,
          declared.stream,
          recordsTrigger(name, declared, { runner: this, definition }),
        );
      }
    }
    this.ledger.start().catch(() => {}); // It says so itself, and tries again.
    this.#starting.push(this.deadLetters.start(consumerNames(this.app)).catch(error => this.#options.onFailure(error)));
  }

  #makeContext(): Runtime['context'] {
    const { app, table, clock, random, log, appLog = appLogOn(log), metrics = noMetrics } = this.#options;
    const { cursorKey, announce } = this.#options;
    const tracker = this.#tracker;
    const commands = Object.keys(app.model.commands).map(command => [
      command,
      {
        send: (order: Parameters<CommandTracker['send']>[1]) =>
          calling(`${command}.send`)(() => tracker.send(command, order)),
        cancel: (sessionId: string) => calling(`${command}.cancel`)(() => tracker.cancel(sessionId)),
      },
    ]);
    return {
      entities: makeRepositories(app.model.entities, {
        table,
        clock,
        random,
        cursorKey,
        buildingOf: part => this.#backfill?.scannedFor(part),
      }),
      commands: Object.fromEntries(commands),
      functions: this.functions.callers,
      iot: causedIot(this.#options.iot),
      table: this.#table,
      clock,
      newId: this.#newId,
      inParallel: (items, work, how) => inParallel(items, work, { ...how, clock, random }),
      log: appLog,
      metrics,
      announce,
    };
  }

  // --- Commands ---------------------------------------------------------------------------------------------------

  #makeTracker(): CommandTracker {
    const { app, iot, clock, log, onFailure } = this.#options;
    return new CommandTracker({
      application: app.model.application,
      commands: app.model.commands,
      table: this.#table,
      iot,
      clock,
      log,
      onResult: (command, result) => this.#runResultFunction(command, result),
      // What a result function meets when it calls another is its own failure.
      isRefused: error =>
        error instanceof FunctionRefusal && app.functions[error.functionName]?.kind === 'commandResult',
      onResultGivenUp: (command, result, error, attempts) =>
        this.#kept.deadResult(command, result, { consumer: ownConsumers.commands, error, attempts }),
      onFailure,
    });
  }

  async #track({ event, record }: Selected<CommandEvent>, shardId: ShardId): Promise<void> {
    if (await this.#take(event)) return;
    // Set aside at once: trying again would not make it known, and would keep others waiting.
    const error = notKnown(event);
    await this.#kept.deadRecord({ consumer: ownConsumers.commands, shardId, record, error, attempts: 1 });
  }

  /** False when it answers nothing. */
  async #take(event: CommandEvent): Promise<boolean> {
    if (event.kind === 'answer') return this.#tracker.receive(event.command, event.thingName, event.response);
    await this.#tracker.thingCameBack(event.thingName);
    return true;
  }

  async #runResultFunction(command: string, result: EndedCommand): Promise<void> {
    const { thingName, sessionId, attempt } = result;
    const cause = result.cause ?? fromOutside(sessionId);
    for (const [functionName, declared] of Object.entries(this.app.functions)) {
      if (declared.kind !== 'commandResult' || declared.command !== command) continue;
      this.loopGuard.check(functionName, cause);
      const handler: Handler = handlerOf(this.functions.hosted(functionName, declared));
      const { timeoutMs } = declared.options;
      const eventId = `${command}:${sessionId}`;
      const call = { functionName, trigger: 'commandResult', cause, thingName, eventId, timeoutMs, attempt } as const;
      await this.invoke(call, async context => void (await handler(result, context)));
    }
  }
}

function notKnown(event: CommandEvent): Error {
  return commandNotKnown(event.kind === 'answer' ? String(event.response.sessionId) : '', event.thingName);
}
