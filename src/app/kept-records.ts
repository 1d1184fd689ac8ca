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
import type { CheckpointItem, Ledger } from './ledger/index.ts';
import type { Traces } from './traces/index.ts';

const { tableName: TableName } = appTable;

/** Nothing moves on before it is stored: each resolves once it would survive a crash. */
export class KeptRecords {
  readonly #table: Table;
  readonly #letters: Pick<DeadLetters, 'keep'>;
  readonly #ledger: Ledger | undefined;
  readonly #traces: Traces | undefined;

  constructor(options: { table: Table; letters: Pick<DeadLetters, 'keep'>; ledger?: Ledger; traces?: Traces }) {
    this.#table = options.table;
    this.#letters = options.letters;
    this.#ledger = options.ledger;
    this.#traces = options.traces;
  }

  /** Of a consumer that the ledger counts for: what a kill left uncounted is counted before. */
  loadCheckpoint(consumer: string, shardId: ShardId): Promise<SequenceNumber | null> {
    return asCaller({ accessPattern: '$checkpoint' }, async () => {
      const Item = await this.#checkpoint(consumer, shardId);
      await this.#ledger?.open(consumer, shardId, Item);
      return Item ? BigInt(Item.UpTo) : null;
    });
  }

  /** The checkpoint and the account of what became of the records up to it are stored together. */
  saveCheckpoint(
    consumer: string,
    shardId: ShardId,
    upTo: SequenceNumber,
    settled: Settled = nothingSettled,
    window?: KeptWindow,
  ): Promise<void> {
    const item = { ...keyOf(consumer, shardId), UpTo: String(upTo), ...(window && { Window: window }) };
    this.#traces?.noteExpired(
      consumer,
      shardId,
      settled.expired.map(({ sequenceNumber }) => sequenceNumber),
    );
    return asCaller({ accessPattern: '$checkpoint' }, async () => {
      const isCounted = await this.#ledger?.save(consumer, item, settled);
      if (isCounted !== true) await this.#table.put({ TableName, Item: item });
    });
  }

  async loadWindow(consumer: string, shardId: ShardId): Promise<KeptWindow | undefined> {
    const Item = await this.#checkpoint(consumer, shardId);
    return Item?.Window as KeptWindow | undefined; // As `saveCheckpoint` put it there.
  }

  /** The shard is gone, or read to its end. */
  async deleteCheckpoint(consumer: string, shardId: ShardId): Promise<void> {
    await this.#ledger?.forget(consumer, shardId);
    await this.#table.delete({ TableName, Key: keyOf(consumer, shardId) });
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

function keyOf(consumer: string, shardId: ShardId): { PK: string; SK: ShardId } {
  return { PK: `Checkpoint-${consumer}`, SK: shardId };
}

const nothingSettled: Settled = { handled: [], filtered: [], deadLettered: [], expired: [] };
