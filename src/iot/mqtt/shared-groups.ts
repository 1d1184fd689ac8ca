import assert from 'node:assert/strict';
import { TopicTree, type TopicTreeOptions } from './topic-tree.ts';
import { shareNameOf, withoutShare } from './topics.ts';

export const sharedGroupLimits = {
  membersMax: 10_000, // ours, per group: a pick that finds nobody to take a message has asked them all
};

/** 2 = can take it at once, 1 = can keep it for later, 0 = cannot take it now. */
export type Fitness = 0 | 1 | 2;

/** Fair: in turns. Sticky: one topic stays with one member, so what is said of a thing comes in order. */
export type Distribution = 'fair' | 'sticky';

export interface Member<Subscriber, Options> {
  readonly subscriber: Subscriber;
  readonly options: Options;
}

/**
 * Shared subscriptions: of the subscribers to one `$share/name/filter` one gets each message [MQTT5 4.8.2]. The same
 * name and filter are one group; another name with the same filter is another one and gets its own copy.
 */
export class SharedGroups<Subscriber, Options> {
  readonly #groups = new Map<string, SharedGroup<Subscriber, Options>>();
  readonly #tree: TopicTree<SharedGroup<Subscriber, Options>, undefined>;
  #size = 0;

  constructor(options: TopicTreeOptions = {}) {
    this.#tree = new TopicTree(options);
  }

  /** Number of subscriptions. */
  get size(): number {
    return this.#size;
  }

  /** Changes whenever another set of groups may match; who is in a group does not count. */
  get version(): number {
    return this.#tree.version;
  }

  /** Whether it may be added: false when the group is full, or as `TopicTree.accepts` says. */
  accepts(topicFilter: string, subscriber: Subscriber): boolean {
    const group = this.#groups.get(topicFilter);
    if (!group) return this.#tree.accepts(withoutShare(topicFilter));
    return group.has(subscriber) || group.size < sharedGroupLimits.membersMax;
  }

  /** Adds or replaces what `accepts` lets in; true when it is new. `topicFilter` with its share. */
  add(topicFilter: string, subscriber: Subscriber, options: Options): boolean {
    assert(this.accepts(topicFilter, subscriber), 'a group that is full, or a filter the tree does not accept');
    const group = this.#groups.get(topicFilter) ?? this.#newGroup(topicFilter);
    const isNew = group.put(subscriber, options);
    if (isNew) this.#size++;
    return isNew;
  }

  /** True when there was one. */
  delete(topicFilter: string, subscriber: Subscriber): boolean {
    const group = this.#groups.get(topicFilter);
    if (!group?.remove(subscriber)) return false;
    this.#size--;
    if (group.size === 0) {
      this.#groups.delete(topicFilter);
      this.#tree.delete(group.topicFilter, group);
    }
    return true;
  }

  /** The group of a whole filter, its share included. */
  find(topicFilter: string): SharedGroup<Subscriber, Options> | undefined {
    return this.#groups.get(topicFilter);
  }

  /** Calls `visit` for each group whose filter matches; it then picks. What it costs is said at `TopicTree.match`. */
  match(topic: string, visit: (group: SharedGroup<Subscriber, Options>) => void): number {
    return this.#tree.match(topic, visit);
  }

  #newGroup(topicFilter: string): SharedGroup<Subscriber, Options> {
    const shareName = shareNameOf(topicFilter);
    assert(shareName !== undefined); // Any other filter belongs into the topic tree.
    const group = new SharedGroup<Subscriber, Options>(shareName, withoutShare(topicFilter));
    this.#groups.set(topicFilter, group);
    this.#tree.add(group.topicFilter, group, undefined);
    return group;
  }
}

/** The members stand in a ring; a fair pick goes round it. */
export class SharedGroup<Subscriber, Options> {
  readonly shareName: string;
  /** Without the share. */
  readonly topicFilter: string;
  readonly #members = new Map<Subscriber, RingMember<Subscriber, Options>>();
  /** Whose turn it is; undefined while there is nobody. */
  #turn: RingMember<Subscriber, Options> | undefined;
  #nextNo = 1;

  constructor(shareName: string, topicFilter: string) {
    this.shareName = shareName;
    this.topicFilter = topicFilter;
  }

