import type { Packet, ProtocolVersion, QoS, Will } from './packets.ts';
import type { Speaker, Vector } from './vector.ts';
import {
  client4,
  client5,
  counted,
  field,
  frame,
  hexByte,
  refused,
  server4,
  server5,
  stranger,
  text,
  valid,
  validLonger,
} from './vector.ts';

/**
 * Wire vectors that a rule can list: every first byte, protocol level, connect flag, subscription option, property and
 * reason code. The lists are copied from the tables of the standards once more, so that a slip in the codec shows.
 */

const everyByte = Array.from({ length: 256 }, (_, byte) => byte);

/** The smallest packet for each first byte that is allowed, by who sends it. */
interface Sample {
  first: string;
  body: Partial<Record<ProtocolVersion, string>>;
  from: ReadonlyArray<'client' | 'server'>;
  packet: Packet;
}

const oneFilter = `${text('f')} 00`;
const zeroOptions = { qos: 0, noLocal: false, retainAsPublished: false, retainHandling: 0 } as const;
const both = ['client', 'server'] as const;

const samples: Sample[] = [
  {
    first: '20',
    body: { 4: '00 00', 5: '00 00 00' },
    from: ['server'],
    packet: { type: 'connack', sessionPresent: false, reasonCode: 0 },
  },
  ...['30', '31', '32', '33', '34', '35', '3a', '3b', '3c', '3d'].map(publishSample),
  { first: '40', body: { 4: '0001', 5: '0001' }, from: both, packet: { type: 'puback', packetId: 1, reasonCode: 0 } },
  { first: '50', body: { 4: '0001', 5: '0001' }, from: both, packet: { type: 'pubrec', packetId: 1, reasonCode: 0 } },
  { first: '62', body: { 4: '0001', 5: '0001' }, from: both, packet: { type: 'pubrel', packetId: 1, reasonCode: 0 } },
  { first: '70', body: { 4: '0001', 5: '0001' }, from: both, packet: { type: 'pubcomp', packetId: 1, reasonCode: 0 } },
  {
    first: '82',
    body: { 4: `0001 ${oneFilter}`, 5: `0001 00 ${oneFilter}` },
    from: ['client'],
    packet: { type: 'subscribe', packetId: 1, subscriptions: [{ topicFilter: 'f', ...zeroOptions }] },
  },
  {
    first: '90',
    body: { 4: '0001 02', 5: '0001 00 02' },
    from: ['server'],
    packet: { type: 'suback', packetId: 1, reasonCodes: [2] },
  },
  {
    first: 'a2',
    body: { 4: `0001 ${text('f')}`, 5: `0001 00 ${text('f')}` },
    from: ['client'],
    packet: { type: 'unsubscribe', packetId: 1, topicFilters: ['f'] },
  },
  { first: 'b0', body: { 4: '0001' }, from: ['server'], packet: { type: 'unsuback', packetId: 1, reasonCodes: [] } },
  {
    first: 'b0',
    body: { 5: '0001 00 11' },
    from: ['server'],
    packet: { type: 'unsuback', packetId: 1, reasonCodes: [0x11] },
  },
  { first: 'c0', body: { 4: '', 5: '' }, from: ['client'], packet: { type: 'pingreq' } },
  { first: 'd0', body: { 4: '', 5: '' }, from: ['server'], packet: { type: 'pingresp' } },
  { first: 'e0', body: { 4: '' }, from: ['client'], packet: { type: 'disconnect', reasonCode: 0 } },
  { first: 'e0', body: { 5: '82' }, from: both, packet: { type: 'disconnect', reasonCode: 0x82 } },
  {
    first: 'f0',
    body: { 5: `18 ${counted('15', text('m'))}` },
    from: both,
    packet: { type: 'auth', reasonCode: 0x18, properties: { authenticationMethod: 'm' } },
  },
];

function publishSample(first: string): Sample {
  const flags = Number.parseInt(first, 16) & 0x0f;
  const qos = ((flags >> 1) & 3) as QoS; // the list has no QoS 3
  const id = qos === 0 ? '' : '0001';
  return {
    first,
    body: { 4: `${text('t')} ${id} 70`, 5: `${text('t')} ${id} 00 70` },
    from: both,
    packet: {
      type: 'publish',
      topic: 't',
      payload: Buffer.from('p'),
      qos,
      dup: (flags & 8) !== 0,
      retain: (flags & 1) !== 0,
      packetId: qos === 0 ? 0 : 1,
    },
  };
}

