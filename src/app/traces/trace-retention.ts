/** Keeps traces within a day and within their room, function by function. */
import type { Clock } from '../../kernel/clock.ts';
import { type Table, tableLimits } from '../../platform/table/index.ts';
import { appTable } from '../entities/index.ts';
import { traceLimits } from './limits.ts';

const { tableName: TableName } = appTable;

export class TraceRetention {
  readonly #table: Table;
  readonly #clock: Clock;
  readonly #bytesMax: number;
  /** By function that has stored something since the start: the bytes of its chunks. */
  readonly #bytes = new Map<string, number>();
  #appliedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: { table: Table; clock: Clock; bytesMax?: number }) {
    const { table, clock, bytesMax = traceLimits.bytesMax } = options;
    this.#bytesMax = bytesMax;
    this.#table = table;
    this.#clock = clock;
  }

  noteStored(functionName: string, bytes: number): void {
    const known = this.#bytes.get(functionName);
    // NaN: nobody has counted yet what was there before.
    this.#bytes.set(functionName, (known ?? Number.NaN) + bytes);
  }

  async apply(): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#appliedAtMs < traceLimits.retainEveryMs) return;
    this.#appliedAtMs = nowMs;
    for (const [functionName, bytes] of this.#bytes) {
      const kept = Number.isNaN(bytes) ? await this.#count(functionName) : bytes;
      this.#bytes.set(functionName, await this.#retain(functionName, kept));
    }
  }

  async #count(functionName: string): Promise<number> {
    let bytes = 0;
    let ExclusiveStartKey: Record<string, unknown> | undefined;
    do {
      const page = await this.#table.query({
        TableName,
        KeyConditionExpression: 'PK = :pk',
        ExpressionAttributeValues: { ':pk': traceKey(functionName) },
        ProjectionExpression: 'PackedBytes',
        ExclusiveStartKey,
      });
      for (const { PackedBytes = 0 } of page.Items ?? []) bytes += PackedBytes;
      ExclusiveStartKey = page.LastEvaluatedKey;
    } while (ExclusiveStartKey !== undefined);
    return bytes;
  }

  /** Deletes the oldest while they are too old or too much. */
  async #retain(functionName: string, bytes: number): Promise<number> {
    const oldestAtMs = this.#clock.nowMs() - traceLimits.retentionMs;
    for (let kept = bytes; ; ) {
      const { Items = [] } = await this.#table.query({
        TableName,
        KeyConditionExpression: 'PK = :pk',
        ExpressionAttributeValues: { ':pk': traceKey(functionName) },
        ProjectionExpression: 'SK, AtMs, PackedBytes',
        Limit: tableLimits.batchWriteItemsMax,
      });
      const tooMuch = Items.filter(({ AtMs, PackedBytes }) => {
        const isOver = AtMs < oldestAtMs || kept > this.#bytesMax;
        if (isOver) kept -= PackedBytes;
        return isOver;
      });
      if (tooMuch.length === 0) return kept;
      const PK = traceKey(functionName);
      const RequestItems = { [TableName]: tooMuch.map(({ SK }) => ({ DeleteRequest: { Key: { PK, SK } } })) };
      await this.#table.batchWrite({ RequestItems });
    }
  }
}

export function traceKey(functionName: string): string {
  return `$Trace-${functionName}`;
}
