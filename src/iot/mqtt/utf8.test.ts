import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import { describe, it } from 'node:test';
import { isMqttString, isMqttText } from './utf8.ts';

// The bytes at which a rule of Unicode table 3-7 begins or ends.
const edges = [0x01, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff];

describe('isMqttText', () => {
  it('agrees with the platform on every first byte and every edge behind it: W09 [MQTT311 1.5.3-1] [MQTT5 1.5.4-1]', () => {
    const bytes = Buffer.alloc(4);
    for (let first = 1; first < 256; first++) {
      bytes[0] = first;
      for (const second of edges) {
        bytes[1] = second;
        for (const third of edges) {
          bytes[2] = third;
          for (const fourth of edges) {
            bytes[3] = fourth;
            for (let length = 1; length <= 4; length++) {
              if (isMqttText(bytes, 0, length) !== isUtf8(bytes.subarray(0, length))) {
                assert.fail(`${bytes.toString('hex')}, ${length} bytes`);
              }
            }
          }
        }
      }
    }
  });

  it('refuses U+0000 anywhere: W09 [MQTT311 1.5.3-2] [MQTT5 1.5.4-2]', () => {
    for (const text of ['\0', 'a\0', '\0a', 'é\0é']) {
      const bytes = Buffer.from(text);
      assert.ok(!isMqttText(bytes, 0, bytes.length));
      assert.ok(!isMqttString(text));
    }
  });

  it('accepts control characters and non-characters [MQTT311 1.5.3-3] [MQTT5 1.5.4-3]', () => {
    const text = '\u0001\u001f\u007f\u009f\ufdd0\ufffe\uffff\u{1ffff}\ufeff';
    const bytes = Buffer.from(text);
    assert.ok(isMqttText(bytes, 0, bytes.length));
    assert.ok(isMqttString(text));
  });

  it('looks only at the bytes it was given', () => {
    const bytes = Buffer.from('ff61c3a9ff', 'hex');
    assert.ok(isMqttText(bytes, 1, 4));
    assert.ok(!isMqttText(bytes, 1, 3)); // é is cut, though its second byte is there
    assert.ok(isMqttText(bytes, 2, 2));
  });
});