/** Types by first hex digit; CONNECT has vectors of its own. */
const notSentBy: Record<ProtocolVersion, Record<'client' | 'server', string>> = {
  4: { client: '29bd', server: '18ace' },
  5: { client: '29bd', server: '18ac' },
};
const reserved: Record<ProtocolVersion, string> = { 4: '0f', 5: '0' };

/**
 * Flags have the values of the tables, and no others are taken [MQTT311 2.2.2-1] [MQTT5 2.1.3-1]: not DUP at QoS 0
 * [MQTT311 3.3.1-2] [MQTT5 3.3.1-2], not QoS 3 [MQTT311 3.3.1-4] [MQTT5 3.3.1-4], and in PUBREL, SUBSCRIBE, UNSUBSCRIBE,
 * DISCONNECT and AUTH no reserved bit [MQTT311 3.6.1-1, 3.8.1-1, 3.10.1-1, 3.14.1-1]
 * [MQTT5 3.6.1-1, 3.8.1-1, 3.10.1-1, 3.14.1-1, 3.15.1-1].
 */
function firstByteVectors(): Vector[] {
  const list: Vector[] = [];
  for (const speaker of [client4, server4, client5, server5] as const) {
    const version = speaker.version as ProtocolVersion; // none of these four is a stranger
    for (const byte of everyByte) {
      const first = hexByte(byte);
      const name = `first byte ${first} from a ${speaker.from} of version ${version}`;
      const sample = samples.find(
        s => s.first === first && s.from.includes(speaker.from) && s.body[version] !== undefined,
      );
      if (first === '10' && speaker.from === 'client') continue;
      if (sample !== undefined)
        list.push(valid(name, speaker, frame(first, sample.body[version] ?? ''), sample.packet));
      else if (reserved[version].includes(first[0])) list.push(refused(name, speaker, first, 0x81));
      else list.push(refused(name, speaker, first, notSentBy[version][speaker.from].includes(first[0]) ? 0x82 : 0x81));
    }
  }
  for (const byte of everyByte) {
    if (byte === 0x10) continue;
    list.push(
      refused(`first byte ${hexByte(byte)} before CONNECT`, stranger, hexByte(byte), byte >> 4 === 1 ? 0x81 : 0x82),
    );
  }
  return list;
}

function protocolLevelVectors(): Vector[] {
  return everyByte
    .filter(level => level !== 4 && level !== 5)
    .map(level =>
      refused(
        `protocol level ${level}`,
        stranger,
        frame('10', text('MQTT'), hexByte(level), '02 003c', text('c')),
        0x84,
      ),
    );
}

/**
 * Every connect flag byte, with the payload it announces: the reserved bit [MQTT311 3.1.2-3] [MQTT5 3.1.2-3], the will's
 * [MQTT311 3.1.2-9, 3.1.2-11, 3.1.2-13 … 3.1.2-15] [MQTT5 3.1.2-9, 3.1.2-11 … 3.1.2-13], user name and password
 * [MQTT311 3.1.2-19, 3.1.2-21, 3.1.2-22] [MQTT5 3.1.2-17, 3.1.2-19].
 */
