/** A device that holds no connection: it wakes up, posts over HTTP, does what the answer says, and sleeps. */
import { commandTopic, telemetryTopic } from '../../app/index.ts';
import type { ThingCredentials } from '../../iot/port.ts';
import { requestRefused } from '../errors.ts';
import { payloadOf } from '../evidence/messages.ts';
import type { CommandName, ContextName, ModelParts, PayloadOf, ResponseOf, TypeName } from '../model-types.ts';
import type { DevicePlace } from './device-place.ts';

/** A message that came with the answer to a post. */
export interface CarriedMessage {
  /** To be named in the next post, so that it does not come again. */
  readonly id: number;
  readonly topic: string;
  /** As JSON, if it is JSON; else as text, if it is text; else the bytes. */
  readonly payload: unknown;
  /** It has come before, and was not named since. */
  readonly duplicate: boolean;
}

export interface PostOptions {
  /** So many messages may come with the answer. Default 10. */
  readonly pending?: number;
  /** The id of a message that the device has now. */
  readonly ack?: number;
}

export class PostingDevice<M extends ModelParts = ModelParts> {
  readonly thingName: string;
  readonly #place: DevicePlace<M>;
  readonly #credentials: ThingCredentials;

  constructor(place: DevicePlace<M>, credentials: ThingCredentials) {
    this.thingName = credentials.clientId;
    this.#place = place;
    this.#credentials = credentials;
  }

  /** Resolves with what came with the answer, when what was posted is durable. Throws `testing.requestRefused`. */
  publish<Context extends ContextName<M>, Type extends TypeName<M, Context>>(
    context: Context,
    type: Type,
    payload: PayloadOf<M, Context, Type>,
    options?: PostOptions,
  ): Promise<CarriedMessage[]> {
    return this.post(telemetryTopic(this.#place.model.application, context, this.thingName, type), payload, options);
  }

  /** Answers a request that came, and says that it has it. */
  answer<Command extends CommandName<M>>(
    command: Command,
    { id, payload }: CarriedMessage,
    response: ResponseOf<M['commands'][Command]>,
  ): Promise<CarriedMessage[]> {
    const { sessionId } = payload as { readonly sessionId: string }; // Every request has one.
    const topic = commandTopic(this.#place.model.application, command, this.thingName, 'res');
    return this.post(topic, { sessionId, ...response }, { ack: id });
  }

  async post(topic: string, payload: unknown, { pending = 10, ack }: PostOptions = {}): Promise<CarriedMessage[]> {
    const query = `qos=1&pending=${pending}${ack === undefined ? '' : `&ack=${ack}`}`;
    const url = `/topics/${encodeURIComponent(topic)}?${query}`;
    const asking = this.#place.askGateway(this.#credentials, url, payload);
    const { status, body } = await this.#place.until(`${this.thingName} posts to ${topic}`, asking);
    if (status !== 200) throw requestRefused(`A post to ${topic}`, status, JSON.stringify(body));
    const { pending: carried } = body as { readonly pending: readonly Carried[] }; // As the gateway answers.
    return carried.map(({ id, topic, payload, duplicate }) => {
      return { id, topic, payload: payloadOf(Buffer.from(payload, 'base64')), duplicate };
    });
  }
}

interface Carried {
  readonly id: number;
  readonly topic: string;
  readonly payload: string;
  readonly duplicate: boolean;
}
