/** What DynamoDB's service model asks of each member: all failures of a request are found, and at most ten reported. */
import { invalid } from '../errors.ts';
import { ownValue } from '../values/value.ts';
import { lowerFirst, quoted } from './echo.ts';
import type { ListShape, MapShape, Member, Members, Request, RequestDescription, Shape, TextShape } from './shapes.ts';

interface Failure {
  /** As the older wording has it: `keySchema.1.member.keyType`. */
  readonly path: string;
  /** As the request spells it: `RequestItems.things.member.Keys`. */
  readonly parameter: string;
  readonly shape: Shape;
  readonly value: unknown;
  readonly constraint: string;
  readonly kind: 'absent' | 'pattern' | 'enum' | 'bound';
}

const reportedMax = 10; // DynamoDB reports no more
const arnPattern = /^arn:[a-zA-Z0-9-]+:dynamodb:[^:]*:[^:]*:table\/[a-zA-Z0-9_.-]+$/;
const arnCharactersMax = 1_024; // DynamoDB "TableName" of calls on data

/** Throws `table.invalid` with every failure, or with the first alone where DynamoDB looks at it first. */
export function checkConstraints(request: Request, description: RequestDescription): void {
  if (isInOrder(request, description.members)) return;
  const failures: Failure[] = [];
  collectMembers(failures, request, description.members, '', '');
  if (failures.length === 0) return;
  if (description.tableNameFirst) {
    if (request.TableName === undefined) {
      throw invalid("The parameter 'TableName' is required but was not present in the request");
    }
    const first = failures.filter(({ path }) => path === 'tableName');
    if (first.length > 0) throw refusal(first.map(olderText));
  }
  if (description.wording === 'older' || failures.some(needsOlder)) {
    throw refusal(inOrder(failures, description).map(olderText));
  }
  throw newerRefusal(failures, description);
}

function inOrder(failures: readonly Failure[], { tableNames }: RequestDescription): readonly Failure[] {
  if (tableNames === undefined) return failures;
  const others = failures.filter(({ kind }) => kind !== 'pattern');
  if (tableNames === 'first') return [...failures.filter(({ kind }) => kind === 'pattern'), ...others];
  return failures.some(({ kind }) => kind === 'enum') ? others : failures;
}

/** Most requests end here; what has members of its own is looked at by the long way. */
function isInOrder(request: Request, members: Members): boolean {
  for (const name of requiredOf(members)) if (request[name] === undefined) return false;
  for (const name of Object.keys(request)) {
    const shape = members[name];
    const value = request[name];
    if (shape.type === 'string') {
      if (shape.values !== undefined && !shape.values.includes(String(value))) return false;
      if (shape.pattern !== undefined || shape.lengthMax !== undefined || shape.lengthMin !== undefined) {
        if (failedTextConstraints(shape, String(value)).length > 0) return false;
      }
    } else if (shape.type === 'integer' || shape.type === 'long') {
      if (Number(value) < (shape.min ?? -Infinity) || Number(value) > (shape.max ?? Infinity)) return false;
    } else if (shape.type === 'map') {
      if (shape.of.type !== 'value' && shape.of.type !== 'string') return false;
    } else if (shape.type !== 'boolean' && shape.type !== 'value') {
      return false;
    }
  }
  return true;
}

const requiredNames = new WeakMap<Members, readonly string[]>(); // of each table of members

function requiredOf(members: Members): readonly string[] {
  let names = requiredNames.get(members);
  if (names === undefined) {
    names = Object.keys(members).filter(name => members[name].required);
    requiredNames.set(members, names);
  }
  return names;
}

const emptyName = 'Member must have length greater than or equal to 1';

/** A member that is absent or a name that cannot be one sends the whole request to the older checks. */
function needsOlder({ kind, path, constraint }: Failure): boolean {
  return kind === 'absent' || kind === 'pattern' || (path === 'tableName' && constraint !== emptyName);
}

