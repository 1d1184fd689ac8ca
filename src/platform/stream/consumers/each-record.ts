import type { BatchContext, Outcome, Selected } from './batch.ts';

/**
 * Turns a handler of one event into a handler of a batch: different partition keys run beside each other, at most
 * `lanesMax` at a time; the records of one key run one after the other, and wait when one of them fails.
 */
export function eachRecord<Event>(
  handle: (selected: Selected<Event>, context: BatchContext) => Promise<void>,
  lanesMax = 64,
): (batch: Selected<Event>[], context: BatchContext) => Promise<Outcome> {
  return async (batch, context) => {
    const failed = new Map<number, unknown>();
    const skipped = new Set<number>();
    const lanes = Map.groupBy(batch.keys(), index => batch[index].record.partitionKey);
    const waiting = lanes.values(); // One iterator for all runners: each takes the next lane.
    const runLanes = async () => {
      for (const lane of waiting) {
        for (const [place, index] of lane.entries()) {
          try {
            await handle(batch[index], context);
          } catch (error) {
            failed.set(index, error);
            for (const later of lane.slice(place + 1)) skipped.add(later);
            break;
          }
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(lanesMax, lanes.size) }, runLanes));
    return { failed, skipped };
  };
}
