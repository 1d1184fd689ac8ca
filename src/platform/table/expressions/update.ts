/** Carries out an update: every right-hand side reads the item as it was, then the targets change. */

import { invalid } from '../errors.ts';
import { addNumbers, isNumeric, type Numeric, subtractNumbers } from '../values/decimal.ts';
import {
  type Item,
  isMap,
  isSet,
  ownValue,
  setHas,
  setOwn,
  typeOf,
  type Value,
  type ValueSet,
} from '../values/value.ts';
import type { Aliases, Steps } from './aliases.ts';
import { refuseOverlaps, valueAt } from './paths.ts';
import type { Update, UpdateValue } from './syntax.ts';

export interface CompiledUpdate {
  /** Every target, for `ReturnValues: UPDATED_*` and to refuse keys. */
  readonly targets: readonly Steps[];
  /** How many actions write a value, and how many take one away: DynamoDB counts them into the size. */
  readonly valueActions: number;
  readonly clearingActions: number;
  /** The item afterwards; the one given is left as it is. */
  apply(item: Item): Item;
}

interface Change {
  readonly steps: Steps;
  /** undefined takes the target away. */
  readonly value: Value | undefined;
}

export function compileUpdate(update: Update, aliases: Aliases): CompiledUpdate {
  const sets = update.set.map(({ path, value }) => ({ steps: aliases.steps(path), value }));
  const removes = update.remove.map(path => aliases.steps(path));
  const adds = update.add.map(({ path, value }) => ({ steps: aliases.steps(path), value: aliases.value(value) }));
  const deletes = update.delete.map(({ path, value }) => ({ steps: aliases.steps(path), value: aliases.value(value) }));
  for (const { value } of adds) refuseOperand('ADD', value, ['N', 'SS', 'NS', 'BS']);
  for (const { value } of deletes) refuseOperand('DELETE', value, ['SS', 'NS', 'BS']);
  const targets = [...sets, ...adds, ...deletes].map(({ steps }) => steps).concat(removes);
  refuseOverlaps(targets, message => invalid(`Invalid UpdateExpression: ${message}`));
  return {
    targets,
    valueActions: sets.length + adds.length,
    clearingActions: removes.length + deletes.length,
    apply: item => {
      const changes: Change[] = [
        ...sets.map(({ steps, value }) => ({ steps, value: evaluate(value, item, aliases) })),
        ...adds.map(({ steps, value }) => ({ steps, value: added(valueAt(item, steps), value) })),
        ...deletes.flatMap(({ steps, value }) => withoutMembers(item, steps, value)),
      ];
      return applyRemovals(applyChanges(item, changes), [
        ...changes.filter(change => change.value === undefined).map(change => change.steps),
        ...removes,
      ]);
    },
  };
}

function refuseOperand(operator: string, value: Value, allowed: readonly string[]): void {
  const type = typeOf(value);
  if (allowed.includes(type)) return;
  throw invalid(
    `Invalid UpdateExpression: Incorrect operand type for operator or function; operator: ${operator}, operand type: ${typeNames[type]}, typeSet: ALLOWED_FOR_${operator}_OPERAND`,
  );
}

const typeNames = {
  S: 'STRING',
  N: 'NUMBER',
  B: 'BINARY',
  BOOL: 'BOOLEAN',
  NULL: 'NULL',
  L: 'LIST',
  M: 'MAP',
  SS: 'STRING_SET',
  NS: 'NUMBER_SET',
  BS: 'BINARY_SET',
} as const;

function evaluate(value: UpdateValue, item: Item, aliases: Aliases): Value {
  if ('value' in value) return aliases.value(value.value);
  if (!('kind' in value)) {
    const found = valueAt(item, aliases.steps(value.path));
    if (found === undefined) {
      throw invalid('The provided expression refers to an attribute that does not exist in the item');
    }
    return found;
  }
  switch (value.kind) {
    case 'plus':
    case 'minus': {
      const left = evaluate(value.left, item, aliases);
      const right = evaluate(value.right, item, aliases);
      if (!isNumeric(left) || !isNumeric(right)) throw wrongOperand();
      return value.kind === 'plus' ? addNumbers(left, right) : subtractNumbers(left, right);
    }
    case 'if_not_exists':
      return valueAt(item, aliases.steps(value.path)) ?? evaluate(value.otherwise, item, aliases);
    case 'list_append': {
      const left = evaluate(value.left, item, aliases);
      const right = evaluate(value.right, item, aliases);
      if (!Array.isArray(left) || !Array.isArray(right)) throw wrongOperand();
      return [...left, ...right];
    }
  }
}

