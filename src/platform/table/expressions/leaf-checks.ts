/** What is wrong with one comparison or function of a condition, in the order in which DynamoDB looks. */
import { invalid, type TableError } from '../errors.ts';
import { tableLimits } from '../limits.ts';
import { toAttributeValue } from '../values/attribute-value.ts';
import { compare, type TypeTag, typeOf, type Value } from '../values/value.ts';
import type { Aliases, Steps } from './aliases.ts';
import type { Slots } from './evaluate.ts';
import { pathText } from './paths.ts';
import { conditionFunctions, type Leaf, type Operand } from './syntax.ts';
import type { ExpressionKind } from './tokenizer.ts';

/** Whatever the values are: aliases that are not defined, the number of operands, operands that are the same. */
export function checkLeaf(kind: ExpressionKind, leaf: Leaf, aliases: Aliases): void {
  for (const operand of leaf.operands) refuseUndefined(kind, operand, aliases);
  for (const operand of leaf.operands) refuseSizeCounts(kind, operand);
  refuseCount(kind, leaf, aliases);
  refuseSame(kind, leaf, aliases);
}

function refuseUndefined(kind: ExpressionKind, operand: Operand, aliases: Aliases): void {
  if ('slot' in operand) aliases.definedValue(kind, operand.value);
  else if ('path' in operand) aliases.refuseUndefinedNames(kind, operand.path);
  else for (const inner of operand.size) refuseUndefined(kind, inner, aliases);
}

function refuseSizeCounts(kind: ExpressionKind, operand: Operand): void {
  if (!('size' in operand)) return;
  for (const inner of operand.size) refuseSizeCounts(kind, inner);
  if (operand.size.length !== 1) throw wrongCount(kind, 'size', operand.size.length);
}

function refuseCount(kind: ExpressionKind, leaf: Leaf, { isTranslated }: Aliases): void {
  const count = leaf.operands.length;
  if (leaf.kind === 'function' && count !== conditionFunctions[leaf.name]) throw wrongCount(kind, leaf.name, count);
  if (!isTranslated && leaf.kind === 'in' && count - 1 > tableLimits.inOperandsMax) {
    throw refusal(kind, `The IN operator is provided with too many operands; number of operands: ${count - 1}`);
  }
}

function wrongCount(kind: ExpressionKind, operator: string, count: number): TableError {
  return refusal(
    kind,
    `Incorrect number of operands for operator or function; operator or function: ${operator}, number of operands: ${count}`,
  );
}

function refuseSame(kind: ExpressionKind, leaf: Leaf, aliases: Aliases): void {
  const [first, ...others] = leaf.operands;
  if (!('path' in first)) return;
  const steps = aliases.steps(first.path);
  for (const other of others) {
    if (!('path' in other) || !areSame(steps, aliases.steps(other.path))) continue;
    throw refusal(
      kind,
      'The first operand must be distinct from the remaining operands for this operator or function; ' +
        `operator: ${operatorOf(leaf)}, first operand: ${pathText(steps)}`,
    );
  }
}

/** Step by step: as texts, the index [3] and the name "[3]" are the same. */
function areSame(left: Steps, right: Steps): boolean {
  return left.length === right.length && left.every((step, index) => step === right[index]);
}

function operatorOf(leaf: Leaf): string {
  if (leaf.kind === 'compare') return leaf.comparator;
  return leaf.kind === 'function' ? leaf.name : leaf.kind.toUpperCase();
}

/** Whether `checkValues` may find fault with other values than those it was called with. */
export function dependsOnValues({ operands }: { readonly operands: readonly Operand[] }): boolean {
  return operands.some(
    operand => 'slot' in operand || ('size' in operand && dependsOnValues({ operands: operand.size })),
  );
}

