import type { ConnectionState, Iot, OutgoingMessage, PublishReceipt, ThingCredentials } from '../iot/port.ts';
import { factsOf, MimamoriError } from '../kernel/errors.ts';
import type { IotMethod, ToApp, ToGateway } from './messages.ts';

const callsMax = 10_000; // ours: answers awaited at once; the gateway answers within microseconds

/** The Iot port on the app thread: each call is a message to the gateway thread and one back. */
export class IotClient implements Iot {
  readonly #post: (message: ToGateway) => void;
  readonly #calls = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  #nextId = 1;

  constructor(post: (message: ToGateway) => void) {
    this.#post = post;
  }

  publish(message: OutgoingMessage): Promise<PublishReceipt> {
    return this.#call('publish', message);
  }

  createThing(thingName: string): Promise<ThingCredentials> {
    return this.#call('createThing', thingName);
  }

  deleteThing(thingName: string): Promise<void> {
    return this.#call('deleteThing', thingName);
  }

  listConnections(thingNames: readonly string[]): Promise<ConnectionState[]> {
    return this.#call('listConnections', thingNames);
  }

  counters(): Promise<Record<string, number>> {
    return this.#call('counters');
  }

  /** An answer has come. */
  settle(message: Extract<ToApp, { type: 'iotAnswer' | 'iotRefusal' }>): void {
    const call = this.#calls.get(message.id);
    this.#calls.delete(message.id);
    if (message.type === 'iotAnswer') call?.resolve(message.value);
    else call?.reject(new MimamoriError(message.error));
  }

  #call<T>(method: IotMethod, ...args: unknown[]): Promise<T> {
    if (this.#calls.size >= callsMax) return Promise.reject(tooManyCalls());
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      this.#calls.set(id, { resolve: value => resolve(value as T), reject }); // The gateway answers with what Iot says.
      this.#post({ type: 'iotCall', id, method, args });
    });
  }
}

/** The gateway thread's side: makes the call and posts what came of it. */
export async function answerIotCall(
  iot: Iot,
  { id, method, args }: Extract<ToGateway, { type: 'iotCall' }>,
  post: (message: ToApp) => void,
): Promise<void> {
  try {
    // The client above is the only caller and passes what the method takes.
    const call = iot[method].bind(iot) as (...args: readonly unknown[]) => Promise<unknown>;
    post({ type: 'iotAnswer', id, value: await call(...args) });
  } catch (error) {
    post({ type: 'iotRefusal', id, error: factsOf(error) });
  }
}

const tooManyCalls = () =>
  new MimamoriError({
    code: 'iot.busy',
    message: `More than ${callsMax} calls to the gateway are under way.`,
    fix: 'Await calls instead of starting them all at once.',
    retryable: true,
  });
