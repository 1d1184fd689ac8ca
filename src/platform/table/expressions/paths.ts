/** Several paths of one expression, as a tree: whether they can stand side by side, and a way to walk them together. */
import type { TableError } from '../errors.ts';
import type { Steps } from './aliases.ts';

/** Paths that begin alike share what they begin with. No path of a tree lies within another. */
export type PathTree =
  | { readonly kind: 'end'; readonly path: number } // by its place among the paths
  | { readonly kind: 'names'; readonly below: readonly (readonly [name: string, tree: PathTree])[] }
  | { readonly kind: 'indexes'; readonly below: readonly (readonly [index: number, tree: PathTree])[] }; // ascending

interface Node {
  /** The first path that comes through here. */
  readonly first: number;
  isEnd: boolean;
  readonly below: Map<string | number, Node>;
}

export function pathText(steps: Steps): string {
  return `[${steps.map(step => (typeof step === 'number' ? `[${step}]` : step)).join(', ')}]`;
}

/**
 * Refuses paths of which one contains another (`overlap`), or of which one takes for a list what the other takes for a
 * map (`conflict`): overlaps before conflicts, then in the order of the text.
 */
export function pathTree(paths: readonly Steps[], refuse: (message: string) => TableError): PathTree {
  const root: Node = { first: 0, isEnd: false, below: new Map() };
  const clash = (problem: 'overlap' | 'conflict', one: number, two: number) =>
    refuse(
      `Two document paths ${problem} with each other; must remove or rewrite one of these paths; ` +
        `path one: ${pathText(paths[one])}, path two: ${pathText(paths[two])}`,
    );
  let conflict: TableError | undefined;
  for (const [index, steps] of paths.entries()) {
    let node = root;
    for (const step of steps) {
      if (node.isEnd) throw clash('overlap', node.first, index);
      const [[sibling, other] = []] = node.below;
      if (other !== undefined && typeof sibling !== typeof step) conflict ??= clash('conflict', other.first, index);
      const next = node.below.get(step) ?? { first: index, isEnd: false, below: new Map() };
      node.below.set(step, next);
      node = next;
    }
    if (node.first !== index) throw clash('overlap', node.first, index);
    node.isEnd = true;
  }
  if (conflict !== undefined) throw conflict;
  return treeOf(root);
}

function treeOf(node: Node): PathTree {
  if (node.isEnd) return { kind: 'end', path: node.first };
  const names: [string, PathTree][] = [];
  const indexes: [number, PathTree][] = [];
  for (const [step, next] of node.below) {
    if (typeof step === 'number') indexes.push([step, treeOf(next)]);
    else names.push([step, treeOf(next)]);
  }
  if (indexes.length === 0) return { kind: 'names', below: names };
  return { kind: 'indexes', below: indexes.sort(([left], [right]) => left - right) };
}
