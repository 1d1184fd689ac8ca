/** Writes lines as fast as it can, and says after each how far it has got. Killed by log-kill.test.ts. */
import { writeSync } from 'node:fs';
import { systemAppendFiles } from '../../kernel/append-files.ts';
import { asCaller } from '../../kernel/callers.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import { LogStore } from './index.ts';

const clock = new VirtualClock();
const store = new LogStore({
  files: systemAppendFiles,
  directory: process.argv[2],
  writer: 'app',
  clock,
  retention: { app: { megabytesMax: 4_000 } },
});
for (let index = 0; ; index++) {
  const caller = { functionName: 'write', thingName: `t${index % 97}`, requestId: `r${index}` };
  asCaller(caller, () => store.app.info({ index, pad: 'x'.repeat(index % 300) }, `line ${index % 500}`));
  if (index % 100 === 99) await clock.advance(1_000);
  writeSync(1, `${index}\n`);
}
