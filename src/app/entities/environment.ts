import type { Clock } from '../../kernel/clock.ts';
import { delay } from '../../kernel/clock.ts';
import type { Random } from '../../kernel/random.ts';
import type { Table } from '../../platform/table/index.ts';
import type { Cursors } from './cursors.ts';
import type { EntityShape, Shapes } from './shape.ts';

/** What repositories work with. */
export interface EntityEnvironment {
  readonly table: Table;
  readonly clock: Clock;
  readonly random: Random;
  readonly cursors: Cursors;
  readonly shapes: Shapes;
  /** Of a part, by `partName`: undefined when its records are all there, else how many the backfill has looked at. */
  readonly buildingOf: (part: string) => number | undefined;
}

export function shapeOf({ shapes }: Pick<EntityEnvironment, 'shapes'>, name: string): EntityShape {
  const shape = shapes.get(name);
  if (!shape) throw new TypeError(`There is no entity ${name}.`); // Definitions are checked for that.
  return shape;
}

/** Waits longer with each attempt, half of it by chance, so that those who met do not meet again. */
export async function backOff(
  { clock, random }: Pick<EntityEnvironment, 'clock' | 'random'>,
  firstMs: number,
  attempt: number,
): Promise<void> {
  const wholeMs = firstMs * 2 ** Math.min(attempt - 1, 6);
  await delay(clock, wholeMs / 2 + random.integer(Math.ceil(wholeMs / 2) + 1));
}
