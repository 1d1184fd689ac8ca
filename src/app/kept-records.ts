/** What the runtime keeps for itself in the app's table: how far its consumers have got, and what they set aside. */
import { asCaller } from '../kernel/callers.ts';
import type { Counters } from '../kernel/counters.ts';
import { codeOf } from '../kernel/errors.ts';
import type { Log } from '../kernel/log.ts';
import type { DeadLetter, SequenceNumber, ShardId } from '../platform/stream/index.ts';
import type { Table } from '../platform/table/index.ts';
import type { EndedCommand } from './commands.ts';
import { type Failure, recordDeadLetter, resultDeadLetter } from './dead-letters.ts';
import { appTable } from './entities/index.ts';
import { changeDeadLetter } from './table-changes.ts';

const { tableName: TableName } = appTable;

/** Nothing moves on before it is stored: each resolves once it would survive a crash. */
export class KeptRecords {
  readonly #table: Table;
  readonly #counters: Counters;
  readonly #log: Log;

  constructor({ table, counters, log }: { table: Table; counters: Counters; log: Log }) {
    this.#table = table;
    this.#counters = counters;
    this.#log = log;
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

  async deadResult(command: string, result: EndedCommand, failure: Failure): Promise<void> {
    this.#counters.add('functions.deadLettered');
    await this.#put(resultDeadLetter(command, result, failure));
  }

  async deadRecord(letter: DeadLetter): Promise<void> {
    this.#note({ ...factsOf(letter), thingName: letter.record.partitionKey }, 'A record was dead-lettered.');
    await this.#put(recordDeadLetter(letter));
  }

  async deadChange(letter: DeadLetter): Promise<void> {
    this.#note({ ...factsOf(letter), item: letter.record.partitionKey }, 'A change was dead-lettered.');
    await this.#put(changeDeadLetter(letter));
  }

  #note(facts: Record<string, unknown>, message: string): void {
    this.#counters.add('functions.deadLettered');
    this.#log.warn(facts, message);
  }

  async #put(Item: Record<string, unknown>): Promise<void> {
    await this.#table.put({ TableName, Item });
  }
}

function factsOf({ consumer, error, attempts }: Failure): Record<string, unknown> {
  return { consumer, code: codeOf(error), attempts };
}
