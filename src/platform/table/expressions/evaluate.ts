/** Operands of conditions and updates as functions of an item and the values of a request, compiled once per text. */
import { type Item, isMap, isSet, ownValue, type Value } from '../values/value.ts';
import type { Steps } from './aliases.ts';
import type { Operand, Path } from './syntax.ts';

/** The values a request gives for the aliases of a text, each where the parser has put its alias. */
export type Slots = readonly Value[];

export type Evaluate = (item: Item, slots: Slots) => Value | undefined;

export function evaluatorOf(operand: Operand, stepsOf: (path: Path) => Steps): Evaluate {
  if ('slot' in operand) {
    const { slot } = operand;
    return (_item, slots) => slots[slot];
  }
  if ('path' in operand) return readerOf(stepsOf(operand.path));
  const inner = evaluatorOf(operand.size[0], stepsOf);
  return (item, slots) => sizeOf(inner(item, slots));
}

/** Reads what stands at a path; most paths are one name. */
export function readerOf(steps: Steps): (item: Item) => Value | undefined {
  const [name] = steps;
  if (steps.length === 1 && typeof name === 'string') return item => ownValue(item, name);
  return item => valueAt(item, steps);
}

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

function sizeOf(value: Value | undefined): number | undefined {
  if (typeof value === 'string') return value.length; // UTF-16 code units, as in DynamoDB
  if (value instanceof Uint8Array || Array.isArray(value)) return value.length;
  if (isSet(value)) return value.size;
  return isMap(value) ? Object.keys(value).length : undefined;
}
