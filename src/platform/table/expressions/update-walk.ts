/** Carries out the actions of an update on an item: every map and list on a way is copied once, the rest is shared. */
import { bufferOf } from '../../../kernel/bytes.ts';
import { invalid } from '../errors.ts';
import { addNumbers, Decimal, isNumeric } from '../values/decimal.ts';
import {
  type Item,
  isMap,
  isSet,
  type Member,
  membersInOrder,
  ownValue,
  setOwn,
  typeOf,
  type Value,
  type ValueSet,
} from '../values/value.ts';
import type { Slots } from './evaluate.ts';
import type { PathTree } from './paths.ts';
import type { UpdateAction } from './syntax.ts';

export class UpdateWalk {
  readonly #actions: readonly UpdateAction[];
  readonly #written: readonly (Value | undefined)[];
  readonly #slots: Slots;
  readonly #isNew: boolean;

  /** @param written  what each action that sets writes. */
  constructor(actions: readonly UpdateAction[], written: readonly (Value | undefined)[], slots: Slots, isNew: boolean) {
    this.#actions = actions;
    this.#written = written;
    this.#slots = slots;
    this.#isNew = isNew;
  }

  map(map: Item, below: readonly (readonly [string, PathTree])[]): Item {
    const copy = { ...map };
    for (const [name, tree] of below) {
      const after = this.#after(ownValue(map, name), tree);
      if (after !== undefined) setOwn(copy, name, after);
      else delete copy[name];
    }
    return copy;
  }

  /** Indexes refer to the list as it was; those past its end are appended in their order. */
  #list(list: readonly Value[], below: readonly (readonly [number, PathTree])[]): Value[] {
    const copy: (Value | undefined)[] = [...list];
    for (const [index, tree] of below) {
      const after = this.#after(list[index], tree);
      if (index < list.length) copy[index] = after;
      else if (after !== undefined) copy.push(after);
    }
    return copy.filter(element => element !== undefined);
  }

  /** What stands at a place afterwards; undefined: nothing. */
  #after(before: Value | undefined, tree: PathTree): Value | undefined {
    if (tree.kind === 'end') return this.#carriedOut(this.#actions[tree.path], this.#written[tree.path], before);
    if (tree.kind === 'names' && isMap(before)) return this.map(before, tree.below);
    if (tree.kind === 'indexes' && Array.isArray(before)) return this.#list(before, tree.below);
    if (this.#isNew && this.#onlyRemoves(tree)) return before;
    throw invalid('The document path provided in the update expression is invalid for update');
  }

  #carriedOut(action: UpdateAction, written: Value | undefined, before: Value | undefined): Value | undefined {
    switch (action.clause) {
      case 'set':
        return written;
      case 'remove':
        return undefined;
      case 'add':
        return added(before, this.#slots[action.value.slot]);
      case 'delete':
        return withoutMembers(before, this.#slots[action.value.slot]);
    }
  }

  #onlyRemoves(tree: PathTree): boolean {
    if (tree.kind === 'end') return this.#actions[tree.path].clause === 'remove';
    return tree.below.every(([, below]) => this.#onlyRemoves(below));
  }
}

function added(stored: Value | undefined, value: Value): Value {
  if (stored === undefined) return value;
  if (isNumeric(stored) && isNumeric(value)) return addNumbers(stored, value);
  if (!isSet(stored) || !isSet(value) || typeOf(stored) !== typeOf(value)) throw wrongOperand();
  const present = contentsOf(stored);
  return setOf(membersInOrder([...stored, ...[...value].filter(member => !present.has(contentOf(member)))]));
}

/** Nothing to do when there is no such set; nothing is left when its last member goes. */
function withoutMembers(stored: Value | undefined, members: Value): Value | undefined {
  if (stored === undefined) return undefined;
  if (!isSet(stored) || !isSet(members) || typeOf(stored) !== typeOf(members)) throw wrongOperand();
  const going = contentsOf(members);
  const left = [...stored].filter(member => !going.has(contentOf(member)));
  return left.length === 0 ? undefined : setOf(left);
}

export function wrongOperand() {
  return invalid('An operand in the update expression has an incorrect data type');
}

/** What members of one type are compared by: comparing bytes all with all would take minutes at worst. */
function contentsOf(set: ValueSet): ReadonlySet<string | number> {
  const contents = new Set<string | number>();
  for (const member of set) contents.add(contentOf(member));
  return contents;
}

function contentOf(member: Member): string | number {
  if (member instanceof Decimal) return member.text;
  if (!(member instanceof Uint8Array)) return member;
  return bufferOf(member).toString('latin1');
}

function setOf(members: readonly Member[]): ValueSet {
  return new Set(members) as ValueSet; // a cast: they come from sets of one type
}
