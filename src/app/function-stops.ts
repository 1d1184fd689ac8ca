/** Which functions are stopped until somebody resets them: kept in the app's table, since a restart is no reset. */
import { asCaller } from '../kernel/callers.ts';
import type { BreakerStop } from '../platform/functions/index.ts';
import type { Table } from '../platform/table/index.ts';
import { appTable } from './entities/index.ts';

const TableName = appTable.tableName;
const Key = { PK: '$Functions', SK: '$Stopped' };

export class FunctionStops {
  readonly #table: Table;
  readonly #onFailure: (error: unknown) => void;
  readonly #stops = new Map<string, BreakerStop>();
  #writing: Promise<unknown> = Promise.resolve();

  constructor({ table, onFailure }: { table: Table; onFailure: (error: unknown) => void }) {
    this.#table = table;
    this.#onFailure = onFailure;
  }

  async load(): Promise<Record<string, BreakerStop>> {
    const { Item } = await asOwn(() => this.#table.get({ TableName, Key, ConsistentRead: true }));
    const stored: Record<string, BreakerStop> = Item?.Stops ?? {}; // As `note` put them there.
    for (const [functionName, stop] of Object.entries(stored)) this.#stops.set(functionName, stop);
    return stored;
  }

  /** Written soon, one after the other. Undefined: it runs again. */
  note(functionName: string, stop: BreakerStop | undefined): void {
    if (stop === undefined) this.#stops.delete(functionName);
    else this.#stops.set(functionName, stop);
    const write = () => {
      const Item = { ...Key, Stops: Object.fromEntries(this.#stops) };
      return asOwn(() => this.#table.put({ TableName, Item }));
    };
    this.#writing = this.#writing.then(write).catch(this.#onFailure);
  }

  async close(): Promise<void> {
    await this.#writing;
  }
}

function asOwn<Result>(work: () => Promise<Result>): Promise<Result> {
  return asCaller({ accessPattern: '$functions', isCounted: true }, work);
}
