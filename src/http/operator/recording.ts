/** What happens to an app, for `mimamori record`: messages out of the stream, requests as they are answered, commands with their answers. */
import { allEntities, type RecordedMessage, recordedMessage } from '../../app/index.ts';
import { type Clock, delay } from '../../kernel/clock.ts';
import type { SequenceNumber, ShardId, StreamReader } from '../../platform/stream/index.ts';
import type { Table } from '../../platform/table/index.ts';
import type { ApiCall, ApiCalls, FollowedCalls } from '../api-calls.ts';
import { inputNotValid, tooManyWatchers } from '../problems.ts';
import { lineStream } from './line-stream.ts';
import type { OperatorRoute } from './operator.ts';
import { recordingPath } from './paths.ts';

/** One line of the answer, secrets and all: it is for the operator. */
export type RecordedEvent =
  | { readonly kind: 'head'; readonly application: string; readonly fromMs: number; readonly untilMs: number }
  | { readonly kind: 'entity'; readonly entity: string; readonly attributes: Readonly<Record<string, unknown>> }
  | RecordedMessage
  | ({ readonly kind: 'request' } & ApiCall)
  | { readonly kind: 'leftOut'; readonly requests: number }
  | { readonly kind: 'end'; readonly untilMs: number };

export interface RecordingRoutesOptions {
  readonly application: string;
  readonly openReader: () => StreamReader;
  readonly table: Table;
  readonly calls: ApiCalls;
  readonly clock: Clock;
}

const recordingLimits = {
  recordersMax: 4, // ours: at once; each reads the stream
  pollMs: 200, // ours: how often it is looked for more
  readBytesMax: 1024 * 1024, // ours
  durationMsMax: 7 * 24 * 3_600_000, // ours
} as const;

export function recordingRoutes(options: RecordingRoutesOptions): OperatorRoute[] {
  let recorders = 0;
  const answer: OperatorRoute['answer'] = c => {
    const nowMs = options.clock.nowMs();
    const fromMs = readTime(c.req.query('sinceMs'), 'sinceMs', nowMs);
    const untilMs = readTime(c.req.query('untilMs'), 'untilMs', nowMs);
    const entitiesMax = readTime(c.req.query('entities'), 'entities', 0);
    if (untilMs < fromMs || untilMs - nowMs > recordingLimits.durationMsMax)
      throw inputNotValid(
        'query',
        `it must end after it begins, and within ${recordingLimits.durationMsMax} ms from now`,
      );
    if (recorders >= recordingLimits.recordersMax) throw tooManyWatchers();
    recorders++;
    const lines = (signal: AbortSignal) => recordedLines({ ...options, fromMs, untilMs, entitiesMax, signal });
    return lineStream(lines, { isLive: true, onEnd: () => void recorders-- });
  };
  return [{ method: 'GET', path: recordingPath, answer }];
}

function readTime(text: string | undefined, name: string, absent: number): number {
  const number = text === undefined ? absent : Number(text);
  if (!Number.isSafeInteger(number) || number < 0) throw inputNotValid('query', `${name} is no whole number`);
  return number;
}

interface Recording extends RecordingRoutesOptions {
  readonly fromMs: number;
  readonly untilMs: number;
  readonly entitiesMax: number;
  readonly signal: AbortSignal;
}

async function* recordedLines(recording: Recording): AsyncGenerator<string> {
  const followed = recording.calls.follow();
  const reader = recording.openReader();
  try {
    for await (const event of recordedEvents(recording, reader, followed)) yield JSON.stringify(event);
  } finally {
    recording.calls.unfollow(followed);
    await reader.close();
  }
}

async function* recordedEvents(
  recording: Recording,
  reader: StreamReader,
  followed: FollowedCalls,
): AsyncGenerator<RecordedEvent> {
  const { application, fromMs, untilMs, entitiesMax, table, clock, signal } = recording;
  yield { kind: 'head', application, fromMs, untilMs };
  if (entitiesMax > 0) {
    for await (const each of allEntities(table, entitiesMax)) yield { kind: 'entity', ...each };
  }
  const places = new Map<ShardId, SequenceNumber | null>();
  for (const { shardId } of await reader.shards()) {
    const isPast = fromMs < clock.nowMs();
    const position = isPast ? ({ type: 'AT_TIMESTAMP', atMs: fromMs } as const) : ({ type: 'LATEST' } as const);
    places.set(shardId, await reader.locate(shardId, position));
  }
  for (;;) {
    const isLast = clock.nowMs() >= untilMs || signal.aborted;
    yield* messagesSince(recording, reader, places);
    const { calls, leftOut } = followed.take();
    for (const call of calls) if (call.atMs <= untilMs) yield { kind: 'request', ...call };
    if (leftOut > 0) yield { kind: 'leftOut', requests: leftOut };
    if (isLast) break;
    await delay(clock, Math.min(recordingLimits.pollMs, Math.max(1, untilMs - clock.nowMs())), signal);
  }
  yield { kind: 'end', untilMs: Math.min(untilMs, clock.nowMs()) };
}

/** What is there by now, shard by shard. */
async function* messagesSince(
  { application, table, untilMs, fromMs }: Recording,
  reader: StreamReader,
  places: Map<ShardId, SequenceNumber | null>,
): AsyncGenerator<RecordedEvent> {
  for (const { shardId } of await reader.shards()) {
    for (;;) {
      const records = await reader.read(shardId, places.get(shardId) ?? null, recordingLimits.readBytesMax);
      if (records.length === 0) break;
      places.set(shardId, records[records.length - 1].sequenceNumber);
      for (const record of records) {
        if (record.arrivalAtMs > untilMs || record.arrivalAtMs < fromMs) continue;
        const event = await recordedMessage(record, application, table);
        if (event !== undefined) yield event;
      }
    }
  }
}
