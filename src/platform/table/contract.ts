/** What every engine of the table promises, as a function of "make me one that holds the contract's tables, empty". */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { batchPromises } from './contract/batches.ts';
import { capacityPromises } from './contract/capacity.ts';
import { expressionPromises } from './contract/expressions.ts';
import { indexPromises } from './contract/indexes.ts';
import { itemPromises } from './contract/items.ts';
import { queryPromises } from './contract/queries.ts';
import { scanPromises } from './contract/scans.ts';
import { transactionPromises } from './contract/transactions.ts';
import type { TableWorld } from './contract/world.ts';

export { contractTables, createContractTables, everyKind, read, type TableWorld } from './contract/world.ts';

/** A promise an engine does not keep, and why. */
export interface Gap {
  readonly test: string;
  readonly reason: string;
}

export function tableContract(engine: string, makeWorld: () => Promise<TableWorld>, gaps: readonly Gap[] = []): void {
  const promised = new Set<string>();
  const test = (promise: string, run: (world: TableWorld) => Promise<void>) => {
    assert(!promised.has(promise)); // gaps go by name
    promised.add(promise);
    it(promise, { skip: gaps.find(gap => gap.test === promise)?.reason }, async () => {
      const world = await makeWorld();
      try {
        await run(world);
      } finally {
        await world.table.close();
        await world.cleanUp();
      }
    });
  };

  describe(`table contract: ${engine}`, () => {
    itemPromises(test);
    expressionPromises(test);
    queryPromises(test);
    scanPromises(test);
    indexPromises(test);
    batchPromises(test);
    transactionPromises(test);
    capacityPromises(test);
    for (const gap of gaps)
      assert(promised.has(gap.test), `There is no promise "${gap.test}" to make an exception of.`);
  });
}
