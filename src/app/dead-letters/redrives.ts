/** Redrives as they lie in the app's table, so that one goes on after a restart: PK=$Redrive, SK=<id>. */
import { asCaller } from '../../kernel/callers.ts';
import { codeOf, messageOf } from '../../kernel/errors.ts';
import type { Table } from '../../platform/table/index.ts';
import { appTable } from '../entities/index.ts';
import { redriveNotFound } from './errors.ts';
import type { Transaction } from './letter-writes.ts';
import { redriveLimits } from './limits.ts';
import type { LetterFilter } from './port.ts';

const { tableName: TableName } = appTable;
const redrivesKey = '$Redrive';

export interface RedriveRequest {
  /** Which letters; with `ids`, these of them. All when it says nothing. */
  readonly filter?: LetterFilter;
  readonly ids?: readonly string[];
  /** Another consumer or function than the one that failed. */
  readonly to?: string;
  readonly perSecond?: number;
  readonly redrivesMax?: number;
}

export type RedriveOutcome = 'handled' | 'failed' | 'refused';

export interface RedriveState {
  readonly redriveId: string;
  readonly request: RedriveRequest;
  /** `stopped`: by somebody, or by itself when nothing succeeds; `reason` says which. */
  readonly state: 'running' | 'done' | 'stopped';
  readonly reason?: string;
  readonly startedAtMs: number;
  readonly endedAtMs?: number;
  /** Letters that it found when it began; absent while it still counts. */
  readonly expected?: number;
  readonly handled: number;
  readonly failed: number;
  /** Not tried: redriven too often, in another's hand, or not whole. */
  readonly refused: number;
  /** The last ones that were not handled. */
  readonly failures: readonly { readonly id: string; readonly code: string; readonly message: string }[];
}

interface StoredRedrive {
  readonly SK: string;
  readonly Request: string;
  readonly State: RedriveState['state'];
  readonly Reason?: string;
  readonly StartedAtMs: number;
  readonly EndedAtMs?: number;
  readonly Expected?: number;
  readonly Handled: number;
  readonly Failed: number;
  readonly Refused: number;
  readonly Failures?: readonly RedriveState['failures'][number][];
}

export class Redrives {
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
  }

  async create(redriveId: string, request: RedriveRequest, nowMs: number): Promise<RedriveState> {
    const Item = {
      PK: redrivesKey,
      SK: redriveId,
      Request: JSON.stringify(request),
      State: 'running',
      StartedAtMs: nowMs,
      Handled: 0,
      Failed: 0,
      Refused: 0,
    } as const;
    await asCaller({ accessPattern: '$redrive' }, () => this.#table.put({ TableName, Item }));
    await this.#forgetOld();
    return stateOf(Item);
  }

  /** Throws `redrive.notFound`. */
  async get(redriveId: string): Promise<RedriveState> {
    const { Item } = await this.#table.get({ TableName, Key: keyOf(redriveId), ConsistentRead: true });
    if (!Item) throw redriveNotFound(redriveId);
    return stateOf(Item as StoredRedrive); // As `create` put it there.
  }

  /** Newest first. */
  async list(): Promise<RedriveState[]> {
    const { Items = [] } = await this.#table.query({
      TableName,
      KeyConditionExpression: 'PK = :pk',
      ExpressionAttributeValues: { ':pk': redrivesKey },
      ScanIndexForward: false,
      ConsistentRead: true,
    });
    return (Items as StoredRedrive[]).map(stateOf); // As `create` put them there.
  }

  async noteExpected(redriveId: string, expected: number): Promise<void> {
    await this.#update(redriveId, 'SET Expected = :expected', { ':expected': expected });
  }

  async noteFailures(redriveId: string, latest: readonly { id: string; error: unknown }[]): Promise<void> {
    if (latest.length === 0) return;
    const facts = latest.map(({ id, error }) => ({ id, code: codeOf(error), message: shortened(messageOf(error)) }));
    const kept = [...(await this.get(redriveId)).failures, ...facts].slice(-redriveLimits.failuresKept);
    await this.#update(redriveId, 'SET Failures = :failures', { ':failures': kept });
  }

  async end(redriveId: string, state: 'done' | 'stopped', reason: string | undefined, nowMs: number): Promise<void> {
    const change = `SET #state = :state, EndedAtMs = :now${reason === undefined ? '' : ', Reason = :reason'}`;
    const values = { ':state': state, ':now': nowMs, ...(reason !== undefined && { ':reason': reason }) };
    await this.#update(redriveId, change, values, { '#state': 'State' });
  }

  async #update(
    redriveId: string,
    UpdateExpression: string,
    ExpressionAttributeValues: Record<string, unknown>,
    ExpressionAttributeNames?: Record<string, string>,
  ): Promise<void> {
    const Key = keyOf(redriveId);
    const names = ExpressionAttributeNames && { ExpressionAttributeNames };
    await asCaller({ accessPattern: '$redrive' }, () =>
      this.#table.update({ TableName, Key, UpdateExpression, ExpressionAttributeValues, ...names }),
    );
  }

  async #forgetOld(): Promise<void> {
    const over = (await this.list()).slice(redriveLimits.redrivesKept); // The newest is the one that begins.
    for (const { redriveId } of over) await this.#table.delete({ TableName, Key: keyOf(redriveId) });
  }
}

const counterOf = { handled: 'Handled', failed: 'Failed', refused: 'Refused' } as const;

/** To be written in one transaction with what became of the letter, so that a crash neither loses nor doubles it. */
export function countOutcome(redriveId: string, outcome: RedriveOutcome): Transaction[number] {
  const UpdateExpression = `ADD ${counterOf[outcome]} :one`;
  return { Update: { TableName, Key: keyOf(redriveId), UpdateExpression, ExpressionAttributeValues: { ':one': 1 } } };
}

function shortened(message: string): string {
  return message.slice(0, redriveLimits.messageCharactersMax).toWellFormed();
}

function keyOf(redriveId: string): { PK: string; SK: string } {
  return { PK: redrivesKey, SK: redriveId };
}

function stateOf(stored: StoredRedrive): RedriveState {
  const { Reason, EndedAtMs, Expected } = stored;
  return {
    redriveId: stored.SK,
    request: JSON.parse(stored.Request),
    state: stored.State,
    ...(Reason !== undefined && { reason: Reason }),
    startedAtMs: stored.StartedAtMs,
    ...(EndedAtMs !== undefined && { endedAtMs: EndedAtMs }),
    ...(Expected !== undefined && { expected: Expected }),
    handled: stored.Handled,
    failed: stored.Failed,
    refused: stored.Refused,
    failures: stored.Failures ?? [],
  };
}
