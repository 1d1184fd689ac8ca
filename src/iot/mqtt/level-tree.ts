import assert from 'node:assert/strict';

/**
 * Topic filters by their levels, so that a matcher can walk them along a topic. Where only one filter goes, there is
 * its leaf and nothing else: a branch stands only where two or more part, and goes when they no longer do. So a filter of
 * 32 levels of its own takes no more than one of two, and what is left after deleting is as if it had never been there.
 * Who walks it is `TopicTree`; this file knows nothing of matching. No recursion.
 */

/** One filter. The tree sets `level`; `text` is kept as given, so it must not be a slice of something large. */
export interface Leaf {
  /** The level of `text` that leads here from the branch above. */
  level: string;
  readonly text: string;
}

/** Where filters part. The wildcards have places of their own, because every match asks for them. */
export class Branch<L extends Leaf> {
  readonly level: string;
  /** The filter that ends here. */
  end: L | undefined = undefined;
  /** The filter whose last level, below here, is `#`. */
  hash: L | undefined = undefined;
  plus: Child<L> | undefined = undefined;
  /** The one below that is no wildcard; a map takes over when there is a second, for an empty one takes 180 bytes. */
  only: Child<L> | undefined = undefined;
  many: Map<string, Child<L>> | undefined = undefined;

  constructor(level: string) {
    this.level = level;
  }

  /** Below here by a level of a topic. */
  literal(level: string): Child<L> | undefined {
    if (this.only) return this.only.level === level ? this.only : undefined;
    return this.many?.get(level);
  }

  /** Below here by a level of a filter. */
  child(level: string): Child<L> | undefined {
    if (level === '+') return this.plus;
    return level === '#' ? this.hash : this.literal(level);
  }

  /** `child.level` says where. */
  put(child: Child<L>): void {
    if (child.level === '+') {
      this.plus = child;
    } else if (child.level === '#') {
      assert(!(child instanceof Branch)); // In a valid filter nothing comes after #.
      this.hash = child;
    } else if (this.many) {
      this.many.set(child.level, child);
    } else if (this.only && this.only.level !== child.level) {
      this.many = new Map([this.only, child].map(each => [each.level, each]));
      this.only = undefined;
    } else {
      this.only = child;
    }
  }

  remove(level: string): void {
    if (level === '+') this.plus = undefined;
    else if (level === '#') this.hash = undefined;
    else if (!this.many) this.only = undefined;
    else {
      this.many.delete(level);
      if (this.many.size > 1) return;
      [this.only] = this.many.values();
      this.many = undefined;
    }
  }

  /** The only filter at or below here, when there is one only. */
  soleLeaf(): L | undefined {
    if (this.many) return undefined;
    let sole: Child<L> | undefined;
    for (const child of [this.end, this.hash, this.plus, this.only]) {
      if (child && sole) return undefined;
      sole ??= child;
    }
    return sole instanceof Branch ? undefined : sole;
  }
}

export type Child<L extends Leaf> = L | Branch<L>;

/** Level names repeat ("shadow", "cmd"): this many recent ones are remembered, so that each is in memory once. */
const rememberedLevelsMax = 4_096;
/** V8 copies shorter slices; a longer one would keep the whole filter it was cut from alive. */
const copiedSliceLengthMax = 12;

export class LevelTree<L extends Leaf> {
  readonly root = new Branch<L>('');
  readonly #levels = new Map<string, string>();

  /** The leaf of `text`; made, with its level still to be set, and put in its place when there was none. */
  reach(text: string, make: (text: string) => L): L {
    let branch = this.root;
    for (let from = 0; from <= text.length; ) {
      const end = levelEnd(text, from);
      const child = branch.child(text.slice(from, end));
      if (!child) return this.#putLeaf(branch, make(text), from);
      from = end + 1;
      if (child instanceof Branch) {
        branch = child;
      } else {
        if (child.text === text) return child;
        // Both have the same levels up to here, so the next one of either begins at the same place.
        const parting = new Branch<L>(child.level);
        branch.put(parting);
        this.#putLeaf(parting, child, from);
        branch = parting;
      }
    }
    return branch.end ?? this.#putLeaf(branch, make(text), text.length + 1);
  }

  find(text: string): L | undefined {
    return this.#walk(text, undefined);
  }

  /** Content if there is none. */
  remove(text: string): void {
    const path: Branch<L>[] = [];
    const leaf = this.#walk(text, path);
    if (!leaf) return;
    const last = path[path.length - 1];
    if (last.end === leaf) last.end = undefined;
    else last.remove(leaf.level);
    for (let depth = path.length - 1; depth > 0; depth--) {
      const sole = path[depth].soleLeaf();
      if (!sole) return;
      sole.level = path[depth].level;
      path[depth - 1].put(sole);
    }
  }

  /** Notes the branches it comes through, the root first. */
  #walk(text: string, path: Branch<L>[] | undefined): L | undefined {
    let branch = this.root;
    path?.push(branch);
    for (let from = 0; from <= text.length; ) {
      const end = levelEnd(text, from);
      const child = branch.child(text.slice(from, end));
      if (!(child instanceof Branch)) return child?.text === text ? child : undefined;
      branch = child;
      path?.push(branch);
      from = end + 1;
    }
    return branch.end;
  }

  /** Puts it below `branch`, by its level that begins at `from`; beyond the text's end it is where the text ends. */
  #putLeaf(branch: Branch<L>, leaf: L, from: number): L {
    if (from > leaf.text.length) {
      branch.end = leaf;
    } else {
      leaf.level = this.#remembered(leaf.text.slice(from, levelEnd(leaf.text, from)));
      branch.put(leaf);
    }
    return leaf;
  }

  #remembered(level: string): string {
    const known = this.#levels.get(level);
    if (known !== undefined) return known;
    if (this.#levels.size >= rememberedLevelsMax) this.#levels.clear();
    const copy = level.length > copiedSliceLengthMax ? Buffer.from(level).toString() : level;
    this.#levels.set(copy, copy);
    return copy;
  }
}

export function levelEnd(text: string, from: number): number {
  const slash = text.indexOf('/', from);
  return slash === -1 ? text.length : slash;
}
