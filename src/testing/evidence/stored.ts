/** What is in the table of an app under test: items, commands, dead letters. */

import { type DeadLetters, type LetterSummary, payloadText } from '../../app/dead-letters/index.ts';
import { entityOfRecord } from '../../app/entities/records.ts';
import { appTable } from '../../app/index.ts';
import type { Table } from '../../platform/table/index.ts';
import { payloadOf } from './messages.ts';

export interface SeenItem {
  readonly PK: string;
  readonly SK: string;
  readonly [attribute: string]: unknown;
}

export interface SeenCommand {
  readonly command: string;
  readonly thingName: string;
  readonly sessionId: string;
  readonly request: Record<string, unknown>;
  /** `pending` until it has ended. */
  readonly outcome: string;
  readonly response?: Record<string, unknown>;
}

export interface SeenDeadLetter extends LetterSummary {
  /** Of the error, and what it says. */
  readonly code: string;
  readonly message: string;
  /** As JSON, if it is JSON; else as text, if it is text; else the bytes. */
  readonly payload: unknown;
}

/** Every item there is, in the order of the table. */
export async function readItems(table: Table): Promise<SeenItem[]> {
  const items: SeenItem[] = [];
  let from: Record<string, unknown> | undefined;
  do {
    const page = await table.scan({ TableName: appTable.tableName, ConsistentRead: true, ExclusiveStartKey: from });
    items.push(...((page.Items ?? []) as SeenItem[])); // Every item has the keys of the table.
    from = page.LastEvaluatedKey;
  } while (from);
  return items;
}

export function entitiesIn(items: readonly SeenItem[], entity: string): Record<string, unknown>[] {
  return items.filter(item => entityOfRecord(item) === entity).map(item => item.Data as Record<string, unknown>); // Base records.
}

export function commandsIn(items: readonly SeenItem[]): SeenCommand[] {
  const stored = items.filter(({ PK, SK }) => SK === 'Command' && PK.startsWith('Command-'));
  const commands = stored.map(item => ({
    command: String(item.Command),
    thingName: String(item.ThingName),
    sessionId: String(item.SessionId),
    request: item.Request as Record<string, unknown>, // As the tracker put it there.
    outcome: String(item.Outcome),
    ...(item.Answer !== undefined && { response: item.Answer as Record<string, unknown> }),
    createdAtMs: Number(item.CreatedAtMs),
  }));
  commands.sort((left, right) => left.createdAtMs - right.createdAtMs);
  return commands.map(({ createdAtMs: _, ...command }) => command);
}

/** In the order their events came in. */
export async function readDeadLetters({ letters }: DeadLetters): Promise<SeenDeadLetter[]> {
  const seen: SeenDeadLetter[] = [];
  for await (const { SK: id, Consumer } of letters.newest({})) {
    const { original: _, payload, ...letter } = await letters.get(id, Consumer);
    const { code, message } = letter.error;
    const shown = letter.kind === 'change' ? Buffer.from(payloadText(letter.kind, payload)) : payload;
    seen.push({ ...letter, code, message, payload: payloadOf(shown) });
  }
  return seen.reverse();
}
