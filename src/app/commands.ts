import type { Iot } from '../iot/port.ts';
import type { Clock, Timer } from '../kernel/clock.ts';
import { codeOf, messageOf } from '../kernel/errors.ts';
import type { Log } from '../kernel/log.ts';
import type { Table } from '../platform/table/index.ts';
import { appTable, indexName } from './entities.ts';
import { commandNotKnown, entityNotValid, telemetryNotValid } from './errors.ts';
import type { CommandDefinition, CommandMap } from './model.ts';
import { problemsOf } from './problems.ts';
import { commandTopic } from './topics.ts';

/**
 * One command as it lies in the table: PK=Command-<sessionId>, SK=Command. While it is not finished it carries
 * SortKey=<thing>#<created>, so that GSI1 lists exactly the pending ones, per thing and in order.
 */
interface StoredCommand {
  readonly PK: string;
  readonly SK: typeof sortKey;
  readonly SortKey?: string;
  readonly Command: string;
  readonly ThingName: string;
  readonly SessionId: string;
  readonly Request: Record<string, unknown>;
  readonly CreatedAtMs: number;
  readonly ExpiresAtMs: number;
  readonly Outcome: 'pending' | 'cancelled' | EndedCommand['outcome'];
}

const sortKey = 'Command';

const commandLimits = {
  timeoutMsDefault: 10_000,
  attemptsMaxDefault: 3,
  lifetimeMsDefault: 24 * 3_600_000,
  pendingPerPageMax: 100,
  awaitedMax: 10_000, // ours: commands for absent things that are kept in memory so as to expire on time
  resultRetryMsMax: 60_000,
} as const;

/** How a command ended, before types are known. */
export interface EndedCommand {
  readonly thingName: string;
  readonly sessionId: string;
  readonly request: Record<string, unknown>;
  readonly sentAtMs: number;
  readonly outcome: 'answered' | 'timedOut' | 'expired';
  readonly response: unknown;
}

/** A command that is being sent or waits for its answer or its end. */
interface Active {
  readonly stored: StoredCommand;
  attempts: number;
  state: 'publishing' | 'awaitingAnswer' | 'awaitingThing';
  /** The thing came back while a publish was under way. */
  thingCameBack: boolean;
  timer: Timer | undefined;
}

export interface CommandTrackerOptions {
  readonly application: string;
  readonly commands: CommandMap;
  readonly table: Table;
  readonly iot: Iot;
  readonly clock: Clock;
  readonly log: Log;
  /** Runs the app's function for the result; at least once per command, so it must be idempotent. */
  readonly onResult: (command: string, result: EndedCommand) => Promise<void>;
}

/**
 * Commands from the moment they are stored to their end. A request is published when its thing is there; without an
 * answer it is published again, a few times; while the thing is away it waits in the table until the thing subscribes
 * again or the command expires. Nothing depends on memory: a restart takes up what is pending.
 */
export class CommandTracker {
  readonly #options: CommandTrackerOptions;
  readonly #active = new Map<string, Active>();
  /** Commands whose end is being dealt with: an answer and a time-out may come together, and one of them counts. */
  readonly #ending = new Map<string, Promise<void>>();
  #closed = false;

  constructor(options: CommandTrackerOptions) {
    this.#options = options;
  }