/** Refuses values that do not fit where they stand, from the inside out. */
export function checkValues(kind: ExpressionKind, leaf: Leaf, slots: Slots): void {
  for (const operand of leaf.operands) checkSizes(kind, operand, slots);
  switch (leaf.kind) {
    case 'compare':
      if (leaf.comparator === '=' || leaf.comparator === '<>') return;
      for (const operand of leaf.operands) checkType(kind, leaf.comparator, operand, ordered, slots);
      return;
    case 'between':
      for (const operand of leaf.operands) checkType(kind, 'BETWEEN', operand, ordered, slots);
      checkBounds(kind, leaf.operands, slots);
      return;
    case 'function':
      checkOperands(kind, leaf, slots);
  }
}

const ordered: readonly TypeTag[] = ['S', 'N', 'B'];
const sized: readonly TypeTag[] = ['S', 'B', 'SS', 'NS', 'BS', 'L', 'M'];
const beginning: readonly TypeTag[] = ['S', 'B'];

function checkSizes(kind: ExpressionKind, operand: Operand, slots: Slots): void {
  if (!('size' in operand)) return;
  for (const inner of operand.size) {
    checkSizes(kind, inner, slots);
    checkType(kind, 'size', inner, sized, slots);
  }
}

function checkType(
  kind: ExpressionKind,
  operator: string,
  operand: Operand,
  allowed: readonly TypeTag[],
  slots: Slots,
): void {
  if ('path' in operand) return; // what stands there shows with the item
  const type = 'slot' in operand ? typeOf(slots[operand.slot]) : 'N';
  if (!allowed.includes(type)) throw wrongType(kind, operator, type);
}

function checkOperands(kind: ExpressionKind, { name, operands }: Leaf & { kind: 'function' }, slots: Slots): void {
  switch (name) {
    case 'attribute_exists':
    case 'attribute_not_exists':
      if ('path' in operands[0]) return;
      throw refusal(kind, `Operator or function requires a document path; operator or function: ${name}`);
    case 'attribute_type':
      checkTypeName(kind, operands[1], slots);
      return;
    case 'begins_with':
      for (const operand of operands) checkType(kind, name, operand, beginning, slots);
  }
}

function checkTypeName(kind: ExpressionKind, operand: Operand, slots: Slots): void {
  if ('path' in operand) throw wrongType(kind, 'attribute_type', '{NS,SS,L,BS,N,M,B,BOOL,NULL,S}');
  const type = 'slot' in operand ? slots[operand.slot] : 0; // a size is a number
  if (typeof type !== 'string') throw wrongType(kind, 'attribute_type', typeOf(type));
  if (/^(S|N|B|BOOL|NULL|L|M|SS|NS|BS)$/.test(type)) return;
  throw refusal(kind, `Invalid attribute type name found; type: ${type}, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}`);
}

function checkBounds(kind: ExpressionKind, [, low, high]: readonly Operand[], slots: Slots): void {
  if (!('slot' in low) || !('slot' in high)) return;
  const lower = slots[low.slot];
  const upper = slots[high.slot];
  const areOfOneType = typeOf(lower) === typeOf(upper);
  if (areOfOneType && (compare(lower, upper) ?? 0) <= 0) return;
  const requirement = areOfOneType
    ? 'upper bound to be greater than or equal to lower bound'
    : 'same data type for lower and upper bounds';
  throw refusal(
    kind,
    `The BETWEEN operator requires ${requirement}; lower bound operand: AttributeValue: ${attributeText(lower)}, ` +
      `upper bound operand: AttributeValue: ${attributeText(upper)}`,
  );
}

function attributeText(value: Value): string {
  const [[type, content]] = Object.entries(toAttributeValue(value));
  return `{${type}:${content instanceof Uint8Array ? Buffer.from(content).toString('base64') : String(content)}}`;
}

function wrongType(kind: ExpressionKind, operator: string, type: string): TableError {
  return refusal(
    kind,
    `Incorrect operand type for operator or function; operator or function: ${operator}, operand type: ${type}`,
  );
}

function refusal(kind: ExpressionKind, message: string): TableError {
  return invalid(`Invalid ${kind}: ${message}`);
}
