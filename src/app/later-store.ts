/**
 * Invocations that run later, in the app's table: PK=$Later-<id>, SK=$Later. While one is open it carries
 * SortKey=<due>#<id>, so that GSI1 lists exactly the open ones, those first that are due first. One with a key of the caller
 * stays a while after its end, to be found by the next call with that key.
 */
import { asCaller } from '../kernel/callers.ts';
import { decodeCause, encodeCause } from '../kernel/causes.ts';
import type { Clock } from '../kernel/clock.ts';
import type { LaterInvocation, LaterStore, OpenLater } from '../platform/functions/index.ts';
import { laterLimits } from '../platform/functions/index.ts';
import { isConditionFailure, type Table } from '../platform/table/index.ts';
import { appTable, cancellationCodes, expiryAttribute, indexName } from './entities/index.ts';

const TableName = appTable.tableName;
const sortKey = '$Later';

interface StoredLater {
  readonly PK: string;
  readonly SK: typeof sortKey;
  readonly SortKey?: string;
  readonly Id: string;
  readonly FunctionName: string;
  readonly Trigger: LaterInvocation['trigger'];
  readonly Input: string;
  readonly EventId: string;
  /** As `encodeCause` writes it. */
  readonly Cause?: string;
  readonly DueAtMs: number;
  readonly Attempts: number;
  /** It is at work, or was when the app ended. */
  readonly IsBegun?: true;
  readonly KeptUntilMs?: number;
}

export class LaterTable implements LaterStore {
  readonly #table: Table;
  readonly #clock: Clock;

  constructor({ table, clock }: { table: Table; clock: Clock }) {
    this.#table = table;
    this.#clock = clock;
  }

  put(invocation: LaterInvocation): Promise<boolean> {
    return asOwn(async () => {
      try {
        await this.#table.put({ TableName, ...this.#newItem(invocation) });
        return true;
      } catch (error) {
        if (isConditionFailure(error)) return false;
        throw error;
      }
    });
  }

