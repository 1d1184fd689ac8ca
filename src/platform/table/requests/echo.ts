/** Values as DynamoDB repeats them in its refusals: the way Java prints its structures. */
import type { Member, Shape } from './shapes.ts';

/** DynamoDB repeats everything; ten failures of a list of 16 MB would make an answer of hundreds. */
const charsMax = 256 * 1024;

/** How many characters may still be said of one value. */
interface Room {
  left: number;
}

/** `null` bare, all else in quotes. */
export function quoted(shape: Shape | undefined, value: unknown): string {
  return value === undefined || value === null ? 'null' : `'${echo(shape, value, { left: charsMax })}'`;
}

function echo(shape: Shape | undefined, value: unknown, room: Room): string {
  if (value === undefined || value === null) return fitting('null', room);
  switch (shape?.type) {
    case 'list':
      return listOf(value, room, element => echo(shape.of, element, room));
    case 'map':
      if (shape.echoesJson) return fitting(JSON.stringify(value), room);
      return mapOf(value, room, held => echo(shape.of, held, room));
    case 'structure':
      return `${shape.name}(${membersOf(shape.members, value, room)})`;
    case 'value':
      return attributeValue(value, room);
    default:
      return fitting(String(value), room);
  }
}

function fitting(text: string, room: Room): string {
  const held = Math.max(room.left, 0);
  room.left -= text.length;
  return text.length <= held ? text : `${text.slice(0, held)}…`;
}

function membersOf(members: Readonly<Record<string, Member>>, value: unknown, room: Room): string {
  const given = value as Record<string, unknown>; // a cast: types were checked
  return Object.keys(members)
    .map(name => `${lowerFirst(name)}=${echo(members[name], given[name], room)}`)
    .join(', ');
}

function listOf(value: unknown, room: Room, each: (element: unknown) => string): string {
  return Array.isArray(value) ? `[${joined(value, room, each)}]` : fitting(String(value), room);
}

function mapOf(value: unknown, room: Room, each: (held: unknown) => string): string {
  const entries = Object.entries(value as object); // a cast: types were checked
  return `{${joined(entries, room, ([name, held]) => `${fitting(name, room)}=${each(held)}`)}}`;
}

function joined<T>(elements: readonly T[], room: Room, each: (element: T) => string): string {
  const texts: string[] = [];
  for (const element of elements) {
    if (room.left <= 0) {
      texts.push('…');
      break;
    }
    texts.push(each(element));
    room.left -= 2; // the comma
  }
  return texts.join(', ');
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

function attributeValue(value: unknown, room: Room): string {
  if (typeof value !== 'object' || value === null) return fitting(String(value), room);
  const typed = value as Record<string, unknown>; // a cast: an object
  const fields = valueFields.map(([field, tag]) => {
    const content = Object.hasOwn(typed, tag) ? typed[tag] : undefined;
    if (content === undefined) return `${field}=${fitting('null', room)}`;
    if (tag === 'M') return `${field}=${mapOf(content, room, held => attributeValue(held, room))}`;
    if (tag === 'L') return `${field}=${listOf(content, room, held => attributeValue(held, room))}`;
    return `${field}=${listOf(content, room, element => fitting(String(element), room))}`;
  });
  return `AttributeValue(${fields.join(', ')})`;
}

export function lowerFirst(name: string): string {
  return name.slice(0, 1).toLowerCase() + name.slice(1);
}
