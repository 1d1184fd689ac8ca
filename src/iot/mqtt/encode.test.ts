import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encode, encodePublish, writePlainAck } from './encode.ts';
import type { Packet, ProtocolVersion, PublishPacket } from './packets.ts';
import { vectors } from './vectors.ts';

const publish: PublishPacket = {
  type: 'publish',
  topic: 'a/b',
  payload: Buffer.from('hi'),
  qos: 1,
  dup: false,
  retain: false,
  packetId: 10,
};
const subscription = { topicFilter: 'a', qos: 0, noLocal: false, retainAsPublished: false, retainHandling: 0 } as const;
const connect = { type: 'connect', protocolVersion: 4, clientId: 'c', cleanStart: true, keepAliveSeconds: 1 } as const;

/** What the compiler would have seen, had it been there. */
function misspelt(properties: object): PublishPacket['properties'] {
  return properties;
}

describe('encode', () => {
  it('writes each valid vector byte for byte', () => {
    for (const { name, version, bytes, expected, isShortest } of vectors) {
      if (typeof expected === 'number' || !isShortest) continue;
      const own = expected.type === 'connect' ? expected.protocolVersion : version;
      assert.ok(own !== 0, name);
      assert.equal(encode(expected, own).toString('hex'), bytes.toString('hex'), name);
    }
  });

  it('writes the shortest form of a packet that came in a longer one', () => {
    for (const { name, version, bytes, expected, isShortest } of vectors) {
      if (typeof expected === 'number' || isShortest || version === 0) continue;
      assert.ok(encode(expected, version).length < bytes.length, name);
    }
  });

  it('leaves the properties of a message out for a 3.1.1 subscriber', () => {
    const withProperties = { ...publish, properties: { contentType: 'json' } };
    assert.deepEqual(encodePublish(withProperties, 4), encodePublish(publish, 4));
  });

  it('takes a property that is undefined for one that is not there', () => {
    const bytes = encodePublish({ ...publish, properties: { contentType: undefined } }, 5);
    assert.deepEqual(bytes, encodePublish(publish, 5));
  });
});

describe('writePlainAck', () => {
  it('writes acknowledgements one behind the other', () => {
    const bytes = Buffer.alloc(9, 0xee);
    const end = writePlainAck(bytes, writePlainAck(bytes, 0, 'puback', 1), 'pubrel', 65_535);
    assert.equal(end, 8);
    assert.equal(bytes.toString('hex'), '400200016202ffffee');
  });

  it('writes what encode writes', () => {
    const bytes = Buffer.alloc(4);
    for (const type of ['puback', 'pubrec', 'pubrel', 'pubcomp'] as const) {
      writePlainAck(bytes, 0, type, 0x0102);
      for (const version of [4, 5] as const) {
        assert.deepEqual(bytes, encode({ type, packetId: 0x0102, reasonCode: 0 }, version));
      }
    }
  });

  it('asserts against a packet id of 0 and against too little room', () => {
    assert.throws(() => writePlainAck(Buffer.alloc(4), 0, 'puback', 0));
    assert.throws(() => writePlainAck(Buffer.alloc(4), 1, 'puback', 1));
  });
});

