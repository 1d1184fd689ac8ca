import type { Identity } from '../access/port.ts';
import type { GrantedSubscription } from '../mqtt/client-state.ts';
import { isTopicOverLimit } from '../mqtt/connect.ts';
import type { GatewayCore } from '../mqtt/gateway.ts';
import type { Session } from '../mqtt/session.ts';
import { isTopicFilter, shareNameOf } from '../mqtt/topics.ts';
import { forbidden, overloaded, parameterNotValid } from './errors.ts';
import { dataPlaneLimits } from './limits.ts';
import type { Parameters } from './target.ts';

/*
 * The mailbox of a client that only posts: a session as MQTT has it, with subscriptions and what waits, which no
 * connection ever attaches to. It is kept as long as the client comes for it.
 */

/** What a request says about its client's mailbox. */
export interface MailboxCall {
  /** At most so many messages are wanted; undefined = the client has no mailbox, or does not ask now. */
  readonly pendingMax: number | undefined;
  /** Ids of messages that the client has handled. */
  readonly acks: readonly number[];
  /** All it wants; [] = what it may, or what it wanted before. */
  readonly filters: readonly string[];
  readonly waitMs: number | undefined;
}

export function readMailboxCall(parameters: Parameters): MailboxCall {
  const { pendingMessagesMax, filtersMax, waitMsMax } = dataPlaneLimits;
  const filters = [...new Set(parameters.all('filter'))]; // Named twice, it counts once.
  if (filters.length > filtersMax) throw parameterNotValid('filter', `there are at most ${filtersMax}`);
  for (const filter of filters) {
    if (!isTopicFilter(filter)) throw parameterNotValid('filter', 'it is a topic filter');
    // What such a member is given would wait for its next post while others had time for it (hostile S14).
    if (shareNameOf(filter) !== undefined) throw parameterNotValid('filter', 'a mailbox takes no part in a share');
  }
  return {
    pendingMax: parameters.findWhole('pending', 1, pendingMessagesMax),
    acks: parameters.findList('ack', 1, 65_535, pendingMessagesMax),
    filters,
    waitMs: parameters.findWhole('waitMs', 0, waitMsMax),
  };
}

/** The client has these: they do not come again. Ids that are not in flight are nobody's concern, as over MQTT. */
export function acknowledge(core: GatewayCore, session: Session, acks: readonly number[]): void {
  const nowMs = core.nowMs();
  for (const packetId of acks) {
    if (session.acknowledge(packetId, nowMs)) continue;
    // Taken over from a connection it may be QoS 2, of which one word is enough here.
    if (session.receipt(packetId, false, nowMs) === 'release') session.complete(packetId, nowMs);
    else core.counts.add('mqtt.ignored.unknownPuback');
  }
}

/**
 * The client's mailbox, with the subscriptions it shall have; undefined when it has a connection, which gets everything.
 * Throws `iot.forbidden`, `iot.overloaded`, `iot.parameterNotValid`, and has changed nothing then.
 */
export function openMailbox(core: GatewayCore, identity: Identity, call: MailboxCall): Session | undefined {
  const { broker, router, limits } = core;
  const known = broker.sessionOf(identity);
  if (!known && core.isShortOfMemory) throw overloaded();
  const filters = filtersFor(core, identity, known, call.filters);
  const subscriptions = filters?.map(topicFilter => known?.subscriptions.get(topicFilter) ?? granted(topicFilter));
  const expirySeconds = Math.min(limits.sessionExpirySecondsDefault, limits.sessionExpirySecondsMax);
  const outcome = broker.mailbox(identity, subscriptions, expirySeconds);
  if (outcome === 'connected') return undefined;
  if (outcome === 'notYours') throw forbidden();
  if (outcome === 'noRoom') throw overloaded();
  if (outcome === 'tooExpensive') throw parameterNotValid('filter', 'it would make every match too expensive');
  const { session, added } = outcome;
  settleOld(core, session);
  for (const subscription of added) router.replayRetained(session, subscription, true);
  return session;
}

/** Undefined: those it has. */
function filtersFor(
  core: GatewayCore,
  identity: Identity,
  known: Session | undefined,
  asked: readonly string[],
): readonly string[] | undefined {
  const { access, limits, counts } = core;
  if (asked.length === 0) {
    const own = access.filtersOf?.(identity).filter(filter => !isTopicOverLimit(filter, limits)) ?? [];
    if (own.length > 0) return own.slice(0, limits.subscriptionsPerSessionMax);
    if (known) return undefined;
    throw parameterNotValid('filter', 'a mailbox needs at least one to begin with');
  }
  if (asked.length > limits.subscriptionsPerSessionMax) throw parameterNotValid('filter', 'they are too many');
  for (const filter of asked) {
    if (isTopicOverLimit(filter, limits)) throw parameterNotValid('filter', 'it is too long or too deep');
    if (access.maySubscribe(identity, filter)) continue;
    counts.add('mqtt.refused.subscribe');
    throw forbidden();
  }
  return asked;
}

function granted(topicFilter: string): GrantedSubscription {
  return {
    topicFilter,
    qos: 1, // QoS 2 would need more words than a request and its answer have.
    noLocal: true, // What it posts is not for itself.
    retainAsPublished: false,
    retainHandling: 0,
    subscriptionIdentifier: undefined,
  };
}

/** What was given out before and needs no repetition: what has expired since, and QoS 2 that the client has said it has. */
function settleOld(core: GatewayCore, session: Session): void {
  const nowMs = core.nowMs();
  for (const { packetId, stage, message } of [...session.deliveries()]) {
    if (packetId === 0) break; // From here on they wait, and the session sees to it.
    if (stage === 'released') session.complete(packetId, nowMs);
    else if (message.expiresAtMs !== undefined && message.expiresAtMs <= nowMs) {
      core.counts.add('mqtt.dropped.expired');
      acknowledge(core, session, [packetId]);
    }
  }
}
