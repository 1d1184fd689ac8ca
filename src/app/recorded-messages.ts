/** What a record of the stream means to whoever records what happens to an app, so that a test can do it again. */
import { readEnvelope } from '../iot/rules/index.ts';
import { parseJson } from '../kernel/json.ts';
import type { StreamRecord } from '../platform/stream/index.ts';
import type { Table } from '../platform/table/index.ts';
import { findCommand } from './commands.ts';
import { meaningOfTopic } from './topics.ts';

/** Times are Unix epoch milliseconds. */
export type RecordedMessage =
  | { readonly kind: 'connected' | 'disconnected'; readonly atMs: number; readonly thingName: string }
  | {
      readonly kind: 'message';
      readonly atMs: number;
      readonly thingName: string;
      readonly topic: string;
      readonly payloadBase64: string;
      /** Of an answer: the command it answers. */
      readonly command?: { readonly name: string; readonly sentAtMs: number };
    };

/** Undefined for what a function of the app has made, which makes it again, and for what is none of the app's. */
export async function recordedMessage(
  { data, arrivalAtMs: atMs }: StreamRecord,
  application: string,
  table: Pick<Table, 'get'>,
): Promise<RecordedMessage | undefined> {
  const message = readEnvelope(data);
  const meaning = message && meaningOfTopic(application, message.topic);
  if (!message || !meaning || message.cause !== undefined) return undefined;
  const { topic, payload } = message;
  const { thingName } = meaning;
  if (meaning.kind === 'lifecycle') {
    const { event } = meaning;
    return event === 'connected' || event === 'disconnected' ? { kind: event, atMs, thingName } : undefined;
  }
  const common = { kind: 'message', atMs, thingName, topic, payloadBase64: payload.toString('base64') } as const;
  const asked = meaning.kind === 'response' ? await findCommand(table, sessionIn(payload)) : undefined;
  if (asked?.thingName !== thingName) return common;
  return { ...common, command: { name: asked.command, sentAtMs: asked.sentAtMs } };
}

function sessionIn(payload: Buffer): string {
  try {
    const { sessionId } = parseJson(payload.toString()) as { readonly sessionId?: unknown }; // Whatever it holds.
    return typeof sessionId === 'string' && sessionId !== '' ? sessionId : noSession;
  } catch {
    return noSession;
  }
}

const noSession = '\0'; // No session has this id.
