// The subscriptions of the match benchmark: as many as one likes, and each topic matches exactly one of them.

const unitsPerSite = 1_000;

/** Half name their topic; a quarter have `+` at the end, a quarter in the middle, where all sites meet. */
export function filterOf(index: number): string {
  const kind = index % 4;
  return filterFor(kind === 3 ? '+' : siteOf(index), index, kind === 2 ? '+' : 'celsius');
}

/** The topic that matches the filter of `index`, and no other. */
export function topicOf(index: number): string {
  return filterFor(siteOf(index), index, 'celsius');
}

/** Every number has its digits filled up, so that all topics are of one length. */
const siteOf = (index: number) => String(Math.floor(index / unitsPerSite)).padStart(5, '0');
const filterFor = (site: string, unit: number, last: string) =>
  `site/${site}/unit/${String(unit).padStart(8, '0')}/${last}`;

/** 0 to count - 1 in an order that goes all over the place, the same each time. */
export function scattered(count: number): number[] {
  const indexes = Array.from({ length: count }, (_, index) => index);
  let state = 1;
  for (let end = count - 1; end > 0; end--) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0; // Numerical Recipes' generator: cheap, and enough here
    const other = Math.floor((state / 2 ** 32) * (end + 1));
    [indexes[end], indexes[other]] = [indexes[other], indexes[end]];
  }
  return indexes;
}

/** One to each hand in turn, as cards are dealt. */
export function dealOut<Item>(items: readonly Item[], handsCount: number): Item[][] {
  const hands: Item[][] = Array.from({ length: handsCount }, () => []);
  items.forEach((item, index) => {
    hands[index % handsCount].push(item);
  });
  return hands;
}
