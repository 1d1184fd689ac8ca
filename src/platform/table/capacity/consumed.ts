/** The capacity one call uses: admitted by and charged to the meter, and added up for `ReturnConsumedCapacity`. */
import type { ConsumedCapacity } from '@aws-sdk/client-dynamodb';
import type { Door, Engine } from '../engine.ts';
import type { IndexLayout, TableLayout } from '../storage/layout.ts';
import type { Value } from '../values/value.ts';
import { type Meter, noMeter, type Use } from './meter.ts';

/** What a part of a call touches; without an index, the table itself. */
export interface Part {
  readonly kind: Use['kind'];
  readonly table: TableLayout;
  readonly index?: IndexLayout;
  readonly partition?: readonly Value[];
}

/** Transactions also tell how much of the sum is for reading or writing. */
type Split = 'ReadCapacityUnits' | 'WriteCapacityUnits';

interface UnitsOfTable {
  readonly tableName: string;
  table: number;
  readonly indexes: Map<IndexLayout, number>;
}

/** Once for each call. undefined when nobody wants to know: no meter listens and the answer need not tell. */
export function beginConsumption(engine: Engine, door: Door, asked: string | undefined): Consumption | undefined {
  engine.meter.begin?.(door.caller);
  const isAsked = asked !== undefined && asked !== 'NONE';
  return isAsked || engine.meter !== noMeter ? new Consumption(engine.meter, door, asked) : undefined;
}

export class Consumption {
  readonly #meter: Meter;
  readonly #door: Door;
  readonly #asked: string | undefined;
  readonly #tables = new Map<string, UnitsOfTable>();

  constructor(meter: Meter, door: Door, asked: string | undefined) {
    this.#meter = meter;
    this.#door = door;
    this.#asked = asked;
  }

  /** Throws `table.throttled`. */
  admit(part: Part): void {
    if (this.#meter !== noMeter) this.#meter.admit(this.#useOf(part));
  }

  charge(part: Part, units: number): void {
    if (this.#meter !== noMeter) this.#meter.charge(this.#useOf(part), units);
    const { table, index } = part;
    let sums = this.#tables.get(table.tableName);
    if (sums === undefined) {
      sums = { tableName: table.tableName, table: 0, indexes: new Map() };
      this.#tables.set(table.tableName, sums);
    }
    if (index === undefined) sums.table += units;
    else sums.indexes.set(index, (sums.indexes.get(index) ?? 0) + units);
  }

  /** Of a call on one table. */
  answer(): { ConsumedCapacity?: ConsumedCapacity } {
    const [sums] = this.#tables.values();
    return this.#isAsked() && sums !== undefined ? { ConsumedCapacity: this.#capacityOf(sums, undefined) } : {};
  }

  /** Of a batch or a transaction: one for each table. */
  answers(split?: Split): { ConsumedCapacity?: ConsumedCapacity[] } {
    if (!this.#isAsked()) return {};
    return { ConsumedCapacity: [...this.#tables.values()].map(sums => this.#capacityOf(sums, split)) };
  }

  /** What was charged so far, in all. */
  units(): ReadonlyMap<string, number> {
    return new Map([...this.#tables].map(([tableName, sums]) => [tableName, totalOf(sums)]));
  }

  #isAsked(): boolean {
    return this.#asked === 'TOTAL' || this.#asked === 'INDEXES';
  }

  #useOf({ kind, table, index, partition }: Part): Use {
    return {
      kind,
      tableName: table.tableName,
      indexName: index?.indexName,
      partition,
      caller: this.#door.caller,
    };
  }

  #capacityOf(sums: UnitsOfTable, split: Split | undefined): ConsumedCapacity {
    const unitsOf = (units: number) =>
      split === undefined ? { CapacityUnits: units } : { CapacityUnits: units, [split]: units };
    const total = { TableName: sums.tableName, ...unitsOf(totalOf(sums)) };
    if (this.#asked !== 'INDEXES') return total;
    const answer: ConsumedCapacity = { ...total, Table: unitsOf(sums.table) };
    for (const [{ indexName, kind }, units] of sums.indexes) {
      const member = kind === 'global' ? 'GlobalSecondaryIndexes' : 'LocalSecondaryIndexes';
      answer[member] = { ...answer[member], [indexName]: unitsOf(units) };
    }
    return answer;
  }
}

function totalOf({ table, indexes }: UnitsOfTable): number {
  let total = table;
  for (const units of indexes.values()) total += units;
  return total;
}