function connectFlagVectors(): Vector[] {
  return ([4, 5] as const).flatMap(version =>
    everyByte.map(flags => {
      const noProperties = version === 5 ? '00' : '';
      const hasWill = (flags & 0x04) !== 0;
      const qos = (flags >> 3) & 3;
      const retain = (flags & 0x20) !== 0;
      const hasPassword = (flags & 0x40) !== 0;
      const hasUsername = (flags & 0x80) !== 0;
      const bytes = frame(
        '10',
        text('MQTT'),
        hexByte(version),
        hexByte(flags),
        '000a',
        noProperties,
        text('c'),
        hasWill ? `${noProperties} ${text('w')} ${text('gone')}` : '',
        hasUsername ? text('u') : '',
        hasPassword ? text('p') : '',
      );
      const name = `connect flags ${hexByte(flags)} in version ${version}`;
      const isWrong =
        (flags & 1) !== 0 ||
        qos === 3 ||
        (!hasWill && (qos !== 0 || retain)) ||
        (version === 4 && hasPassword && !hasUsername);
      if (isWrong) return refused(name, stranger, bytes, 0x81);
      const will: Will = { topic: 'w', payload: Buffer.from('gone'), qos: qos as QoS, retain }; // not 3, see above
      return valid(name, stranger, bytes, {
        type: 'connect',
        protocolVersion: version,
        clientId: 'c',
        cleanStart: (flags & 2) !== 0,
        keepAliveSeconds: 10,
        ...(hasWill && { will }),
        ...(hasUsername && { username: 'u' }),
        ...(hasPassword && { password: Buffer.from('p') }),
      });
    }),
  );
}

/** Reserved bits must be 0 [MQTT311 3.8.3-4] [MQTT5 3.8.3-5]. */
function subscriptionOptionVectors(): Vector[] {
  return [client4, client5].flatMap(speaker =>
    everyByte.map(options => {
      const is5 = speaker.version === 5;
      const bytes = frame('82', '0001', is5 ? '00' : '', text('f'), hexByte(options));
      const name = `subscription options ${hexByte(options)} in version ${speaker.version}`;
      const qos = options & 3;
      const handling = (options >> 4) & 3;
      if (!is5 && options > 2) return refused(name, speaker, bytes, 0x81);
      if (options > 0x3f) return refused(name, speaker, bytes, 0x81);
      if (qos === 3 || handling === 3) return refused(name, speaker, bytes, 0x82);
      return valid(name, speaker, bytes, {
        type: 'subscribe',
        packetId: 1,
        subscriptions: [
          {
            topicFilter: 'f',
            qos: qos as QoS, // not 3
            noLocal: (options & 4) !== 0,
            retainAsPublished: (options & 8) !== 0,
            retainHandling: handling as 0 | 1 | 2, // not 3
          },
        ],
      });
    }),
  );
}

/** Where a property section can stand: the bytes around it, and the packet they make. */
interface Place {
  name: string;
  speaker: Speaker;
  bytes(section: string): string;
  packet(properties: object): Packet;
}

function ackPlace(type: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp', first: string): Place {
  return {
    name: type,
    speaker: client5,
    bytes: section => frame(first, '0001', type === 'puback' || type === 'pubrec' ? '80' : '92', section),
    packet: properties => ({
      type,
      packetId: 1,
      reasonCode: type === 'puback' || type === 'pubrec' ? 0x80 : 0x92,
      properties,
    }),
  };
}

const connectHead = `${text('MQTT')} 05`;
const connectBase = {
  type: 'connect',
  protocolVersion: 5,
  clientId: 'c',
  cleanStart: true,
  keepAliveSeconds: 1,
} as const;
const publishBase = {
  type: 'publish',
  topic: 't',
  payload: Buffer.from('p'),
  qos: 0,
  dup: false,
  retain: false,
  packetId: 0,
} as const;
const willBase = { topic: 'w', payload: Buffer.alloc(0), qos: 0, retain: false } as const;
const subscriptions = [{ topicFilter: 'f', ...zeroOptions }];

