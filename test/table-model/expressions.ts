// Expressions as trees, judged and carried out on the model's values as the reference says, one clause at a time.
import { canonical, numberOf, numberText, orderOf, type Tag, tagOf, type Wire, type WireItem } from './values.ts';

/** The first step is the name of an attribute. */
export type Path = readonly (string | number)[];
export type Operand = { path: Path } | { value: Wire } | { size: Path };
export type Comparator = '=' | '<>' | '<' | '<=' | '>' | '>=';

export type Condition =
  | { kind: 'and' | 'or'; left: Condition; right: Condition }
  | { kind: 'not'; inner: Condition }
  | { kind: 'compare'; comparator: Comparator; left: Operand; right: Operand }
  | { kind: 'between'; operand: Operand; lower: Operand; upper: Operand }
  | { kind: 'in'; operand: Operand; candidates: Operand[] }
  | { kind: 'exists' | 'notExists'; path: Path }
  | { kind: 'type'; path: Path; tag: Tag }
  | { kind: 'beginsWith' | 'contains'; path: Path; operand: Operand };

export type SetValue =
  | { path: Path }
  | { value: Wire }
  | { kind: 'plus' | 'minus'; left: SetValue; right: SetValue }
  | { kind: 'ifNotExists'; path: Path; otherwise: SetValue }
  | { kind: 'append'; left: SetValue; right: SetValue };

export interface Update {
  set: { path: Path; value: SetValue }[];
  remove: Path[];
  add: { path: Path; value: Wire }[];
  delete: { path: Path; value: Wire }[];
}

/** What DynamoDB answers with ValidationException. */
export class Refused extends Error {}

export function at(item: WireItem, path: Path): Wire | undefined {
  let found = { M: item } as Wire | undefined; // a cast: or else it would stay a map to the compiler
  for (const step of path) {
    if (found === undefined) return undefined;
    if (typeof step === 'number') found = 'L' in found ? found.L[step] : undefined;
    else found = 'M' in found && Object.hasOwn(found.M, step) ? found.M[step] : undefined;
  }
  return found;
}

function evaluated(operand: Operand, item: WireItem): Wire | undefined {
  if ('value' in operand) return operand.value;
  if ('path' in operand) return at(item, operand.path);
  const value = at(item, operand.size);
  if (value === undefined) return undefined;
  const size = sizeOf(value);
  return size === undefined ? undefined : { N: String(size) };
}

function sizeOf(value: Wire): number | undefined {
  if ('S' in value) return value.S.length;
  if ('B' in value) return Buffer.from(value.B, 'base64').length;
  if ('M' in value) return Object.keys(value.M).length;
  for (const tag of ['L', 'SS', 'NS', 'BS'] as const) {
    const content = (value as Record<string, unknown>)[tag]; // a cast: looked up by each tag
    if (Array.isArray(content)) return content.length;
  }
  return undefined;
}

export function holds(condition: Condition, item: WireItem): boolean {
  switch (condition.kind) {
    case 'and':
      return holds(condition.left, item) && holds(condition.right, item);
    case 'or':
      return holds(condition.left, item) || holds(condition.right, item);
    case 'not':
      return !holds(condition.inner, item);
    case 'exists':
      return at(item, condition.path) !== undefined;
    case 'notExists':
      return at(item, condition.path) === undefined;
    case 'type': {
      const value = at(item, condition.path);
      return value !== undefined && tagOf(value) === condition.tag;
    }
    case 'compare':
      return compares(condition.comparator, evaluated(condition.left, item), evaluated(condition.right, item));
    case 'between': {
      const [value, lower, upper] = [condition.operand, condition.lower, condition.upper].map(each =>
        evaluated(each, item),
      );
      return compares('>=', value, lower) && compares('<=', value, upper);
    }
    case 'in':
      return condition.candidates.some(each =>
        compares('=', evaluated(condition.operand, item), evaluated(each, item)),
      );
    case 'beginsWith':
      return begins(at(item, condition.path), evaluated(condition.operand, item));
    case 'contains':
      return contains(at(item, condition.path), evaluated(condition.operand, item));
  }
}

function compares(comparator: Comparator, left: Wire | undefined, right: Wire | undefined): boolean {
  if (left === undefined || right === undefined) return comparator === '<>';
  if (comparator === '=') return canonical(left) === canonical(right);
  if (comparator === '<>') return canonical(left) !== canonical(right);
  const order = orderOf(left, right);
  if (order === undefined) return false;
  return { '<': order < 0, '<=': order <= 0, '>': order > 0, '>=': order >= 0 }[comparator];
}

