import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { DecodeContext } from './decode.ts';
import { decode } from './decode.ts';
import { mqttLimits } from './limits.ts';
import type { Vector } from './vector.ts';
import { vectors } from './vectors.ts';

function contextOf({ version, from }: Vector): DecodeContext {
  const { packetBytesBeforeConnectMax, packetBytesMax } = mqttLimits;
  return { version, from, packetBytesMax: version === 0 ? packetBytesBeforeConnectMax : packetBytesMax };
}

function decodeWhole(vector: Vector) {
  return decode(vector.bytes, 0, vector.bytes.length, contextOf(vector));
}

describe('decode', () => {
  it('has a name of its own for each vector', () => {
    const names = new Set<string>();
    for (const { name } of vectors) assert.ok(!names.has(name) && names.add(name), name);
  });

  it('reads each valid vector as the packet beside it', () => {
    for (const vector of vectors) {
      if (typeof vector.expected === 'number') continue;
      assert.deepEqual(decodeWhole(vector), { ...vector.expected, byteLength: vector.bytes.length }, vector.name);
    }
  });

  it('refuses each malformed vector with the reason code beside it: W02 W03 W04 W06 W07 W08 W09 W11 W13 W14 W19', () => {
    for (const vector of vectors) {
      if (typeof vector.expected !== 'number') continue;
      const result = decodeWhole(vector);
      assert.equal(result?.type, 'refusal', vector.name);
      assert.equal(result.reasonCode, vector.expected, `${vector.name}: ${result.message}`);
    }
  });

  it('waits for more bytes at every point of a packet, and never calls half of one a packet: W16', () => {
    for (const vector of vectors) {
      for (let end = 0; end < vector.bytes.length; end++) {
        const result = decode(vector.bytes, 0, end, contextOf(vector));
        if (result === undefined) continue;
        assert.equal(result.type, 'refusal', `${vector.name}, ${end} bytes`);
        assert.equal(result.reasonCode, vector.expected, `${vector.name}, ${end} bytes`);
      }
    }
  });

  it('reads a packet the same wherever it stands', () => {
    for (const vector of vectors) {
      if (vector.bytes.length > 1000) continue;
      const { length } = vector.bytes;
      const amid = Buffer.concat([Buffer.alloc(7, 0xff), vector.bytes, Buffer.alloc(7, 0xff)]);
      assert.deepEqual(decode(amid, 7, 7 + length, contextOf(vector)), decodeWhole(vector), vector.name);
    }
  });

  it('refuses an announced length over the limit before the body comes: W01', () => {
    const before = { version: 0, from: 'client', packetBytesMax: mqttLimits.packetBytesBeforeConnectMax } as const;
    const largest = Buffer.from('10ffffff7f', 'hex');
    assert.equal(decode(largest, 0, 4, before), undefined);
    assert.deepEqual(decode(largest, 0, 5, before), {
      type: 'refusal',
      reasonCode: 0x95,
      message: 'the packet is too large',
    });
    // 32 KiB with its 4 bytes of fixed header is the last that fits, and is waited for.
    assert.equal(decode(Buffer.from('10fcff01', 'hex'), 0, 4, before), undefined);
    assert.equal(decode(Buffer.from('10fdff01', 'hex'), 0, 4, before)?.type, 'refusal');
  });

  it('refuses a packet of one byte more than the limit', () => {
    const context = { version: 4, from: 'client', packetBytesMax: 9 } as const;
    const bytes = Buffer.from('3007 0003612f62 6869'.replaceAll(' ', ''), 'hex');
    assert.equal(decode(bytes, 0, 9, context)?.type, 'publish');
    assert.equal(decode(bytes, 0, 9, { ...context, packetBytesMax: 8 })?.type, 'refusal');
  });

  it('says with a refused CONNECT which version to answer in', () => {
    const context = { version: 0, from: 'client', packetBytesMax: 1000 } as const;
    const connect = (level: string) => Buffer.from(`100d00044d515454${level}03003c000163`, 'hex');
    for (const [level, protocolVersion] of [
      ['04', 4],
      ['05', 5],
      ['06', undefined],
    ] as const) {
      const result = decode(connect(level), 0, 15, context);
      assert.ok(result?.type === 'refusal');
      assert.equal(result.protocolVersion, protocolVersion);
    }
  });

  it('hands out the payload as a view, not a copy', () => {
    const bytes = Buffer.from('30070003612f626869', 'hex');
    const packet = decode(bytes, 0, 9, { version: 4, from: 'client', packetBytesMax: 100 });
    assert.ok(packet?.type === 'publish');
    assert.equal(packet.payload.buffer, bytes.buffer);
  });

  it('keeps bytes of the sender out of what it says about them', () => {
    const secret = Buffer.from('hunter2');
    const bytes = Buffer.concat([Buffer.from('300b0009', 'hex'), secret, Buffer.from([0xff, 0xff])]);
    const result = decode(bytes, 0, bytes.length, { version: 4, from: 'client', packetBytesMax: 100 });
    assert.ok(result?.type === 'refusal' && !result.message.includes('hunter2'));
  });
});
