/** What the runtime keeps for itself in the app's table: how far its consumers have got, and what they set aside. */
import { asCaller } from '../kernel/callers.ts';
import type { LaterDeadLetter } from '../platform/functions/index.ts';
import type { SequenceNumber, ShardId } from '../platform/stream/index.ts';
import type { Table } from '../platform/table/index.ts';
import type { EndedCommand } from './commands.ts';
import {
  changeLetter,
  type DeadLetters,
  type FailedRecord,
  type Failure,
  invocationLetter,
  messageLetter,
  resultLetter,
} from './dead-letters/index.ts';
import { appTable } from './entities/index.ts';

const { tableName: TableName } = appTable;

/** Nothing moves on before it is stored: each resolves once it would survive a crash. */
export class KeptRecords {
  readonly #table: Table;
  readonly #letters: DeadLetters;

  constructor({ table, letters }: { table: Table; letters: DeadLetters }) {
    this.#table = table;
    this.#letters = letters;
  }

  loadCheckpoint(consumer: string, shardId: ShardId): Promise<SequenceNumber | null> {
    return asCaller({ accessPattern: '$checkpoint' }, async () => {
      const Key = { PK: `Checkpoint-${consumer}`, SK: shardId };
      const { Item } = await this.#table.get({ TableName, Key, ConsistentRead: true });
      return Item ? BigInt(Item.UpTo) : null;
    });
  }

  saveCheckpoint(consumer: string, shardId: ShardId, upTo: SequenceNumber): Promise<void> {
    return asCaller({ accessPattern: '$checkpoint' }, () =>
      this.#put({ PK: `Checkpoint-${consumer}`, SK: shardId, UpTo: String(upTo) }),
    );
  }

  deadResult(command: string, result: EndedCommand, failure: Failure & { consumer: string }): Promise<void> {
    return this.#letters.keep(resultLetter(command, result, failure));
  }

  deadRecord(failed: FailedRecord): Promise<void> {
    return this.#letters.keep(messageLetter(failed));
  }

  deadChange(failed: FailedRecord): Promise<void> {
    return this.#letters.keep(changeLetter(failed));
  }

  deadInvocation({ invocation, error, condition }: LaterDeadLetter): Promise<void> {
    const { functionName, trigger, eventId, dueAtMs: receivedAtMs, input, cause, attempts } = invocation;
    const event = { functionName, eventId, receivedAtMs, event: JSON.parse(input), cause };
    const kind = trigger === 'schedule' ? 'tick' : 'invocation';
    return this.#letters.keep(invocationLetter({ ...event, kind }, { error, attempts, condition }));
  }

  async #put(Item: Record<string, unknown>): Promise<void> {
    await this.#table.put({ TableName, Item });
  }
}