function begins(value: Wire | undefined, prefix: Wire | undefined): boolean {
  if (value === undefined || prefix === undefined) return false;
  if ('S' in value && 'S' in prefix) return value.S.startsWith(prefix.S);
  if (!('B' in value && 'B' in prefix)) return false;
  const [bytes, start] = [Buffer.from(value.B, 'base64'), Buffer.from(prefix.B, 'base64')];
  return bytes.subarray(0, start.length).equals(start);
}

function contains(value: Wire | undefined, part: Wire | undefined): boolean {
  if (value === undefined || part === undefined) return false;
  if ('S' in value && 'S' in part) return value.S.includes(part.S);
  if ('B' in value && 'B' in part) return Buffer.from(value.B, 'base64').includes(Buffer.from(part.B, 'base64'));
  if ('SS' in value && 'S' in part) return value.SS.includes(part.S);
  if ('BS' in value && 'B' in part) return value.BS.includes(part.B);
  if ('NS' in value && 'N' in part) return value.NS.some(each => numberOf(each) === numberOf(part.N));
  return 'L' in value && value.L.some(element => canonical(element) === canonical(part));
}

/** What is refused before any item is looked at. */
export function checkCondition(condition: Condition): void {
  switch (condition.kind) {
    case 'and':
    case 'or':
      checkCondition(condition.left);
      return checkCondition(condition.right);
    case 'not':
      return checkCondition(condition.inner);
    case 'compare':
      refuseTwice(condition.left, [condition.right]);
      if (condition.comparator === '=' || condition.comparator === '<>') return;
      for (const operand of [condition.left, condition.right]) refuseUnordered(operand, ['S', 'N', 'B']);
      return;
    case 'between': {
      const { operand, lower, upper } = condition;
      refuseTwice(operand, [lower, upper]);
      for (const each of [operand, lower, upper]) refuseUnordered(each, ['S', 'N', 'B']);
      if (!('value' in lower && 'value' in upper)) return;
      const order = orderOf(lower.value, upper.value);
      if (order === undefined || order > 0) throw new Refused('bounds');
      return;
    }
    case 'in':
      return refuseTwice(condition.operand, condition.candidates);
    case 'beginsWith':
      refuseTwice({ path: condition.path }, [condition.operand]);
      return refuseUnordered(condition.operand, ['S', 'B']);
    case 'contains':
      return refuseTwice({ path: condition.path }, [condition.operand]);
  }
}

/** The first operand may not be the same attribute as another. */
function refuseTwice(first: Operand, others: readonly Operand[]): void {
  if (others.some(other => JSON.stringify(other) === JSON.stringify(first))) throw new Refused('same operand');
}

function refuseUnordered(operand: Operand, allowed: readonly Tag[]): void {
  if ('value' in operand && !allowed.includes(tagOf(operand.value))) throw new Refused('operand type');
}

export function targetsOf(update: Update): Path[] {
  return [...update.set, ...update.add, ...update.delete].map(({ path }) => path).concat(update.remove);
}

export function checkUpdate(update: Update, keyNames: readonly string[]): void {
  for (const { value } of update.set) checkSetValue(value);
  for (const { value } of update.add)
    if (!['N', 'SS', 'NS', 'BS'].includes(tagOf(value))) throw new Refused('ADD type');
  for (const { value } of update.delete)
    if (!['SS', 'NS', 'BS'].includes(tagOf(value))) throw new Refused('DELETE type');
  const targets = targetsOf(update);
  for (const [index, left] of targets.entries()) {
    if (keyNames.includes(String(left[0]))) throw new Refused('key');
    for (const right of targets.slice(index + 1)) refuseTogether(left, right);
  }
}

function refuseTogether(left: Path, right: Path): void {
  for (let depth = 0; depth < Math.min(left.length, right.length); depth++) {
    if (typeof left[depth] !== typeof right[depth]) throw new Refused('conflict');
    if (left[depth] !== right[depth]) return;
  }
  throw new Refused('overlap');
}

function checkSetValue(value: SetValue): void {
  if (!('kind' in value)) return;
  if (value.kind === 'ifNotExists') return checkSetValue(value.otherwise);
  for (const side of [value.left, value.right]) {
    checkSetValue(side);
    const wanted = value.kind === 'append' ? 'L' : 'N';
    if ('value' in side && tagOf(side.value) !== wanted) throw new Refused('literal type');
    if ('kind' in side && side.kind === 'append' && wanted === 'N') throw new Refused('literal type');
    if ('kind' in side && (side.kind === 'plus' || side.kind === 'minus') && wanted === 'L')
      throw new Refused('literal type');
  }
}

