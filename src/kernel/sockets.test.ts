import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { describe, it } from 'node:test';
import { type Socket, systemSockets } from './sockets.ts';

describe('TCP sockets', () => {
  it('stop being accepted at once, while those there are live on', async t => {
    const accepted: Socket[] = [];
    const listener = await systemSockets.listen({ host: '127.0.0.1', port: 0 }, socket => void accepted.push(socket));
    const client = net.connect({ host: '127.0.0.1', port: listener.port });
    t.after(() => client.destroy());
    await once(client, 'connect');
    while (accepted.length === 0) await new Promise(resolve => setImmediate(resolve));
    await listener.close(); // Did not resolve before the last client had gone.
    accepted[0].start({ data: () => {}, drain: () => {}, close: () => {} });
    accepted[0].write(Buffer.from('still here'));
    const [bytes] = await once(client, 'data');
    assert.equal(String(bytes), 'still here');
    const late = net.connect({ host: '127.0.0.1', port: listener.port });
    const [error] = await once(late, 'error');
    assert.equal(error.code, 'ECONNREFUSED');
    accepted[0].end();
    await once(client, 'end');
  });

  it('are closed with what was written before, also when reading was paused', async () => {
    const closed = Promise.withResolvers<void>();
    const listener = await systemSockets.listen({ host: '127.0.0.1', port: 0 }, socket => {
      socket.start({ data: () => {}, drain: () => {}, close: closed.resolve });
      socket.pause();
      socket.write(Buffer.from('goodbye'));
      socket.end();
    });
    const client = net.connect({ host: '127.0.0.1', port: listener.port });
    client.write('unread');
    const [bytes] = await once(client, 'data');
    assert.equal(String(bytes), 'goodbye');
    await once(client, 'close');
    const startMs = performance.now();
    await closed.promise;
    assert(performance.now() - startMs < 1_500, 'did not have to wait for the deadline');
    await listener.close();
  });
});
