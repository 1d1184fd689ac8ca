/** The transactions that letters are written with: a letter, its parts and the counts it is in change together. */
import type { Table } from '../../platform/table/index.ts';
import { appTable } from '../entities/index.ts';
import { deadLetterLimits, redriveLimits } from './limits.ts';
import {
  bytesOf,
  countsKey,
  errorFacts,
  partKeysOf,
  type StoredLetter,
  type StoredPart,
  type StoredPayload,
  sharesKey,
} from './stored-letter.ts';

const { tableName: TableName } = appTable;

export type Transaction = NonNullable<Parameters<Table['transactWrite']>[0]['TransactItems']>;

export interface LetterBounds {
  readonly lettersMax: number;
  readonly bytesMax: number;
}

/** Places of the actions that may be refused, for whoever reads why a transaction was cancelled. */
export const placesOfPut = { letter: 0, count: 1, share: 2 } as const;

export function putOf(item: StoredLetter, parts: readonly StoredPart[], bounds: LetterBounds): Transaction {
  const { thingShare } = deadLetterLimits;
  const share = { lettersMax: bounds.lettersMax * thingShare, bytesMax: bounds.bytesMax * thingShare };
  return [
    { Put: { TableName, Item: item, ConditionExpression: 'attribute_not_exists(PK)' } },
    addTo({ PK: countsKey, SK: item.Consumer }, 1, bytesOf(item), bounds),
    ...(item.ThingName === undefined ? [] : [addTo(shareKeyOf(item, item.ThingName), 1, bytesOf(item), share)]),
    ...parts.map(Item => ({ Put: { TableName, Item } })),
  ];
}

/** The share of its thing is used up: it is counted, once, and not kept. */
export function countOf(item: StoredLetter, thingName: string): Transaction {
  return [
    {
      Update: {
        TableName,
        Key: { PK: countsKey, SK: item.Consumer },
        UpdateExpression: 'ADD NotKept :one',
        ExpressionAttributeValues: { ':one': 1 },
      },
    },
    {
      Update: {
        TableName,
        Key: shareKeyOf(item, thingName),
        ConditionExpression: 'attribute_not_exists(LastNotKept) OR LastNotKept < :id',
        UpdateExpression: 'SET LastNotKept = :id',
        ExpressionAttributeValues: { ':id': item.SK },
      },
    },
  ];
}

/** As it was read, and in nobody's hand but `redriveId`'s. */
export function deleteOf(letter: StoredLetter, nowMs: number, redriveId?: string): Transaction {
  return [
    { Delete: { TableName, Key: keyOf(letter), ...unchanged(letter, nowMs, redriveId) } },
    ...moveCounts(letter, -1, -bytesOf(letter)),
    ...partKeysOf(letter).map(Key => ({ Delete: { TableName, Key } })),
  ];
}

/** @param edited  undefined: back to the original */
export function editOf(
  letter: StoredLetter,
  edited: StoredPayload | undefined,
  parts: readonly StoredPart[],
  nowMs: number,
): Transaction {
  const { ConditionExpression, ExpressionAttributeValues } = unchanged(letter, nowMs);
  const change = edited
    ? 'SET Revision = :next, Redrives = :none, Edited = :edited, EditedAtMs = :now'
    : 'SET Revision = :next, Redrives = :none REMOVE Edited, EditedAtMs';
  const stale = partKeysOf({ ...letter, Original: { Bytes: 0 } }).slice(parts.length);
  return [
    {
      Update: {
        TableName,
        Key: keyOf(letter),
        ConditionExpression,
        UpdateExpression: change,
        ExpressionAttributeValues: {
          ...ExpressionAttributeValues,
          ':next': letter.Revision + 1,
          ':none': 0,
          ...(edited && { ':edited': edited }),
        },
      },
    },
    ...moveCounts(letter, 0, bytesOf({ ...letter, Edited: edited }) - bytesOf(letter)),
    ...parts.map(Item => ({ Put: { TableName, Item } })),
    ...stale.map(Key => ({ Delete: { TableName, Key } })),
  ];
}

