import { type Item, isMap, ownValue, type Value } from '../values/value.ts';
import type { Steps } from './aliases.ts';
import type { Reader } from './reader.ts';

/** What stands at a path; undefined when nothing does. */
export function valueAt(item: Item, steps: Steps): Value | undefined {
  let value: Value | undefined = item;
  for (const step of steps) {
    if (typeof step === 'number') value = Array.isArray(value) ? value[step] : undefined;
    else value = isMap(value) ? ownValue(value, step) : undefined;
    if (value === undefined) return undefined;
  }
  return value;
}

export function pathText(steps: Steps): string {
  return `[${steps.map(step => (typeof step === 'number' ? `[${step}]` : step)).join(', ')}]`;
}

/**
 * Refuses paths of which one contains another, or of which one takes for a list what the other takes for a map.
 * Quadratic in their number, which the expression's length bounds.
 */
export function refuseOverlaps(paths: readonly Steps[], refuse: Reader['invalid']): void {
  for (let second = 1; second < paths.length; second++) {
    for (let first = 0; first < second; first++) {
      const problem = relation(paths[first], paths[second]);
      if (problem === undefined) continue;
      throw refuse(
        `Two document paths ${problem} with each other; must remove or rewrite one of these paths; ` +
          `path one: ${pathText(paths[first])}, path two: ${pathText(paths[second])}`,
      );
    }
  }
}

function relation(left: Steps, right: Steps): 'overlap' | 'conflict' | undefined {
  const length = Math.min(left.length, right.length);
  for (let index = 0; index < length; index++) {
    if (typeof left[index] !== typeof right[index]) return 'conflict';
    if (left[index] !== right[index]) return undefined;
  }
  return 'overlap';
}