const places: Place[] = [
  {
    name: 'connect',
    speaker: stranger,
    bytes: section => frame('10', connectHead, '02 0001', section, text('c')),
    packet: properties => ({ ...connectBase, properties }),
  },
  {
    name: 'will',
    speaker: stranger,
    bytes: section => frame('10', connectHead, '06 0001 00', text('c'), section, text('w'), '0000'),
    packet: properties => ({ ...connectBase, will: { ...willBase, properties } }),
  },
  {
    name: 'connack',
    speaker: server5,
    bytes: section => frame('20', '00 00', section),
    packet: properties => ({ type: 'connack', sessionPresent: false, reasonCode: 0, properties }),
  },
  {
    name: 'publish',
    speaker: server5,
    bytes: section => frame('30', text('t'), section, '70'),
    packet: properties => ({ ...publishBase, properties }),
  },
  ackPlace('puback', '40'),
  ackPlace('pubrec', '50'),
  ackPlace('pubrel', '62'),
  ackPlace('pubcomp', '70'),
  {
    name: 'subscribe',
    speaker: client5,
    bytes: section => frame('82', '0001', section, oneFilter),
    packet: properties => ({ type: 'subscribe', packetId: 1, subscriptions, properties }),
  },
  {
    name: 'suback',
    speaker: server5,
    bytes: section => frame('90', '0001', section, '00'),
    packet: properties => ({ type: 'suback', packetId: 1, reasonCodes: [0], properties }),
  },
  {
    name: 'unsubscribe',
    speaker: client5,
    bytes: section => frame('a2', '0001', section, text('f')),
    packet: properties => ({ type: 'unsubscribe', packetId: 1, topicFilters: ['f'], properties }),
  },
  {
    name: 'unsuback',
    speaker: server5,
    bytes: section => frame('b0', '0001', section, '00'),
    packet: properties => ({ type: 'unsuback', packetId: 1, reasonCodes: [0], properties }),
  },
  {
    name: 'disconnect',
    speaker: client5,
    bytes: section => frame('e0', '04', section),
    packet: properties => ({ type: 'disconnect', reasonCode: 4, properties }),
  },
  {
    name: 'auth',
    speaker: client5,
    bytes: section => frame('f0', '18', section),
    packet: properties => ({ type: 'auth', reasonCode: 0x18, properties }),
  },
];

const answers = 'connack puback pubrec pubrel pubcomp suback unsuback disconnect auth';
const everywhere = places.map(place => place.name).join(' ');

/** [MQTT5 table 2-4]: identifier, a value, what it decodes to, and the packets that may have it. */
const properties: ReadonlyArray<readonly [id: string, value: string, decoded: object, places: string]> = [
  ['01', '01', { payloadFormatIndicator: 1 }, 'publish will'],
  ['02', '0000000a', { messageExpiryIntervalSeconds: 10 }, 'publish will'],
  ['03', text('json'), { contentType: 'json' }, 'publish will'],
  ['08', text('r/t'), { responseTopic: 'r/t' }, 'publish will'],
  ['09', field('00ff'), { correlationData: Buffer.from([0, 255]) }, 'publish will'],
  ['0b', '8001', { subscriptionIdentifiers: [128] }, 'publish'],
  ['0b', '8001', { subscriptionIdentifier: 128 }, 'subscribe'],
  ['11', 'ffffffff', { sessionExpiryIntervalSeconds: 0xffffffff }, 'connect connack disconnect'],
  ['12', text('id'), { assignedClientIdentifier: 'id' }, 'connack'],
  ['13', '0000', { serverKeepAliveSeconds: 0 }, 'connack'],
  ['15', text('m'), { authenticationMethod: 'm' }, 'connect connack auth'],
  ['16', field('01'), { authenticationData: Buffer.from([1]) }, 'connect connack auth'],
  ['17', '00', { requestProblemInformation: 0 }, 'connect'],
  ['18', '80000000', { willDelayIntervalSeconds: 0x80000000 }, 'will'],
  ['19', '01', { requestResponseInformation: 1 }, 'connect'],
  ['1a', text('r/'), { responseInformation: 'r/' }, 'connack'],
  ['1c', text('other'), { serverReference: 'other' }, 'connack disconnect'],
  ['1f', text('why'), { reasonString: 'why' }, answers],
  ['21', 'ffff', { receiveMaximum: 65_535 }, 'connect connack'],
  ['22', '0000', { topicAliasMaximum: 0 }, 'connect connack'],
  ['23', '0001', { topicAlias: 1 }, 'publish'],
  ['24', '00', { maximumQoS: 0 }, 'connack'],
  ['25', '01', { retainAvailable: 1 }, 'connack'],
  ['26', text('k') + text(''), { userProperties: [['k', '']] }, everywhere],
  ['27', '00000001', { maximumPacketSizeBytes: 1 }, 'connect connack'],
  ['28', '00', { wildcardSubscriptionAvailable: 0 }, 'connack'],
  ['29', '00', { subscriptionIdentifiersAvailable: 0 }, 'connack'],
  ['2a', '01', { sharedSubscriptionAvailable: 1 }, 'connack'],
];

