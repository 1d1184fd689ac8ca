/** Turns an update into a function from the item before to the item after. Every right-hand side reads the one before. */
import assert from 'node:assert/strict';
import { invalid } from '../errors.ts';
import { addNumbers, isNumeric, subtractNumbers } from '../values/decimal.ts';
import type { Item, Value } from '../values/value.ts';
import type { Aliases, Steps } from './aliases.ts';
import { Compiled } from './compiled.ts';
import { readerOf, type Slots } from './evaluate.ts';
import { pathTree } from './paths.ts';
import type { Parsed, Path, UpdateAction, UpdateValue } from './syntax.ts';
import { checkUpdate } from './update-checks.ts';
import { UpdateWalk, wrongOperand } from './update-walk.ts';

export interface CompiledUpdate {
  /** Every target, for `ReturnValues: UPDATED_*` and to refuse keys. */
  readonly targets: readonly Steps[];
  /** How many actions write a value, and how many take one away: DynamoDB counts them into the size. */
  readonly valueActions: number;
  readonly clearingActions: number;
  /**
   * @param isNew  there was no item, `item` is its key: then there may be nothing, at any depth, to be taken away.
   * @returns the item afterwards; the one given is left as it is.
   */
  apply(item: Item, isNew?: boolean): Item;
}

interface Program extends Pick<CompiledUpdate, 'targets' | 'valueActions' | 'clearingActions'> {
  readonly apply: (item: Item, slots: Slots, isNew: boolean) => Item;
}

const programs = new Compiled<Program>();

export function compileUpdate(parsed: Parsed<readonly UpdateAction[]>, aliases: Aliases): CompiledUpdate {
  const { program, slots } = bind(parsed, aliases);
  const { targets, valueActions, clearingActions } = program;
  const apply = (item: Item, isNew = false) => program.apply(item, slots, isNew);
  return { targets, valueActions, clearingActions, apply };
}

function bind(parsed: Parsed<readonly UpdateAction[]>, aliases: Aliases): { program: Program; slots: Slots } {
  const slots = aliases.valuesOf(parsed);
  const known = programs.find(parsed, aliases);
  if (known !== undefined && slots !== undefined) {
    checkUpdate(parsed.root, slots);
    return { program: known, slots };
  }
  aliases.refuseUndefined('UpdateExpression', parsed);
  assert(slots !== undefined); // all aliases are defined
  const stepsOf = (path: Path) => aliases.steps(path);
  const targets = parsed.root.map(({ path }) => stepsOf(path));
  const tree = pathTree(targets, message => invalid(`Invalid UpdateExpression: ${message}`));
  assert(tree.kind === 'names'); // a path begins with a name
  checkUpdate(parsed.root, slots);
  const values = parsed.root.map(action => (action.clause === 'set' ? evaluatorOf(action.value, stepsOf) : undefined));
  const program = { targets, ...countsOf(parsed.root), apply: carriesOut(parsed.root, values, tree.below) };
  programs.keep(parsed, aliases, program);
  return { program, slots };
}

function countsOf(actions: readonly UpdateAction[]): Pick<CompiledUpdate, 'valueActions' | 'clearingActions'> {
  const valueActions = actions.filter(({ clause }) => clause === 'set' || clause === 'add').length;
  return { valueActions, clearingActions: actions.length - valueActions };
}

/** What this gives outlives the request, so it is made where it cannot see the aliases or values of the request. */
function carriesOut(
  actions: readonly UpdateAction[],
  values: readonly (Evaluate | undefined)[],
  targets: Parameters<UpdateWalk['map']>[1],
): Program['apply'] {
  return (item, slots, isNew) => {
    const written = values.map(evaluate => evaluate?.(item, slots));
    return new UpdateWalk(actions, written, slots, isNew).map(item, targets);
  };
}

type Evaluate = (item: Item, slots: Slots) => Value;

function evaluatorOf(value: UpdateValue, stepsOf: (path: Path) => Steps): Evaluate {
  if ('slot' in value) {
    const { slot } = value;
    return (_item, slots) => slots[slot];
  }
  if ('path' in value) {
    const read = readerOf(stepsOf(value.path));
    return item => {
      const found = read(item);
      if (found !== undefined) return found;
      throw invalid('The provided expression refers to an attribute that does not exist in the item');
    };
  }
  if (value.kind === 'call') return callOf(value, stepsOf);
  const left = evaluatorOf(value.left, stepsOf);
  const right = evaluatorOf(value.right, stepsOf);
  const operation = value.kind === 'plus' ? addNumbers : subtractNumbers;
  return (item, slots) => {
    const one = left(item, slots);
    const other = right(item, slots);
    if (!isNumeric(one) || !isNumeric(other)) throw wrongOperand();
    return operation(one, other);
  };
}

function callOf(call: Extract<UpdateValue, { kind: 'call' }>, stepsOf: (path: Path) => Steps): Evaluate {
  const [first, second] = call.operands;
  const right = evaluatorOf(second, stepsOf);
  if (call.name === 'if_not_exists') {
    const read = readerOf(stepsOf((first as { path: Path }).path)); // a cast: anything else was refused
    return (item, slots) => {
      const found = read(item);
      return found === undefined ? right(item, slots) : found; // null is a value, too
    };
  }
  const left = evaluatorOf(first, stepsOf);
  return (item, slots) => {
    const head = left(item, slots);
    const tail = right(item, slots);
    if (!Array.isArray(head) || !Array.isArray(tail)) throw wrongOperand();
    return [...head, ...tail];
  };
}
