/** Whether the members of a request are within their constraints; if not, all that is wrong in one answer, as Kinesis has it. */
import { Refusal } from '../aws-json/refusal.ts';
import type { Input } from './check-types.ts';
import { kinesisLimits } from './limits.ts';
import type { Constraints, Members, Shape } from './shapes.ts';

export function checkConstraints(input: Input, members: Members): Refusal | undefined {
  const errors: string[] = [];
  checkMembers(input, members, '', errors);
  if (errors.length === 0) return undefined;
  const count = `${errors.length} validation error${errors.length > 1 ? 's' : ''} detected`;
  return new Refusal(400, 'ValidationException', `${count}: ${errors.join('; ')}`);
}

function checkMembers(input: Input, members: Members, parent: string, errors: string[]): void {
  for (const [name, shape] of Object.entries(members)) {
    if (errors.length >= kinesisLimits.validationErrorsMax) return;
    const isNeeded = shape.isRequired && (shape.unless === undefined || input[shape.unless] === undefined);
    check(input[name], { ...shape, isRequired: isNeeded }, `${parent}${lowerFirst(name)}`, errors);
  }
}

function check(value: unknown, shape: Shape, at: string, errors: string[]): void {
  const wrong = (constraint: string) => {
    if (errors.length >= kinesisLimits.validationErrorsMax) return;
    const shown = value === undefined || value === null ? 'null' : `'${shownOf(value, shape)}'`;
    errors.push(`Value ${shown} at '${at}' failed to satisfy constraint: ${constraint}`);
  };
  if (value === undefined || value === null) {
    if (shape.isRequired) wrong('Member must not be null');
    return;
  }
  for (const constraint of brokenBy(value, shape)) wrong(constraint);
  if (shape.type === 'List' && Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      if (errors.length >= kinesisLimits.validationErrorsMax) return;
      check(item, shape.member, `${at}.${index + 1}.member`, errors);
    }
  } else if (shape.type === 'Map' && value instanceof Map) checkMap(value, shape, wrong);
  else if (shape.type === 'Structure') checkMembers(value as Input, shape.members, `${at}.`, errors); // a cast: typed
}

function* brokenBy(value: unknown, shape: Constraints): Generator<string> {
  const { pattern, checkedAs, oneOf, min, max, lengthMin, lengthMax } = shape;
  if (pattern !== undefined && !(checkedAs ?? expressionOf(pattern)).test(String(value))) {
    yield `Member must satisfy regular expression pattern: ${pattern}`;
  }
  if (min !== undefined && !(Number(value) >= min)) yield `Member must have value greater than or equal to ${min}`;
  if (max !== undefined && !(Number(value) <= max)) yield `Member must have value less than or equal to ${max}`;
  const length = lengthOf(value);
  if (lengthMin !== undefined && length < lengthMin) {
    yield `Member must have length greater than or equal to ${lengthMin}`;
  }
  if (lengthMax !== undefined && length > lengthMax && !fitsInCharacters(value, lengthMax)) {
    yield `Member must have length less than or equal to ${lengthMax}`;
  }
  if (oneOf !== undefined && !oneOf.includes(String(value))) {
    yield `Member must satisfy enum value set: [${oneOf.join(', ')}]`;
  }
}

/** The patterns are those of the requests, a few. */
const expressions = new Map<string, RegExp>();

function expressionOf(pattern: string): RegExp {
  let expression = expressions.get(pattern);
  if (expression === undefined) {
    expression = new RegExp(`^(?:${pattern})$`);
    expressions.set(pattern, expression);
  }
  return expression;
}

function checkMap(
  map: ReadonlyMap<string, string>,
  { key, value }: Extract<Shape, { type: 'Map' }>,
  wrong: (constraint: string) => void,
): void {
  const told = ({ lengthMin, lengthMax }: Constraints) =>
    `[Member must have length less than or equal to ${lengthMax}, Member must have length greater than or equal to ${lengthMin}]`;
  const isBroken = (text: string, constraints: Constraints) => [...brokenBy(text, constraints)].length > 0;
  if ([...map.keys()].some(text => isBroken(text, key))) wrong(`Map keys must satisfy constraint: ${told(key)}`);
  if ([...map.values()].some(text => isBroken(text, value))) wrong(`Map value must satisfy constraint: ${told(value)}`);
}

function lengthOf(value: unknown): number {
  if (typeof value === 'string' || Array.isArray(value) || value instanceof Uint8Array) return value.length;
  return value instanceof Map ? value.size : 0;
}

/** A character takes one or two units of UTF-16; counting is left to the few texts that may still be short enough. */
function fitsInCharacters(value: unknown, charactersMax: number): boolean {
  return typeof value === 'string' && value.length <= 2 * charactersMax && [...value].length <= charactersMax;
}

/** As Java prints it, but not without end. */
function shownOf(value: unknown, shape: Shape): string {
  if (value instanceof Uint8Array) return `java.nio.HeapByteBuffer[pos=0 lim=${value.length} cap=${value.length}]`;
  let shown = String(value);
  if (Array.isArray(value)) {
    const name = shape.type === 'List' ? shape.memberName : undefined;
    shown = `[${value.map(item => name ?? item).join(', ')}]`;
  } else if (value instanceof Map) shown = `{${[...value].map(([name, each]) => `${name}=${each}`).join(', ')}}`;
  return shown.slice(0, kinesisLimits.echoCharactersMax);
}

function lowerFirst(name: string): string {
  return name[0].toLowerCase() + name.slice(1);
}
