/**
 * Effects that must not be repeated when their event is told again: what an effect has answered is kept in the app's table,
 * PK=$Once-<function>#<effect>#<key>, and given to whoever comes later. Between the effect and its being kept the app may
 * end: then it is done once more. Only what is written in the same transaction as its mark can do better.
 */
import { asCaller } from '../kernel/callers.ts';
import { type Clock, delay } from '../kernel/clock.ts';
import { messageOf } from '../kernel/errors.ts';
import {
  effectInProgress,
  effectKeyMissing,
  effectKeyNotValid,
  effectResultNotValid,
  type Invocation,
  onceLimits,
} from '../platform/functions/index.ts';
import { isConditionFailure, type Table } from '../platform/table/index.ts';
import type { Once } from './context.ts';
import { appTable, expiryAttribute } from './entities/index.ts';

const TableName = appTable.tableName;
const sortKey = '$Once';

interface StoredEffect {
  readonly PK: string;
  readonly SK: typeof sortKey;
  /** Who does it, or has done it. */
  readonly Claim: string;
  /** The life of the app that does it. */
  readonly Life: string;
  readonly IsDone: boolean;
  /** Not done by then, it may be begun anew. */
  readonly ClaimedUntilMs: number;
  readonly KeptUntilMs: number;
  /** What it has answered, JSON; absent: nothing. */
  readonly Result?: string;
  /** Why what it has answered could not be kept. */
  readonly Problem?: string;
}

export interface EffectsOptions {
  readonly table: Table;
  readonly clock: Clock;
  readonly newId: () => string;
  /**
   * Names the life of the app: what an earlier one had begun is begun anew at once, since only one app uses the table.
   * Undefined, as on AWS: nobody knows who else is alive, so it is begun anew when its time is over.
   */
  readonly life: string | undefined;
}

export class Effects {
  readonly #options: EffectsOptions;
  /** Under way in this thread. */
  readonly #underWay = new Map<string, Promise<unknown>>();

  constructor(options: EffectsOptions) {
    this.#options = options;
  }

  /** What the context of an invocation offers. */
  onceFor(invocation: Invocation, eventId: string | undefined): Once {
    return async (effect, work, { key = eventId, ttlMs = onceLimits.ttlMsDefault } = {}) => {
      if (key === undefined) throw effectKeyMissing(effect);
      const name = `${effect}#${key}`;
      const isKey = effect !== '' && key !== '' && name.length <= onceLimits.keyCharactersMax && name.isWellFormed();
      const isTime = ttlMs >= onceLimits.ttlMsMin && ttlMs <= onceLimits.ttlMsMax; // not for NaN
      if (!isKey || !isTime) throw effectKeyNotValid(effect);
      const PK = `${sortKey}-${invocation.functionName}#${name}`;
      return this.#once({ PK, effect, keptMs: ttlMs, invocation, work }) as ReturnType<typeof work>; // What `work` answers, or did.
    };
  }

