/** Records what happens to a running app, so that a test can do it again. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, Option } from 'commander';
import type { RecordedEvent } from '../http/index.ts';
import { recordingPath } from '../http/operator/paths.ts';
import { MimamoriError, messageOf } from '../kernel/errors.ts';
import { findAppModule } from '../local/app-module.ts';
import { testSkeleton } from '../testing/recordings/as-test.ts';
import { Recorder } from '../testing/recordings/recorder.ts';
import { type Recording, recordingText } from '../testing/recordings/recording.ts';
import { followOperator, urlOption } from './operator.ts';
import { appOption, dataOption, durationMs, jsonOption, momentMs, positive } from './options.ts';
import { abortOnSignal } from './progress.ts';

interface RecordOptions {
  readonly data: string;
  readonly url?: string;
  readonly out: string;
  readonly for?: number;
  readonly since?: number;
  readonly entities?: number;
  readonly rename?: true;
  readonly redact?: readonly string[];
  readonly asTest?: string | true;
  readonly app: string;
  readonly force?: true;
  readonly json?: true;
}

const forMsDefault = 600_000; // ours: a while in which something happens, short enough for a test

export function recordCommand(): Command {
  return new Command('record')
    .description(
      'Record what comes in to a running app, what is asked of it and how devices answer, for a test to play.',
    )
    .addOption(dataOption())
    .addOption(urlOption())
    .option('--out <file>', 'where the recording goes', 'recording.jsonl')
    .addOption(
      new Option('--for <duration>', 'how long; default 10m, or with --since: up to now').argParser(durationMs),
    )
    .addOption(
      new Option(
        '--since <time>',
        'also what came in before, such as 10m, or an ISO time; requests are not kept',
      ).argParser(momentMs),
    )
    .addOption(new Option('--entities <n>', 'begin with what is stored, at most so many entities').argParser(positive))
    .option('--rename', 'give things and users other names')
    .option('--redact <name...>', 'further properties whose values are secret')
    .option('--as-test [file]', 'also write a test that plays it')
    .addOption(appOption())
    .option('--force', 'replace files that are there')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Ctrl-C ends it and keeps what was recorded. Secrets are left out: values whose names say so, and what looks like one.

Examples:
  mimamori record --for 10m --out evening.jsonl --as-test
  mimamori record --since 1h --rename --entities 1000`,
    )
    .action(record);
}

async function record(options: RecordOptions): Promise<void> {
  const { data, url, since, json, rename: renames, redact: redactKeys } = options;
  const fromMs = since ?? Date.now();
  const untilMs = Date.now() + (options.for ?? (since === undefined ? forMsDefault : 0));
  const stopping = abortOnSignal();
  const recorder = new Recorder({ renames, redactKeys });
  const question = { sinceMs: String(fromMs), untilMs: String(untilMs), entities: String(options.entities ?? 0) };
  const events = followOperator<RecordedEvent>({ data, url }, `${recordingPath}?${new URLSearchParams(question)}`, {
    signal: stopping,
  });
  const tell = (text: string) => process.stderr.isTTY && !json && process.stderr.write(`\r${text}\x1b[K`);
  const ended = await takeAll(events, recorder, stopping, event => {
    if (json && event.kind === 'head') console.log(JSON.stringify({ event: 'recording', fromMs, untilMs }));
    tell(`${recorder.count} recorded; Ctrl-C ends it.`);
  });
  tell('');
  const recording = recorder.finish(Date.now());
  const testFile = await writeFiles(recording, options);
  const facts = { entries: recording.entries.length, durationMs: recording.durationMs, leftOut: recorder.leftOut };
  if (json) return console.log(JSON.stringify({ event: 'recorded', file: options.out, testFile, ended, ...facts }));
  console.log(`${options.out}: ${facts.entries} entries of ${Math.round(facts.durationMs / 1_000)} s.`);
  if (testFile !== undefined) console.log(`${testFile}: a test that plays it.`);
  if (ended === 'gone') console.log('The backend went away before the time was over.');
  if (recorder.leftOut > 0) console.log(`${recorder.leftOut} came too fast, or were too many, and are not in it.`);
}

/** How it ended: the time was over, somebody ended it, or the backend went away. */
type Ended = 'done' | 'stopped' | 'gone';

async function takeAll(
  events: AsyncGenerator<RecordedEvent>,
  recorder: Recorder,
  stopping: AbortSignal,
  onTaken: (event: RecordedEvent) => void,
): Promise<Ended> {
  let isBegun = false;
  try {
    for await (const event of events) {
      isBegun = true;
      recorder.take(event);
      onTaken(event);
      if (event.kind === 'end') return 'done';
      if (recorder.isFull) return 'stopped';
    }
  } catch (error) {
    if (!isBegun) throw error; // There is no backend, or it refuses.
  }
  return stopping.aborted ? 'stopped' : 'gone';
}

/** Gives the name of the test, if there is one. */
async function writeFiles(recording: Recording, options: RecordOptions): Promise<string | undefined> {
  const { out, asTest, app } = options;
  const { dir, name } = path.parse(out);
  const testFile = asTest === true ? path.join(dir, `${name}.test.ts`) : asTest;
  // Before anything is written: an app that is not there leaves no half of it.
  const appFile = testFile === undefined ? undefined : fileURLToPath(findAppModule(app));
  await write(out, recordingText(recording), options);
  if (testFile === undefined || appFile === undefined) return undefined;
  const [recordingFile, absoluteTest] = [path.resolve(out), path.resolve(testFile)];
  await write(testFile, testSkeleton({ recording, testFile: absoluteTest, recordingFile, appFile }), options);
  return testFile;
}

/** For its owner only: it may hold what people do. */
async function write(file: string, text: string, { force }: Pick<RecordOptions, 'force'>): Promise<void> {
  await writeFile(file, text, { mode: 0o600, flag: force ? 'w' : 'wx' }).catch(cause => {
    throw notWritten(file, cause);
  });
}

const notWritten = (file: string, cause: unknown) =>
  new MimamoriError({
    code: 'record.notWritten',
    message: `${file} could not be written: ${messageOf(cause)}.`,
    fix: 'Give another file with --out, or --force to replace one that is there.',
    cause,
  });
