import type { Runtime } from '../app/index.ts';
import type { Iot } from '../iot/port.ts';

/** The facts behind /healthz: what came in, what is durable, what has been handled, what was set aside, what is slow. */
export async function healthOf(runtime: Runtime, iot: Iot): Promise<Record<string, unknown>> {
  const counters = await iot.counters();
  return {
    ingest: {
      received: counters['ingest.received'] ?? 0,
      durable: counters['ingest.durable'] ?? 0,
      processed: runtime.processed,
      deadLettered: runtime.counters.get('functions.deadLettered'),
    },
    functions: { nPlusOne: runtime.counters.get('functions.nPlusOne') },
    counters,
  };
}