const method = `15 ${text('m')}`;

/** Each property in each packet: alone, twice, and cut short by one byte. */
function propertyVectors(): Vector[] {
  return places.flatMap(place =>
    properties.flatMap(([id, value, decoded, allowed], index) => {
      const name = `property ${id} in ${place.name}`;
      const belongs = allowed.split(' ').includes(place.name);
      if (!belongs) {
        // 0b has two meanings, each in one packet: in the rest it is listed once.
        const isElsewhere = properties.some(
          ([otherId, , , names], other) => otherId === id && (other < index || names.split(' ').includes(place.name)),
        );
        return isElsewhere ? [] : [refused(name, place.speaker, place.bytes(counted(id, value)), 0x81)];
      }
      // AUTH always has a method, and data needs one anywhere.
      const needsMethod = id === '16' || (place.name === 'auth' && id !== '15');
      const before = needsMethod ? method : '';
      const expected = { ...(needsMethod && { authenticationMethod: 'm' }), ...decoded };
      const twice = counted(before, id, value, id, value);
      return [
        valid(name, place.speaker, place.bytes(counted(before, id, value)), place.packet(expected)),
        mayRepeat(decoded)
          ? valid(
              `${name}, twice`,
              place.speaker,
              place.bytes(twice),
              place.packet({ ...expected, ...doubled(decoded) }),
            )
          : refused(`${name}, twice`, place.speaker, place.bytes(twice), 0x82),
        refused(`${name}, cut`, place.speaker, place.bytes(counted(before, id, value.slice(0, -2))), 0x81),
      ];
    }),
  );
}

function mayRepeat(decoded: object): boolean {
  return 'userProperties' in decoded || 'subscriptionIdentifiers' in decoded;
}

function doubled(decoded: object): object {
  return Object.fromEntries(Object.entries(decoded).map(([name, list]) => [name, [...list, ...list]]));
}

function unknownPropertyVectors(): Vector[] {
  const known = new Set(properties.map(([id]) => id));
  return places.flatMap(place =>
    everyByte
      .map(hexByte)
      .filter(id => !known.has(id))
      .map(id =>
        refused(`unknown property ${id} in ${place.name}`, place.speaker, place.bytes(counted(id, '00')), 0x81),
      ),
  );
}

/** Which codes each packet has, from the reason code tables of [MQTT5 3.2.2.2 … 3.15.2.1] and [MQTT311 3.2.2.3, 3.9.3]. */
const received = '00 80 83 87 90 91 97 99';
const ending = '80 81 82 83 90 93 94 95 96 97 98 99';
const codeLists: ReadonlyArray<readonly [Packet['type'], Speaker, first: string, codes: string]> = [
  ['connack', server4, '20', '00 01 02 03 04 05'],
  ['connack', server5, '20', '00 80 81 82 83 84 85 86 87 88 89 8a 8c 90 95 97 99 9a 9b 9c 9d 9f'],
  ['puback', client5, '40', received],
  ['puback', server5, '40', `${received} 10`],
  ['pubrec', client5, '50', received],
  ['pubrec', server5, '50', `${received} 10`],
  ['pubrel', client5, '62', '00 92'],
  ['pubrel', server5, '62', '00 92'],
  ['pubcomp', client5, '70', '00 92'],
  ['pubcomp', server5, '70', '00 92'],
  ['suback', server4, '90', '00 01 02 80'],
  ['suback', server5, '90', '00 01 02 80 83 87 8f 91 97 9e a1 a2'],
  ['unsuback', server5, 'b0', '00 11 80 83 87 8f 91'],
  ['disconnect', client5, 'e0', `${ending} 00 04`],
  ['disconnect', server5, 'e0', `${ending} 87 89 8b 8d 8e 8f 9a 9b 9c 9d 9e 9f a0 a1 a2`],
  ['auth', client5, 'f0', '18 19'],
  ['auth', server5, 'f0', '00 18'],
];

/**
 * Every code in every packet [MQTT311 3.9.3-2]
 * [MQTT5 3.2.2-8, 3.4.2-1, 3.5.2-1, 3.6.2-1, 3.7.2-1, 3.9.3-2, 3.11.3-2, 3.14.2-1, 3.15.2-1].
 */
