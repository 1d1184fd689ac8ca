/**
 * What happened to an app for a while, as a file: lines of JSON, the first of which says what it is. Times are milliseconds
 * from its beginning. `mimamori record` writes it, a test plays it.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { problemsOf } from '../../app/index.ts';
import { messageOf } from '../../kernel/errors.ts';
import { recordingNotValid } from '../errors.ts';
import { testingLimits } from '../limits.ts';

const version = 1;

const headSchema = z.object({
  recording: z.literal(version),
  application: z.string(),
  /** ISO 8601. */
  startedAt: z.iso.datetime(),
  durationMs: z.number().min(0),
  /** Things and users have other names than they had. */
  isRenamed: z.boolean(),
});

const atMs = z.number().min(0);
const thingName = z.string().min(1);

const entrySchema = z.discriminatedUnion('kind', [
  /** What was stored at the beginning. */
  z.object({ kind: z.literal('entity'), entity: z.string(), attributes: z.record(z.string(), z.unknown()) }),
  z.object({ kind: z.literal('connected'), atMs, thingName }),
  z.object({ kind: z.literal('disconnected'), atMs, thingName }),
  /** From a device: its payload as JSON, as text, or as Base64. */
  z.object({
    kind: z.literal('message'),
    atMs,
    thingName,
    topic: z.string(),
    payload: z.unknown().optional(),
    payloadText: z.string().optional(),
    payloadBase64: z.string().optional(),
  }),
  /** To a command, so long after it was sent; without its session. */
  z.object({
    kind: z.literal('answer'),
    atMs,
    thingName,
    command: z.string(),
    afterMs: z.number().min(0),
    response: z.record(z.string(), z.unknown()),
  }),
  z.object({
    kind: z.literal('request'),
    atMs,
    user: z.string(),
    method: z.string(),
    path: z.string(),
    body: z.unknown().optional(),
    status: z.int(),
    answer: z.unknown().optional(),
  }),
]);

export type RecordingHead = z.output<typeof headSchema>;
export type RecordingEntry = z.output<typeof entrySchema>;

export interface Recording extends RecordingHead {
  /** In the order of time; what was stored first. */
  readonly entries: readonly RecordingEntry[];
}

export function recordingText({ entries, ...head }: Omit<Recording, 'recording'>): string {
  const lines: object[] = [{ recording: version, ...head }, ...entries];
  return lines.map(line => `${JSON.stringify(line)}\n`).join('');
}

/** Throws `testing.recordingNotValid`, which names the line. */
export async function readRecording(file: URL): Promise<Recording> {
  const name = path.basename(fileURLToPath(file));
  const text = await readFile(file, 'utf8').catch(error => {
    throw recordingNotValid(name, messageOf(error));
  });
  return parseRecording(text, name);
}

export function parseRecording(text: string, name: string): Recording {
  const lines = text.split('\n').filter(line => line !== '');
  if (lines.length > testingLimits.recordingLinesMax)
    throw recordingNotValid(name, `it has more than ${testingLimits.recordingLinesMax} lines`);
  const [first = '', ...rest] = lines;
  const head = parseLine(first, headSchema, `the first line of ${name}`);
  const entries = rest.map((line, index) => parseLine(line, entrySchema, `line ${index + 2} of ${name}`));
  return { ...head, entries };
}

function parseLine<Schema extends z.ZodType>(line: string, schema: Schema, where: string): z.output<Schema> {
  if (line.length > testingLimits.recordingLineBytesMax) throw recordingNotValid(where, 'it is too long');
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw recordingNotValid(where, 'it is no JSON');
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw recordingNotValid(where, problemsOf(parsed.error));
  return parsed.data;
}
