/** A connection to NATS that loses requests and answers when a test says so, or all of them from some moment on. */
import { type NatsConnection, TimeoutError } from '@nats-io/transport-node';

/** What becomes of one request: it arrives, it does not, or its answer does not. */
export type Fate = 'answered' | 'lost' | 'unanswered';

export function unreliable(connection: NatsConnection, fateOf: (subject: string) => Fate): NatsConnection {
  const request: NatsConnection['request'] = async (subject, payload, options) => {
    const fate = fateOf(subject);
    const answer = fate === 'lost' ? undefined : await connection.request(subject, payload, options);
    if (fate === 'answered' && answer) return answer;
    throw new TimeoutError();
  };
  return Object.create(connection, { request: { value: request } });
}