function reasonCodeVectors(): Vector[] {
  return codeLists.flatMap(([type, speaker, first, codes]) =>
    everyByte.map(code => {
      const name = `${type} ${hexByte(code)} from a ${speaker.from} of version ${speaker.version}`;
      const { bytes, packet, hasShorter } = withCode(type, code, first, speaker.version === 5);
      if (!codes.split(' ').includes(hexByte(code))) return refused(name, speaker, bytes, 0x82);
      return hasShorter ? validLonger(name, speaker, bytes, packet) : valid(name, speaker, bytes, packet);
    }),
  );
}

function withCode(type: Packet['type'], code: number, first: string, is5: boolean) {
  const hex = hexByte(code);
  const reasonCode = code;
  const noProperties = is5 ? '00' : '';
  const form = (bytes: string, packet: Packet, hasShorter = false) => ({ bytes, packet, hasShorter });
  switch (type) {
    case 'connack':
      return form(frame(first, '00', hex, noProperties), { type, sessionPresent: false, reasonCode });
    case 'suback':
    case 'unsuback':
      return form(frame(first, '0001', noProperties, hex), { type, packetId: 1, reasonCodes: [code] });
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      return form(frame(first, '0001', hex), { type, packetId: 1, reasonCode }, code === 0);
    case 'auth':
      return form(frame(first, hex, counted(method)), { type, reasonCode, properties: { authenticationMethod: 'm' } });
    default:
      return form(frame(first, hex), { type: 'disconnect', reasonCode }, code === 0);
  }
}

/** Not UTF-8, or U+0000, in every place that has text. Unicode table 3-7, RFC 3629 section 10. */
const badText: ReadonlyArray<readonly [string, string]> = [
  ['U+0000', '61 00 62'],
  ['a lone continuation byte', '80'],
  ['an overlong NUL', 'c080'],
  ['an overlong slash', 'c0af'],
  ['an overlong slash of three bytes', 'e080af'],
  ['an overlong slash of four bytes', 'f08080af'],
  ['the first surrogate', 'eda080'],
  ['the last surrogate', 'edbfbf'],
  ['a pair of surrogates', 'eda080 edb080'],
  ['a code point above U+10FFFF', 'f4908080'],
  ['the byte f5', 'f5808080'],
  ['the byte ff', 'ff'],
  ['two bytes cut', 'c3'],
  ['three bytes cut', 'e282'],
  ['four bytes cut', 'f09f98'],
  ['a second byte that does not continue', 'c341'],
  ['a third byte that does not continue', 'e28241'],
  ['a fourth byte that does not continue', 'f09f9841'],
];

const textPlaces: ReadonlyArray<readonly [string, Speaker, (hex: string) => string]> = [
  ['the protocol name', stranger, hex => frame('10', field(hex), '04 02 0001', text('c'))],
  ['the client id', stranger, hex => frame('10', text('MQTT'), '04 02 0001', field(hex))],
  ['the client id of version 5', stranger, hex => frame('10', connectHead, '02 0001 00', field(hex))],
  ['the user name', stranger, hex => frame('10', text('MQTT'), '04 82 0001', text('c'), field(hex))],
  ['the user name of version 5', stranger, hex => frame('10', connectHead, '82 0001 00', text('c'), field(hex))],
  ['the will topic', stranger, hex => frame('10', text('MQTT'), '04 06 0001', text('c'), field(hex), '0000')],
  ['the will topic of 5', stranger, hex => frame('10', connectHead, '06 0001 00', text('c'), '00', field(hex), '0000')],
  ['a topic', client4, hex => frame('30', field(hex))],
  ['a topic of QoS 1', client5, hex => frame('32', field(hex), '0001 00')],
  ['a topic filter', client4, hex => frame('82', '0001', field(hex), '00')],
  ['a topic filter of version 5', client5, hex => frame('82', '0001 00', field(hex), '00')],
  ['a topic filter to unsubscribe, version 4', client4, hex => frame('a2', '0001', field(hex))],
  ['a topic filter to unsubscribe', client5, hex => frame('a2', '0001 00', field(hex))],
  ['a property', client5, hex => frame('30', text('t'), counted('03', field(hex)))],
  ['a response topic', client5, hex => frame('30', text('t'), counted('08', field(hex)))],
  ['the name of a user property', client5, hex => frame('30', text('t'), counted('26', field(hex), text('')))],
  ['the value of a user property', client5, hex => frame('30', text('t'), counted('26', text(''), field(hex)))],
];

