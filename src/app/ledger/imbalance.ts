/** Whether two accounts of the same records agree, thing by thing. */
import { type Counts, sumOf } from './counts.ts';

export interface Imbalance {
  /** Undefined: things that are not counted by name in one of the two. */
  readonly thingName: string | undefined;
  readonly received: number;
  /** By fate. */
  readonly settled: readonly number[];
}

/**
 * @param received  one column
 * @param settled  one column for each fate
 */
export function imbalancesOf(received: Counts, settled: Counts): Imbalance[] {
  const found: Imbalance[] = [];
  const none = new Array<number>(settled.columns).fill(0);
  const rest = { received: received.others[0], settled: [...settled.others] };
  // Who is not named is among the others, if there are any; else nothing is counted of it.
  const mayReceivedHideIt = received.others[0] > 0;
  const maySettledHideIt = sumOf(settled.others) > 0;
  const compare = (thingName: string | undefined, count: number, row: readonly number[]) => {
    if (count !== sumOf(row)) found.push({ thingName, received: count, settled: row });
  };
  for (const [thingName, [count]] of received.things) {
    const row = settled.get(thingName);
    if (row === undefined && maySettledHideIt) rest.received += count;
    else compare(thingName, count, row ?? none);
  }
  for (const [thingName, row] of settled.things) {
    if (received.get(thingName) !== undefined) continue;
    if (mayReceivedHideIt) for (let column = 0; column < row.length; column++) rest.settled[column] += row[column];
    else compare(thingName, 0, row);
  }
  compare(undefined, rest.received, rest.settled);
  return found;
}