  /** Takes up every command that was pending when the app stopped. */
  async resume(): Promise<void> {
    for await (const stored of this.#pending('')) this.#start(stored);
  }

  close(): void {
    this.#closed = true;
    for (const { timer } of this.#active.values()) timer?.cancel();
    this.#active.clear();
  }

  async send(
    command: string,
    order: { thingName: string; sessionId: string; request: Record<string, unknown>; expiresAtMs?: number },
  ): Promise<void> {
    const { table, clock } = this.#options;
    const { thingName, sessionId } = order;
    const parsed = this.#definition(command).request.safeParse({ ...order.request, sessionId });
    if (!parsed.success) throw entityNotValid(`${command} request`, problemsOf(parsed.error));
    const createdAtMs = clock.nowMs();
    const stored: StoredCommand = {
      PK: partitionKeyOf(sessionId),
      SK: sortKey,
      SortKey: `${thingName}#${String(createdAtMs).padStart(15, '0')}`,
      Command: command,
      ThingName: thingName,
      SessionId: sessionId,
      Request: parsed.data,
      CreatedAtMs: createdAtMs,
      ExpiresAtMs: order.expiresAtMs ?? createdAtMs + commandLimits.lifetimeMsDefault,
      Outcome: 'pending',
    };
    try {
      await table.put({ TableName: appTable.tableName, Item: stored, ConditionExpression: 'attribute_not_exists(PK)' });
    } catch (error) {
      if (codeOf(error) === 'table.conditionFailed') return; // Sent before: the event came a second time.
      throw error;
    }
    this.#start(stored);
  }

  async cancel(sessionId: string): Promise<void> {
    const stored = await this.#load(sessionId);
    if (stored?.Outcome === 'pending') await this.#close(stored, 'cancelled');
  }

  /** An answer from the stream. Throws what makes the record a dead letter. */
  async receive(command: string, thingName: string, topic: string, payload: unknown): Promise<void> {
    const definition = this.#definition(command);
    const parsed = definition.response.safeParse(payload);
    if (!parsed.success) throw telemetryNotValid(topic, problemsOf(parsed.error));
    const sessionId = String(parsed.data.sessionId);
    const stored = await this.#load(sessionId);
    // The thing is the one the gateway has authenticated: nobody answers for another.
    if (!stored || stored.ThingName !== thingName || stored.Command !== command)
      throw commandNotKnown(sessionId, thingName);
    if (stored.Outcome !== 'pending') return; // A second answer, or one that came too late.
    await this.#finish(stored, 'answered', parsed.data);
  }

  /** The thing has connected or subscribed: what waits for it goes out. */
  async thingCameBack(thingName: string): Promise<void> {
    for await (const stored of this.#pending(`${thingName}#`)) {
      const active = this.#active.get(stored.SessionId);
      if (!active) this.#start(stored);
      else if (active.state === 'publishing') active.thingCameBack = true;
      else if (active.state === 'awaitingThing') this.#publishLater(active, 0);
    }
  }

  #start(stored: StoredCommand): void {
    if (this.#closed || this.#active.has(stored.SessionId)) return;
    const active: Active = { stored, attempts: 0, state: 'awaitingThing', thingCameBack: false, timer: undefined };
    this.#active.set(stored.SessionId, active);
    this.#publishLater(active, 0);
  }

  #publishLater(active: Active, delayMs: number): void {
    active.timer?.cancel();
    active.timer = this.#options.clock.setTimer(delayMs, () => void this.#publish(active));
  }

  async #publish(active: Active): Promise<void> {
    const { application, iot, clock } = this.#options;
    const { stored } = active;
    const { timeoutMs, attemptsMax } = this.#patience(stored.Command);
    const remainingMs = stored.ExpiresAtMs - clock.nowMs();
    if (remainingMs <= 0) return this.#end(active, 'expired');
    if (active.attempts >= attemptsMax) return this.#end(active, 'timedOut');
    active.state = 'publishing';
    active.thingCameBack = false;
    const subscribers = await iot
      .publish({
        topic: commandTopic(application, stored.Command, stored.ThingName, 'req'),
        payload: Buffer.from(JSON.stringify(stored.Request)),
        qos: 1,
        // A copy queued for a sleeping session must not outlive the attempt it belongs to.
        messageExpirySeconds: Math.max(1, Math.ceil(Math.min(timeoutMs, remainingMs) / 1_000)),
      })
      .then(receipt => receipt.subscribers)
      .catch(error => {
        this.#options.log.error(
          { sessionId: stored.SessionId, code: codeOf(error) },
          'A command could not be published.',
        );
        return 0;
      });
    if (!this.#active.has(stored.SessionId)) return; // Answered meanwhile, or closed.
    if (subscribers > 0) {
      active.attempts++;
      active.state = 'awaitingAnswer';
      this.#publishLater(active, timeoutMs);
    } else if (this.#active.size > commandLimits.awaitedMax && !active.thingCameBack) {
      this.#active.delete(stored.SessionId); // It lies in the table; its thing's return brings it back.
    } else {
      active.state = 'awaitingThing';
      this.#publishLater(active, active.thingCameBack ? 0 : remainingMs);
    }
  }

