/**
 * Letters of the first release, which had one shape for each kind of event and lay under PK=DeadLetter-<consumer>: they
 * become letters as they are now, one by one, so that an end in between loses and doubles none.
 */
import { codeOf, MimamoriError } from '../../kernel/errors.ts';
import { type Table, writeChange } from '../../platform/table/index.ts';
import { appTable } from '../entities/index.ts';
import type { Letters } from './letters.ts';
import type { NewLetter } from './port.ts';

const { tableName: TableName } = appTable;

/** What all of them had. */
interface LegacyLetter extends Record<string, unknown> {
  readonly PK: string;
  readonly SK: string;
  readonly ErrorCode: string;
  readonly ErrorMessage: string;
  readonly Attempts: number;
}

/** Costs one query when there are none. What there is no room for stays as it is, for another start. */
export async function migrateLetters(table: Table, letters: Letters, consumer: string): Promise<void> {
  for (;;) {
    const { Items = [] } = await table.query({
      TableName,
      KeyConditionExpression: 'PK = :pk',
      ExpressionAttributeValues: { ':pk': `DeadLetter-${consumer}` },
      ConsistentRead: true,
      Limit: pageLetters,
    });
    if (Items.length === 0) return;
    // As the release before put them there.
    for (const legacy of Items as LegacyLetter[]) {
      const outcome = await letters.put(letterOf(consumer, legacy)).catch(ifFull);
      if (outcome === 'notKept') return;
      await table.delete({ TableName, Key: { PK: legacy.PK, SK: legacy.SK } });
    }
  }
}

function ifFull(error: unknown): 'notKept' {
  if (codeOf(error) !== 'letter.full') throw error;
  return 'notKept';
}

const pageLetters = 25; // ours: with payloads of a third of a megabyte a few megabytes

function letterOf(consumer: string, legacy: LegacyLetter): NewLetter {
  const { ErrorCode: code, ErrorMessage: message, Attempts: attempts } = legacy;
  const error = new MimamoriError({ code, message, fix: fixOfLegacy });
  error.stack = undefined; // It would say where it was read, not where it was thrown.
  const common = { consumer, error, attempts };
  if (legacy.Outcome !== undefined) return { ...common, ...resultOf(legacy) };
  return { ...common, ...(legacy.Change === undefined ? messageOf(legacy) : changeOf(legacy)) };
}

const fixOfLegacy = 'It was kept by an earlier release, which did not note more.';

type EventPart = Omit<NewLetter, 'consumer' | 'error' | 'attempts'>;

function placeOf({ SK }: LegacyLetter): Pick<NewLetter, 'eventId' | 'shardId' | 'sequenceNumber' | 'order'> {
  const [shardId, digits] = [SK.slice(0, SK.lastIndexOf('-')), SK.slice(SK.lastIndexOf('-') + 1)];
  const sequenceNumber = BigInt(digits);
  return { eventId: `${shardId}:${sequenceNumber}`, shardId, sequenceNumber, order: sequenceNumber };
}

function messageOf(legacy: LegacyLetter): EventPart {
  const thingName = String(legacy.ThingName);
  return {
    ...placeOf(legacy),
    kind: 'message',
    receivedAtMs: Number(legacy.ReceivedAtMs),
    thingName,
    partitionKey: thingName,
    ...(typeof legacy.Topic === 'string' && { topic: legacy.Topic }),
    payload: legacy.Payload as Uint8Array,
  };
}

type Image = Record<string, unknown>;

/** Images that were left out are gone: such a letter can be looked at and deleted, not redriven. */
function changeOf(legacy: LegacyLetter): EventPart {
  const keys = legacy.Keys as Image;
  const change = {
    name: legacy.Change as 'INSERT' | 'MODIFY' | 'REMOVE',
    atMs: Number(legacy.ChangedAtMs),
    keys,
    newImage: (legacy.NewImage ?? undefined) as Image | undefined,
    oldImage: (legacy.OldImage ?? undefined) as Image | undefined,
    isExpired: legacy.IsExpired === true,
  };
  const isWhole = legacy.ImagesLeftOut !== true;
  return {
    ...placeOf(legacy),
    kind: 'change',
    receivedAtMs: change.atMs,
    partitionKey: String(keys.PK),
    payload: isWhole ? writeChange(change) : new Uint8Array(),
    ...(!isWhole && { topic: `${keys.PK} ${keys.SK}` }), // The only place where it still says which item it was.
  };
}

function resultOf(legacy: LegacyLetter): EventPart {
  const { SK, ThingName, Request, Response, Outcome } = legacy;
  const { sessionId, command } = namesIn(SK, Request);
  const thingName = String(ThingName);
  const result = {
    thingName,
    sessionId,
    request: Request,
    sentAtMs: 0,
    outcome: Outcome,
    response: Response,
    attempt: 1,
  };
  return {
    kind: 'commandResult',
    eventId: `${command}:${sessionId}`,
    receivedAtMs: 0,
    thingName,
    partitionKey: thingName,
    command,
    payload: Buffer.from(JSON.stringify(result)),
  };
}

/** Both may hold a dash, but the request says which session it was. */
function namesIn(SK: string, request: unknown): { command: string; sessionId: string } {
  const sessionId = String((request as Image | undefined)?.sessionId ?? SK.slice(SK.indexOf('-') + 1));
  return { sessionId, command: SK.slice(0, SK.length - sessionId.length - 1) };
}
