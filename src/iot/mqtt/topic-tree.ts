import assert from 'node:assert/strict';
import { Branch, type Leaf, LevelTree, levelEnd } from './level-tree.ts';
import { matches } from './topics.ts';

/**
 * What one match may cost at most. A topic decides every level of a way through the tree but where it takes a `+`, so
 * at any depth it is in at most as many branches as the filters have different placements of `+`. Those within the
 * first levels are few by themselves; the others are counted. Together: a match looks at no more than
 * levels × (2^plusLevelsFree + deepPatternsMax) branches, whatever was subscribed to (hostile D08).
 */
export const topicTreeLimits = {
  plusLevelsFree: 8, // AWS IoT Core quota is 7 slashes, so nothing that works there is ever refused
  deepPatternsMax: 256, // ours: as many again, of those that have a + below these levels
};

export interface TopicTreeOptions {
  /** Whether `sport/#` matches `sport` too [MQTT5 4.7.1.2]; on AWS IoT Core it does not. Default true. */
  readonly hashMatchesParent?: boolean;
}

/**
 * Which subscribers' filters match a topic. The cost of a match depends on the levels of the topic and on what
 * matches, not on how many filters do not. Filters are valid and without their share. Nothing recurses: depth is
 * bounded by `mqttLimits.topicLevelsMax`.
 */
export class TopicTree<Subscriber, Options> {
  readonly #levels = new LevelTree<Filter<Subscriber, Options>>();
  readonly #hashMatchesParent: boolean;
  /** How many filters have each placement of + that counts. */
  readonly #deepPatterns = new Map<string, number>();
  /** Undefined while a match uses it. */
  #scratch: Scratch<Subscriber, Options> | undefined;
  #size = 0;
  #version = 0;

  constructor(options: TopicTreeOptions = {}) {
    this.#hashMatchesParent = options.hashMatchesParent ?? true;
  }

  /** Number of subscriptions. */
  get size(): number {
    return this.#size;
  }

  /** Changes whenever the answer of `match` may have. */
  get version(): number {
    return this.#version;
  }