/** The item afterwards. @param isNew  there was none, `before` is its key: then anything may be taken away. */
export function apply(update: Update, before: WireItem, isNew: boolean): WireItem {
  const changes: { path: Path; value: Wire }[] = [];
  const removals: Path[] = [...update.remove];
  for (const { path, value } of update.set) changes.push({ path, value: setValue(value, before) });
  for (const { path, value } of update.add) changes.push({ path, value: added(at(before, path), value) });
  for (const { path, value } of update.delete) {
    if (!isPlace(parentOf(before, path), path[path.length - 1])) throw new Refused('document path');
    const left = without(at(before, path), value);
    if (left === undefined) continue;
    if (left === 'nothing') removals.push(path);
    else changes.push({ path, value: left });
  }
  const item: WireItem = structuredClone(before);
  // Past the end of a list elements are appended in the order of their indexes.
  const inOrder = changes.toSorted((left, right) => Number(left.path.at(-1)) - Number(right.path.at(-1)) || 0);
  for (const { path, value } of inOrder) assign(item, path, value);
  // From the last element of a list to the first, so that indexes stay what they were.
  for (const path of removals.toSorted(laterFirst)) {
    if (isNew && !isPlace(parentOf(item, path), path[path.length - 1])) continue;
    remove(item, path);
  }
  return item;
}

function laterFirst(left: Path, right: Path): number {
  for (let depth = 0; depth < Math.min(left.length, right.length); depth++) {
    const [a, b] = [left[depth], right[depth]];
    if (a === b) continue;
    return typeof a === 'number' && typeof b === 'number' ? b - a : 0;
  }
  return 0;
}

function setValue(value: SetValue, item: WireItem): Wire {
  if ('value' in value) return value.value;
  if (!('kind' in value)) {
    const found = at(item, value.path);
    if (found === undefined) throw new Refused('attribute does not exist');
    return found;
  }
  if (value.kind === 'ifNotExists') return at(item, value.path) ?? setValue(value.otherwise, item);
  const [left, right] = [setValue(value.left, item), setValue(value.right, item)];
  if (value.kind === 'append') {
    if (!('L' in left && 'L' in right)) throw new Refused('operand type');
    return { L: [...left.L, ...right.L] };
  }
  if (!('N' in left && 'N' in right)) throw new Refused('operand type');
  return sum(left.N, right.N, value.kind === 'plus' ? 1n : -1n);
}

function sum(left: string, right: string, factor: bigint): Wire {
  const text = numberText(numberOf(left) + factor * numberOf(right));
  if (text === undefined) throw new Refused('number');
  return { N: text };
}

function added(stored: Wire | undefined, value: Wire): Wire {
  if (stored === undefined) return value;
  if ('N' in value && 'N' in stored) return sum(stored.N, value.N, 1n);
  const tag = tagOf(value);
  if (tag === 'N' || tagOf(stored) !== tag) throw new Refused('operand type');
  return setOf(tag, [...members(stored), ...members(value)]);
}

function without(stored: Wire | undefined, value: Wire): Wire | 'nothing' | undefined {
  if (stored === undefined) return undefined;
  const tag = tagOf(value);
  if (tagOf(stored) !== tag) throw new Refused('operand type');
  const gone = members(value).map(each => keyOf(tag, each));
  const left = members(stored).filter(each => !gone.includes(keyOf(tag, each)));
  return left.length === 0 ? 'nothing' : setOf(tag, left);
}

function members(set: Wire): string[] {
  return Object.values(set)[0] as string[]; // a cast: asked of sets only
}

function keyOf(tag: Tag, member: string): string {
  return tag === 'NS' ? String(numberOf(member)) : member;
}

function setOf(tag: Tag, all: readonly string[]): Wire {
  const unique = new Map(all.map(each => [keyOf(tag, each), each]));
  return { [tag]: [...unique.values()] } as Wire; // a cast: the tag of a set
}

function parentOf(item: WireItem, path: Path): Wire | undefined {
  return path.length === 1 ? { M: item } : at(item, path.slice(0, -1));
}

/** Names come from anywhere, `__proto__` among them. */
const ordinary = { enumerable: true, configurable: true, writable: true };

function assign(item: WireItem, path: Path, value: Wire): void {
  const parent = parentOf(item, path);
  const last = path[path.length - 1];
  if (parent !== undefined && typeof last === 'string' && 'M' in parent)
    Object.defineProperty(parent.M, last, { value, ...ordinary });
  else if (parent !== undefined && typeof last === 'number' && 'L' in parent)
    parent.L[Math.min(last, parent.L.length)] = value;
  else throw new Refused('document path');
}

/** What is not there goes without a word, but it must have a place to be in. */
function remove(item: WireItem, path: Path): void {
  const parent = parentOf(item, path);
  const last = path[path.length - 1];
  if (!isPlace(parent, last)) throw new Refused('document path');
  if ('M' in parent) delete parent.M[String(last)];
  else if ('L' in parent) parent.L.splice(Number(last), 1);
}

function isPlace(parent: Wire | undefined, last: string | number): parent is Wire {
  return parent !== undefined && (typeof last === 'string' ? 'M' in parent : 'L' in parent);
}
