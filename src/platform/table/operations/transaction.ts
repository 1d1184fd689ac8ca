/** Several writes, all or none, with the answer to a repeated request remembered for ten minutes. */
import { createHash } from 'node:crypto';
import type { TransactWriteCommandInput } from '@aws-sdk/lib-dynamodb';
import type { StoreTransaction } from '../../../kernel/store.ts';
import {
  type CancellationReason,
  ConditionalCheckFailedError,
  invalid,
  TableError,
  TransactionCanceledError,
  tokenReused,
} from '../errors.ts';
import { tableLimits } from '../limits.ts';
import { concat, spacePrefix } from '../storage/key-encoding.ts';
import type { TableLayout } from '../storage/layout.ts';
import { checkParameters, type Supported } from '../validate.ts';
import { decodeItem, encodeItem } from '../values/item-encoding.ts';
import { type Item, isPlainObject, type Value } from '../values/value.ts';
import {
  carryOut,
  type DecidedWrite,
  decide,
  type PlannedWrite,
  planConditionCheck,
  planDelete,
  planPut,
  planUpdate,
  type WriteParameters,
} from './writes.ts';

const transactionParameters: Supported = {
  TransactItems: true,
  ClientRequestToken: true,
  ReturnConsumedCapacity: ['NONE'],
  ReturnItemCollectionMetrics: ['NONE'],
};

const actionParameters: Supported = {
  TableName: true,
  ConditionExpression: true,
  ExpressionAttributeNames: true,
  ExpressionAttributeValues: true,
  ReturnValuesOnConditionCheckFailure: ['NONE', 'ALL_OLD'],
};

export interface PlannedTransaction {
  readonly actions: readonly PlannedAction[];
  readonly token: { readonly text: string; readonly digest: string } | undefined;
}

interface PlannedAction {
  readonly plan: PlannedWrite;
  readonly isCheck: boolean;
}

export function planTransaction(
  findTable: (name: unknown) => TableLayout,
  input: TransactWriteCommandInput,
): PlannedTransaction {
  checkParameters('transactWrite', input, transactionParameters);
  const { TransactItems: items, ClientRequestToken: text } = input;
  if (!Array.isArray(items) || items.length === 0 || items.length > tableLimits.transactionItemsMax) {
    const bound =
      Array.isArray(items) && items.length > 0
        ? `less than or equal to ${tableLimits.transactionItemsMax}`
        : 'greater than or equal to 1';
    throw invalid(
      `1 validation error detected: Value at 'transactItems' failed to satisfy constraint: Member must have length ${bound}`,
    );
  }
  const actions = items.map(item => planAction(findTable, item));
  refuseSameItemTwice(actions);
  const bytes = actions.reduce((sum, { plan }) => sum + plan.requestBytes, 0);
  if (bytes > tableLimits.transactionBytesMax) {
    throw invalid(
      `The aggregate size of the items in the transaction cannot exceed ${tableLimits.transactionBytesMax} bytes`,
    );
  }
  return { actions, token: text === undefined ? undefined : { text: checkToken(text), digest: digestOf(items) } };
}

function planAction(findTable: (name: unknown) => TableLayout, item: unknown): PlannedAction {
  const [[kind, action], ...others] = isPlainObject(item)
    ? Object.entries(item).filter(([, value]) => value !== undefined)
    : [];
  if (kind === undefined || others.length > 0) {
    throw invalid('TransactItems can only contain one of Check, Put, Update or Delete');
  }
  const isCheck = kind === 'ConditionCheck';
  switch (kind) {
    case 'Put':
      checkParameters(kind, action, { ...actionParameters, Item: true });
      return { isCheck, plan: planPut(findTable(action.TableName), action.Item, action as WriteParameters) };
    case 'Update':
      checkParameters(kind, action, { ...actionParameters, Key: true, UpdateExpression: true });
      return { isCheck, plan: planUpdate(findTable(action.TableName), action.Key, action).plan };
    case 'Delete':
      checkParameters(kind, action, { ...actionParameters, Key: true });
      return { isCheck, plan: planDelete(findTable(action.TableName), action.Key, action) };
    case 'ConditionCheck':
      checkParameters(kind, action, { ...actionParameters, Key: true });
      return { isCheck, plan: planConditionCheck(findTable(action.TableName), action.Key, action) };
    default:
      throw invalid('TransactItems can only contain one of Check, Put, Update or Delete');
  }
}

