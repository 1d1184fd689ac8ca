/** Values with their types spelled out, as on DynamoDB's wire, in its streams and in the `Item` of its errors. */
import { Decimal, numberText } from './decimal.ts';
import { type Item, isMap, setOwn, setTypeOf, type Value } from './value.ts';

export type AttributeValue =
  | { S: string }
  | { N: string }
  | { B: Uint8Array }
  | { BOOL: boolean }
  | { NULL: true }
  | { L: AttributeValue[] }
  | { M: Record<string, AttributeValue> }
  | { SS: string[] }
  | { NS: string[] }
  | { BS: Uint8Array[] };

/** Spells out the types, as DynamoDB does in the `Item` of an error. */
export function toAttributeValues(item: Item): Record<string, AttributeValue> {
  const typed: Record<string, AttributeValue> = {};
  for (const name of Object.keys(item)) setOwn(typed, name, toAttributeValue(item[name]));
  return typed;
}

export function toAttributeValue(value: Value): AttributeValue {
  if (typeof value === 'string') return { S: value };
  if (typeof value === 'number' || value instanceof Decimal) return { N: numberText(value) };
  if (typeof value === 'boolean') return { BOOL: value };
  if (value === null) return { NULL: true };
  if (value instanceof Uint8Array) return { B: value };
  if (Array.isArray(value)) return { L: value.map(toAttributeValue) };
  if (isMap(value)) return { M: toAttributeValues(value) };
  const members: (string | number | Decimal | Uint8Array)[] = [...value];
  switch (setTypeOf(value)) {
    case 'SS':
      return { SS: members.map(String) };
    case 'NS':
      return { NS: members.map(member => (typeof member === 'number' ? numberText(member) : String(member))) };
    case 'BS':
      return { BS: members.filter(member => member instanceof Uint8Array) };
  }
}
