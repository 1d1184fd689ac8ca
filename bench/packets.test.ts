import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type Packet, parser } from 'mqtt-packet';
import {
  disconnectPacket,
  encodeConnect,
  encodePublishRing,
  encodePublishSlots,
  encodeSubscribe,
  extentOf,
  payloadBytesMin,
  stampSlot,
  writePuback,
} from './packets.ts';

function decode(bytes: Buffer): Packet[] {
  const packets: Packet[] = [];
  const decoder = parser();
  decoder.on('packet', packet => packets.push(packet));
  decoder.on('error', error => assert.fail(error));
  assert.equal(decoder.parse(bytes), 0); // nothing left over
  return packets;
}

it('encodes a CONNECT that another codec reads as meant', () => {
  const [connect] = decode(encodeConnect({ clientId: 'bench-7', username: 'name', password: 'p'.repeat(200) }));
  assert(connect?.cmd === 'connect');
  assert.equal(connect.protocolVersion, 4);
  assert.equal(connect.clientId, 'bench-7');
  assert.equal(connect.username, 'name');
  assert.equal(String(connect.password), 'p'.repeat(200));
  assert.equal(connect.clean, true);
});

for (const payloadBytes of [payloadBytesMin, 100, 1_000]) {
  it(`encodes one PUBLISH per packet id, stamped in place, with ${payloadBytes} bytes of JSON`, () => {
    const slots = encodePublishSlots('bench-7', payloadBytes, 3);
    stampSlot(slots, 1, Buffer.from('2031-02-03T04:05:06.789Z'), 1_047);
    const packets = decode(slots.bytes);
    assert.deepEqual(
      packets.map(packet => packet.cmd === 'publish' && [packet.qos, packet.messageId, packet.topic]),
      [1, 2, 3].map(id => [1, id, 'dt/bench/sample/bench-7/reading']),
    );
    const stamped = packets[1];
    assert(stamped?.cmd === 'publish');
    assert.equal(stamped.payload.length, payloadBytes);
    const reading: unknown = JSON.parse(String(stamped.payload));
    const pad = 'x'.repeat(payloadBytes - payloadBytesMin);
    assert.deepEqual(reading, { at: '2031-02-03T04:05:06.789Z', value: 21.47, pad });
  });
}

it('encodes a CONNECT without credentials for a session that stays', () => {
  const [connect] = decode(encodeConnect({ clientId: 'bench-8', cleanSession: false }));
  assert(connect?.cmd === 'connect');
  assert.equal(connect.clean, false);
  assert.equal(connect.username, undefined);
});

it('encodes SUBSCRIBE, PUBACK and DISCONNECT that another codec reads as meant', () => {
  const puback = Buffer.alloc(4);
  writePuback(puback, 0, 0x1234);
  const all = Buffer.concat([encodeSubscribe(7, ['a/+', 'b/c'], 1), puback, disconnectPacket]);
  const [subscribe, acknowledgement, disconnect] = decode(all);
  assert(subscribe?.cmd === 'subscribe' && acknowledgement?.cmd === 'puback');
  assert.equal(subscribe.messageId, 7);
  assert.deepEqual(
    subscribe.subscriptions.map(({ topic, qos }) => [topic, qos]),
    [
      ['a/+', 1],
      ['b/c', 1],
    ],
  );
  assert.equal(acknowledgement.messageId, 0x1234);
  assert.equal(disconnect?.cmd, 'disconnect');
});

for (const qos of [0, 1] as const) {
  it(`encodes a ring of PUBLISH packets of QoS ${qos} whose changing bytes are where it says`, () => {
    const ring = encodePublishRing(['t/1', 't/2'], 300, qos);
    if (qos === 1) ring.bytes.writeUInt16BE(513, ring.packetBytes + ring.packetIdAt);
    ring.bytes.writeUInt32BE(0xdecaf, ring.packetBytes + ring.payloadAt);
    const [publish] = decode(ring.bytes.subarray(ring.packetBytes)); // the first still has packet id 0, which is none
    assert(publish?.cmd === 'publish');
    assert.equal(publish.topic, 't/2');
    assert.equal(publish.messageId, qos === 1 ? 513 : undefined);
    assert.equal(publish.payload.length, 300);
    assert.equal(Buffer.from(publish.payload).readUInt32BE(0), 0xdecaf);
  });
}

it('finds where a packet ends, and says nothing while its bytes are not all there', () => {
  const { bytes, packetBytes } = encodePublishRing(['t/1', 't/2'], 300, 0); // two bytes of remaining length
  assert.deepEqual(extentOf(bytes, packetBytes), { body: packetBytes + 3, end: 2 * packetBytes });
  for (const length of [0, 1, 2, 3, packetBytes - 1]) assert.equal(extentOf(bytes.subarray(0, length), 0), undefined);
});
