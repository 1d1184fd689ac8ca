/** What every engine of the stream promises, as a function of "make me a place with one stream of so many shards". */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readingPromises } from './contract/reading.ts';
import { recordPromises } from './contract/records.ts';
import { reshardingPromises } from './contract/resharding.ts';
import { shardingPromises } from './contract/sharding.ts';
import { Story, type StreamPromise, type StreamWorld, type WorldOptions } from './contract/world.ts';

export { hasCode, type StreamWorld, throttledRecords, type WorldOptions } from './contract/world.ts';

/** A promise an engine does not keep, and why. */
export interface Gap {
  readonly test: string;
  readonly reason: string;
}

export function streamContract(
  engine: string,
  makeWorld: (options: WorldOptions) => Promise<StreamWorld>,
  gaps: readonly Gap[] = [],
): void {
  const promised = new Set<string>();
  const test: StreamPromise = (promise, run, options = { shards: 1 }) => {
    assert(!promised.has(promise)); // gaps go by name
    promised.add(promise);
    it(promise, { skip: gaps.find(gap => gap.test === promise)?.reason }, async () => {
      const world = await makeWorld(options);
      const stream = await world.open();
      const reader = await world.openReader();
      try {
        await run(new Story(world, stream, reader, await world.until(stream.shards())));
      } finally {
        await world.until(stream.close());
        await reader.close();
        await world.cleanUp();
      }
    });
  };

  describe(`stream contract: ${engine}`, () => {
    recordPromises(test);
    readingPromises(test);
    shardingPromises(test);
    reshardingPromises(test);
    for (const gap of gaps)
      assert(promised.has(gap.test), `There is no promise "${gap.test}" to make an exception of.`);
  });
}
