import { type Clock, delay } from '../../../kernel/clock.ts';
import { codeOf } from '../../../kernel/errors.ts';
import type { RecordBatch, Stream } from '../../../platform/stream/index.ts';
import { journalLimits } from './limits.ts';

/**
 * For tests of the journal alone; the gateway's group commit is `rules/ingest`. Makes batches durable one after the other, and waits for room when the disk is full: what a later batch holds counts on
 * all earlier ones, and memory has moved on, so none may be left out or overtaken. Appending them at once would not do:
 * the first could be refused and the second not. Rejects when the stream is over, or with `stream.full` once `signal`
 * aborts.
 */
export async function appendInOrder(
  batches: Iterable<RecordBatch>,
  { stream, clock, signal }: { stream: Stream; clock: Clock; signal?: AbortSignal },
): Promise<void> {
  for (const batch of batches) {
    if (batch.count === 0) continue;
    for (;;) {
      try {
        await stream.append(batch);
        break;
      } catch (error) {
        if (!['stream.full', 'stream.busy'].includes(codeOf(error)) || signal?.aborted) throw error;
      }
      await delay(clock, journalLimits.retryMs, signal);
    }
  }
}
