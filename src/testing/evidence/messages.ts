/** The messages of an app under test, both ways. */
import { meaningOfTopic } from '../../app/topics.ts';
import { requestOn } from '../request-topics.ts';
import { Evidence } from './evidence.ts';
import { Newest } from './newest.ts';

export interface SeenMessage {
  /** `up`: from a device, or from a function as telemetry, durable in the stream. `down`: handed to the broker by the app. */
  readonly direction: 'up' | 'down';
  readonly topic: string;
  /** As JSON, if it is JSON; else as text, if it is text; else the bytes. */
  readonly payload: unknown;
  readonly thingName?: string;
  /** Of telemetry: its context and type. */
  readonly context?: string;
  readonly type?: string;
  /** Of a request or an answer. */
  readonly command?: string;
  /** Unix epoch milliseconds of the app's clock. */
  readonly atMs: number;
}

/** As it was seen; what it means is found out when somebody asks. */
interface RawMessage {
  readonly direction: 'up' | 'down';
  readonly topic: string;
  readonly bytes: Uint8Array;
  readonly atMs: number;
}

export class SeenMessages {
  readonly #application: string;
  readonly #newest = new Newest<RawMessage>();

  constructor(application: string) {
    this.#application = application;
  }

  note(message: RawMessage): void {
    this.#newest.add({ ...message, bytes: Uint8Array.from(message.bytes) });
  }

  evidence(): Evidence<SeenMessage> {
    return new Evidence(
      'messages',
      this.#newest.all().map(message => this.#read(message)),
    );
  }

  #read({ direction, topic, bytes, atMs }: RawMessage): SeenMessage {
    const payload = payloadOf(bytes);
    const meaning = meaningOfTopic(this.#application, topic) ?? requestOn(this.#application, topic);
    const { thingName, context, type, command } = { ...meaning } as Partial<SeenMessage>; // What its kind has of them.
    return {
      direction,
      topic,
      payload,
      ...(thingName !== undefined && { thingName }),
      ...(context !== undefined && { context }),
      ...(type !== undefined && { type }),
      ...(command !== undefined && { command }),
      atMs,
    };
  }
}

/** JSON if it is JSON, text if it is text, else the bytes. */
export function payloadOf(bytes: Uint8Array): unknown {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const text = buffer.toString();
  try {
    return JSON.parse(text);
  } catch {
    return Buffer.from(text).equals(buffer) ? text : bytes;
  }
}