function refuseSameItemTwice(actions: readonly PlannedAction[]): void {
  const keys = new Set(actions.map(({ plan }) => Buffer.from(plan.itemKey).toString('latin1')));
  if (keys.size < actions.length) {
    throw invalid('Transaction request cannot include multiple operations on one item');
  }
}

function checkToken(text: unknown): string {
  if (typeof text === 'string' && text.length > 0 && text.length <= tableLimits.tokenCharactersMax) return text;
  throw invalid(
    `1 validation error detected: Value '${String(text)}' at 'clientRequestToken' failed to satisfy constraint: Member must have length less than or equal to ${tableLimits.tokenCharactersMax}`,
  );
}

/** Equal requests have equal digests, in whatever order their parameters were written down. */
function digestOf(items: readonly unknown[]): string {
  const canonical = encodeItem({ items: items.map(sorted) }, 0);
  return createHash('sha256').update(canonical).digest('base64');
}

function sorted(value: unknown): Value {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isPlainObject(value)) return value as Value; // a cast: the request was checked before
  const entries = Object.entries(value).filter(([, held]) => held !== undefined);
  return entries.sort(([left], [right]) => (left < right ? -1 : 1)).map(([name, held]) => [name, sorted(held)]);
}

/** Runs inside the store's transaction: decides everything first, then writes. */
export function runTransaction(
  transaction: StoreTransaction,
  { actions, token }: PlannedTransaction,
  nowMs: number,
): void {
  if (token !== undefined && wasDone(transaction, token, nowMs)) return;
  const decided = decideAll(transaction, actions);
  for (const [index, write] of decided.entries()) {
    if (!actions[index].isCheck) carryOut(transaction, write, nowMs);
  }
  if (token !== undefined) rememberToken(transaction, token, nowMs);
}

function decideAll(transaction: StoreTransaction, actions: readonly PlannedAction[]): DecidedWrite[] {
  const decided: DecidedWrite[] = [];
  const reasons = actions.map(({ plan }): CancellationReason => {
    try {
      decided.push(decide(transaction, plan));
      return { Code: 'None' };
    } catch (error) {
      return reasonFor(error);
    }
  });
  if (decided.length < actions.length) throw new TransactionCanceledError(reasons);
  return decided;
}

function reasonFor(error: unknown): CancellationReason {
  if (error instanceof ConditionalCheckFailedError) {
    const reason = { Code: 'ConditionalCheckFailed', Message: error.message } as const;
    return error.Item === undefined ? reason : { ...reason, Item: error.Item };
  }
  if (error instanceof TableError) return { Code: 'ValidationError', Message: error.message };
  throw error; // the store failed, or we are wrong: nobody's transaction is at fault
}

/** Tokens by their text, and by when they may be forgotten. Table id 0 belongs to the engine itself. */
const tokenSpace = spacePrefix(0, 1);
const expirySpace = spacePrefix(0, 2);

function tokenKey(text: string): Uint8Array {
  return concat([tokenSpace, Buffer.from(text, 'utf8')]);
}

function expiryKey(expiresAtMs: number, text: string): Uint8Array {
  return concat([expirySpace, Buffer.from(String(expiresAtMs).padStart(16, '0'), 'utf8'), Buffer.from(text, 'utf8')]);
}

function wasDone(transaction: StoreTransaction, token: { text: string; digest: string }, nowMs: number): boolean {
  const found = transaction.get(tokenKey(token.text));
  if (found === undefined) return false;
  const remembered: Item = decodeItem(found);
  if (Number(remembered.expiresAtMs) <= nowMs) return false;
  if (remembered.digest !== token.digest) throw tokenReused();
  return true;
}

function rememberToken(
  transaction: StoreTransaction,
  { text, digest }: { text: string; digest: string },
  nowMs: number,
): void {
  const expired: Uint8Array[] = [];
  const end = concat([expirySpace, Buffer.from(String(nowMs).padStart(16, '0'), 'utf8')]);
  for (const { key } of transaction.range({ start: expirySpace, end })) {
    expired.push(key);
    if (expired.length >= tableLimits.expiredTokensPerWriteMax) break;
  }
  for (const key of expired) {
    transaction.delete(key);
    transaction.delete(concat([tokenSpace, key.subarray(expirySpace.length + 16)]));
  }
  const expiresAtMs = nowMs + tableLimits.tokenKeptMs;
  transaction.put(tokenKey(text), encodeItem({ digest, expiresAtMs }, 0));
  transaction.put(expiryKey(expiresAtMs, text), Uint8Array.of());
}
