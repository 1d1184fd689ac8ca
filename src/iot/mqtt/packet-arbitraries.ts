import fc from 'fast-check';
import { packetTypes } from './fixed-header.ts';
import type { Packet, ProtocolVersion } from './packets.ts';
import type { AnyProperties } from './properties.ts';
import { propertyRuleByName, willOwner } from './properties.ts';
import { isReasonCode } from './reason-code-rules.ts';

/** Any packet we could send or receive, for tests with fast-check. */

const anyText = fc.string({ unit: 'binary', maxLength: 20 }).map(text => text.replaceAll('\0', ''));
const anyBytes = fc.uint8Array({ maxLength: 40 }).map(bytes => Buffer.from(bytes));
const anyLevel = anyText.map(text => text.replaceAll(/[+#/]/g, ''));
const anyTopic = fc
  .array(anyLevel, { minLength: 1, maxLength: 6 })
  .map(levels => levels.join('/'))
  .map(topic => (topic === '' || topic.startsWith('$share/') ? 'topic' : topic));
const anyFilter = fc.oneof(
  anyTopic,
  anyTopic.map(topic => `${topic}/#`),
  anyTopic.map(topic => `+/${topic}/+`),
  anyTopic.map(topic => `$share/group/${topic}`),
  fc.constant('#'),
);
const anyUint16 = fc.oneof(fc.constantFrom(1, 255, 256, 65_535), fc.integer({ min: 1, max: 65_535 }));
const anyUint32 = fc.oneof(
  fc.constantFrom(0, 0x7fffffff, 0x80000000, 0xffffffff),
  fc.integer({ min: 0, max: 2 ** 32 - 1 }),
);
const anyIdentifier = fc.oneof(
  fc.constantFrom(1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455),
  anyUint16,
);
const anyBit = fc.constantFrom(0 as const, 1 as const);
const anyQoS = fc.constantFrom(0 as const, 1 as const, 2 as const);

/** A value for each property there is. */
const anyValue: { [Name in keyof Required<AnyProperties>]: fc.Arbitrary<AnyProperties[Name]> } = {
  payloadFormatIndicator: anyBit,
  messageExpiryIntervalSeconds: anyUint32,
  contentType: anyText,
  responseTopic: anyTopic,
  correlationData: anyBytes,
  subscriptionIdentifier: anyIdentifier,
  subscriptionIdentifiers: fc.array(anyIdentifier, { minLength: 1, maxLength: 4 }),
  sessionExpiryIntervalSeconds: anyUint32,
  assignedClientIdentifier: anyText,
  serverKeepAliveSeconds: anyUint16,
  authenticationMethod: anyText,
  authenticationData: anyBytes,
  requestProblemInformation: anyBit,
  willDelayIntervalSeconds: anyUint32,
  requestResponseInformation: anyBit,
  responseInformation: anyText,
  serverReference: anyText,
  reasonString: anyText,
  receiveMaximum: anyUint16,
  topicAliasMaximum: anyUint16,
  topicAlias: anyUint16,
  maximumQoS: anyBit,
  retainAvailable: anyBit,
  userProperties: fc.array(fc.tuple(anyText, anyText), { minLength: 1, maxLength: 5 }),
  maximumPacketSizeBytes: anyUint16,
  wildcardSubscriptionAvailable: anyBit,
  subscriptionIdentifiersAvailable: anyBit,
  sharedSubscriptionAvailable: anyBit,
};

/** `{ properties }` with some of those the packet may have, or `{}`. */
function anyProperties(owner: number, version: ProtocolVersion): fc.Arbitrary<{ properties?: AnyProperties }> {
  if (version === 4) return fc.constant({});
  const own = Object.entries(anyValue).filter(([name]) => propertyRuleByName(owner, name) !== undefined);
  const model: Record<string, fc.Arbitrary<unknown>> = Object.fromEntries(own);
  return fc.record(model, { requiredKeys: [], noNullPrototype: true }).map((properties: AnyProperties) => {
    if (properties.authenticationData !== undefined) properties.authenticationMethod ??= 'method';
    return Object.keys(properties).length === 0 ? {} : { properties };
  });
}

function anyReasonCode(type: number, version: ProtocolVersion): fc.Arbitrary<number> {
  const codes = Array.from({ length: 256 }, (_, code) => code).filter(code =>
    isReasonCode(code, type, version, 'server'),
  );
  return fc.constantFrom(...codes);
}

/** CONNECT and everything else, of one version. Reason codes are those a server may send. A flat list. */
export function anyPacket(version: ProtocolVersion): fc.Arbitrary<Packet> {
  const withProperties = <T extends object>(owner: number, fields: fc.Arbitrary<T>) =>
    fc.tuple(fields, anyProperties(owner, version)).map(([packet, properties]) => ({ ...packet, ...properties }));
  const is5 = version === 5;

  const will = withProperties(
    willOwner,
    fc.record({ topic: anyTopic, payload: anyBytes, qos: anyQoS, retain: fc.boolean() }),
  );
  const connect = withProperties(
    packetTypes.connect,
    fc
      .record(
        {
          type: fc.constant('connect' as const),
          protocolVersion: fc.constant(version),
          clientId: anyText,
          cleanStart: fc.boolean(),
          keepAliveSeconds: anyUint16,
          username: anyText,
          password: anyBytes,
          will,
        },
        {
          requiredKeys: ['type', 'protocolVersion', 'clientId', 'cleanStart', 'keepAliveSeconds'],
          noNullPrototype: true,
        },
      )
      .map(packet => (packet.password === undefined || is5 ? packet : { username: 'user', ...packet })),
  );
  const connack = withProperties(
    packetTypes.connack,
    fc
      .record({
        type: fc.constant('connack' as const),
        sessionPresent: fc.boolean(),
        reasonCode: anyReasonCode(packetTypes.connack, version),
      })
      .map(packet => ({ ...packet, sessionPresent: packet.sessionPresent && packet.reasonCode === 0 })),
  );
  const publish = withProperties(
    packetTypes.publish,
    fc
      .record({
        type: fc.constant('publish' as const),
        topic: anyTopic,
        payload: anyBytes,
        qos: anyQoS,
        dup: fc.boolean(),
        retain: fc.boolean(),
        packetId: anyUint16,
      })
      .map(packet => (packet.qos === 0 ? { ...packet, dup: false, packetId: 0 } : packet)),
  );
  const acks = (['puback', 'pubrec', 'pubrel', 'pubcomp'] as const).map(type =>
    withProperties(
      packetTypes[type],
      fc.record({
        type: fc.constant(type),
        packetId: anyUint16,
        reasonCode: is5 ? anyReasonCode(packetTypes[type], 5) : fc.constant(0),
      }),
    ),
  );
  const subscribe = withProperties(
    packetTypes.subscribe,
    fc.record({
      type: fc.constant('subscribe' as const),
      packetId: anyUint16,
      subscriptions: fc.array(
        fc
          .record({
            topicFilter: anyFilter,
            qos: anyQoS,
            noLocal: is5 ? fc.boolean() : fc.constant(false),
            retainAsPublished: is5 ? fc.boolean() : fc.constant(false),
            retainHandling: fc.constantFrom(...(is5 ? ([0, 1, 2] as const) : ([0] as const))),
          })
          .map(one => ({ ...one, noLocal: one.noLocal && !one.topicFilter.startsWith('$share/') })),
        { minLength: 1, maxLength: 4 },
      ),
    }),
  );
  const suback = withProperties(
    packetTypes.suback,
    fc.record({
      type: fc.constant('suback' as const),
      packetId: anyUint16,
      reasonCodes: fc.array(anyReasonCode(packetTypes.suback, version), { minLength: 1, maxLength: 4 }),
    }),
  );
  const unsubscribe = withProperties(
    packetTypes.unsubscribe,
    fc.record({
      type: fc.constant('unsubscribe' as const),
      packetId: anyUint16,
      topicFilters: fc.array(anyFilter, { minLength: 1, maxLength: 4 }),
    }),
  );
  const unsuback = withProperties(
    packetTypes.unsuback,
    fc.record({
      type: fc.constant('unsuback' as const),
      packetId: anyUint16,
      reasonCodes: is5
        ? fc.array(anyReasonCode(packetTypes.unsuback, 5), { minLength: 1, maxLength: 4 })
        : fc.constant<number[]>([]),
    }),
  );
  const pings = fc.constantFrom({ type: 'pingreq' as const }, { type: 'pingresp' as const });
  const disconnect = is5
    ? withProperties(
        packetTypes.disconnect,
        fc.record({ type: fc.constant('disconnect' as const), reasonCode: anyReasonCode(packetTypes.disconnect, 5) }),
      )
    : fc.constant({ type: 'disconnect' as const, reasonCode: 0 });
  const every: fc.Arbitrary<Packet>[] = [
    connect,
    connack,
    publish,
    ...acks,
    subscribe,
    suback,
    unsubscribe,
    unsuback,
    pings,
    disconnect,
  ];
  if (!is5) return fc.oneof(...every);
  const auth = withProperties(
    packetTypes.auth,
    fc.record({ type: fc.constant('auth' as const), reasonCode: anyReasonCode(packetTypes.auth, 5) }),
  ).map(packet => ({ ...packet, properties: { ...packet.properties, authenticationMethod: 'method' } }));
  return fc.oneof(...every, auth);
}