  async #once(call: EffectCall): Promise<unknown> {
    const { PK, effect, invocation } = call;
    const { clock } = this.#options;
    for (let waitMs: number = onceLimits.pollMs; ; waitMs = Math.min(waitMs * 2, onceLimits.pollMsMax)) {
      const other = this.#underWay.get(PK);
      if (other === undefined) {
        const done = await this.#tryToDo(call);
        if (done !== undefined) return done.result;
      }
      if (invocation.remainingMs() <= waitMs) throw effectInProgress(effect);
      // Another invocation does it: here, where its end is seen, or elsewhere.
      await (other === undefined ? delay(clock, waitMs) : Promise.race([other.catch(() => {}), delay(clock, waitMs)]));
    }
  }

  /** Undefined: another does it. */
  async #tryToDo(call: EffectCall): Promise<Done | undefined> {
    const doing = this.#claimAndDo(call);
    this.#underWay.set(call.PK, doing);
    try {
      return await doing;
    } finally {
      this.#underWay.delete(call.PK);
    }
  }

  async #claimAndDo(call: EffectCall): Promise<Done | undefined> {
    const claimed = await this.#claim(call);
    if ('claim' in claimed) return this.#do(call, claimed.claim);
    return claimed.kept.IsDone ? { result: resultOf(call.effect, claimed.kept) } : undefined;
  }

  async #do(call: EffectCall, claim: string): Promise<Done> {
    let answer: unknown;
    try {
      answer = await call.work();
    } catch (error) {
      await this.#giveUp(call, claim); // It may be tried again.
      throw error;
    }
    const kept = keptFormOf(answer);
    await this.#keep(call, claim, kept);
    if (kept.Problem !== undefined) throw effectResultNotValid(call.effect, kept.Problem);
    return { result: kept.Result === undefined ? undefined : JSON.parse(kept.Result) }; // As others will get it.
  }

  /** `kept`: somebody else has done it, or does it. */
  async #claim({ PK, keptMs, invocation }: EffectCall): Promise<{ claim: string } | { kept: StoredEffect }> {
    const { table, clock, newId, life } = this.#options;
    for (;;) {
      const nowMs = clock.nowMs();
      const claim = newId();
      const KeptUntilMs = nowMs + keptMs;
      const stored: StoredEffect = {
        PK,
        SK: sortKey,
        Claim: claim,
        Life: life ?? claim,
        IsDone: false,
        ClaimedUntilMs: nowMs + invocation.remainingMs(),
        KeptUntilMs,
      };
      const mayBeginAnew = `ClaimedUntilMs <= :now${life === undefined ? '' : ' OR Life <> :life'}`;
      const item = {
        TableName,
        Item: { ...stored, [expiryAttribute]: Math.ceil(KeptUntilMs / 1_000) },
        ConditionExpression: `attribute_not_exists(PK) OR KeptUntilMs <= :now OR (IsDone = :no AND (${mayBeginAnew}))`,
        ExpressionAttributeValues: { ':now': nowMs, ':no': false, ...(life !== undefined && { ':life': life }) },
      };
      const isClaimed = await asOwn(() => table.put(item)).then(() => true, refusedByCondition);
      if (isClaimed) return { claim };
      const Key = { PK, SK: sortKey };
      const { Item } = await asOwn(() => table.get({ TableName, Key, ConsistentRead: true }));
      if (Item !== undefined) return { kept: Item as StoredEffect }; // As it was put there.
    }
  }

  #keep({ PK }: EffectCall, claim: string, { Result, Problem }: KeptForm): Promise<unknown> {
    const sets = [
      'IsDone = :yes',
      ...(Result === undefined ? [] : ['#result = :result']),
      ...(Problem === undefined ? [] : ['Problem = :problem']),
    ];
    return asOwn(() =>
      this.#options.table
        .update({
          TableName,
          Key: { PK, SK: sortKey },
          ConditionExpression: 'Claim = :claim', // Another may have begun it anew, when this took too long.
          UpdateExpression: `SET ${sets.join(', ')}`,
          ...(Result !== undefined && { ExpressionAttributeNames: { '#result': 'Result' } }),
          ExpressionAttributeValues: {
            ':claim': claim,
            ':yes': true,
            ...(Result !== undefined && { ':result': Result }),
            ...(Problem !== undefined && { ':problem': Problem }),
          },
        })
        .catch(refusedByCondition),
    );
  }

  #giveUp({ PK }: EffectCall, claim: string): Promise<unknown> {
    return asOwn(() =>
      this.#options.table
        .delete({
          TableName,
          Key: { PK, SK: sortKey },
          ConditionExpression: 'Claim = :claim',
          ExpressionAttributeValues: { ':claim': claim },
        })
        .catch(refusedByCondition),
    );
  }
}

interface Done {
  readonly result: unknown;
}

interface EffectCall {
  readonly PK: string;
  readonly effect: string;
  readonly keptMs: number;
  readonly invocation: Invocation;
  readonly work: () => Promise<unknown>;
}

type KeptForm = Pick<StoredEffect, 'Result' | 'Problem'>;

function keptFormOf(answer: unknown): KeptForm {
  try {
    const Result: string | undefined = JSON.stringify(answer);
    if (Result === undefined) return {};
    const bytes = Buffer.byteLength(Result);
    return bytes > onceLimits.resultBytesMax ? { Problem: `it is ${bytes} bytes of JSON` } : { Result };
  } catch (error) {
    return { Problem: messageOf(error).slice(0, 200) };
  }
}

function resultOf(effect: string, { Result, Problem }: StoredEffect): unknown {
  if (Problem !== undefined) throw effectResultNotValid(effect, Problem);
  return Result === undefined ? undefined : JSON.parse(Result);
}

function asOwn<Result>(work: () => Promise<Result>): Promise<Result> {
  return asCaller({ accessPattern: '$once', isCounted: true }, work);
}

function refusedByCondition(error: unknown): false {
  if (!isConditionFailure(error)) throw error;
  return false;
}
