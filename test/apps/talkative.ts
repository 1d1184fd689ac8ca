import { z } from 'zod';
import { defineApp, defineModel } from '../../src/app/index.ts';

/** An app whose function says what its message says, and then does what it says. */
const model = defineModel('talkative', {
  telemetry: {
    orders: { order: z.object({ say: z.string(), next: z.enum(['end', 'loop', 'exit', 'throw']).default('end') }) },
  },
  commands: {},
  entities: {},
});

const obey = model.onTelemetry('orders', async ({ payload: { say, next }, thingName }, { log, metrics }) => {
  log.debug({ say }, 'About to say it.');
  log.info({ say, password: 'hunter2' }, 'It was said.');
  log.channel('business', { days: 90 }).info({ thingName }, 'Somebody was heard.');
  metrics.count('heard', 1, { dimensions: { what: next } });
  if (next === 'throw') throw new Error(`as ordered: ${say}`);
  if (next === 'loop') for (;;);
  if (next === 'exit') process.exit(0);
});

export default defineApp(model, { functions: { obey }, routes: [] });
