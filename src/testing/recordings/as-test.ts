/** A test to begin with: it plays a recording and says what came out of it, for its reader to go on from. */
import path from 'node:path';
import type { Recording } from './recording.ts';

export interface TestSkeletonOptions {
  readonly recording: Recording;
  /** Where the test will be; paths in it are from there. */
  readonly testFile: string;
  readonly recordingFile: string;
  readonly appFile: string;
}

export function testSkeleton({ recording, testFile, recordingFile, appFile }: TestSkeletonOptions): string {
  const from = (file: string) => {
    const relative = path.relative(path.dirname(testFile), file).split(path.sep).join('/');
    return JSON.stringify(relative.startsWith('.') ? relative : `./${relative}`);
  };
  return `import assert from 'node:assert/strict';
import { it } from 'node:test';
import { readRecording, startApp } from 'mimamori/testing';

it('does again what ${recording.application} did on ${recording.startedAt}', async () => {
  const recording = await readRecording(new URL(${from(recordingFile)}, import.meta.url));
  await using app = await startApp(new URL(${from(appFile)}, import.meta.url), {
    startAt: recording.startedAt,
    lenient: { laggingIndexes: 'lists did not lag where this was recorded' },
  });
  const { differences } = await app.replay(recording);
  assert.deepEqual(differences, []);
${assertionsOf(recording).join('\n')}
  (await app.deadLetters()).none();
});
`;
}

function assertionsOf({ entries, application }: Recording): string[] {
  const telemetry = new Map<string, number>();
  const answers = new Map<string, number>();
  for (const entry of entries) {
    // What was asked before the recording began is not asked again.
    if (entry.kind === 'answer' && entry.atMs >= entry.afterMs)
      answers.set(entry.command, (answers.get(entry.command) ?? 0) + 1);
    if (entry.kind !== 'message') continue;
    const [kind, name, context, , type] = entry.topic.split('/');
    if (kind !== 'dt' || name !== application) continue;
    const key = JSON.stringify([context, type]);
    telemetry.set(key, (telemetry.get(key) ?? 0) + 1);
  }
  const ofTelemetry = [...telemetry].map(([key, count]) => {
    const [context, type] = JSON.parse(key) as [string, string]; // As it was made above.
    return `  app.messages.count(${count}, { direction: 'up', context: ${quoted(context)}, type: ${quoted(type)} });`;
  });
  const ofCommands = [...answers].map(
    ([command, count]) =>
      `  (await app.commands()).count(${count}, { command: ${quoted(command)}, outcome: 'answered' });`,
  );
  return [...ofTelemetry, ...ofCommands];
}

function quoted(text: string): string {
  return `'${JSON.stringify(text).slice(1, -1).replaceAll("'", "\\'")}'`;
}
