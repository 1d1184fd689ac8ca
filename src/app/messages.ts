/** What a message of the stream is to an app: telemetry for its functions, or something for its commands. */
import { readEnvelope } from '../iot/rules/index.ts';
import type { Cause } from '../kernel/causes.ts';
import { parseJson } from '../kernel/json.ts';
import type { StreamRecord } from '../platform/stream/index.ts';
import type { App } from './define-app.ts';
import { telemetryNotValid } from './errors.ts';
import type { TelemetryTypes } from './model.ts';
import { problemsOf } from './problems.ts';
import { topicReader } from './topics.ts';

/** What a telemetry function is given, before its types are known. */
export interface DecodedTelemetry {
  readonly type: string;
  readonly payload: unknown;
  readonly thingName: string;
  readonly topic: string;
  readonly receivedAtMs: number;
  readonly sequenceNumber: bigint;
  /** What led to it, if a function made it. */
  readonly cause?: Cause;
}

/** A device came or went, by AWS IoT Core's lifecycle events. */
export interface PresenceEvent {
  readonly type: 'connected' | 'disconnected';
  readonly thingName: string;
  readonly clientId: string;
  /** When it happened, Unix epoch milliseconds. */
  readonly atMs: number;
  /** The same in a connect and its disconnect: a disconnect with a smaller one than the last connect is stale. */
  readonly versionNumber: number;
  /** Of a disconnect: why, in AWS IoT Core's words, e.g. `CONNECTION_LOST`. */
  readonly disconnectReason?: string;
  readonly sequenceNumber: bigint;
}

/** A message for the commands: an answer, or a thing that came back. */
export type CommandEvent =
  | {
      readonly kind: 'answer';
      readonly command: string;
      readonly thingName: string;
      readonly response: Record<string, unknown>;
    }
  | { readonly kind: 'cameBack'; readonly thingName: string };

/** Undefined: the message is somebody else's. Both throw `telemetry.notValid` for a payload that does not fit. */
export class MessageReader {
  readonly #app: App;
  readonly #meaningOf: ReturnType<typeof topicReader>;

  constructor(app: App) {
    this.#app = app;
    this.#meaningOf = topicReader(app.model.application);
  }

  telemetry(record: StreamRecord, context: string): DecodedTelemetry | undefined {
    const message = readEnvelope(record.data);
    const meaning = message && this.#meaningOf(message.topic);
    if (!message || meaning?.kind !== 'telemetry' || meaning.context !== context) return undefined;
    const types: TelemetryTypes = this.#app.model.telemetry[context];
    if (!Object.hasOwn(types, meaning.type)) return undefined;
    const parsed = types[meaning.type].safeParse(readJson(message.topic, message.payload));
    if (!parsed.success) throw telemetryNotValid(message.topic, problemsOf(parsed.error));
    return {
      type: meaning.type,
      payload: parsed.data,
      thingName: meaning.thingName,
      topic: message.topic,
      receivedAtMs: record.arrivalAtMs,
      sequenceNumber: record.sequenceNumber,
      ...(message.cause && { cause: message.cause }),
    };
  }

  presence(record: StreamRecord): PresenceEvent | undefined {
    const message = readEnvelope(record.data);
    const meaning = message && this.#meaningOf(message.topic);
    if (!message || meaning?.kind !== 'lifecycle') return undefined;
    const { event: type, thingName } = meaning;
    if (type !== 'connected' && type !== 'disconnected') return undefined;
    // The gateway has written it: `lifecyclePayload`.
    const facts = readJson(message.topic, message.payload) as Record<string, never>;
    const { clientId, timestamp: atMs, versionNumber, disconnectReason } = facts;
    const { sequenceNumber } = record;
    return {
      type,
      thingName,
      clientId,
      atMs,
      versionNumber,
      ...(type === 'disconnected' && { disconnectReason }),
      sequenceNumber,
    };
  }

  commandEvent(record: StreamRecord): CommandEvent | undefined {
    const message = readEnvelope(record.data);
    const meaning = message && this.#meaningOf(message.topic);
    if (!message || !meaning || meaning.kind === 'telemetry') return undefined;
    const { thingName } = meaning;
    if (meaning.kind === 'lifecycle') {
      const isBack = meaning.event === 'connected' || meaning.event === 'subscribed';
      return isBack ? { kind: 'cameBack', thingName } : undefined;
    }
    if (!Object.hasOwn(this.#app.model.commands, meaning.command)) return undefined;
    const { response } = this.#app.model.commands[meaning.command];
    const parsed = response.safeParse(readJson(message.topic, message.payload));
    if (!parsed.success) throw telemetryNotValid(message.topic, problemsOf(parsed.error));
    return { kind: 'answer', command: meaning.command, thingName, response: parsed.data };
  }
}

function readJson(topic: string, payload: Buffer): unknown {
  try {
    return parseJson(payload.toString());
  } catch {
    throw telemetryNotValid(topic, 'the payload is not JSON in well-formed Unicode');
  }
}
