/** Keeps of an item what a list of paths names, inside its parents. */
import assert from 'node:assert/strict';
import { invalid } from '../errors.ts';
import { type Item, isMap, ownValue, setOwn, type Value } from '../values/value.ts';
import type { Aliases, Steps } from './aliases.ts';
import { Compiled } from './compiled.ts';
import { type PathTree, pathTree } from './paths.ts';
import type { Parsed, Path } from './syntax.ts';

export type Projection = (item: Item) => Item;

const projections = new Compiled<Projection>();

export function compileProjection(parsed: Parsed<readonly Path[]>, aliases: Aliases): Projection {
  const known = projections.find(parsed, aliases);
  if (known !== undefined) return known;
  for (const path of parsed.root) aliases.refuseUndefinedNames('ProjectionExpression', path);
  const projection = projectOn(parsed.root.map(path => aliases.steps(path)));
  projections.keep(parsed, aliases, projection);
  return projection;
}

/** Keys are not added, absent paths are left out, and kept list elements move together. */
export function projectOn(paths: readonly Steps[]): Projection {
  const tree = pathTree(paths, message => invalid(`Invalid ProjectionExpression: ${message}`));
  return item => {
    const kept = keptOf(item, tree) ?? {};
    assert(isMap(kept)); // of a map a map is kept
    return kept;
  };
}

function keptOf(value: Value | undefined, tree: PathTree): Value | undefined {
  if (value === undefined || tree.kind === 'end') return value;
  if (tree.kind === 'indexes') return Array.isArray(value) ? keptOfList(value, tree.below) : undefined;
  if (!isMap(value)) return undefined;
  let kept: Item | undefined;
  for (const [name, below] of tree.below) {
    const part = keptOf(ownValue(value, name), below);
    if (part === undefined) continue;
    kept ??= {};
    setOwn(kept, name, part);
  }
  return kept;
}

function keptOfList(list: readonly Value[], indexes: readonly (readonly [number, PathTree])[]): Value[] | undefined {
  const kept: Value[] = [];
  for (const [index, below] of indexes) {
    if (index >= list.length) break;
    const part = keptOf(list[index], below);
    if (part !== undefined) kept.push(part);
  }
  return kept.length === 0 ? undefined : kept;
}
