import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Packet as TheirPacket } from 'mqtt-packet';
import mqttPacket from 'mqtt-packet';
import type { Random } from '../../kernel/random.ts';
import { seededRandom, systemRandom } from '../../kernel/random.ts';
import type { DecodeContext } from './decode.ts';
import { decode } from './decode.ts';
import { encode } from './encode.ts';
import { anyPacket } from './packet-arbitraries.ts';
import type { Packet, ProtocolVersion, UserProperties } from './packets.ts';
import { vectors } from './vectors.ts';

/** The decoder and the encoder against each other, against another implementation, and against chance. */

/** Who sends the packet, with reason codes as `anyPacket` makes them. */
function contextFor(packet: Packet, version: ProtocolVersion): DecodeContext {
  const packetBytesMax = 1_000_000;
  if (packet.type === 'connect') return { version: 0, from: 'client', packetBytesMax };
  const onlyClients: Packet['type'][] = ['subscribe', 'unsubscribe', 'pingreq'];
  const isClients =
    onlyClients.includes(packet.type) || (packet.type === 'disconnect' && isFromClient(packet, version));
  return { version, from: isClients ? 'client' : 'server', packetBytesMax };
}

function isFromClient(packet: Packet & { type: 'disconnect' }, version: ProtocolVersion): boolean {
  return version === 4 || packet.properties?.sessionExpiryIntervalSeconds !== undefined;
}

/** A client may not send all codes a server may; 0x80 both may. */
function sendable(packet: Packet, version: ProtocolVersion): Packet {
  return packet.type === 'disconnect' && version === 5 && isFromClient(packet, 5)
    ? { ...packet, reasonCode: 0x80 }
    : packet;
}

function decodeAll(bytes: Buffer, context: DecodeContext) {
  return decode(bytes, 0, bytes.length, context);
}

/** As the other implementation names things. Its user properties are an object, so their order across names is lost. */
function inTheirWords(packet: Packet, version: ProtocolVersion): Record<string, unknown> {
  const { type, ...fields } = packet;
  const words: Record<string, unknown> = { cmd: type };
  for (const [name, value] of Object.entries(fields)) {
    if (name === 'properties') words.properties = propertiesInTheirWords(value);
    else if (name === 'will')
      words.will = { ...value, ...(value.properties && { properties: propertiesInTheirWords(value.properties) }) };
    else if (name === 'subscriptions')
      words.subscriptions = value.map((one: object) => subscriptionInTheirWords(one, version));
    else if (name === 'reasonCode') Object.assign(words, reasonCodeInTheirWords(type, value, version));
    else if (name === 'reasonCodes') Object.assign(words, value.length > 0 ? { granted: value } : {});
    else if (name === 'packetId') Object.assign(words, value === 0 ? {} : { messageId: value });
    else if (name !== 'byteLength') words[theirNames[name] ?? name] = value;
  }
  return words;
}

const theirNames: Record<string, string> = {
  cleanStart: 'clean',
  keepAliveSeconds: 'keepalive',
  topicFilters: 'unsubscriptions',
  maximumPacketSizeBytes: 'maximumPacketSize',
  subscriptionIdentifiers: 'subscriptionIdentifier',
};

const theirBooleans = /^(payloadFormatIndicator|request.*Information|.*Available)$/;

function reasonCodeInTheirWords(type: string, code: number, version: ProtocolVersion): object {
  if (version === 5) return { reasonCode: code };
  return type === 'connack' ? { returnCode: code } : {};
}

function subscriptionInTheirWords(subscription: object, version: ProtocolVersion): object {
  const { topicFilter, qos, noLocal, retainAsPublished, retainHandling } = subscription as Record<string, unknown>; // ours
  return version === 4
    ? { topic: topicFilter, qos }
    : { topic: topicFilter, qos, nl: noLocal, rap: retainAsPublished, rh: retainHandling };
}

function propertiesInTheirWords(properties: object): object {
  const words: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(properties)) {
    if (name === 'userProperties') words[name] = userPropertiesInTheirWords(value);
    else if (theirBooleans.test(name)) words[name] = value === 1;
    else if (Array.isArray(value)) words[theirNames[name] ?? name] = value.length === 1 ? value[0] : value;
    else words[theirNames[name] ?? name.replace(/Seconds$/, '')] = value;
  }
  return words;
}

