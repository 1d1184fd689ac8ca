import assert from 'node:assert/strict';
import { it } from 'node:test';
import { readStartedPort } from './mimamori-broker.ts';

const line = '{"event":"started","urls":{"mqtt":"mqtt://127.0.0.1:1883","mqtts":"mqtts://127.0.0.1:8883"}}';

it('reads the port of each listener from what the broker says when it has started', () => {
  assert.equal(readStartedPort(line, 'mqtt'), 1_883);
  assert.equal(readStartedPort(line, 'mqtts'), 8_883);
});

it('quotes what was said instead of an address', () => {
  for (const other of ['{"event":"started","urls":{}}', '{"urls":{"mqtts":"nowhere"}}', 'started', '{"urls":null}']) {
    assert.throws(() => readStartedPort(other, 'mqtts'), { message: /mqtts address/, fix: `It said: ${other}` });
  }
});
