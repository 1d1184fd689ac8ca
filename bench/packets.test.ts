import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type Packet, parser } from 'mqtt-packet';
import { encodeConnect, encodePublishSlots, payloadBytesMin, stampSlot } from './packets.ts';

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
