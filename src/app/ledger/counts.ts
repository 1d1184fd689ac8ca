/**
 * Counts by thing: of one minute, in as many columns as there are things to count. Things are named up to a limit; what
 * the others do is counted together, so that nothing is left out and two accounts of the same records still balance.
 */
import { ledgerLimits } from './limits.ts';

export class Counts {
  readonly columns: number;
  readonly #byThing = new Map<string, number[]>();
  readonly #others: number[];
  #nameBytes = 0;

  constructor(columns: number) {
    this.columns = columns;
    this.#others = new Array<number>(columns).fill(0);
  }

  add(thingName: string, column: number, amount = 1): void {
    this.#rowOf(thingName)[column] += amount;
  }

  addRow(thingName: string, row: readonly number[]): void {
    const into = this.#rowOf(thingName);
    for (let column = 0; column < this.columns; column++) into[column] += row[column];
  }

  addOthers(row: readonly number[]): void {
    for (let column = 0; column < this.columns; column++) this.#others[column] += row[column];
  }

  addAll(other: Counts): void {
    for (const [thingName, row] of other.#byThing) this.addRow(thingName, row);
    this.addOthers(other.#others);
  }

  /** Undefined when it is not named here: it may be among the others. */
  get(thingName: string): readonly number[] | undefined {
    return this.#byThing.get(thingName);
  }

  get things(): IterableIterator<[string, readonly number[]]> {
    return this.#byThing.entries();
  }

  get size(): number {
    return this.#byThing.size;
  }

  get others(): readonly number[] {
    return this.#others;
  }

  /** By column, of all things. */
  get totals(): number[] {
    const totals = [...this.#others];
    for (const row of this.#byThing.values())
      for (let column = 0; column < this.columns; column++) totals[column] += row[column];
    return totals;
  }

  copy(): Counts {
    const copy = new Counts(this.columns);
    copy.addAll(this);
    return copy;
  }

  #rowOf(thingName: string): number[] {
    const known = this.#byThing.get(thingName);
    if (known !== undefined) return known;
    const bytes = Buffer.byteLength(thingName);
    if (this.#byThing.size >= ledgerLimits.thingsMax || this.#nameBytes + bytes > ledgerLimits.namesBytesMax)
      return this.#others;
    this.#nameBytes += bytes;
    const row = new Array<number>(this.columns).fill(0);
    this.#byThing.set(thingName, row);
    return row;
  }
}

export function sumOf(row: readonly number[]): number {
  let sum = 0;
  for (const count of row) sum += count;
  return sum;
}