  get size(): number {
    return this.#members.size;
  }

  has(subscriber: Subscriber): boolean {
    return this.#members.has(subscriber);
  }

  /**
   * Who gets the next message: one of the fittest there are. Fair: among those who stay and are fit, nobody is picked
   * twice before each other is picked once, whoever joins or leaves. Sticky: the same one for the same topic while it is
   * among the fittest; when somebody leaves only its topics move, when somebody joins only those that go to it.
   * A fair pick asks until somebody answers 2; a sticky one looks at every member. `fitnessOf` must not change the group.
   * @returns undefined when nobody can take it
   */
  pick(
    distribution: Distribution,
    topic: string,
    fitnessOf: (subscriber: Subscriber, options: Options) => Fitness,
  ): Member<Subscriber, Options> | undefined {
    return distribution === 'fair' ? this.#pickNext(fitnessOf) : this.#pickFor(hashOf(topic), fitnessOf);
  }

  /** True when it is new. One that is there keeps its turn. */
  put(subscriber: Subscriber, options: Options): boolean {
    const member = this.#members.get(subscriber);
    if (member) {
      member.options = options;
      return false;
    }
    const joined = new RingMember(subscriber, options, mixed(this.#nextNo++));
    this.#members.set(subscriber, joined);
    if (this.#turn)
      joined.standBefore(this.#turn); // Last of this round.
    else this.#turn = joined;
    return true;
  }

  /** True when there was one. */
  remove(subscriber: Subscriber): boolean {
    const member = this.#members.get(subscriber);
    if (!member) return false;
    this.#members.delete(subscriber);
    if (this.#turn === member) this.#turn = this.size === 0 ? undefined : member.next;
    member.leave();
    return true;
  }

  #pickNext(fitnessOf: (subscriber: Subscriber, options: Options) => Fitness): Member<Subscriber, Options> | undefined {
    let best: RingMember<Subscriber, Options> | undefined;
    let bestFitness: Fitness = 0;
    let member = this.#turn;
    for (let asked = this.size; member && asked > 0 && bestFitness < 2; asked--, member = member.next) {
      const fitness = fitnessOf(member.subscriber, member.options);
      if (fitness > bestFitness) {
        best = member;
        bestFitness = fitness;
      }
    }
    if (best) this.#turn = best.next;
    return best;
  }

  /** Rendezvous hashing: each member has a score for the topic, and the highest wins. */
  #pickFor(
    topicHash: number,
    fitnessOf: (subscriber: Subscriber, options: Options) => Fitness,
  ): Member<Subscriber, Options> | undefined {
    let best: RingMember<Subscriber, Options> | undefined;
    let bestFitness: Fitness = 0;
    let bestScore = 0;
    let member = this.#turn;
    for (let left = this.size; member && left > 0; left--, member = member.next) {
      const score = mixed(topicHash ^ member.hash);
      if (bestFitness === 2 && score <= bestScore) continue; // Its fitness would change nothing.
      const fitness = fitnessOf(member.subscriber, member.options);
      if (fitness > bestFitness || (best && fitness === bestFitness && score > bestScore)) {
        best = member;
        bestFitness = fitness;
        bestScore = score;
      }
    }
    return best;
  }
}

class RingMember<Subscriber, Options> implements Member<Subscriber, Options> {
  readonly subscriber: Subscriber;
  options: Options;
  readonly hash: number;
  next: RingMember<Subscriber, Options> = this;
  previous: RingMember<Subscriber, Options> = this;

  constructor(subscriber: Subscriber, options: Options, hash: number) {
    this.subscriber = subscriber;
    this.options = options;
    this.hash = hash;
  }

  standBefore(other: RingMember<Subscriber, Options>): void {
    this.previous = other.previous;
    this.next = other;
    this.previous.next = this;
    other.previous = this;
  }

  leave(): void {
    this.previous.next = this.next;
    this.next.previous = this.previous;
  }
}

/** FNV-1a, 32 bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash >>> 0;
}

/** All bits depend on all bits (the finalizer of MurmurHash3). */
function mixed(bits: number): number {
  let mix = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  mix = Math.imul(mix ^ (mix >>> 13), 0xc2b2ae35);
  return (mix ^ (mix >>> 16)) >>> 0;
}
