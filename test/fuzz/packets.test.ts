import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decode } from '../../src/iot/mqtt/decode.ts';
import { encode } from '../../src/iot/mqtt/encode.ts';
import type { Packet, Received } from '../../src/iot/mqtt/packets.ts';
import { systemRandom } from '../../src/kernel/random.ts';
import { testScale } from '../support.ts';
import { isKnown } from './corpus.ts';
import type { Codec, Decoded } from './packet-oracles.ts';
import { packetCaseOf, runPackets } from './packets.ts';

describe('the codec, given mutated packets', () => {
  const count = testScale(40_000, 5_000_000);

  it(`keeps every promise over ${count.toLocaleString('en')} of them (hostile W02, W03, W04, W07, W09, W13)`, t => {
    const seed = systemRandom.integer(2 ** 32);
    t.diagnostic(`seed ${seed}: npm run fuzz -- mqtt --seed ${seed} --count ${count} --sessions 0`);
    const { counts, findings } = runPackets({ seed, first: 0, count });
    assert.deepEqual(
      findings.filter(({ oracle }) => !isKnown(oracle)),
      [],
    );
    assert.equal(counts.cases, count);
    // A mutator that makes only nonsense, or only packets, would test nothing.
    for (const part of [counts.accepted, counts.refused, counts.undecided]) assert(part > count / 20, `${part}`);
    assert(counts.secondOpinions > count / 40);
  });

  it('is given the same case for the same seed and index, wherever a run begins', () => {
    const breaks = brokenDecode(decoded => {
      throw new Error(`${decoded?.type}`);
    });
    const hexOf = (first: number) => runPackets({ seed: 5, first, count: 1, codec: breaks }).findings[0].packet?.hex;
    for (const index of [0, 1, 77, 4_000_000]) {
      assert.equal(hexOf(index), packetCaseOf(5, index).hex);
      assert.equal(hexOf(index), hexOf(index));
    }
    assert.notEqual(hexOf(1), hexOf(2));
  });
});

/** The codec with what it decodes changed on the way. */
function brokenDecode(change: (decoded: Decoded, length: number) => Decoded): Codec {
  return { encode, decode: (bytes, start, end, context) => change(decode(bytes, start, end, context), end - start) };
}

function brokenPacket(change: (packet: Packet & Received) => Decoded): Codec {
  return brokenDecode(decoded => (decoded === undefined || decoded.type === 'refusal' ? decoded : change(decoded)));
}

/** Wrong in the same way both ways, which only another implementation can notice. */
function oneSecondOff<Any extends Packet>(packet: Any): Any {
  return packet.type === 'connect' ? { ...packet, keepAliveSeconds: packet.keepAliveSeconds ^ 1 } : packet;
}

/** Each codec is wrong in one way, and the promise that must notice. */
const broken: Record<string, Codec> = {
  'decode never throws': brokenDecode(decoded => {
    if (decoded?.type === 'refusal' && decoded.reasonCode === 0x90) throw new RangeError('out of range');
    return decoded;
  }),
  'asks for more only when more could help': brokenDecode(decoded =>
    decoded?.type === 'refusal' && decoded.message.includes('beyond the end') ? undefined : decoded,
  ),
  'refuses with a code that may be sent': brokenDecode(decoded =>
    decoded?.type === 'refusal' && decoded.reasonCode === 0x82 ? { ...decoded, reasonCode: 0x92 } : decoded,
  ),
  'has a fixed set of messages': {
    encode,
    decode: (bytes, start, end, context) => {
      const decoded = decode(bytes, start, end, context);
      return decoded?.type === 'refusal' ? { ...decoded, message: bytes.toString('hex', start, end) } : decoded;
    },
  },
  'returns no packet longer than its bytes': brokenPacket(packet => ({ ...packet, byteLength: packet.byteLength + 1 })),
  'gives no packet before its last byte': {
    encode,
    decode: (bytes, start, end, context) => decode(bytes, start, end + 1, context), // Reads one byte further.
  },
  'decides alike however the bytes are cut': brokenDecode((decoded, length) =>
    decoded?.type === 'refusal' && length % 2 === 1 ? { ...decoded, reasonCode: 0x81 } : decoded,
  ),
  'whatever was decoded can be encoded': brokenPacket(packet =>
    packet.type === 'puback' ? { ...packet, reasonCode: 1 } : packet,
  ),
  'encoded and decoded again it is the same packet': {
    decode,
    encode: (packet, version) => encode(packet.type === 'publish' ? { ...packet, retain: true } : packet, version),
  },
  'publishes go to topic names': brokenPacket(packet =>
    packet.type === 'publish' ? { ...packet, topic: 'with/+' } : packet,
  ),
  'mqtt-packet reads the same': {
    ...brokenPacket(oneSecondOff),
    encode: (packet, version) => encode(oneSecondOff(packet), version),
  },
};

describe('a codec that is wrong', () => {
  for (const [oracle, codec] of Object.entries(broken)) {
    it(`is found out: ${oracle}`, () => {
      const { findings } = runPackets({ seed: 1, first: 0, count: 30_000, codec });
      const found = findings.map(finding => finding.oracle);
      assert(found.includes(oracle), `found only: ${found.join('; ')}`);
    });
  }
});
