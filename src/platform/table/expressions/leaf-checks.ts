/** What is wrong with one comparison or function of a condition, in the order in which DynamoDB looks. */
import { invalid, type TableError } from '../errors.ts';
import { tableLimits } from '../limits.ts';
import { toAttributeValue } from '../values/attribute-value.ts';
import { compare, type TypeTag, typeOf, type Value } from '../values/value.ts';
import type { Aliases } from './aliases.ts';
import type { Slots } from './evaluate.ts';
import { pathText } from './paths.ts';
import { type ConditionFunction, conditionFunctions, type Leaf, type Operand, type ValueAlias } from './syntax.ts';
import type { ExpressionKind } from './tokenizer.ts';

/** Refuses values that do not fit where they stand. */
export type Check = (slots: Slots) => void;

/** Refuses what is wrong whatever the values are; @returns the checks of the values. */
export function checksOf(kind: ExpressionKind, leaf: Leaf, aliases: Aliases): readonly Check[] {
  return new LeafChecker(kind, aliases).check(leaf);
}

class LeafChecker {
  readonly #kind: ExpressionKind;
  readonly #aliases: Aliases;
  readonly #checks: Check[] = [];

  constructor(kind: ExpressionKind, aliases: Aliases) {
    this.#kind = kind;
    this.#aliases = aliases;
  }

  check(leaf: Leaf): readonly Check[] {
    for (const operand of leaf.operands) this.#refuseUndefined(operand);
    for (const operand of leaf.operands) this.#refuseSizeCounts(operand);
    this.#refuseCount(leaf);
    this.#refuseSame(leaf);
    for (const operand of leaf.operands) this.#checkSizes(operand);
    this.#checkTypes(leaf);
    return this.#checks;
  }

  #refuseUndefined(operand: Operand): void {
    if ('slot' in operand) this.#aliases.definedValue(this.#kind, operand.value);
    else if ('path' in operand) this.#aliases.refuseUndefinedNames(this.#kind, operand.path);
    else for (const inner of operand.size) this.#refuseUndefined(inner);
  }

  #refuseSizeCounts(operand: Operand): void {
    if (!('size' in operand)) return;
    for (const inner of operand.size) this.#refuseSizeCounts(inner);
    if (operand.size.length !== 1) throw this.#wrongCount('size', operand.size.length);
  }

  #refuseCount(leaf: Leaf): void {
    const count = leaf.operands.length;
    if (leaf.kind === 'function' && count !== conditionFunctions[leaf.name]) throw this.#wrongCount(leaf.name, count);
    if (leaf.kind === 'in' && count - 1 > tableLimits.inOperandsMax) {
      throw this.#invalid(`The IN operator is provided with too many operands; number of operands: ${count - 1}`);
    }
  }

  #wrongCount(operator: string, count: number): TableError {
    return this.#invalid(
      `Incorrect number of operands for operator or function; operator or function: ${operator}, number of operands: ${count}`,
    );
  }

  #refuseSame(leaf: Leaf): void {
    const [first, ...others] = leaf.operands;
    if (!('path' in first)) return;
    const text = pathText(this.#aliases.steps(first.path));
    for (const other of others) {
      if (!('path' in other) || pathText(this.#aliases.steps(other.path)) !== text) continue;
      throw this.#invalid(
        'The first operand must be distinct from the remaining operands for this operator or function; ' +
          `operator: ${operatorOf(leaf)}, first operand: ${text}`,
      );
    }
  }

  #checkSizes(operand: Operand): void {
    if (!('size' in operand)) return;
    for (const inner of operand.size) {
      this.#checkSizes(inner);
      this.#checkType('size', inner, ['S', 'B', 'SS', 'NS', 'BS', 'L', 'M']);
    }
  }

  #checkTypes(leaf: Leaf): void {
    switch (leaf.kind) {
      case 'compare': {
        const { comparator, operands } = leaf;
        if (comparator === '=' || comparator === '<>') return;
        for (const operand of operands) this.#checkType(comparator, operand, ['S', 'N', 'B']);
        return;
      }
      case 'between': {
        const [, lower, upper] = leaf.operands;
        for (const operand of leaf.operands) this.#checkType('BETWEEN', operand, ['S', 'N', 'B']);
        if ('slot' in lower && 'slot' in upper) this.#checkBounds(lower, upper);
        return;
      }
      case 'function':
        this.#checkOperands(leaf.name, leaf.operands);
    }
  }

  #checkOperands(name: ConditionFunction, operands: readonly Operand[]): void {
    switch (name) {
      case 'attribute_exists':
      case 'attribute_not_exists':
        if ('path' in operands[0]) return;
        // Behind the checks of what stands in a `size` here: DynamoDB looks from the inside out.
        this.#checks.push(() => {
          throw this.#invalid(`Operator or function requires a document path; operator or function: ${name}`);
        });
        return;
      case 'attribute_type':
        this.#checkTypeName(operands[1]);
        return;
      case 'begins_with':
        for (const operand of operands) this.#checkType(name, operand, ['S', 'B']);
    }
  }

  #checkType(operator: string, operand: Operand, allowed: readonly TypeTag[]): void {
    if ('path' in operand) return;
    this.#checks.push(slots => {
      const type = 'slot' in operand ? typeOf(slots[operand.slot]) : 'N';
      if (!allowed.includes(type)) throw this.#wrongType(operator, type);
    });
  }

  #checkTypeName(operand: Operand): void {
    this.#checks.push(slots => {
      if ('path' in operand) throw this.#wrongType('attribute_type', '{NS,SS,L,BS,N,M,B,BOOL,NULL,S}');
      const type = 'slot' in operand ? slots[operand.slot] : 0;
      if (typeof type !== 'string') throw this.#wrongType('attribute_type', typeOf(type));
      if (/^(S|N|B|BOOL|NULL|L|M|SS|NS|BS)$/.test(type)) return;
      throw this.#invalid(
        `Invalid attribute type name found; type: ${type}, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}`,
      );
    });
  }

  #checkBounds({ slot: lowerSlot }: ValueAlias, { slot: upperSlot }: ValueAlias): void {
    this.#checks.push(slots => {
      const lower = slots[lowerSlot];
      const upper = slots[upperSlot];
      const bounds =
        `lower bound operand: AttributeValue: ${attributeText(lower)}, ` +
        `upper bound operand: AttributeValue: ${attributeText(upper)}`;
      if (typeOf(lower) !== typeOf(upper)) {
        throw this.#invalid(`The BETWEEN operator requires same data type for lower and upper bounds; ${bounds}`);
      }
      if ((compare(lower, upper) ?? 0) <= 0) return;
      throw this.#invalid(
        `The BETWEEN operator requires upper bound to be greater than or equal to lower bound; ${bounds}`,
      );
    });
  }

  #wrongType(operator: string, type: string): TableError {
    return this.#invalid(
      `Incorrect operand type for operator or function; operator or function: ${operator}, operand type: ${type}`,
    );
  }

  #invalid(message: string): TableError {
    return invalid(`Invalid ${this.#kind}: ${message}`);
  }
}

function operatorOf(leaf: Leaf): string {
  if (leaf.kind === 'compare') return leaf.comparator;
  return leaf.kind === 'function' ? leaf.name : leaf.kind.toUpperCase();
}

function attributeText(value: Value): string {
  const [[type, content]] = Object.entries(toAttributeValue(value));
  return `{${type}:${content instanceof Uint8Array ? Buffer.from(content).toString('base64') : String(content)}}`;
}
