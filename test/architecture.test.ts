import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { glob } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';

/** Who may import whom, as ARCHITECTURE.md draws it. A folder may always import its own files. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  kernel: [],
  'platform/stream': ['kernel'],
  'platform/table': ['kernel'],
  'platform/functions': ['kernel'],
  ops: ['kernel', 'platform/stream', 'platform/table', 'platform/functions'],
  // The rule that joins the halves appends to the stream; the gateway composes it.
  iot: ['kernel', 'platform/stream'],
  device: ['kernel', 'iot'],
  app: ['kernel', 'iot', 'platform/stream', 'platform/table', 'platform/functions'],
  http: ['kernel', 'ops', 'app', 'platform/stream', 'platform/table', 'platform/functions'],
  local: ['kernel', 'ops', 'iot', 'platform/stream', 'platform/table', 'platform/functions', 'app', 'http', 'device'],
  testing: [
    'kernel',
    'ops',
    'iot',
    'platform/stream',
    'platform/table',
    'platform/functions',
    'app',
    'http',
    'device',
    'local',
  ],
  cli: ['kernel', 'ops', 'iot', 'platform/table', 'platform/functions', 'app', 'http', 'local', 'testing'],
};

/** Engines that most apps do without have an entry of their own, or everybody would wait for them to be loaded. */
function isEntry(imported: string, capability: string): boolean {
  return [capability, 'src/platform/stream/kinesis', 'src/platform/stream/jetstream'].some(
    folder => imported === `${folder}/index.ts`,
  );
}

function roomOf(file: string): string {
  const room = Object.keys(mayImport).find(name => file.startsWith(`src/${name}/`));
  assert(room, `${file} is in no room of the map`);
  return room;
}

describe('the map of folders (covers S0-23)', () => {
  it('is kept by every import', async () => {
    const trespasses: string[] = [];
    for await (const file of glob('src/**/*.ts')) {
      if (/\.test(-\w+)?\.ts$/.test(file)) continue;
      const room = roomOf(file);
      for (const [, target] of readFileSync(file, 'utf8').matchAll(/from '(\.[^']+)'/g)) {
        const imported = path.join(path.dirname(file), target);
        const other = roomOf(imported);
        if (other !== room && !mayImport[room].includes(other)) trespasses.push(`${file} imports ${imported}`);
      }
    }
    assert.deepEqual(trespasses, []);
  });

  it('lets other rooms see only what a capability with engines exports', async () => {
    const trespasses: string[] = [];
    for await (const file of glob('{src,apps,bench}/**/*.ts')) {
      for (const [, target] of readFileSync(file, 'utf8').matchAll(/from '(\.[^']+)'/g)) {
        const imported = path.join(path.dirname(file), target);
        const capability = /^src\/platform\/[a-z]+/.exec(imported)?.[0];
        if (!capability || file.startsWith(`${capability}/`) || isEntry(imported, capability)) continue;
        trespasses.push(`${file} imports ${imported}`);
      }
    }
    assert.deepEqual(trespasses, []);
  });
});
