import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { PartialPacket } from './partial-packet.ts';

describe('a packet that comes in parts', () => {
  it('is the same however it was cut', () => {
    const anyCuts = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(anyCuts, fc.nat({ max: 40 }), (cuts, position) => {
        const bytes = Buffer.from(
          Array.from({ length: 41 + cuts.reduce((sum, cut) => sum + cut) }, (_, at) => at % 251),
        );
        const partial = new PartialPacket(bytes.subarray(0, 41), position);
        for (let at = 41, index = 0; at < bytes.length; index++) {
          partial.join(Buffer.from(bytes.subarray(at, at + cuts[index])));
          at += cuts[index];
        }
        assert.deepEqual(partial.bytes, bytes.subarray(position));
      }),
    );
  });

  it('costs at most a few copies of itself when it comes byte by byte (hostile W16)', t => {
    const bytesMax = 256 * 1024;
    let copied = 0;
    const { copy } = Buffer.prototype;
    t.mock.method(Buffer.prototype, 'copy', function (this: Buffer, ...args: Parameters<typeof copy>) {
      const count = copy.apply(this, args);
      copied += count;
      return count;
    });
    const partial = new PartialPacket(Buffer.from([0]), 0);
    for (let at = 1; at < bytesMax; at++) partial.join(Buffer.from([at & 0xff]));
    assert.equal(partial.bytes.length, bytesMax);
    assert(copied < 4 * bytesMax, `${copied} bytes copied`);
  });

  it('never writes where a view that was handed out looks', () => {
    const partial = new PartialPacket(Buffer.from('abc'), 1);
    const views: [Buffer, string][] = [];
    for (let n = 0; n < 1_000; n++) {
      const view = partial.join(Buffer.from(String.fromCharCode(97 + (n % 26))));
      views.push([view, view.toString()]);
    }
    for (const [view, text] of views) assert.equal(view.toString(), text);
  });

  it('does not keep a large read alive for a small rest', () => {
    const large = Buffer.alloc(64 * 1024, 1);
    assert.notEqual(new PartialPacket(large, large.length - 1_000).bytes.buffer, large.buffer);
  });
});
