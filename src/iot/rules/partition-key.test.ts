import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../../kernel/random.ts';
import { partitionKeyLimits, partitionKeyOf } from './partition-key.ts';

const random = seededRandom(1);
const keyOf = (payload: string | Buffer, field = 'device.id') =>
  partitionKeyOf({ field }, { otherwise: 'sim-1', payload: Buffer.from(payload), random });

describe('the partition key of a message (covers S1-19, S1-20)', () => {
  it('is the thing, or another each time, as the strategy says', () => {
    const facts = { otherwise: 'sim-1', payload: Buffer.from('{}'), random };
    assert.equal(partitionKeyOf('thing', facts), 'sim-1');
    const keys = Array.from({ length: 1_000 }, () => partitionKeyOf('random', facts));
    assert.equal(new Set(keys).size, keys.length);
  });

  it('is what stands at a path of the payload', () => {
    assert.equal(keyOf('{"device":{"id":"bed-7"}}'), 'bed-7');
    assert.equal(keyOf('{"device":{"id":7}}'), '7');
    assert.equal(keyOf('["a","b"]', '1'), 'b');
  });

  it('is the thing where nothing at the path can be a key', () => {
    const without = ['', 'no json', 'null', '7', '{"device":null}', '{"device":{"id":""}}', '{"device":{"id":{}}}'];
    const notKeys = [`{"device":{"id":"${'x'.repeat(257)}"}}`, '{"device":{"id":"\\ud800"}}', Buffer.from([0xff])];
    const tooLarge = `{"device":{"id":"a"},"rest":"${'x'.repeat(partitionKeyLimits.fieldBytesMax)}"}`;
    for (const payload of [...without, ...notKeys, tooLarge]) assert.equal(keyOf(payload), 'sim-1');
    for (const field of ['__proto__', 'constructor.name', 'toString', ''])
      assert.equal(keyOf('{"a":1}', field), 'sim-1');
  });
});
