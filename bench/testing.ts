// The benchmark of the test kit: how long a developer waits for tests of an app.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { trackChild } from './cleanup.ts';
import { BenchError } from './errors.ts';
import { GeneratorProcess } from './generator-process.ts';
import { describeMachine } from './machine.ts';
import type { Report } from './report.ts';
import { formatCount, formatMillis } from './report-cells.ts';
import { type Benchmark, chooseLoads, progress, type Settings } from './settings.ts';
import type { AppTestsResult, ToAppTests } from './testing/app-tests.ts';
import { type Contender, type Figure, takeTurns, type Values } from './turns.ts';

const method = [
  'Tests of the speaker app with mimamori/testing, as strict as by default. `start`: startApp, each with fresh copies of the',
  "app's modules. `evening`: apps/speaker/busy-evening.ts as a whole: start, 1,000 items, 20 devices, 100 messages, 100",
  'commands, and what is expected of them. Both in a process of its own, first and then warm. `suite`:',
  'apps/speaker/*-households.test.ts, two files with 250 tests each, as `npm test` runs them (two at a time), from the start to',
  'the end of the command; each test is an app of its own that lives through four random steps, in one of the files with faults,',
  'restarts and power cuts among them, and three minutes in the end.',
].join('\n');

const single = [{ name: 'start' }, { name: 'evening' }] as const;
const suites = [{ name: 'suite' }] as const;
const suiteTests = 500;

const counts = [
  { name: 'starts', flag: '--starts <count>', what: 'starts timed', usual: 100, quick: 10, min: 1, max: 1_000 },
  { name: 'evenings', flag: '--evenings <count>', what: 'evenings timed', usual: 10, quick: 2, min: 1, max: 1_000 },
];

const singleFigures: readonly Figure[] = [
  { name: 'firstMs', head: 'first ms', summary: 'spread', format: formatMillis },
  { name: 'p50Ms', head: 'p50 ms', summary: 'spread', format: formatMillis },
  { name: 'p99Ms', head: 'p99 ms', summary: 'median', format: formatMillis },
];

const suiteFigures: readonly Figure[] = [
  { name: 'seconds', head: 'seconds', summary: 'spread', format: seconds => seconds.toFixed(1) },
  { name: 'tests', head: 'tests', summary: 'median', format: formatCount },
];

function singleContender({ counts }: Settings): Contender<(typeof single)[number]> {
  const turn = async ({ name }: (typeof single)[number]): Promise<Values> => {
    const child = new GeneratorProcess<ToAppTests, AppTestsResult>('testing/app-tests.ts');
    try {
      return { ...(await child.ask({ kind: name, count: name === 'start' ? counts.starts : counts.evenings })) };
    } finally {
      await child.end();
    }
  };
  return { name: 'mimamori', role: 'subject', turn };
}

/** As a person runs it. The seeds are the same each time, so that all rounds do the same work. */
async function runSuite(): Promise<Values> {
  const root = join(import.meta.dirname, '..');
  const beganMs = performance.now();
  const files = ['calm', 'rough'].map(kind => `apps/speaker/${kind}-households.test.ts`);
  const child = spawn(process.execPath, [join(root, 'test', 'run.ts'), '--long', ...files], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, SEED: '1' },
  });
  const [output, [code]] = await Promise.all([
    trackChild(child).stdout.setEncoding('utf8').toArray(),
    once(child, 'exit'),
  ]);
  const passed = Number(/^ℹ pass (\d+)/m.exec(output.join(''))?.[1]);
  if (code !== 0 || passed !== suiteTests)
    throw new BenchError(`${passed} of ${suiteTests} tests passed.`, 'Run `npm run test:long` to see which did not.');
  return { seconds: (performance.now() - beganMs) / 1_000, tests: passed };
}

async function run(settings: Settings): Promise<Report> {
  const machine = describeMachine();
  const startedAt = new Date().toISOString();
  const { rounds } = settings;
  const common = { rounds, ratios: [], progress };
  const singleResults = await takeTurns({
    ...common,
    loads: chooseLoads(single, settings),
    contenders: [singleContender(settings)],
    figures: singleFigures,
  });
  const suiteResults = await takeTurns({
    ...common,
    loads: chooseLoads(suites, settings),
    contenders: [{ name: 'mimamori', role: 'subject', turn: runSuite }],
    figures: suiteFigures,
  });
  return {
    benchmark: 'testing',
    startedAt,
    method,
    settings: { rounds, ...settings.counts },
    machine,
    versions: { node: process.versions.node },
    skipped: [],
    notes: [],
    tables: [
      { figures: singleFigures, ratios: [], results: singleResults },
      { figures: suiteFigures, ratios: [], results: suiteResults },
    ],
  };
}

export const testing: Benchmark = {
  name: 'testing',
  summary: 'how long tests of an app take: starting one, one of 1,000 items, a suite of 500',
  loads: [...single, ...suites],
  peers: [],
  counts,
  run,
};