  putScheduled(invocation: LaterInvocation, scheduledAtMs: number): Promise<boolean> {
    const mark = { TableName, Item: scheduleItem(invocation.functionName, scheduledAtMs) };
    return asOwn(async () => {
      try {
        const put = { TableName, ...this.#newItem(invocation) };
        await this.#table.transactWrite({ TransactItems: [{ Put: put }, { Put: mark }] });
        return true;
      } catch (error) {
        if (!cancellationCodes(error).includes(conditionFailed)) throw error;
        await this.#table.put(mark); // It had been called for this time, before the clock was set back.
        return false;
      }
    });
  }

  /** The last time that a schedule has been called for; undefined: it never was. */
  lastScheduled(functionName: string): Promise<number | undefined> {
    return asOwn(async () => {
      const { PK, SK } = scheduleItem(functionName, 0);
      const { Item } = await this.#table.get({ TableName, Key: { PK, SK }, ConsistentRead: true });
      return Item?.LastAtMs;
    });
  }

  noteScheduled(functionName: string, lastAtMs: number): Promise<void> {
    return asOwn(async () => void (await this.#table.put({ TableName, Item: scheduleItem(functionName, lastAtMs) })));
  }

  begin(id: string): Promise<LaterInvocation | undefined> {
    return asOwn(async () => {
      const { Attributes } = await this.#table
        .update({
          TableName,
          Key: keyOf(id),
          ConditionExpression: 'attribute_exists(SortKey)',
          UpdateExpression: 'SET Attempts = Attempts + :one, IsBegun = :yes',
          ExpressionAttributeValues: { ':one': 1, ':yes': true },
          ReturnValues: 'ALL_NEW',
        })
        .catch(noneOnConditionFailure);
      return Attributes && invocationOf(Attributes as StoredLater); // As `put` put it there.
    });
  }

  putBack(id: string, dueAtMs: number, attempts: number): Promise<void> {
    return asOwn(async () => {
      await this.#table
        .update({
          TableName,
          Key: keyOf(id),
          ConditionExpression: 'attribute_exists(SortKey)',
          UpdateExpression: 'SET Attempts = :attempts, SortKey = :sortKey REMOVE IsBegun',
          ExpressionAttributeValues: { ':attempts': attempts, ':sortKey': sortKeyOf(id, dueAtMs) },
        })
        .catch(ignoreConditionFailure);
    });
  }

  finish(invocation: LaterInvocation, next?: LaterInvocation): Promise<void> {
    const end = this.#ending(invocation);
    return asOwn(async () => {
      if (next === undefined) {
        const { Delete, Update } = end;
        await (Delete ? this.#table.delete(Delete) : this.#table.update(Update)).catch(ignoreConditionFailure);
        return;
      }
      const begin = { Put: { TableName, ...this.#newItem(next) } };
      await this.#table.transactWrite({ TransactItems: [end, begin] }).catch(ignoreCancellation);
    });
  }

  async *open(): AsyncGenerator<OpenLater> {
    let from: Record<string, unknown> | undefined;
    do {
      const page = await asOwn(() =>
        this.#table.query({
          TableName,
          IndexName: indexName,
          KeyConditionExpression: 'SK = :later',
          ExpressionAttributeValues: { ':later': sortKey },
          Limit: laterLimits.pageItemsMax,
          ExclusiveStartKey: from,
        }),
      );
      // As `put` put them there.
      for (const { Id, FunctionName, SortKey, IsBegun } of (page.Items ?? []) as StoredLater[]) {
        yield {
          id: Id,
          functionName: FunctionName,
          dueAtMs: Number.parseInt(SortKey ?? '0', 10),
          wasBegun: IsBegun === true,
        };
      }
      from = page.LastEvaluatedKey;
    } while (from);
  }

  #newItem(invocation: LaterInvocation) {
    const { id, functionName, trigger, input, eventId, cause, dueAtMs, attempts, keptUntilMs } = invocation;
    const Item: StoredLater = {
      ...keyOf(id),
      SortKey: sortKeyOf(id, dueAtMs),
      Id: id,
      FunctionName: functionName,
      Trigger: trigger,
      Input: input,
      EventId: eventId,
      ...(cause && { Cause: Buffer.from(encodeCause(cause)).toString() }),
      DueAtMs: dueAtMs,
      Attempts: attempts,
      ...(keptUntilMs !== undefined && { KeptUntilMs: keptUntilMs }),
    };
    return {
      Item,
      // What has ended and was kept long enough is as good as gone, whenever it is removed.
      ConditionExpression: 'attribute_not_exists(PK) OR (attribute_not_exists(SortKey) AND KeptUntilMs <= :now)',
      ExpressionAttributeValues: { ':now': this.#clock.nowMs() },
    };
  }

  /** Removes it, or leaves what finds a second call with its key. */
  #ending({ id, keptUntilMs = 0 }: LaterInvocation) {
    const target = { TableName, Key: keyOf(id), ConditionExpression: 'attribute_exists(SortKey)' };
    if (keptUntilMs <= this.#clock.nowMs()) return { Delete: target };
    return {
      Update: {
        ...target,
        UpdateExpression: 'SET #expiry = :at REMOVE SortKey, #input, Cause, IsBegun',
        ExpressionAttributeNames: { '#expiry': expiryAttribute, '#input': 'Input' },
        ExpressionAttributeValues: { ':at': Math.ceil(keptUntilMs / 1_000) },
      },
    };
  }
}

function invocationOf(stored: StoredLater): LaterInvocation {
  const { Id, FunctionName, Trigger, Input, EventId, Cause, DueAtMs, Attempts, KeptUntilMs } = stored;
  return {
    id: Id,
    functionName: FunctionName,
    trigger: Trigger,
    input: Input,
    eventId: EventId,
    ...(Cause !== undefined && { cause: decodeCause(Buffer.from(Cause)) }),
    dueAtMs: DueAtMs,
    attempts: Attempts,
    ...(KeptUntilMs !== undefined && { keptUntilMs: KeptUntilMs }),
  };
}

function keyOf(id: string): { PK: string; SK: typeof sortKey } {
  return { PK: `${sortKey}-${id}`, SK: sortKey };
}

function sortKeyOf(id: string, dueAtMs: number): string {
  return `${String(Math.max(0, Math.ceil(dueAtMs))).padStart(15, '0')}#${id}`;
}

function scheduleItem(functionName: string, lastAtMs: number) {
  return { PK: `$Schedule-${functionName}`, SK: '$Schedule', LastAtMs: lastAtMs };
}

/** What is used for this is listed as such, and is no list that a function reads piece by piece. */
function asOwn<Result>(work: () => Promise<Result>): Promise<Result> {
  return asCaller({ accessPattern: '$later', isCounted: true }, work);
}

function ignoreConditionFailure(error: unknown): void {
  if (!isConditionFailure(error)) throw error;
}

function noneOnConditionFailure(error: unknown): { Attributes?: undefined } {
  ignoreConditionFailure(error);
  return {};
}

/** It had ended before: what comes after it was begun then. */
function ignoreCancellation(error: unknown): void {
  if (!cancellationCodes(error).includes(conditionFailed)) throw error;
}

const conditionFailed = 'ConditionalCheckFailed';
