/** What is wrong with the values and functions of an update, in the order in which DynamoDB looks. */
import { invalid, type TableError } from '../errors.ts';
import { type TypeTag, typeOf } from '../values/value.ts';
import type { Slots } from './evaluate.ts';
import { type UpdateAction, type UpdateValue, updateFunctions } from './syntax.ts';

export function checkUpdate(actions: readonly UpdateAction[], slots: Slots): void {
  for (const action of actions) {
    if (action.clause === 'add') checkOperand('ADD', typeOf(slots[action.value.slot]), ['N', 'SS', 'NS', 'BS']);
    if (action.clause === 'delete') checkOperand('DELETE', typeOf(slots[action.value.slot]), ['SS', 'NS', 'BS']);
  }
  for (const action of actions) if (action.clause === 'set') checkValue(action.value, slots);
}

function checkOperand(operator: 'ADD' | 'DELETE', type: TypeTag, allowed: readonly TypeTag[]): void {
  if (allowed.includes(type)) return;
  // DynamoDB names the type set of ADD for both.
  throw invalidUpdate(
    `Incorrect operand type for operator or function; operator: ${operator}, operand type: ${typeNames[type]}, typeSet: ALLOWED_FOR_ADD_OPERAND`,
  );
}

const typeNames: { readonly [Type in TypeTag]: string } = {
  S: 'STRING',
  N: 'NUMBER',
  B: 'BINARY',
  BOOL: 'BOOL',
  NULL: 'NULL',
  L: 'LIST',
  M: 'MAP',
  SS: 'STRING_SET',
  NS: 'NUMBER_SET',
  BS: 'BINARY_SET',
};

/** From the inside out. Only aliases of values have a type here: what stands at a path shows with the item. */
function checkValue(value: UpdateValue, slots: Slots): void {
  if (!('kind' in value)) return;
  if (value.kind !== 'call') {
    const operator = value.kind === 'plus' ? '+' : '-';
    for (const operand of [value.left, value.right]) checkValue(operand, slots);
    for (const operand of [value.left, value.right]) checkType(operator, operand, 'N', slots);
    return;
  }
  const { name, operands } = value;
  for (const operand of operands) checkValue(operand, slots);
  if (operands.length !== updateFunctions[name]) {
    throw invalidUpdate(
      `Incorrect number of operands for operator or function; operator or function: ${name}, number of operands: ${operands.length}`,
    );
  }
  if (name === 'list_append') {
    for (const operand of operands) checkType(name, operand, 'L', slots);
  } else if (!('path' in operands[0])) {
    throw invalidUpdate(`Operator or function requires a document path; operator or function: ${name}`);
  }
}

function checkType(operator: string, operand: UpdateValue, allowed: TypeTag, slots: Slots): void {
  if (!('slot' in operand)) return;
  const type = typeOf(slots[operand.slot]);
  if (type === allowed) return;
  throw invalidUpdate(
    `Incorrect operand type for operator or function; operator or function: ${operator}, operand type: ${type}`,
  );
}

function invalidUpdate(message: string): TableError {
  return invalid(`Invalid UpdateExpression: ${message}`);
}
