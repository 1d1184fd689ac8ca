import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream';
import type { MsgHdrs, NatsConnection } from '@nats-io/transport-node';
import { type Clock, delay } from '../../../kernel/clock.ts';
import type { MimamoriError } from '../../../kernel/errors.ts';
import { idMaker } from '../../../kernel/ids.ts';
import type { Random } from '../../../kernel/random.ts';
import { streamLimits } from '../limits.ts';
import { refusalOf, streamNameNotValid } from './errors.ts';
import type { JetStreamLimits } from './limits.ts';
import type { MessageRoom } from './routing.ts';

/** JetStream as one process uses it for one stream. */
export interface JetStreamAccess {
  readonly streamName: string;
  readonly connection: NatsConnection;
  readonly client: JetStreamClient;
  readonly manager: JetStreamManager;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: JetStreamLimits;
  newHeaders(): MsgHdrs;
  newId(): string;
}

/** Loads NATS' packages, which nobody needs who does not come here. Throws `stream.nameNotValid`. */
export async function accessJetStream(
  options: Pick<JetStreamAccess, 'streamName' | 'connection' | 'clock' | 'random' | 'limits'>,
): Promise<JetStreamAccess> {
  const { streamName, connection, clock, random, limits } = options;
  const isValid = /^[A-Za-z0-9_-]+$/.test(streamName) && streamName.length <= limits.streamNameCharactersMax;
  if (!isValid) throw streamNameNotValid(streamName);
  const { jetstream, jetstreamManager } = await import('@nats-io/jetstream');
  const { headers } = await import('@nats-io/transport-node');
  const timeout = limits.requestTimeoutMs;
  // Whether JetStream is there is asked with the first request, which is repeated while servers start.
  const manager = await jetstreamManager(connection, { timeout, checkAPI: false });
  return {
    ...options,
    client: jetstream(connection, { timeout }),
    manager,
    newHeaders: () => headers(),
    newId: idMaker(clock, random),
  };
}

/** What this connection may send in one message. */
export function messageRoom({ connection, limits }: JetStreamAccess): MessageRoom {
  const payloadMax = connection.info?.max_payload ?? streamLimits.recordBytesMax;
  const recordBytesMax = payloadMax - limits.headerBytesMax;
  return {
    recordsMax: limits.messageRecordsMax,
    bytesMax: Math.min(limits.messageBytesMax, recordBytesMax),
    recordBytesMax,
  };
}

/** Asks again, with back-off, as long as the answer may be another one and time is left. Throws ours. */
export async function untilAnswered<Answer>(access: JetStreamAccess, ask: () => Promise<Answer>): Promise<Answer> {
  const { clock, limits, streamName } = access;
  const sinceMs = clock.monotonicMs();
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask();
    } catch (error) {
      const refusal = refusalOf(error, streamName);
      const isTooLate = clock.monotonicMs() - sinceMs >= limits.giveUpMs || access.connection.isClosed();
      if (isTooLate || !isWorthAsking(refusal)) throw refusal;
    }
    await backOff(access, attempt);
  }
}

/** Whether the answer may soon be another one. A full disk takes longer. */
export function isWorthAsking(refusal: MimamoriError): boolean {
  return refusal.retryable && refusal.code !== 'stream.full';
}

export function backOff({ clock, random, limits }: JetStreamAccess, attempt: number): Promise<void> {
  const delayMs = Math.min(limits.retryDelayMsMin * 2 ** Math.min(attempt - 1, 20), limits.retryDelayMsMax);
  return delay(clock, delayMs / 2 + random.integer(Math.ceil(delayMs / 2) + 1));
}
