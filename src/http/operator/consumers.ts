/** The consumers of an app for whoever looks after it: how far they are, and letting one see its stream again. */
import { z } from 'zod';
import { problemsOf, type Runtime } from '../../app/index.ts';
import type { ConsumerStart } from '../../platform/stream/index.ts';
import { inputNotValid } from '../problems.ts';
import type { OperatorRoute } from './operator.ts';
import { consumersPath } from './paths.ts';

/** One shard of one consumer, as JSON can say it. */
export interface ShownConsumer {
  readonly consumer: string;
  readonly shardId: string;
  /** A decimal number; null: nothing is done yet. */
  readonly checkpoint: string | null;
  readonly iteratorAgeMs: number;
  /** Known only where one counter counts all records of the stream. */
  readonly recordsBehind?: number;
  readonly inFlight: number;
  /** Records that wait to be tried again, or behind one that does. */
  readonly waiting: number;
  readonly handled: number;
  readonly filtered: number;
  readonly deadLettered: number;
  readonly expired: number;
  readonly retries: number;
}

const replayShape = z.object({
  from: z.union([z.enum(['oldest', 'newest']), z.number().int().nonnegative()]).describe('Or Unix epoch milliseconds'),
});
export type ReplayBody = z.input<typeof replayShape>;

export function consumerRoutes(runtime: Pick<Runtime, 'consumers' | 'replay'>): OperatorRoute[] {
  return [
    { method: 'GET', path: consumersPath, answer: c => c.json(shownConsumers(runtime)) },
    {
      method: 'POST',
      path: `${consumersPath}/:name/replay`,
      answer: async c => {
        const parsed = replayShape.safeParse(await c.req.json().catch(() => undefined));
        if (!parsed.success) throw inputNotValid('body', problemsOf(parsed.error));
        const name = c.req.param('name') ?? ''; // The path has it.
        await runtime.replay(name, startOf(parsed.data.from));
        return c.json({ replayed: name });
      },
    },
  ];
}

function shownConsumers(runtime: Pick<Runtime, 'consumers'>): ShownConsumer[] {
  return runtime.consumers().flatMap(({ consumer, shards }) =>
    shards.map(shard => {
      const { shardId, checkpoint, iteratorAgeMs, recordsBehind, inFlight, waiting } = shard;
      const { handled, filtered, deadLettered, expired, retries } = shard;
      const upTo = checkpoint === null ? null : String(checkpoint);
      const counts = { inFlight, waiting, handled, filtered, deadLettered, expired, retries };
      return { consumer, shardId, checkpoint: upTo, iteratorAgeMs, recordsBehind, ...counts };
    }),
  );
}

function startOf(from: 'oldest' | 'newest' | number): ConsumerStart {
  if (from === 'oldest') return { type: 'TRIM_HORIZON' };
  return from === 'newest' ? { type: 'LATEST' } : { type: 'AT_TIMESTAMP', atMs: from };
}
