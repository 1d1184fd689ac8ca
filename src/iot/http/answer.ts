import type { ServerResponse } from 'node:http';
import type { Message } from '../mqtt/client-state.ts';
import type { UserProperties } from '../mqtt/packets.ts';
import type { DataPlaneError } from './errors.ts';
import type { Pending, PendingMessage } from './hold.ts';

/** What is said to a request. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: object;
}

export function okAnswer(body: object): Answer {
  return { status: 200, headers: {}, body };
}

/** `message` and `traceId` are AWS IoT Core's; code and what to do are ours. */
export function errorAnswer(error: DataPlaneError, traceId: string): Answer {
  const { status, awsType, message, code, fix } = error;
  return { status, headers: { ...error.headers, 'x-amzn-errortype': awsType }, body: { message, traceId, code, fix } };
}

/** What waits, as JSON. `nowMs` is what expiry is measured against. */
export function pendingBody({ messages, more }: Pending, nowMs: number): object {
  return { pending: messages.map(pending => pendingJson(pending, nowMs)), more };
}

function pendingJson({ id, message, qos, retain, duplicate }: PendingMessage, nowMs: number): object {
  return { id, ...messageJson(message), qos, retain, ...propertiesJson(message, nowMs), duplicate };
}

export function retainedJson(message: Message, nowMs: number): object {
  return { ...messageJson(message), qos: message.qos, ...propertiesJson(message, nowMs) };
}

function messageJson({ topic, payload }: Message): { topic: string; payload: string } {
  return { topic, payload: Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString('base64') };
}

/** In the names of the parameters they are published with; undefined ones are left out of the JSON. */
function propertiesJson({ properties, expiresAtMs }: Message, nowMs: number): object {
  const { contentType, responseTopic, correlationData, payloadFormatIndicator, userProperties } = properties ?? {};
  return {
    contentType,
    responseTopic,
    correlationData: correlationData && Buffer.from(correlationData).toString('base64'),
    payloadFormatIndicator: payloadFormatIndicator && 'UTF8_DATA',
    userProperties: userProperties && pairsJson(userProperties),
    messageExpiry: expiresAtMs && Math.max(Math.ceil((expiresAtMs - nowMs) / 1_000), 0),
  };
}

/** One object each: order and repetition count, and no name becomes part of an object with others (hostile W14). */
function pairsJson(userProperties: UserProperties): object[] {
  return userProperties.map(([name, value]) => ({ [name]: value }));
}

export function writeAnswer(response: ServerResponse, { status, headers, body }: Answer): void {
  if (response.destroyed || response.headersSent) return;
  const bytes = Buffer.from(JSON.stringify(body));
  response.writeHead(status, {
    ...headers,
    'content-type': 'application/json',
    'content-length': bytes.length,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  response.end(bytes);
}
