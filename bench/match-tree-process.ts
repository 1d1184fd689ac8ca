// The topic tree alone, in a process of its own with the garbage collector at hand: how fast it takes subscriptions and
// finds the one that matches, and what it keeps.
import { TopicTree } from '../src/iot/mqtt/topic-tree.ts';
import { serveParent } from './generators/generator-child.ts';
import { filterOf, scattered, topicOf } from './match-filters.ts';

export interface TreeRequest {
  subscriptions: number;
  seconds: number;
}

/** A type and not an interface, so that it is also a record of values. */
export type TreeResult = {
  addsPerSecond: number;
  matchesPerSecond: number;
  heapBytesPerSubscription: number; // after a full collection; filters as strings of the subscriber not included
};

const matchesPerLook = 1_000; // at the clock

function heapBytes(): number {
  if (globalThis.gc === undefined) throw new Error('This process needs --expose-gc.');
  globalThis.gc();
  return process.memoryUsage().heapUsed;
}

function measure({ subscriptions, seconds }: TreeRequest): TreeResult {
  const tree = new TopicTree<number, undefined>();
  const topics = scattered(subscriptions).map(topicOf);
  const emptyBytes = heapBytes();
  const addsStartedAtMs = performance.now();
  for (let index = 0; index < subscriptions; index++) tree.add(filterOf(index), index, undefined);
  const addsMs = performance.now() - addsStartedAtMs;
  const fullBytes = heapBytes();

  let found = 0;
  const visit = () => {
    found += 1;
  };
  let matched = 0;
  const startedAtMs = performance.now();
  while (performance.now() - startedAtMs < seconds * 1_000) {
    for (let look = 0; look < matchesPerLook; look++) tree.match(topics[matched++ % subscriptions], visit);
  }
  const elapsedMs = performance.now() - startedAtMs;
  if (found !== matched) throw new Error(`${matched} topics matched ${found} subscriptions; each should match one.`);
  return {
    addsPerSecond: (subscriptions * 1_000) / addsMs,
    matchesPerSecond: (matched * 1_000) / elapsedMs,
    heapBytesPerSubscription: (fullBytes - emptyBytes) / subscriptions,
  };
}

serveParent<TreeRequest, TreeResult>(async request => measure(request));
