import assert from 'node:assert/strict';
import type { Iot } from '../iot/port.ts';
import { currentCaller } from '../kernel/callers.ts';
import { type Cause, currentCause, decodeCause, encodeCause } from '../kernel/causes.ts';
import type { Clock } from '../kernel/clock.ts';
import { codeOf, MimamoriError, messageOf } from '../kernel/errors.ts';
import type { Log } from '../kernel/log.ts';
import { isConditionFailure, type Table } from '../platform/table/index.ts';
import { type Active, ActiveCommands } from './active-commands.ts';
import { appTable, entityNotValid, indexName } from './entities/index.ts';
import type { CommandDefinition, CommandMap } from './model.ts';
import { problemsOf } from './problems.ts';
import { commandTopic } from './topics.ts';

/**
 * One command as it lies in the table: PK=Command-<sessionId>, SK=Command. Until its result has been handled it carries
 * SortKey=<thing>#<created>, so that GSI1 lists exactly the open ones, per thing and in order.
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
  /** Leaves `pending` once, by a conditional write: whoever comes second finds that it has ended. */
  readonly Outcome: 'pending' | 'cancelled' | EndedCommand['outcome'];
  readonly Answer?: Record<string, unknown>;
  /** Counted before each run of the result function, so that one that hangs or crashes is counted too. */
  readonly ResultAttempts?: number;
  /** What led to it, as `encodeCause` writes it. */
  readonly Cause?: string;
}

const sortKey = 'Command';

const commandLimits = {
  timeoutMsDefault: 10_000,
  attemptsMaxDefault: 3,
  lifetimeMsDefault: 24 * 3_600_000,
  pendingPerPageMax: 100,
  awaitedMax: 10_000, // ours: commands for absent things that are kept in memory so as to expire on time
  resultAttemptsMax: 5, // ours: with the delays between them, half a minute
  resultRetryMs: 1_000, // doubled per attempt
  refusedRetryMsMax: 60_000, // ours: how late a result may be after its function has room again
} as const;

/** How a command ended, before types are known. */
export interface EndedCommand {
  readonly thingName: string;
  readonly sessionId: string;
  readonly request: Record<string, unknown>;
  readonly sentAtMs: number;
  readonly outcome: 'answered' | 'timedOut' | 'expired';
  readonly response: Record<string, unknown> | undefined;
  /** What led to the command, if a function sent it. */
  readonly cause?: Cause;
  /** How often its result function is run by now. */
  readonly attempt: number;
}

type InHand = Active<StoredCommand>;

export interface CommandTrackerOptions {
  readonly application: string;
  readonly commands: CommandMap;
  readonly table: Table;
  readonly iot: Iot;
  readonly clock: Clock;
  readonly log: Log;
  /** Storage has failed. */
  readonly onFailure: (error: unknown) => void;
  /** Runs the app's function for the result; at least once per command, so it must be idempotent. */
  readonly onResult: (command: string, result: EndedCommand) => Promise<void>;
  /** Whether an error of `onResult` says that the function was not begun, for want of room or budget. Default: none does. */
  readonly isRefused?: (error: unknown) => boolean;
  /** The function has failed too often: keeps the result with the reason. */
  readonly onResultGivenUp: (command: string, result: EndedCommand, error: unknown, attempts: number) => Promise<void>;
}

/**
 * Commands from the moment they are stored to their end. A request is published when its thing is there; without an
 * answer it is published again, a few times; while the thing is away it waits in the table until the thing subscribes
 * again or the command expires. How a command ended is stored before its function runs, so it has one end, and a
 * restart takes up whatever is open (the attempts at sending start over then).
 */
export class CommandTracker {
  readonly #options: CommandTrackerOptions;
  readonly #active = new ActiveCommands<StoredCommand>();
  #closed = false;

  constructor(options: CommandTrackerOptions) {
    this.#options = options;
  }