function newerRefusal(failures: readonly Failure[], { wording, alone = [], firstEnumOf }: RequestDescription) {
  for (const name of alone) {
    const failure = failures.find(({ parameter }) => isNamed(parameter, name));
    if (failure === undefined) continue;
    if (failure.kind !== 'enum') return refusal([newerText(failure)]);
    return wording === 'enveloped' ? refusal([newerText(failure)]) : invalid(newerText(failure));
  }
  if (wording !== 'enveloped') return refusal(failures.map(olderText));
  for (const name of firstEnumOf ?? []) {
    const failure = failures.find(({ parameter }) => parameter === name);
    if (failure !== undefined) return refusal([newerText(failure)]);
  }
  return refusal(failures.map(newerText));
}

/** `RequestItems.*.Keys` names the Keys of every table. */
function isNamed(parameter: string, name: string): boolean {
  const [first, last] = name.split('.*.');
  return last === undefined ? parameter === first : parameter.startsWith(`${first}.`) && parameter.endsWith(`.${last}`);
}

function refusal(texts: readonly string[]) {
  const reported = texts.slice(0, reportedMax);
  const errors = reported.length === 1 ? 'error' : 'errors';
  return invalid(`${reported.length} validation ${errors} detected: ${reported.join('; ')}`);
}

function olderText({ path, shape, value, constraint }: Failure): string {
  return `Value ${quoted(shape, value)} at '${path}' failed to satisfy constraint: ${constraint}`;
}

/** The typing mistakes are DynamoDB's. */
const newerEnums: Readonly<Record<string, string>> = {
  ReturnValues:
    'Failed to satisfy constraint: Member must satisfy enum value set: [ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE]',
  ReturnItemCollectionMetrics: 'ReturnItemCollectionMetrics can only be SIZE or NONE',
  ConditionalOperator: 'Failed to satisfy constraint: Member must satisfy enum value set: [ALL, OR]',
};

function newerText(failure: Failure): string {
  if (failure.kind === 'enum') return ownValue(newerEnums, failure.parameter) ?? olderText(failure);
  return `Value at '${failure.parameter}' failed to satisfy constraint: ${failure.constraint}`;
}

function collectMembers(failures: Failure[], given: Request, members: Members, path: string, parameter: string): void {
  for (const name in members) {
    const prefix = path === '' ? '' : '.';
    const member = members[name];
    collect(
      failures,
      member,
      Object.hasOwn(given, name) ? given[name] : undefined,
      `${path}${prefix}${lowerFirst(name)}`,
      `${parameter}${prefix}${name}`,
    );
  }
}

function collect(failures: Failure[], shape: Member, value: unknown, path: string, parameter: string): void {
  const fail = (kind: Failure['kind'], constraint: string) =>
    failures.push({ path, parameter, shape, value, kind, constraint: `Member must ${constraint}` });
  if (value === undefined || value === null) {
    if (shape.required) fail('absent', 'not be null');
    return;
  }
  switch (shape.type) {
    case 'string':
      return checkText(shape, String(value), fail);
    case 'integer':
    case 'long': {
      const { min, max } = shape;
      if (min !== undefined && Number(value) < min) fail('bound', `have value greater than or equal to ${min}`);
      if (max !== undefined && Number(value) > max) fail('bound', `have value less than or equal to ${max}`);
      return;
    }
    case 'list':
      return collectList(failures, shape, value as readonly unknown[], path, parameter, fail); // a cast: types were checked
    case 'map':
      return collectMap(failures, shape, value as Request, path, parameter); // a cast: types were checked
    case 'structure':
      return collectMembers(failures, value as Request, shape.members, path, parameter); // a cast: types were checked
  }
}

type Fail = (kind: Failure['kind'], constraint: string) => void;

function checkText(shape: TextShape, value: string, fail: Fail): void {
  if (shape.values !== undefined && !shape.values.includes(value)) {
    fail('enum', `satisfy enum value set: [${shape.values.join(', ')}]`);
  }
  if (shape.orArn && isArn(value)) return;
  for (const [kind, constraint] of failedTextConstraints(shape, value)) fail(kind, constraint);
}

const patterns = new Map<string, RegExp>(); // one for each pattern of the tables

