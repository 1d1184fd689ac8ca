/** Makes a recording of what a backend tells of itself. */
import type { RecordedEvent } from '../../http/index.ts';
import { recordingNotValid } from '../errors.ts';
import { testingLimits } from '../limits.ts';
import { Cleaning, newNames } from './cleaning.ts';
import type { Recording, RecordingEntry } from './recording.ts';

export interface RecorderOptions {
  /** Things and users get other names. Default: not. */
  readonly renames?: boolean;
  /** Further names of properties whose values are secret. */
  readonly redactKeys?: readonly string[];
}

type Timed = Exclude<RecordedEvent, { readonly kind: 'head' | 'entity' | 'leftOut' | 'end' }>;
type WholeEntity = Extract<RecordedEvent, { readonly kind: 'entity' }>;

export class Recorder {
  readonly #options: RecorderOptions;
  readonly #entities: WholeEntity[] = [];
  readonly #events: Timed[] = [];
  #head: Extract<RecordedEvent, { readonly kind: 'head' }> | undefined;
  #endedAtMs: number | undefined;
  /** Requests that came too fast to be kept. */
  leftOut = 0;

  constructor(options: RecorderOptions = {}) {
    this.#options = options;
  }

  /** Of messages and requests. */
  get count(): number {
    return this.#events.length;
  }

  get isFull(): boolean {
    return this.#events.length + this.#entities.length >= testingLimits.recordingLinesMax - 1;
  }

  take(event: RecordedEvent): void {
    if (event.kind === 'head') this.#head = event;
    else if (event.kind === 'end') this.#endedAtMs = event.untilMs;
    else if (event.kind === 'leftOut') this.leftOut += event.requests;
    else if (this.isFull) this.leftOut++;
    else if (event.kind === 'entity') this.#entities.push(event);
    else this.#events.push(event);
  }

  /** What was taken up to now. Throws `testing.recordingNotValid` when nothing was. */
  finish(nowMs: number): Recording {
    const { renames = false, redactKeys = [] } = this.#options;
    if (!this.#head) throw recordingNotValid('What was recorded', 'nothing came');
    const { application, fromMs } = this.#head;
    const events = this.#events.toSorted((left, right) => left.atMs - right.atMs);
    const names = renames ? newNames(thingsOf(events), usersOf(events)) : new Map<string, string>();
    const cleaning = new Cleaning({ redactKeys, names });
    const entities = this.#entities.map(({ entity, attributes }): RecordingEntry => {
      return { kind: 'entity', entity, attributes: cleaning.value(attributes) as Record<string, unknown> }; // Still an object.
    });
    return {
      recording: 1,
      application,
      startedAt: new Date(fromMs).toISOString(),
      durationMs: Math.max(0, (this.#endedAtMs ?? nowMs) - fromMs),
      isRenamed: renames,
      entries: [...entities, ...events.map(event => entryOf(event, fromMs, cleaning))],
    };
  }
}

function* thingsOf(events: readonly Timed[]): Generator<string> {
  for (const event of events) if ('thingName' in event) yield event.thingName;
}

function* usersOf(events: readonly Timed[]): Generator<string> {
  for (const event of events) if (event.kind === 'request') yield event.user;
}

function entryOf(event: Timed, fromMs: number, cleaning: Cleaning): RecordingEntry {
  const atMs = Math.max(0, event.atMs - fromMs);
  if (event.kind === 'request') {
    const { user, method, path, body, status, answer } = event;
    return {
      kind: 'request',
      atMs,
      user: cleaning.text(user),
      method,
      path: cleaning.text(path),
      ...(body !== undefined && { body: cleaning.value(body) }),
      status,
      ...(answer !== undefined && { answer: cleaning.value(answer) }),
    };
  }
  const thingName = cleaning.text(event.thingName);
  if (event.kind !== 'message') return { kind: event.kind, atMs, thingName };
  return messageOf(event, { atMs, thingName, topic: cleaning.text(event.topic) }, cleaning);
}

function messageOf(
  { payloadBase64, command, atMs: cameAtMs }: Extract<Timed, { readonly kind: 'message' }>,
  place: { readonly atMs: number; readonly thingName: string; readonly topic: string },
  cleaning: Cleaning,
): RecordingEntry {
  const payload = payloadIn(Buffer.from(payloadBase64, 'base64'));
  if (command !== undefined && isObject(payload.json)) {
    const { sessionId: _, ...response } = payload.json;
    const { atMs, thingName } = place;
    const afterMs = Math.max(0, cameAtMs - command.sentAtMs);
    const clean = cleaning.value(response) as Record<string, unknown>; // Still an object.
    return { kind: 'answer', atMs, thingName, command: command.name, afterMs, response: clean };
  }
  if ('json' in payload) return { kind: 'message', ...place, payload: cleaning.value(payload.json) };
  if (payload.text !== undefined) return { kind: 'message', ...place, payloadText: cleaning.text(payload.text) };
  return { kind: 'message', ...place, payloadBase64 }; // Bytes: whether they hold a secret nobody can tell.
}

function payloadIn(bytes: Buffer): { readonly json?: unknown; readonly text?: string } {
  const text = bytes.toString();
  if (!Buffer.from(text).equals(bytes)) return {};
  try {
    return { json: JSON.parse(text) };
  } catch {
    return { text };
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