function userPropertiesInTheirWords(pairs: UserProperties): object {
  const words: Record<string, string | string[]> = Object.create(null);
  for (const [name, same = []] of Object.entries(Object.groupBy(pairs, ([name]) => name))) {
    const values = same.map(([, value]) => value);
    while (values.length > 1 && values[0] === '') values.shift(); // it forgets an empty value when the name comes again
    words[name] = values.length === 1 ? values[0] : values;
  }
  return words;
}

function parseByThem(bytes: Buffer, version: ProtocolVersion): unknown {
  const parser = mqttPacket.parser({ protocolVersion: version });
  let parsed: unknown;
  parser.on('packet', packet => {
    parsed = packet;
  });
  parser.on('error', error => {
    parsed = error;
  });
  parser.parse(bytes);
  return parsed;
}

/** `undefined` for what it will not write though the standard allows it, such as an empty user name. */
function writeByThem(words: object, version: ProtocolVersion): Buffer | undefined {
  try {
    return mqttPacket.generate(words as TheirPacket, { protocolVersion: version }); // in their words
  } catch {
    return undefined;
  }
}

function ownVersion(packet: Packet, version: ProtocolVersion | 0): ProtocolVersion {
  if (packet.type === 'connect') return packet.protocolVersion;
  assert.ok(version !== 0);
  return version;
}

describe('encode, then decode', () => {
  for (const version of [4, 5] as const) {
    it(`gives back every packet of version ${version}`, () => {
      fc.assert(
        fc.property(anyPacket(version), any => {
          const packet = sendable(any, version);
          const bytes = encode(packet, version);
          assert.deepEqual(decodeAll(bytes, contextFor(packet, version)), { ...packet, byteLength: bytes.length });
        }),
        { numRuns: 1_000 },
      );
    });
  }
});

describe('mqtt-packet, as a second opinion', () => {
  it('reads every valid vector as we do', () => {
    for (const { name, version: spoken, bytes, expected } of vectors) {
      if (typeof expected === 'number') continue;
      if (name === 'AUTH of no bytes, which is success') continue; // it wants a code, against [MQTT5 3.15.2.1]
      if (name.includes('object’s own names')) continue; // it keeps user properties in an object
      const version = ownVersion(expected, spoken);
      assert.partialDeepStrictEqual(parseByThem(bytes, version), inTheirWords(expected, version), name);
    }
  });

  for (const version of [4, 5] as const) {
    it(`reads what we write, and we read what it writes, in version ${version}`, () => {
      fc.assert(
        fc.property(anyPacket(version), any => {
          const packet = sendable(any, version);
          const words = inTheirWords(packet, version);
          assert.partialDeepStrictEqual(parseByThem(encode(packet, version), version), words);
          const theirs = writeByThem(words, version);
          if (theirs === undefined) return;
          const decoded = decodeAll(theirs, contextFor(packet, version));
          assert.ok(decoded !== undefined && decoded.type !== 'refusal', JSON.stringify(decoded));
          assert.deepEqual(inTheirWords(decoded, version), words);
        }),
        { numRuns: 500 },
      );
    });
  }
});

/** A view of `bytes` that counts every look outside `start` to `end`. */
function guarded(bytes: Buffer, start: number, end: number) {
  let readsOutside = 0;
  const check = (from: number, to: number) => {
    if (from < start || to > end) readsOutside++;
  };
  const subarray = (from: number, to: number) => {
    check(from, to);
    return bytes.subarray(from, to);
  };
  const decodeText = (encoding: BufferEncoding, from: number, to: number) => {
    check(from, to);
    return bytes.toString(encoding, from, to);
  };
  const view = new Proxy(bytes, {
    get(target, key) {
      if (key === 'subarray') return subarray;
      if (key === 'toString') return decodeText;
      assert.ok(typeof key === 'string' && /^\d+$/.test(key), `the decoder uses ${String(key)}`);
      check(Number(key), Number(key) + 1);
      return target[Number(key)];
    },
  });
  return { view, readsOutside: () => readsOutside };
}

