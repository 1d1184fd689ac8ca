/** Values as DynamoDB repeats them in its refusals: the way Java prints its structures. */
import type { Member, Shape } from './shapes.ts';

/** `null` bare, all else in quotes. */
export function quoted(shape: Shape | undefined, value: unknown): string {
  return value === undefined || value === null ? 'null' : `'${echo(shape, value)}'`;
}

function echo(shape: Shape | undefined, value: unknown): string {
  if (value === undefined || value === null) return 'null';
  switch (shape?.type) {
    case 'list':
      return listOf(value, element => echo(shape.of, element));
    case 'map':
      if (shape.echoesJson) return JSON.stringify(value);
      return mapOf(value, held => echo(shape.of, held));
    case 'structure':
      return `${shape.name}(${membersOf(shape.members, value)})`;
    case 'value':
      return attributeValue(value);
    default:
      return String(value);
  }
}

function membersOf(members: Readonly<Record<string, Member>>, value: unknown): string {
  const given = value as Record<string, unknown>; // a cast: types were checked
  return Object.keys(members)
    .map(name => `${lowerFirst(name)}=${echo(members[name], given[name])}`)
    .join(', ');
}

function listOf(value: unknown, each: (element: unknown) => string): string {
  return Array.isArray(value) ? `[${value.map(each).join(', ')}]` : String(value);
}

function mapOf(value: unknown, each: (held: unknown) => string): string {
  const entries = Object.entries(value as object); // a cast: types were checked
  return `{${entries.map(([name, held]) => `${name}=${each(held)}`).join(', ')}}`;
}

/** All fields of DynamoDB's own class, the ones it has never published included. */
const valueFields = [
  ['s', 'S'],
  ['n', 'N'],
  ['b', 'B'],
  ['iNT', ''],
  ['dECIMAL', ''],
  ['dOUBLE', ''],
  ['sS', 'SS'],
  ['nS', 'NS'],
  ['bS', 'BS'],
  ['iNTSET', ''],
  ['dECIMALSET', ''],
  ['dOUBLESET', ''],
  ['m', 'M'],
  ['l', 'L'],
  ['nULL', 'NULL'],
  ['bOOL', 'BOOL'],
] as const;

function attributeValue(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  const typed = value as Record<string, unknown>; // a cast: an object
  const fields = valueFields.map(([field, tag]) => {
    const content = Object.hasOwn(typed, tag) ? typed[tag] : undefined;
    if (content === undefined) return `${field}=null`;
    if (tag === 'M') return `${field}=${mapOf(content, attributeValue)}`;
    if (tag === 'L') return `${field}=${listOf(content, attributeValue)}`;
    return `${field}=${Array.isArray(content) ? listOf(content, String) : String(content)}`;
  });
  return `AttributeValue(${fields.join(', ')})`;
}

export function lowerFirst(name: string): string {
  return name.slice(0, 1).toLowerCase() + name.slice(1);
}