  /** Takes up every command that was open when the app stopped, one after the other. */
  async resume(): Promise<void> {
    for await (const stored of this.#open('')) {
      if (this.#closed) return;
      if (stored.Outcome === 'pending') await this.#start(stored);
      else this.#retryResultLater(stored, interrupted(stored.Command));
    }
  }

  close(): void {
    this.#closed = true;
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
    const cause = currentCause();
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
      ...(cause && { Cause: Buffer.from(encodeCause(cause)).toString() }),
    };
    try {
      await table.put({ TableName: appTable.tableName, Item: stored, ConditionExpression: 'attribute_not_exists(PK)' });
    } catch (error) {
      if (isConditionFailure(error)) return; // Sent before: the event came a second time.
      throw error;
    }
    currentCaller()?.calls?.noteEffect('command', `${command} ${sessionId}`);
    void this.#start(stored);
  }

  async cancel(sessionId: string): Promise<void> {
    const stored = await this.#load(sessionId);
    if (stored && (await this.#claim(stored, 'cancelled', undefined))) await this.#markHandled(stored);
  }

  /** An answer that fits its schema. False when it answers nothing that the thing was asked. */
  async receive(command: string, thingName: string, response: Record<string, unknown>): Promise<boolean> {
    const stored = await this.#load(String(response.sessionId));
    // The thing is the one the gateway has authenticated: nobody answers for another.
    if (!stored || stored.ThingName !== thingName || stored.Command !== command) return false;
    await this.#end(stored, 'answered', response); // Nothing happens for a second answer, or one that came too late.
    return true;
  }

  /**
   * The thing has connected or subscribed: what waits for it goes out, oldest first. The list lags: what has just ended
   * may still be on it, and what was just sent may not be, but is in hand.
   */
  async thingCameBack(thingName: string): Promise<void> {
    const listed = new Set<string>();
    for await (const { SessionId, Outcome } of this.#open(`${thingName}#`)) {
      listed.add(SessionId);
      const active = this.#active.get(SessionId);
      if (active) this.#noteReturn(active);
      else if (Outcome === 'pending') await this.#takeUp(SessionId);
    }
    for (const active of this.#active.ofThing(thingName))
      if (!listed.has(active.stored.SessionId)) this.#noteReturn(active);
  }

  #noteReturn(active: InHand): void {
    if (active.state === 'publishing') active.thingCameBack = true;
    else if (active.state === 'awaitingThing') this.#publishLater(active, 0);
  }

  async #takeUp(sessionId: string): Promise<void> {
    const stored = await this.#load(sessionId);
    if (stored?.Outcome === 'pending') void this.#start(stored);
  }

  #start(stored: StoredCommand): Promise<void> {
    if (this.#closed || this.#active.get(stored.SessionId)) return Promise.resolve();
    const active: InHand = { stored, attempts: 0, state: 'awaitingThing', thingCameBack: false, timer: undefined };
    this.#active.add(active);
    return this.#publish(active);
  }

  #publishLater(active: InHand, delayMs: number): void {
    active.timer?.cancel();
    active.timer = this.#options.clock.setTimer(delayMs, () => void this.#publish(active));
  }

  /** Never rejects: what goes wrong costs an attempt and is tried again. */
  async #publish(active: InHand): Promise<void> {
    const { stored } = active;
    const { timeoutMs, attemptsMax } = this.#patience(stored.Command);
    if (active.state === 'publishing' || active.state === 'ended') return;
    try {
      const remainingMs = stored.ExpiresAtMs - this.#options.clock.nowMs();
      if (remainingMs <= 0) return await this.#end(stored, 'expired', undefined);
      if (active.attempts >= attemptsMax) return await this.#end(stored, 'timedOut', undefined);
      active.state = 'publishing';
      active.thingCameBack = false;
      const subscribers = await this.#publishRequest(stored, Math.min(timeoutMs, remainingMs));
      if (this.#hasEnded(active)) return; // Answered meanwhile, or closed.
      if (subscribers === 0) return this.#awaitThing(active, remainingMs);
      active.attempts++;
    } catch (error) {
      this.#options.log.error(
        { sessionId: stored.SessionId, code: codeOf(error), reason: messageOf(error) },
        'A command could not be sent or ended; it is tried again.',
      );
      if (this.#hasEnded(active)) return;
      active.attempts = Math.min(active.attempts + 1, attemptsMax);
    }
    active.state = 'awaitingAnswer';
    this.#publishLater(active, timeoutMs);
  }