  async #end(active: Active, outcome: 'timedOut' | 'expired', attempt = 0): Promise<void> {
    try {
      await this.#finish(active.stored, outcome, undefined);
    } catch (error) {
      this.#options.log.error(
        { sessionId: active.stored.SessionId, code: codeOf(error), reason: messageOf(error) },
        'The function for a command result failed; it is tried again.',
      );
      const delayMs = Math.min(1_000 * 2 ** attempt, commandLimits.resultRetryMsMax);
      if (!this.#closed)
        active.timer = this.#options.clock.setTimer(delayMs, () => void this.#end(active, outcome, attempt + 1));
    }
  }

  /** The function first, then the record of its being done: a crash in between repeats the function, never skips it. */
  #finish(stored: StoredCommand, outcome: EndedCommand['outcome'], response: unknown): Promise<void> {
    const { SessionId } = stored;
    const ending =
      this.#ending.get(SessionId) ??
      this.#runResult(stored, outcome, response).finally(() => this.#ending.delete(SessionId));
    this.#ending.set(SessionId, ending);
    return ending;
  }

  async #runResult(stored: StoredCommand, outcome: EndedCommand['outcome'], response: unknown): Promise<void> {
    await this.#options.onResult(stored.Command, {
      thingName: stored.ThingName,
      sessionId: stored.SessionId,
      request: stored.Request,
      sentAtMs: stored.CreatedAtMs,
      outcome,
      response,
    });
    await this.#close(stored, outcome);
  }

  async #close(stored: StoredCommand, outcome: StoredCommand['Outcome']): Promise<void> {
    await this.#options.table.update({
      TableName: appTable.tableName,
      Key: { PK: stored.PK, SK: stored.SK },
      UpdateExpression: 'SET Outcome = :outcome REMOVE SortKey',
      ExpressionAttributeValues: { ':outcome': outcome },
    });
    this.#active.get(stored.SessionId)?.timer?.cancel();
    this.#active.delete(stored.SessionId);
  }

  async #load(sessionId: string): Promise<StoredCommand | undefined> {
    const answer = await this.#options.table.get({
      TableName: appTable.tableName,
      Key: { PK: partitionKeyOf(sessionId), SK: sortKey },
      ConsistentRead: true,
    });
    return answer.Item as StoredCommand | undefined; // As `send` put it there.
  }

  /** Pending commands whose SortKey begins with `prefix`, oldest first per thing. */
  async *#pending(prefix: string): AsyncGenerator<StoredCommand> {
    let from: Record<string, unknown> | undefined;
    do {
      const page = await this.#options.table.query({
        TableName: appTable.tableName,
        IndexName: indexName,
        KeyConditionExpression: prefix ? 'SK = :command AND begins_with(SortKey, :prefix)' : 'SK = :command',
        ExpressionAttributeValues: prefix ? { ':command': sortKey, ':prefix': prefix } : { ':command': sortKey },
        Limit: commandLimits.pendingPerPageMax,
        ExclusiveStartKey: from,
      });
      yield* (page.Items ?? []) as StoredCommand[]; // As `send` put them there.
      from = page.LastEvaluatedKey;
    } while (from);
  }

  #definition(command: string): CommandDefinition {
    return this.#options.commands[command];
  }

  #patience(command: string): { timeoutMs: number; attemptsMax: number } {
    const { timeoutMs, attemptsMax } = this.#definition(command);
    return {
      timeoutMs: timeoutMs ?? commandLimits.timeoutMsDefault,
      attemptsMax: attemptsMax ?? commandLimits.attemptsMaxDefault,
    };
  }
}

function partitionKeyOf(sessionId: string): string {
  return `Command-${sessionId}`;
}
