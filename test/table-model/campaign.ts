// Random operations on a fresh engine, one after the other, each compared with the model.
import fc from 'fast-check';
import { agrees, type Call, drive } from './drive.ts';
import { type Operation, operations } from './generate.ts';
import { TableModel } from './model.ts';
import { canonicalItem, type WireItem } from './values.ts';

export interface Campaign {
  readonly seed: number;
  /** Operations altogether. */
  readonly operations: number;
  /** An engine with the model's table, empty. */
  readonly open: () => Promise<{ call: Call; close: () => Promise<void> }>;
}

const operationsPerEngine = 200;

/** @throws with the shortest history found that ends in another answer than the model's. */
export async function runCampaign({ seed, operations: count, open }: Campaign): Promise<void> {
  const histories = fc.array(operations, { minLength: operationsPerEngine / 2, maxLength: operationsPerEngine });
  const property = fc.asyncProperty(histories, async history => {
    const { call, close } = await open();
    try {
      await compare(call, history);
    } finally {
      await close();
    }
  });
  const numRuns = Math.max(Math.round(count / ((operationsPerEngine * 3) / 4)), 1);
  const result = await fc.check(property, { seed, numRuns });
  if (!result.failed) return;
  const [history] = result.counterexample ?? [[]];
  const story = history.map(operation => JSON.stringify(operation)).join('\n');
  throw new Error(`seed ${seed}: after these operations\n${story}\n${String(result.errorInstance)}`);
}

async function compare(call: Call, history: readonly Operation[]): Promise<void> {
  const model = new TableModel();
  for (const operation of history) {
    const expected = model.run(operation);
    const found = await drive(call, operation);
    if (agrees(expected, found)) continue;
    throw new Error(
      `${JSON.stringify(operation)}\nthe model: ${JSON.stringify(expected)}\nthe engine: ${JSON.stringify(found)}`,
    );
  }
  const { Items } = await call('Scan', { TableName: 'model' });
  const stored = (Items as WireItem[]).map(canonicalItem).sort();
  if (JSON.stringify(stored) !== JSON.stringify(model.all()))
    throw new Error('The engine holds other items in the end.');
}