function compiled(pattern: string): RegExp {
  let expression = patterns.get(pattern);
  if (expression === undefined) {
    expression = new RegExp(`^${pattern}$`);
    patterns.set(pattern, expression);
  }
  return expression;
}

function isArn(value: string): boolean {
  return value.startsWith('arn:') && value.length <= arnCharactersMax && arnPattern.test(value);
}

function failedTextConstraints(
  {
    pattern,
    lengthMin,
    lengthMax,
    emptyLengthMin,
  }: Pick<TextShape, 'pattern' | 'lengthMin' | 'lengthMax' | 'emptyLengthMin'>,
  value: string,
): readonly (readonly [Failure['kind'], string])[] {
  if (value === '' && emptyLengthMin !== undefined) {
    return [['bound', `have length greater than or equal to ${emptyLengthMin}`]];
  }
  const failed: [Failure['kind'], string][] = [];
  if (pattern !== undefined && !compiled(pattern).test(value))
    failed.push(['pattern', `satisfy regular expression pattern: ${pattern}`]);
  if (lengthMin !== undefined && value.length < lengthMin) {
    failed.push(['bound', `have length greater than or equal to ${lengthMin}`]);
  }
  if (lengthMax !== undefined && value.length > lengthMax) {
    failed.push(['bound', `have length less than or equal to ${lengthMax}`]);
  }
  return failed;
}

function collectList(
  failures: Failure[],
  { of, lengthMin, lengthMax }: ListShape,
  list: readonly unknown[],
  path: string,
  parameter: string,
  fail: Fail,
): void {
  if (lengthMin !== undefined && list.length < lengthMin) {
    fail('bound', `have length greater than or equal to ${lengthMin}`);
  }
  if (lengthMax !== undefined && list.length > lengthMax) {
    fail('bound', `have length less than or equal to ${lengthMax}`);
  }
  if (of.type === 'value') return;
  for (let index = 0; index < list.length; index++) {
    if (failures.length >= reportedMax) return;
    collect(failures, of, list[index], `${path}.${index + 1}.member`, `${parameter}.${index + 1}.member`);
  }
}

function collectMap(failures: Failure[], shape: MapShape, map: Request, path: string, parameter: string): void {
  const { of, lengthMin, keys, valueLengths } = shape;
  const push = (constraint: string) => failures.push({ path, parameter, shape, value: map, kind: 'bound', constraint });
  if (of.type === 'value' || (of.type === 'string' && keys === undefined)) return;
  const names = Object.keys(map);
  if (lengthMin !== undefined && names.length < lengthMin) {
    push(`Member must have length greater than or equal to ${lengthMin}`);
  }
  if (keys !== undefined && names.some(name => !isKey(keys, name))) {
    const { lengthMax, lengthMin: keyLengthMin, pattern } = keys;
    failures.push({
      path,
      parameter,
      shape,
      value: map,
      kind: 'pattern',
      constraint:
        `Map keys must satisfy constraint: [Member must have length less than or equal to ${lengthMax}, ` +
        `Member must have length greater than or equal to ${keyLengthMin}, ` +
        `Member must satisfy regular expression pattern: ${pattern}]`,
    });
  }
  if (valueLengths !== undefined && names.some(name => !isWithin(map[name], valueLengths))) {
    const { min, max } = valueLengths;
    push(
      `Map value must satisfy constraint: [Member must have length less than or equal to ${max}, ` +
        `Member must have length greater than or equal to ${min}]`,
    );
  }
  for (const name of names) {
    if (failures.length >= reportedMax) return;
    collect(failures, of, map[name], `${path}.${name}.member`, `${parameter}.${name}.member`);
  }
}

function isKey(keys: NonNullable<MapShape['keys']>, name: string): boolean {
  return (keys.orArn === true && isArn(name)) || failedTextConstraints(keys, name).length === 0;
}

function isWithin(value: unknown, { min, max }: { readonly min: number; readonly max: number }): boolean {
  return !Array.isArray(value) || (value.length >= min && value.length <= max);
}
