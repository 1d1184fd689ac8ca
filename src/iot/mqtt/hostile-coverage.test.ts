/**
 * The checklist of hostile inputs against the tests there are: each case that concerns the gateway is the name of a test,
 * and one of these tests shows that it bites, that is, fails without the defence. Read from the sources, so that it
 * cannot be out of date.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { testsIn } from './conformance/citations.ts';
import { readSources } from './conformance/sources.ts';

/** How many cases each group of the checklist has. */
const groups = { W: 19, S: 14, D: 12, A: 10, X: 9, T: 17, C: 5, R: 9 } as const;

/** Cases of these groups that are not the gateway's to survive, and why. */
const concernsOthers: Readonly<Record<string, string>> = {
  D05: 'nothing in the gateway republishes what it was sent',
  D09: 'tails of a stream are read over HTTP',
  A09: 'rules and policies are the app, not something a client of the gateway edits',
  A10: 'the HTTP API, in src/http',
  X08: 'no door of the gateway takes a token: MQTT over WebSocket asks for user name and password in CONNECT',
  C04: 'the gateway has no cron rules',
  C05: 'the gateway does not read the time a device writes into its payload',
  R04: 'functions run in the app thread: test/hang.test.ts',
  R09: 'the embedded engine is no serverless function',
  T12: 'the journal has no readers that hold a snapshot',
  T13: 'sequence numbers are bigint in the stream; those of the journal never leave it',
  T14: 'the journal has no keys of outsiders',
  T15: 'the table, in src/platform/table',
  T16: 'there are no backups yet',
};

/** Named, but no test shows yet that it fails without the defence. This list may only become shorter. */
const withoutProof: Readonly<Record<string, string>> = {};

const cases = Object.entries(groups).flatMap(([group, count]) =>
  Array.from({ length: count }, (_, n) => `${group}${String(n + 1).padStart(2, '0')}`),
);
const concernTheGateway = cases.filter(id => concernsOthers[id] === undefined);

interface CaseTest {
  readonly place: string;
  /** It runs its promise once more without the defence and wants it to be broken, or is that second run itself. */
  readonly bites: boolean;
}

/** Tests that count, by the case in their names: `(hostile W05, W19)` or `: W05 W19`. */
async function testsByCase(): Promise<Map<string, CaseTest[]>> {
  const found = new Map<string, CaseTest[]>();
  for (const { path, text } of await readSources()) {
    if (!path.endsWith('.test.ts')) continue;
    const lines = text.split('\n');
    for (const { name, fromLine, toLine, counts } of testsIn(text)) {
      if (!counts) continue;
      const body = lines.slice(fromLine, toLine + 1).join('\n');
      const bites =
        /\bbites\(|assert\.(rejects|throws)\([^;]*AssertionError/.test(body) || name.includes('would notice');
      for (const [id] of name.matchAll(/\b[WSDAXTCR]\d\d\b/g)) {
        const tests = found.get(id) ?? [];
        tests.push({ place: `${path}: ${name}`, bites });
        found.set(id, tests);
      }
    }
  }
  return found;
}

describe('each hostile input that concerns the gateway', () => {
  it('is named by a test', async () => {
    const found = await testsByCase();
    const missing = concernTheGateway.filter(id => !found.has(id));
    assert.deepEqual(missing, []);
  });

  it('has a test that fails without the defence', async () => {
    const found = await testsByCase();
    const unproven = concernTheGateway.filter(id => !found.get(id)?.some(({ bites }) => bites));
    assert.deepEqual(unproven, Object.keys(withoutProof));
  });

  it('is a case of the checklist', async () => {
    const unknown = [...(await testsByCase()).keys()].filter(id => !cases.includes(id));
    assert.deepEqual(unknown, []);
    for (const id of [...Object.keys(concernsOthers), ...Object.keys(withoutProof)]) assert(cases.includes(id), id);
  });
});