describe('encode, given what only a bug of ours could make', () => {
  /** Packets that only a bug of ours could make. */
  const impossible: ReadonlyArray<readonly [why: string, version: ProtocolVersion, packet: Packet]> = [
    ['QoS 1 without a packet id [MQTT311 2.3.1-1] [MQTT5 2.2.1-4]', 4, { ...publish, packetId: 0 }],
    ['a packet id over 16 bits', 4, { ...publish, packetId: 65_536 }],
    ['QoS 0 with a packet id [MQTT311 2.3.1-5] [MQTT5 2.2.1-2]', 4, { ...publish, qos: 0 }],
    [
      'DUP with QoS 0 [MQTT311 3.3.1-2, 4.3.1-1] [MQTT5 3.3.1-2, 4.3.1-1]',
      4,
      { ...publish, qos: 0, packetId: 0, dup: true },
    ],
    ['a wildcard in a topic [MQTT5 3.3.2-2, 4.7.0-1]', 5, { ...publish, topic: 'a/+' }],
    ['U+0000 in a topic [MQTT5 1.5.4-2, 4.7.3-2]', 5, { ...publish, topic: 'a\0' }],
    ['a lone surrogate in a topic [MQTT5 1.5.4-1]', 5, { ...publish, topic: '\ud800' }],
    ['no topic and no alias', 5, { ...publish, topic: '' }],
    ['an alias in 3.1.1, which has none', 4, { ...publish, topic: '', properties: { topicAlias: 1 } }],
    ['topic alias 0 [MQTT5 3.3.2-8]', 5, { ...publish, properties: { topicAlias: 0 } }],
    ['a wildcard in a response topic [MQTT5 3.3.2-14]', 5, { ...publish, properties: { responseTopic: '#' } }],
    ['a fraction of a second', 5, { ...publish, properties: { messageExpiryIntervalSeconds: 0.5 } }],
    ['subscription identifier 0', 5, { ...publish, properties: { subscriptionIdentifiers: [0] } }],
    ['U+0000 in a user property [MQTT5 1.5.7-1]', 5, { ...publish, properties: { userProperties: [['a\0', 'b']] } }],
    ['another packet’s property', 5, { ...publish, properties: misspelt({ reasonString: 'x' }) }],
    ['a property no packet has', 5, { ...publish, properties: misspelt({ colour: 'x' }) }],
    ['another version than the packet names', 5, connect],
    ['a password without a user name in 3.1.1 [MQTT311 3.1.2-22]', 4, { ...connect, password: Buffer.from('p') }],
    ['properties in 3.1.1', 4, { ...connect, properties: { receiveMaximum: 1 } }],
    ['receive maximum 0', 5, { ...connect, protocolVersion: 5, properties: { receiveMaximum: 0 } }],
    [
      'data without a method',
      5,
      { ...connect, protocolVersion: 5, properties: { authenticationData: Buffer.alloc(1) } },
    ],
    [
      'will properties in 3.1.1',
      4,
      {
        ...connect,
        will: { topic: 'w', payload: Buffer.alloc(0), qos: 0, retain: false, properties: { contentType: 'x' } },
      },
    ],
    [
      'a wildcard in the will topic',
      4,
      { ...connect, will: { topic: '#', payload: Buffer.alloc(0), qos: 0, retain: false } },
    ],
    ['a keep alive over 16 bits', 4, { ...connect, keepAliveSeconds: 65_536 }],
    ['a string over 65,535 bytes', 4, { ...connect, clientId: 'é'.repeat(32_768) }],
    [
      'a session on a refused connection [MQTT5 3.2.2-6]',
      5,
      { type: 'connack', sessionPresent: true, reasonCode: 0x87 },
    ],
    ['a version 5 code in a 3.1.1 CONNACK', 4, { type: 'connack', sessionPresent: false, reasonCode: 0x87 }],
    ['packet id 0', 4, { type: 'puback', packetId: 0, reasonCode: 0 }],
    ['a reason code in a 3.1.1 PUBACK', 4, { type: 'puback', packetId: 1, reasonCode: 0x80 }],
    ['a reason code PUBREL does not have', 5, { type: 'pubrel', packetId: 1, reasonCode: 0x80 }],
    ['SUBSCRIBE without a filter [MQTT311 3.8.3-3]', 4, { type: 'subscribe', packetId: 1, subscriptions: [] }],
    [
      'an invalid filter [MQTT311 4.7.1-2]',
      4,
      { type: 'subscribe', packetId: 1, subscriptions: [{ ...subscription, topicFilter: 'a#' }] },
    ],
    ['no local in 3.1.1', 4, { type: 'subscribe', packetId: 1, subscriptions: [{ ...subscription, noLocal: true }] }],
    [
      'no local on a shared subscription [MQTT5 3.8.3-4]',
      5,
      {
        type: 'subscribe',
        packetId: 1,
        subscriptions: [{ ...subscription, topicFilter: '$share/g/a', noLocal: true }],
      },
    ],
    ['SUBACK without a code', 4, { type: 'suback', packetId: 1, reasonCodes: [] }],
    ['a version 5 code in a 3.1.1 SUBACK [MQTT311 3.9.3-2]', 4, { type: 'suback', packetId: 1, reasonCodes: [0x87] }],
    ['UNSUBACK with a code in 3.1.1', 4, { type: 'unsuback', packetId: 1, reasonCodes: [0] }],
    ['UNSUBACK without a code in 5', 5, { type: 'unsuback', packetId: 1, reasonCodes: [] }],
    ['UNSUBSCRIBE without a filter [MQTT5 3.10.3-2]', 5, { type: 'unsubscribe', packetId: 1, topicFilters: [] }],
    ['AUTH in 3.1.1', 4, { type: 'auth', reasonCode: 0 }],
    ['AUTH without a method', 5, { type: 'auth', reasonCode: 0x18 }],
    ['a reason code in a 3.1.1 DISCONNECT', 4, { type: 'disconnect', reasonCode: 0x8e }],
  ];

  for (const [why, version, packet] of impossible) {
    it(`asserts against ${why}`, () => {
      assert.throws(() => encode(packet, version), { name: /AssertionError|RangeError/ });
    });
  }

  // [MQTT5 3.2.2-8, 3.4.2-1, 3.5.2-1, 3.6.2-1, 3.7.2-1, 3.9.3-2, 3.11.3-2, 3.14.2-1, 3.15.2-1]
  it('asserts against every reason code that the packet may have from nobody', () => {
    for (const [type, codes] of Object.entries(codesInVectors())) {
      for (let code = 0; code <= 0xff; code++) {
        const write = () => encode(withCode(type, code), 5);
        if (codes.has(code)) assert.doesNotThrow(write, `${type} ${code}`);
        else assert.throws(write, { name: 'AssertionError' }, `${type} ${code}`);
      }
    }
  });
});

/** The reason codes of the valid vectors of version 5, by packet. */
function codesInVectors(): Record<string, Set<number>> {
  const codes: Record<string, Set<number>> = {};
  for (const { version, expected } of vectors) {
    if (version !== 5 || typeof expected === 'number') continue;
    const own =
      'reasonCode' in expected ? [expected.reasonCode] : 'reasonCodes' in expected ? expected.reasonCodes : [];
    codes[expected.type] ??= new Set();
    for (const code of own) codes[expected.type].add(code);
  }
  return Object.fromEntries(Object.entries(codes).filter(([, { size }]) => size > 0));
}

function withCode(type: string, reasonCode: number): Packet {
  const properties = type === 'auth' ? { authenticationMethod: 'm' } : undefined;
  const packet = { type, packetId: 1, sessionPresent: false, reasonCode, reasonCodes: [reasonCode], properties };
  return packet as unknown as Packet; // Every packet that has codes finds its fields among these.
}
