import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readReply } from './redis-client.ts';

describe("the benchmark's client of Redis", () => {
  const reply = '*2\r\n$3\r\nfoo\r\n*3\r\n:7\r\n$-1\r\n+OK\r\n';

  it('reads replies, also when they come in pieces', () => {
    const bytes = Buffer.from(reply);
    assert.deepEqual(readReply(bytes, 0), { reply: ['foo', [7, null, 'OK']], end: bytes.length });
    for (let end = 0; end < bytes.length; end++) assert.equal(readReply(bytes.subarray(0, end), 0), undefined);
  });

  it('tells an error from a text', () => {
    const read = readReply(Buffer.from('-ERR no\r\n'), 0);
    assert(read?.reply instanceof Error);
    assert.equal(read.reply.message, 'ERR no');
  });
});
