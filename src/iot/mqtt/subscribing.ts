import { codeToSay } from './aws-reason-codes.ts';
import type { GrantedSubscription } from './client-state.ts';
import { isTopicOverLimit } from './connect.ts';
import { type Connection, clientError, endings, loggedCharactersMax } from './connection.ts';
import { type QoS, reasonCodes, type SubscribePacket, type Subscription } from './packets.ts';
import { shareNameOf, withoutShare } from './topics.ts';

/** Each filter is judged by itself [MQTT311 3.8.4-4] [MQTT5 3.8.4-5], then what was granted is stored, then answered. */
export function handleSubscribe(connection: Connection, packet: SubscribePacket): void {
  const { core, session, version } = connection;
  const subscriptionIdentifier = packet.properties?.subscriptionIdentifier;
  if (subscriptionIdentifier !== undefined && !core.limits.subscriptionIdentifiersAvailable) {
    return connection.end(clientError(reasonCodes.subscriptionIdentifiersNotSupported)); // Announced as not available.
  }
  if (!core.limits.grantsLowerQos && packet.subscriptions.some(({ qos }) => qos > core.limits.qosMax)) {
    // AWS IoT Core does not acknowledge it in 3.1.1, and ends the connection in 5.
    if (version === 4) return core.counts.add('mqtt.ignored.qos');
    return connection.end(clientError(reasonCodes.qosNotSupported));
  }
  // A filter named twice counts as if it came in two packets: the last one stands [MQTT5 3.8.4-3].
  const granted = new Map<string, GrantedSubscription>();
  let added = 0;
  const codes = packet.subscriptions.map((subscription, index) => {
    const { topicFilter } = subscription;
    const isNew = !session.subscriptions.has(topicFilter) && !granted.has(topicFilter);
    const refusal = refusalOf(connection, subscription, index, isNew ? added : undefined);
    if (refusal !== undefined) return refusal;
    if (isNew) added++;
    const qos: QoS = subscription.qos > core.limits.qosMax ? core.limits.qosMax : subscription.qos; // [MQTT5 3.8.4-7]
    granted.set(subscription.topicFilter, { ...subscription, qos, subscriptionIdentifier });
    return qos;
  });
  // AWS IoT Core closes a 3.1.1 connection over it, and then none of the filters counts.
  if (version === 4 && codes.includes(reasonCodes.notAuthorized) && core.limits.closesUnauthorized) {
    return connection.end(endings.notAuthorized);
  }
  const subscriptions = [...granted.values()];
  const areNew = core.broker.subscribe(session, subscriptions);
  const reasons = version === 4 ? codes.map(code => (code > 2 ? 0x80 : code)) : codes; // [MQTT311 3.9.3-2]
  answerWhenStored(connection, () => {
    const worst = reasons.find(code => code >= 0x80);
    const properties = worst === undefined ? undefined : connection.reasonFor(worst);
    // One code for each filter, in their order, under the packet id of the SUBSCRIBE
    // [MQTT311 2.3.1-7, 3.8.4-1, 3.8.4-2, 3.8.4-5, 3.9.3-1] [MQTT5 2.2.1-6, 3.8.4-1, 3.8.4-2, 3.8.4-6, 3.9.3-1].
    connection.send({ type: 'suback', packetId: packet.packetId, reasonCodes: reasons, properties });
    for (const [index, subscription] of subscriptions.entries()) {
      core.router.replayRetained(session, subscription, areNew[index]);
    }
    session.pump(core.nowMs());
  });
}

/**
 * Ends what there is of these filters and answers once for all of them, whether there was any or not, under the packet
 * id of the UNSUBSCRIBE [MQTT311 2.3.1-7, 3.10.4-4 … 3.10.4-6] [MQTT5 2.2.1-6, 3.10.4-4 … 3.10.4-6]; in 5 with a code
 * for each, in their order [MQTT5 3.11.3-1].
 */
export function handleUnsubscribe(
  connection: Connection,
  packet: { packetId: number; topicFilters: readonly string[] },
): void {
  const { core, session, version } = connection;
  const were = core.broker.unsubscribe(session, packet.topicFilters);
  const notThere = codeToSay(reasonCodes.noSubscriptionExisted, core.limits);
  const codes = were.map(was => (was ? reasonCodes.success : notThere));
  answerWhenStored(connection, () =>
    connection.send({ type: 'unsuback', packetId: packet.packetId, reasonCodes: version === 5 ? codes : [] }),
  );
}

/** What a session that is kept was granted is said once it would survive a crash; other sessions have nothing to store. */
function answerWhenStored(connection: Connection, answer: () => void): void {
  if (!connection.session.keeping) return answer();
  const { core, session } = connection;
  core.keeping.whenStored(
    () => {
      if (session.link !== connection) return;
      try {
        answer();
      } catch (error) {
        connection.failed(error);
      }
    },
    () => connection.notStored(),
  );
}

function refusalOf(
  { core, session, identity, clientId }: Connection,
  { topicFilter }: Subscription,
  index: number,
  /** How many of this packet are new so far; undefined when this one is not. */
  addedBefore: number | undefined,
): number | undefined {
  const { limits } = core;
  if (index >= limits.filtersPerSubscribeMax) return reasonCodes.quotaExceeded;
  const filter = withoutShare(topicFilter);
  const shareNameCharacters = shareNameOf(topicFilter)?.length ?? 0;
  if (shareNameCharacters > limits.shareNameCharactersMax) return reasonCodes.topicFilterInvalid;
  if (isTopicOverLimit(filter, limits)) return reasonCodes.topicFilterInvalid;
  if (!core.access.maySubscribe(identity, filter)) {
    core.counts.add('mqtt.refused.subscribe');
    const facts = { clientId, topicFilter: topicFilter.slice(0, loggedCharactersMax) };
    core.log.warn(facts, 'A subscription was not allowed by the policy.');
    return reasonCodes.notAuthorized;
  }
  if (!core.router.accepts(session, topicFilter)) return reasonCodes.quotaExceeded;
  if (addedBefore === undefined) return undefined;
  const isFull =
    session.subscriptions.size + addedBefore >= limits.subscriptionsPerSessionMax ||
    core.router.size + addedBefore >= limits.subscriptionsMax;
  return isFull ? reasonCodes.quotaExceeded : undefined;
}
