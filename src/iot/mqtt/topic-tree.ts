/** One level of the tree. Most levels have one kind of child, so the maps are made when first needed. */
interface Node<Subscriber, Options> {
  children: Map<string, Node<Subscriber, Options>> | undefined;
  /** Subscribers whose filter ends here. */
  here: Map<Subscriber, Options> | undefined;
  /** Subscribers whose filter ends with `#` below here; it matches this level too [MQTT5 4.7.1.2]. */
  below: Map<Subscriber, Options> | undefined;
}

/**
 * Which subscribers' filters match a topic. The cost of a match depends on the levels of the topic and on what
 * matches, not on how many filters do not. Nothing recurses: depth is bounded by `mqttLimits.topicLevelsMax`.
 */
export class TopicTree<Subscriber, Options> {
  readonly #root: Node<Subscriber, Options> = emptyNode();
  #size = 0;
  #version = 0;

  /** Number of subscriptions. */
  get size(): number {
    return this.#size;
  }

  /** Changes whenever the answer of `match` may have. */
  get version(): number {
    return this.#version;
  }

  /** Adds or replaces; true when it is new. */
  add(topicFilter: string, subscriber: Subscriber, options: Options): boolean {
    const levels = topicFilter.split('/');
    const endsWithHash = levels[levels.length - 1] === '#';
    if (endsWithHash) levels.pop();
    let node = this.#root;
    for (const level of levels) {
      node.children ??= new Map();
      let child = node.children.get(level);
      if (!child) {
        child = emptyNode();
        node.children.set(level, child);
      }
      node = child;
    }
    const subscribers = endsWithHash ? (node.below ?? new Map()) : (node.here ?? new Map());
    if (endsWithHash) node.below = subscribers;
    else node.here = subscribers;
    const isNew = !subscribers.has(subscriber);
    subscribers.set(subscriber, options);
    if (isNew) this.#size++;
    this.#version++;
    return isNew;
  }

  /** Removes and prunes what became empty; true when there was one. */
  delete(topicFilter: string, subscriber: Subscriber): boolean {
    const levels = topicFilter.split('/');
    const endsWithHash = levels[levels.length - 1] === '#';
    if (endsWithHash) levels.pop();
    const path = [this.#root];
    for (const level of levels) {
      const child = path[path.length - 1].children?.get(level);
      if (!child) return false;
      path.push(child);
    }
    const node = path[path.length - 1];
    const subscribers = endsWithHash ? node.below : node.here;
    if (!subscribers?.delete(subscriber)) return false;
    if (subscribers.size === 0) {
      if (endsWithHash) node.below = undefined;
      else node.here = undefined;
    }
    for (let depth = levels.length; depth > 0 && isEmpty(path[depth]); depth--) {
      const parent = path[depth - 1];
      parent.children?.delete(levels[depth - 1]);
      if (parent.children?.size === 0) parent.children = undefined;
    }
    this.#size--;
    this.#version++;
    return true;
  }

  /** Calls `visit` for each subscription that matches; a subscriber with several matching filters comes several times. */
  match(topic: string, visit: (subscriber: Subscriber, options: Options) => void): void {
    if (this.#size === 0) return;
    const levels = topic.split('/');
    const dollar = topic.startsWith('$'); // Wildcards at the first level never match $-topics [MQTT5 4.7.2-1].
    let nodes = [this.#root];
    for (let depth = 0; depth < levels.length && nodes.length > 0; depth++) {
      const next: Node<Subscriber, Options>[] = [];
      for (const node of nodes) {
        const wildcards = depth > 0 || !dollar;
        if (node.below && wildcards) visitAll(node.below, visit);
        const exact = node.children?.get(levels[depth]);
        if (exact) next.push(exact);
        const plus = wildcards ? node.children?.get('+') : undefined;
        if (plus) next.push(plus);
      }
      nodes = next;
    }
    for (const node of nodes) {
      if (node.here) visitAll(node.here, visit);
      if (node.below) visitAll(node.below, visit);
    }
  }
}

function visitAll<Subscriber, Options>(
  subscribers: Map<Subscriber, Options>,
  visit: (subscriber: Subscriber, options: Options) => void,
): void {
  for (const [subscriber, options] of subscribers) visit(subscriber, options);
}

function emptyNode<Subscriber, Options>(): Node<Subscriber, Options> {
  return { children: undefined, here: undefined, below: undefined };
}

function isEmpty<Subscriber, Options>(node: Node<Subscriber, Options>): boolean {
  return !node.children && !node.here && !node.below;
}