function mutate(bytes: Buffer, others: readonly Buffer[], random: Random): Buffer {
  let mutated = Buffer.from(bytes);
  for (let times = 1 + random.integer(4); times > 0; times--) {
    const at = random.integer(mutated.length + 1);
    const other = others[random.integer(others.length)];
    const [head, tail] = [mutated.subarray(0, at), mutated.subarray(at)];
    switch (random.integer(6)) {
      case 0: // one byte changed
        mutated = Buffer.concat([head, random.bytes(1), tail.subarray(1)]);
        break;
      case 1: // one bit changed
        if (at < mutated.length) mutated[at] ^= 1 << random.integer(8);
        break;
      case 2: // bytes put in, the remaining length left as it was
        mutated = Buffer.concat([head, random.bytes(random.integer(4)), tail]);
        break;
      case 3: // bytes taken out
        mutated = Buffer.concat([head, tail.subarray(random.integer(4))]);
        break;
      case 4: // a length that is too large or too small
        mutated = Buffer.concat([
          head,
          Buffer.from([0, 1, 0x7f, 0x80, 0xff].slice(random.integer(5)).slice(0, 2)),
          tail.subarray(2),
        ]);
        break;
      default: // the end of another packet
        mutated = Buffer.concat([head, other.subarray(random.integer(other.length))]);
    }
  }
  // Half of them with an honest remaining length, or few would get past it.
  if (random.integer(2) === 0 && mutated.length >= 2 && mutated.length < 130) mutated[1] = mutated.length - 2;
  return mutated;
}

describe('decode, given nonsense', () => {
  const iterations = 20_000;

  it(`never throws, never reads outside, and takes only what it can write again: ${iterations} mutated packets: W03`, t => {
    const seed = Number(process.env.MQTT_FUZZ_SEED ?? systemRandom.integer(2 ** 32));
    t.diagnostic(`MQTT_FUZZ_SEED=${seed}`);
    const random = seededRandom(seed);
    const bases = vectors.filter(({ expected, bytes }) => typeof expected !== 'number' && bytes.length < 200);
    const others = bases.map(({ bytes }) => bytes);
    let accepted = 0;
    for (let iteration = 0; iteration < iterations; iteration++) {
      const { version, from, bytes } = bases[random.integer(bases.length)];
      const context: DecodeContext = { version, from, packetBytesMax: 100_000 };
      const mutated = mutate(bytes, others, random);
      const amid = Buffer.concat([random.bytes(3), mutated, random.bytes(3)]);
      const where = `MQTT_FUZZ_SEED=${seed}, iteration ${iteration}: ${mutated.toString('hex')}`;
      const { view, readsOutside } = guarded(amid, 3, 3 + mutated.length);
      const result = decode(view, 3, 3 + mutated.length, context);
      assert.equal(readsOutside(), 0, where);
      if (result === undefined || result.type === 'refusal') continue;
      accepted++;
      assert.ok(result.byteLength >= 2 && result.byteLength <= mutated.length, where);
      const { byteLength, ...packet } = result;
      const again = encode(packet, ownVersion(packet, version));
      assert.ok(again.length <= byteLength, where);
      assert.deepEqual(decodeAll(again, context), { ...packet, byteLength: again.length }, where);
    }
    assert.ok(accepted > iterations / 100, 'some mutations are harmless, or this test tests nothing');
  });

  it('never throws on bytes of chance', t => {
    const seed = Number(process.env.MQTT_FUZZ_SEED ?? systemRandom.integer(2 ** 32));
    t.diagnostic(`MQTT_FUZZ_SEED=${seed}`);
    const random = seededRandom(seed);
    for (let iteration = 0; iteration < 5_000; iteration++) {
      const bytes = Buffer.from(random.bytes(2 + random.integer(60)));
      bytes[1] = bytes.length - 2;
      for (const version of [0, 4, 5] as const) {
        for (const from of ['client', 'server'] as const) decodeAll(bytes, { version, from, packetBytesMax: 1_000 });
      }
    }
  });
});