function wrongOperand() {
  return invalid('An operand in the update expression has an incorrect data type');
}

function added(stored: Value | undefined, value: Value): Value {
  if (isNumeric(value)) {
    if (stored === undefined) return value;
    if (!isNumeric(stored)) throw wrongOperand();
    return addNumbers(stored, value);
  }
  if (stored === undefined || !isSet(value)) return value;
  if (!isSet(stored) || typeOf(stored) !== typeOf(value)) throw wrongOperand();
  return setOf([...stored, ...[...value].filter(member => !setHas(stored, member))]);
}

/** Nothing to do when there is no such set; a change to undefined when its last member goes. */
function withoutMembers(item: Item, steps: Steps, members: Value): Change[] {
  const stored = valueAt(item, steps);
  if (stored === undefined || !isSet(members)) return [];
  if (!isSet(stored) || typeOf(stored) !== typeOf(members)) throw wrongOperand();
  const left = [...stored].filter(member => !setHas(members, member));
  return [{ steps, value: left.length === 0 ? undefined : setOf(left) }];
}

function setOf(members: readonly (string | Numeric | Uint8Array)[]): ValueSet {
  return new Set(members) as ValueSet; // a cast: they come from sets of one type
}

function applyChanges(item: Item, changes: readonly Change[]): Item {
  const inOrder = changes.filter(change => change.value !== undefined).sort(byLastIndex);
  let next = item;
  for (const { steps, value } of inOrder) {
    if (value !== undefined) next = changedAt(next, steps, 0, value) as Item; // a cast: a map stays a map
  }
  return next;
}

/** Several elements set past the end of a list are appended in the order of their indexes. */
function byLastIndex(left: Change, right: Change): number {
  const a = left.steps.at(-1);
  const b = right.steps.at(-1);
  return typeof a === 'number' && typeof b === 'number' ? a - b : 0;
}

function invalidPath() {
  return invalid('The document path provided in the update expression is invalid for update');
}

/** A copy of `container` with `value` at the path; only what lies on the path is copied. */
function changedAt(container: Value | undefined, steps: Steps, depth: number, value: Value): Value {
  const step = steps[depth];
  const isLast = depth === steps.length - 1;
  if (typeof step === 'number') {
    if (!Array.isArray(container)) throw invalidPath();
    const copy = [...container];
    if (step >= copy.length) {
      if (!isLast) throw invalidPath();
      copy.push(value);
    } else {
      copy[step] = isLast ? value : changedAt(copy[step], steps, depth + 1, value);
    }
    return copy;
  }
  if (!isMap(container)) throw invalidPath();
  const copy = { ...container };
  setOwn(copy, step, isLast ? value : changedAt(ownValue(container, step), steps, depth + 1, value));
  return copy;
}

/** Indexes refer to the lists as they were, so the last elements go first. */
function applyRemovals(item: Item, removals: readonly Steps[]): Item {
  let next = item;
  for (const steps of removals.toSorted(lastFirst)) next = removedAt(next, steps, 0) as Item; // a cast: a map stays one
  return next;
}

function lastFirst(left: Steps, right: Steps): number {
  const length = Math.min(left.length, right.length);
  for (let index = 0; index < length; index++) {
    const a = left[index];
    const b = right[index];
    if (typeof a === 'number' && typeof b === 'number' && a !== b) return b - a;
  }
  return 0;
}

function removedAt(container: Value, steps: Steps, depth: number): Value {
  const step = steps[depth];
  const isLast = depth === steps.length - 1;
  if (typeof step === 'number') {
    if (!Array.isArray(container) || step >= container.length) return container;
    return isLast ? container.toSpliced(step, 1) : container.with(step, removedAt(container[step], steps, depth + 1));
  }
  if (!isMap(container) || !Object.hasOwn(container, step)) return container;
  const copy = { ...container };
  if (isLast) delete copy[step];
  else setOwn(copy, step, removedAt(container[step], steps, depth + 1));
  return copy;
}