  async #publishRequest(stored: StoredCommand, lifetimeMs: number): Promise<number> {
    const { subscribers } = await this.#options.iot.publish({
      topic: commandTopic(this.#options.application, stored.Command, stored.ThingName, 'req'),
      payload: Buffer.from(JSON.stringify(stored.Request)),
      qos: 1,
      // A copy queued for a sleeping session must not outlive the attempt it belongs to.
      messageExpirySeconds: Math.max(1, Math.ceil(lifetimeMs / 1_000)),
    });
    return subscribers;
  }

  #awaitThing(active: InHand, remainingMs: number): void {
    active.state = 'awaitingThing';
    if (active.thingCameBack) this.#publishLater(active, 0);
    else if (this.#active.size <= commandLimits.awaitedMax) this.#publishLater(active, remainingMs);
    else this.#active.delete(active); // It lies in the table; its thing's return brings it back.
  }

  #hasEnded(active: InHand): boolean {
    return this.#closed || this.#active.get(active.stored.SessionId) !== active || active.state === 'ended';
  }

  /** Stores how the command ended, unless it has ended already; then runs the function for it. */
  async #end(
    stored: StoredCommand,
    outcome: EndedCommand['outcome'],
    response: EndedCommand['response'],
  ): Promise<void> {
    const ended = await this.#claim(stored, outcome, response);
    if (ended) await this.#runResult(ended);
  }

  /** The command as it is now, or undefined when it had ended before. */
  async #claim(
    stored: StoredCommand,
    outcome: StoredCommand['Outcome'],
    response: EndedCommand['response'],
  ): Promise<StoredCommand | undefined> {
    try {
      const { Attributes } = await this.#options.table.update({
        TableName: appTable.tableName,
        Key: { PK: stored.PK, SK: stored.SK },
        ConditionExpression: 'Outcome = :pending',
        UpdateExpression: `SET Outcome = :outcome, ResultAttempts = :one${response ? ', Answer = :response' : ''}`,
        ExpressionAttributeValues: {
          ':pending': 'pending',
          ':outcome': outcome,
          ':one': 1,
          ...(response && { ':response': response }),
        },
        ReturnValues: 'ALL_NEW',
      });
      this.#forget(stored);
      return Attributes as StoredCommand | undefined; // As `send` put it there.
    } catch (error) {
      if (!isConditionFailure(error)) throw error;
      this.#forget(stored); // It was taken up from a page read before its end.
      return undefined;
    }
  }

  async #runResult(stored: StoredCommand, refusedMs: number = commandLimits.resultRetryMs): Promise<void> {
    try {
      await this.#options.onResult(stored.Command, resultOf(stored));
    } catch (error) {
      if (this.#options.isRefused?.(error)) return this.#runResultLater(stored, refusedMs);
      this.#options.log.error(
        { sessionId: stored.SessionId, code: codeOf(error), reason: messageOf(error) },
        'The function for a command result failed.',
      );
      if (codeOf(error) !== 'function.loop') return this.#retryResultLater(stored, error);
      const attempts = stored.ResultAttempts ?? 1; // Trying it again would only go round once more.
      await this.#options.onResultGivenUp(stored.Command, resultOf(stored), error, attempts);
    }
    await this.#markHandled(stored);
  }

  /** It has not run, so that this costs no attempt. Nobody waits for it: the results of other commands must not. */
  #runResultLater(stored: StoredCommand, delayMs: number): void {
    this.#options.clock.setTimer(delayMs, () => {
      if (this.#closed) return;
      const nextMs = Math.min(delayMs * 2, commandLimits.refusedRetryMsMax);
      this.#runResult(stored, nextMs).catch(error => {
        if (codeOf(error) === 'store.full') this.#runResultLater(stored, nextMs);
        else this.#options.onFailure(error);
      });
    });
  }

  #retryResultLater(stored: StoredCommand, reason: unknown): void {
    const delayMs = commandLimits.resultRetryMs * 2 ** ((stored.ResultAttempts ?? 1) - 1);
    this.#options.clock.setTimer(delayMs, () => {
      if (this.#closed) return;
      this.#retryResult(stored, reason).catch(error => {
        const isFull = ['store.full', 'letter.full'].includes(codeOf(error)); // No room for it, or for its dead letter.
        if (isFull) this.#retryResultLater(stored, reason);
        else this.#options.onFailure(error);
      });
    });
  }

  /** Counts first, then runs: a function that hangs or ends its thread uses up its attempts as one that throws does. */
  async #retryResult(stored: StoredCommand, reason: unknown): Promise<void> {
    const attempts = stored.ResultAttempts ?? 0;
    if (!Object.hasOwn(this.#options.commands, stored.Command)) return this.#leave(stored);
    if (attempts >= commandLimits.resultAttemptsMax) {
      await this.#options.onResultGivenUp(stored.Command, resultOf(stored), reason, attempts);
      return this.#markHandled(stored);
    }
    await this.#options.table.update({
      TableName: appTable.tableName,
      Key: { PK: stored.PK, SK: stored.SK },
      UpdateExpression: 'SET ResultAttempts = :attempts',
      ExpressionAttributeValues: { ':attempts': attempts + 1 },
    });
    await this.#runResult({ ...stored, ResultAttempts: attempts + 1 });
  }

  /** The command is open no more. */
  async #markHandled(stored: StoredCommand): Promise<void> {
    await this.#options.table.update({
      TableName: appTable.tableName,
      Key: { PK: stored.PK, SK: stored.SK },
      UpdateExpression: 'REMOVE SortKey',
    });
  }

  #forget(stored: StoredCommand): void {
    const active = this.#active.get(stored.SessionId);
    if (!active) return;
    active.state = 'ended';
    active.timer?.cancel();
    this.#active.delete(active);
  }

  /** A command that the model does not have any more: it stays in the table, in case the model gets it back. */
  #leave({ Command, SessionId }: StoredCommand): void {
    this.#options.log.warn({ command: Command, sessionId: SessionId }, 'An open command is not in the model any more.');
  }

  async #load(sessionId: string): Promise<StoredCommand | undefined> {
    const answer = await this.#options.table.get({
      TableName: appTable.tableName,
      Key: { PK: partitionKeyOf(sessionId), SK: sortKey },
      ConsistentRead: true,
    });
    return answer.Item as StoredCommand | undefined; // As `send` put it there.
  }

  /** Open commands of the model whose SortKey begins with `prefix`, oldest first per thing. */
  async *#open(prefix: string): AsyncGenerator<StoredCommand> {
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
      // As `send` put them there.
      for (const stored of (page.Items ?? []) as StoredCommand[]) {
        if (Object.hasOwn(this.#options.commands, stored.Command)) yield stored;
        else this.#leave(stored);
      }
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

function resultOf(stored: StoredCommand): EndedCommand {
  assert(stored.Outcome !== 'pending' && stored.Outcome !== 'cancelled'); // Neither is a result.
  return {
    thingName: stored.ThingName,
    sessionId: stored.SessionId,
    request: stored.Request,
    sentAtMs: stored.CreatedAtMs,
    outcome: stored.Outcome,
    response: stored.Answer,
    ...(stored.Cause !== undefined && { cause: decodeCause(Buffer.from(stored.Cause)) }),
    attempt: stored.ResultAttempts ?? 1,
  };
}

const interrupted = (command: string) =>
  new MimamoriError({
    code: 'command.resultInterrupted',
    message: `The app ended while the result function of ${command} was at work.`,
    fix: 'If it comes again and again, find the endless loop, the leak or the exit in that function.',
  });

function partitionKeyOf(sessionId: string): string {
  return `Command-${sessionId}`;
}

/** What became of a command is told by its answer; this tells what was asked, and when. Undefined when there is none. */
export async function findCommand(
  table: Pick<Table, 'get'>,
  sessionId: string,
): Promise<{ command: string; thingName: string; sentAtMs: number } | undefined> {
  const Key = { PK: partitionKeyOf(sessionId), SK: sortKey };
  const { Item } = await table.get({ TableName: appTable.tableName, Key, ConsistentRead: true });
  return Item && { command: Item.Command, thingName: Item.ThingName, sentAtMs: Item.CreatedAtMs };
}
