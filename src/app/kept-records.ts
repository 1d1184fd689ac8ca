/** What the runtime keeps for itself in the app's table: how far its consumers have got, and what they set aside. */
import { asCaller } from '../kernel/callers.ts';
import type { LaterDeadLetter } from '../platform/functions/index.ts';
import type { KeptWindow, SequenceNumber, Settled, ShardId } from '../platform/stream/index.ts';
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
      const item = await this.#checkpoint(consumer, shardId);
      return item ? BigInt(item.UpTo) : null;
    });
  }

  /** A tumbling window that is open is kept with the checkpoint. */
  saveCheckpoint(
    consumer: string,
    shardId: ShardId,
    upTo: SequenceNumber,
    _settled: Settled,
    window?: KeptWindow,
  ): Promise<void> {
    const Item = { ...keyOf(consumer, shardId), UpTo: String(upTo), ...(window && { Window: window }) };
    return asCaller({ accessPattern: '$checkpoint' }, async () => void (await this.#table.put({ TableName, Item })));
  }

  loadWindow(consumer: string, shardId: ShardId): Promise<KeptWindow | undefined> {
    return asCaller({ accessPattern: '$checkpoint' }, async () => (await this.#checkpoint(consumer, shardId))?.Window);
  }

  /** The shard is gone, or read to its end. */
  deleteCheckpoint(consumer: string, shardId: ShardId): Promise<void> {
    const Key = keyOf(consumer, shardId);
    return asCaller({ accessPattern: '$checkpoint' }, async () => void (await this.#table.delete({ TableName, Key })));
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

  async #checkpoint(consumer: string, shardId: ShardId): Promise<CheckpointItem | undefined> {
    const { Item } = await this.#table.get({ TableName, Key: keyOf(consumer, shardId), ConsistentRead: true });
    return Item as CheckpointItem | undefined; // As `saveCheckpoint` put it there.
  }
}

interface CheckpointItem {
  readonly UpTo: string;
  readonly Window?: KeptWindow;
}

function keyOf(consumer: string, shardId: ShardId): { readonly PK: string; readonly SK: ShardId } {
  return { PK: `Checkpoint-${consumer}`, SK: shardId };
}
