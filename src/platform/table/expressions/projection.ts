/** Keeps of an item what a list of paths names, inside its parents. */
import { invalid } from '../errors.ts';
import { type Item, isMap, ownValue, setOwn, type Value } from '../values/value.ts';
import type { Aliases, Steps } from './aliases.ts';
import { refuseOverlaps } from './paths.ts';
import type { Path } from './syntax.ts';

/** `true`: everything below is kept. */
type Selection = true | Map<string | number, Selection>;

export function compileProjection(paths: readonly Path[], aliases: Aliases): (item: Item) => Item {
  const all = paths.map(path => aliases.steps(path));
  refuseOverlaps(all, message => invalid(`Invalid ProjectionExpression: ${message}`));
  return projectOn(all);
}

/** Keys are not added, absent paths are left out, and kept list elements move together. */
export function projectOn(paths: readonly Steps[]): (item: Item) => Item {
  const selection = new Map<string | number, Selection>();
  for (const steps of paths) select(selection, steps);
  return item => keptOfMap(item, selection);
}

function select(selection: Map<string | number, Selection>, steps: Steps): void {
  let level = selection;
  for (const [index, step] of steps.entries()) {
    const below = level.get(step);
    if (below === true) return;
    if (index === steps.length - 1) {
      level.set(step, true);
    } else if (below === undefined) {
      const next = new Map<string | number, Selection>();
      level.set(step, next);
      level = next;
    } else {
      level = below;
    }
  }
}

function keptOfMap(map: Item, selection: Map<string | number, Selection>): Item {
  const kept: Item = {};
  for (const [step, below] of selection) {
    const value = typeof step === 'string' ? keptOf(ownValue(map, step), below) : undefined;
    if (value !== undefined) setOwn(kept, String(step), value);
  }
  return kept;
}

function keptOf(value: Value | undefined, selection: Selection): Value | undefined {
  if (value === undefined || selection === true) return value;
  if (isMap(value)) {
    const kept = keptOfMap(value, selection);
    return Object.keys(kept).length === 0 ? undefined : kept;
  }
  if (!Array.isArray(value)) return undefined;
  const kept: Value[] = [];
  for (const [index, element] of value.entries()) {
    const below = selection.get(index);
    const part = below === undefined ? undefined : keptOf(element, below);
    if (part !== undefined) kept.push(part);
  }
  return kept.length === 0 ? undefined : kept;
}