/** Takes a letter in hand; refused while another redrive has it. */
export function claimOf(letter: StoredLetter, redriveId: string, tries: number, nowMs: number) {
  const { ConditionExpression, ExpressionAttributeValues } = unchanged(letter, nowMs, redriveId);
  return {
    TableName,
    Key: keyOf(letter),
    ConditionExpression,
    UpdateExpression: 'SET RedriveId = :mine, RedriveUntilMs = :until, RedriveTries = :tries',
    ExpressionAttributeValues: {
      ...ExpressionAttributeValues,
      ':until': nowMs + redriveLimits.leaseMs,
      ':tries': tries,
    },
  };
}

/** It has failed again: it stays, with the new reason. */
export function failedAgain(letter: StoredLetter, error: unknown, redriveId: string, nowMs: number) {
  const facts = Object.entries({ ErrorFix: undefined, ErrorStack: undefined, ...errorFacts(error) });
  const set = facts.filter(([, value]) => value !== undefined);
  const removed = facts.filter(([, value]) => value === undefined).map(([name]) => name);
  const names = set.map(([name]) => `${name} = :${name}`).join(', ');
  return {
    TableName,
    Key: keyOf(letter),
    ConditionExpression: 'attribute_exists(PK)',
    UpdateExpression: [
      `SET ${names}, LastRedriveId = :mine, LastRedriveAtMs = :now, LastAttemptAtMs = :now`,
      `REMOVE ${[...handNames, ...removed].join(', ')}`,
      'ADD Attempts :one, Redrives :one',
    ].join(' '),
    ExpressionAttributeValues: {
      ...Object.fromEntries(set.map(([name, value]) => [`:${name}`, value])),
      ':mine': redriveId,
      ':now': nowMs,
      ':one': 1,
    },
  };
}

/** It was not tried; this redrive passes it by from now on. What another one has in hand stays there. */
export function passedBy(letter: StoredLetter, redriveId: string, isInHand: boolean) {
  return {
    TableName,
    Key: keyOf(letter),
    ConditionExpression: 'attribute_exists(PK)',
    UpdateExpression: `SET LastRedriveId = :mine${isInHand ? ` REMOVE ${handNames.join(', ')}` : ''}`,
    ExpressionAttributeValues: { ':mine': redriveId },
  };
}

/** It was not tried to the end: it goes back as it was. */
export function letGo(letter: StoredLetter) {
  return {
    TableName,
    Key: keyOf(letter),
    ConditionExpression: 'attribute_exists(PK)',
    UpdateExpression: `REMOVE ${handNames.join(', ')}`,
  };
}

const handNames = ['RedriveId', 'RedriveUntilMs', 'RedriveTries'];

function keyOf({ PK, SK }: StoredLetter): { PK: string; SK: string } {
  return { PK, SK };
}

function shareKeyOf({ Consumer }: StoredLetter, thingName: string): { PK: string; SK: string } {
  return { PK: sharesKey(Consumer), SK: thingName };
}

function unchanged({ Revision }: StoredLetter, nowMs: number, redriveId = '') {
  return {
    ConditionExpression:
      'Revision = :seen AND (attribute_not_exists(RedriveId) OR RedriveUntilMs < :now OR RedriveId = :mine)',
    ExpressionAttributeValues: { ':seen': Revision, ':now': nowMs, ':mine': redriveId },
  };
}

function addTo(Key: { PK: string; SK: string }, letters: number, bytes: number, bounds: LetterBounds) {
  return {
    Update: {
      TableName,
      Key,
      ConditionExpression: 'attribute_not_exists(Letters) OR (Letters < :lettersMax AND Bytes < :bytesMax)',
      UpdateExpression: 'ADD Letters :letters, Bytes :bytes',
      ExpressionAttributeValues: {
        ':letters': letters,
        ':bytes': bytes,
        ':lettersMax': bounds.lettersMax,
        ':bytesMax': bounds.bytesMax,
      },
    },
  };
}

function moveCounts(letter: StoredLetter, letters: number, bytes: number): Transaction {
  const keys = [{ PK: countsKey, SK: letter.Consumer }];
  if (letter.ThingName !== undefined) keys.push(shareKeyOf(letter, letter.ThingName));
  return keys.map(Key => ({
    Update: {
      TableName,
      Key,
      UpdateExpression: 'ADD Letters :letters, Bytes :bytes',
      ExpressionAttributeValues: { ':letters': letters, ':bytes': bytes },
    },
  }));
}
