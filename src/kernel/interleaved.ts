/**
 * The items in an order that takes one of each key in turn, so that a load does not come down on one key after the other.
 * Items of one key stay in their order.
 */
export function interleaved<Item>(items: readonly Item[], keyOf: (item: Item) => string): Item[] {
  let turns = [...Map.groupBy(items, keyOf).values()];
  const order: Item[] = [];
  for (let round = 0; turns.length > 0; round++) {
    for (const ofKey of turns) order.push(ofKey[round]);
    turns = turns.filter(ofKey => ofKey.length > round + 1);
  }
  return order;
}