  /** Whether it may be added: false when it places its + as no other does and `deepPatternsMax` are there. */
  accepts(topicFilter: string): boolean {
    const pattern = deepPattern(topicFilter);
    if (pattern === undefined || this.#deepPatterns.has(pattern)) return true;
    return this.#deepPatterns.size < topicTreeLimits.deepPatternsMax;
  }

  /** Adds or replaces what `accepts` lets in; true when it is new. */
  add(topicFilter: string, subscriber: Subscriber, options: Options): boolean {
    assert(this.accepts(topicFilter), 'a filter that would make every match too expensive');
    const filter = this.#levels.reach(topicFilter, newFilter<Subscriber, Options>);
    if (filter.isEmpty) this.#count(deepPattern(topicFilter), 1);
    const isNew = filter.put(subscriber, options);
    if (isNew) this.#size++;
    this.#version++;
    return isNew;
  }

  /** Removes and keeps nothing of it; true when there was one. */
  delete(topicFilter: string, subscriber: Subscriber): boolean {
    const filter = this.#levels.find(topicFilter);
    if (!filter?.remove(subscriber)) return false;
    if (filter.isEmpty) {
      this.#levels.remove(topicFilter);
      this.#count(deepPattern(topicFilter), -1);
    }
    this.#size--;
    this.#version++;
    return true;
  }

  /**
   * Calls `visit` for each subscription that matches; a subscriber with several matching filters comes several times.
   * `visit` may change the tree and match again: what it deletes is not visited any more.
   * @returns at how many branches and single filters below the root it looked: what it cost
   */
  match(topic: string, visit: (subscriber: Subscriber, options: Options) => void): number {
    if (this.#size === 0) return 0;
    const scratch = this.#scratch ?? new Scratch();
    this.#scratch = undefined;
    try {
      const looks = this.#collect(topic, scratch);
      const { items, count } = scratch.found;
      for (let n = 0; n < count; n++) items[n].visit(visit);
      return looks;
    } finally {
      scratch.forget();
      this.#scratch = scratch;
    }
  }

  /** Level by level, all branches of one depth together, so that each level is cut out of the topic once. */
  #collect(topic: string, scratch: Scratch<Subscriber, Options>): number {
    const { found } = scratch;
    let { here, next } = scratch;
    let looks = 0;
    here.push(this.#levels.root);
    for (let from = 0; from <= topic.length && here.count > 0; ) {
      const end = levelEnd(topic, from);
      const level = topic.slice(from, end);
      const wildcards = from > 0 || !topic.startsWith('$'); // [MQTT311 4.7.2-1] [MQTT5 4.7.2-1]
      for (let n = 0; n < here.count; n++) {
        const branch = here.items[n];
        if (wildcards && branch.hash) found.push(branch.hash);
        const plus = wildcards ? branch.plus : undefined;
        if (plus instanceof Branch) next.push(plus);
        else if (plus && this.#matches(plus.text, topic)) found.push(plus);
        const child = branch.literal(level);
        if (child instanceof Branch) next.push(child);
        else if (child && this.#matches(child.text, topic)) found.push(child);
        looks += (plus ? 1 : 0) + (child ? 1 : 0);
      }
      here.count = 0;
      [here, next] = [next, here];
      from = end + 1;
    }
    for (let n = 0; n < here.count; n++) {
      const { end, hash } = here.items[n];
      if (end) found.push(end);
      if (hash && this.#hashMatchesParent) found.push(hash);
    }
    return looks;
  }

  #matches(topicFilter: string, topic: string): boolean {
    if (!matches(topicFilter, topic)) return false;
    return this.#hashMatchesParent || !topicFilter.endsWith('/#') || slashes(topic) >= slashes(topicFilter);
  }

  #count(pattern: string | undefined, change: 1 | -1): void {
    if (pattern === undefined) return;
    const filters = (this.#deepPatterns.get(pattern) ?? 0) + change;
    if (filters === 0) this.#deepPatterns.delete(pattern);
    else this.#deepPatterns.set(pattern, filters);
  }
}

/** Who subscribed to one filter. The first stands alone; a map takes over with the second. */
class Filter<Subscriber, Options> implements Leaf {
  level = '';
  readonly text: string;
  #subscriber: Subscriber | undefined = undefined;
  #options: Options | undefined = undefined;
  #all: Map<Subscriber, Options> | undefined = nobody as Map<Subscriber, Options>; // Nothing is ever put into it.

  constructor(text: string) {
    this.text = text;
  }

  get isEmpty(): boolean {
    return this.#all?.size === 0;
  }

  /** True when it is new. */
  put(subscriber: Subscriber, options: Options): boolean {
    const isFirst = this.isEmpty;
    if (isFirst || (!this.#all && this.#subscriber === subscriber)) {
      this.#all = undefined;
      this.#subscriber = subscriber;
      this.#options = options;
      return isFirst;
    }
    this.#all ??= new Map([[this.#subscriber as Subscriber, this.#options as Options]]); // Without a map there is one.
    this.#subscriber = undefined;
    this.#options = undefined;
    const before = this.#all.size;
    return this.#all.set(subscriber, options).size > before;
  }

  /** True when there was one. The map stays until it is empty: a visitor may be in the middle of it. */
  remove(subscriber: Subscriber): boolean {
    if (this.#all) return this.#all.delete(subscriber);
    if (this.#subscriber !== subscriber) return false;
    this.#subscriber = undefined;
    this.#options = undefined;
    this.#all = nobody as Map<Subscriber, Options>; // As above.
    return true;
  }

  visit(visit: (subscriber: Subscriber, options: Options) => void): void {
    if (!this.#all)
      visit(this.#subscriber as Subscriber, this.#options as Options); // Without a map there is one.
    else for (const [subscriber, options] of this.#all) visit(subscriber, options);
  }
}

const nobody: ReadonlyMap<unknown, unknown> = new Map();

function newFilter<Subscriber, Options>(text: string): Filter<Subscriber, Options> {
  return new Filter(text);
}

/** What a match needs besides the tree, kept for the next one so that a match allocates nothing. */
class Scratch<Subscriber, Options> {
  readonly here = new Pile(new Branch<Filter<Subscriber, Options>>(''));
  readonly next = new Pile(this.here.nothing);
  readonly found = new Pile(newFilter<Subscriber, Options>(''));

  /** Holds on to nobody between two matches. */
  forget(): void {
    this.here.forget();
    this.next.forget();
    this.found.forget();
  }
}

/** A list that keeps its room when it is emptied: setting `length` would give it back. */
class Pile<Item> {
  readonly items: Item[] = [];
  /** Stands where there is none any more. */
  readonly nothing: Item;
  count = 0;
  #countMax = 0;

  constructor(nothing: Item) {
    this.nothing = nothing;
  }

  push(item: Item): void {
    this.items[this.count++] = item;
    if (this.count > this.#countMax) this.#countMax = this.count;
  }

  forget(): void {
    if (this.items.length > keptRoomMax) this.items.length = 0;
    else for (let n = 0; n < this.#countMax; n++) this.items[n] = this.nothing;
    this.count = 0;
    this.#countMax = 0;
  }
}

const keptRoomMax = 1_024; // items; room for more is given back after the match that needed it

/** Where a filter has its +, as text, when one of them is below `plusLevelsFree`. "a/+/…/+" becomes "/+/…/+". */
function deepPattern(topicFilter: string): string | undefined {
  const lastPlus = topicFilter.lastIndexOf('+');
  if (lastPlus < topicTreeLimits.plusLevelsFree) return undefined; // Each level above it takes a slash at least.
  const pattern = topicFilter.slice(0, lastPlus + 1).replace(/[^/+]+/g, '');
  return slashes(pattern) < topicTreeLimits.plusLevelsFree ? undefined : pattern;
}

function slashes(text: string): number {
  let count = 0;
  for (let at = text.indexOf('/'); at !== -1; at = text.indexOf('/', at + 1)) count++;
  return count;
}