/**
 * No text is taken that is not UTF-8, has surrogates or U+0000 [MQTT311 1.5.3-1, 1.5.3-2] [MQTT5 1.5.4-1, 1.5.4-2],
 * wherever it stands: [MQTT311 3.1.3-4, 3.1.3-10, 3.1.3-11, 3.3.2-1, 3.8.3-1, 3.10.3-1, 4.7.3-2]
 * [MQTT5 1.5.7-1, 3.1.3-4, 3.1.3-11, 3.1.3-12, 3.3.2-1, 3.3.2-13, 3.3.2-19, 3.8.3-1, 3.10.3-1, 4.7.3-2].
 */
function badTextVectors(): Vector[] {
  return textPlaces.flatMap(([place, speaker, bytes]) =>
    badText.map(([name, hex]) => {
      // In a topic U+0000 breaks the rule for topic names as well [MQTT5 4.7.3-2], and that code says more.
      const code = name === 'U+0000' && place.startsWith('a topic') && !place.includes('filter') ? 0x90 : 0x81;
      return refused(`${name} in ${place}`, speaker, bytes(hex), code);
    }),
  );
}

const validFilters = [
  '#',
  '+',
  '/',
  '//',
  'a',
  'a/#',
  '/#',
  '+/#',
  '+/+',
  '/+',
  'a/+/b',
  '$SYS/#',
  '$share',
  '$share/g/#',
  '$share/g//',
  '$shared/+',
  'a b',
  'é/😀',
];
const invalidFilters = [
  '',
  'a#',
  '#/a',
  '#/',
  '#/#',
  'a/#/b',
  '##',
  '+a',
  'a+',
  'a/+b',
  'a/b+/c',
  '++',
  '#+',
  '+#',
  '/+a',
  '$share/',
  '$share/g',
  '$share/g/',
  '$share//a',
  '$share/+/a',
  '$share/#/a',
  '$share/g+/a',
  '$share/g/a#',
  `a${'/a'.repeat(32)}`,
  'a'.repeat(1025),
];
const invalidTopics = ['#', '+', 'a/#', 'a/+', '+/a', 'a/+/b', 'a+', 'a#b', '$SYS/+'];

/**
 * What is a filter and what is a topic: wildcards [MQTT311 3.3.2-2, 4.7.1-1 … 4.7.1-3]
 * [MQTT5 3.3.2-2, 4.7.0-1, 4.7.1-1, 4.7.1-2], at least one character [MQTT311 4.7.3-1] [MQTT5 4.7.3-1], share names
 * [MQTT5 4.8.2-1, 4.8.2-2].
 */
function topicVectors(): Vector[] {
  return [client4, client5].flatMap(speaker => {
    const noProperties = speaker.version === 5 ? '00' : '';
    const subscribe = (filter: string) => frame('82', '0001', noProperties, text(filter), '00');
    return [
      ...validFilters.map(filter =>
        valid(`filter ${filter} in version ${speaker.version}`, speaker, subscribe(filter), {
          type: 'subscribe',
          packetId: 1,
          subscriptions: [{ topicFilter: filter, ...zeroOptions }],
        }),
      ),
      ...invalidFilters.map(filter =>
        refused(`filter ${filter.slice(0, 20)} in version ${speaker.version}`, speaker, subscribe(filter), 0x8f),
      ),
      ...invalidTopics.map(topic =>
        refused(`topic ${topic} in version ${speaker.version}`, speaker, frame('30', text(topic), noProperties), 0x90),
      ),
    ];
  });
}

export const systematicVectors: readonly Vector[] = [
  ...firstByteVectors(),
  ...protocolLevelVectors(),
  ...connectFlagVectors(),
  ...subscriptionOptionVectors(),
  ...propertyVectors(),
  ...unknownPropertyVectors(),
  ...reasonCodeVectors(),
  ...badTextVectors(),
  ...topicVectors(),
];
