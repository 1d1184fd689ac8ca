import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { describe, it } from 'node:test';
import { systemSockets } from './sockets.ts';
import { TestAuthority } from './test-certificates.ts';
import { patienceMsDefault, readToEnd, TestListener, within } from './test-listener.ts';

const upgrade =
  'GET /mqtt HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
  'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n';

describe('a listener', { timeout: 60_000 }, () => {
  for (const option of ['connectionsMax', 'connectionsPerAddressMax'] as const) {
    it(`has no more connections than ${option}, and room again when one ends (hostile R05)`, async t => {
      const isCapped = async (max: number, patienceMs: number) => {
        const listener = await TestListener.open(t, { [option]: max });
        const first = await listener.connect();
        await listener.connect();
        const accepted = [await listener.accepted.take(), await listener.accepted.take()];
        await readToEnd(await listener.connect(), patienceMs);
        const refusal = await listener.refusals.take();
        assert.deepEqual([refusal.reason, refusal.remoteAddress], [option, '127.0.0.1']);
        first.destroy();
        await Promise.race(accepted.map(({ closed }) => within(closed, 'not closed')));
        await listener.connect();
        await listener.accepted.take();
      };
      await isCapped(2, patienceMsDefault);
      await assert.rejects(isCapped(100, 100), assert.AssertionError);
    });
  }

  it('counts connections under TLS too, from the first byte (hostile R05)', async t => {
    const authority = await TestAuthority.create();
    const tls = await authority.issueServer();
    const listener = await TestListener.open(t, { tls, connectionsPerAddressMax: 2 });
    const first = await listener.connectTls({ ca: authority.certificate });
    const accepted = await listener.accepted.take();
    await listener.connect(); // A handshake that is not finished counts.
    await readToEnd(await listener.connect());
    assert.equal((await listener.refusals.take()).reason, 'connectionsPerAddressMax');
    first.destroy();
    await within(accepted.closed, 'not closed');
    await listener.connectTls({ ca: authority.certificate });
  });

  it('takes a reset of any kind of connection for its end (hostile R03)', async t => {
    const authority = await TestAuthority.create();
    const tls = await authority.issueServer();
    const trusting = { ca: authority.certificate };
    for (const options of [{}, { tls }, { webSocket: {} }, { webSocket: {}, tls }]) {
      const listener = await TestListener.open(t, options);
      const transport = await listener.connect();
      const client = options.tls ? await listener.connectTls(trusting, transport) : transport;
      if (options.webSocket) client.write(upgrade);
      const accepted = await listener.accepted.take();
      accepted.socket.write(Buffer.alloc(1_000_000)); // So that there is something to fail.
      transport.resetAndDestroy();
      await within(accepted.closed, 'not closed');
      accepted.socket.write(Buffer.from('too late'));
      accepted.socket.end();
      accepted.socket.destroy();
      assert.equal(accepted.closes, 1);
    }
  });

  it('survives whoever accepts and throws, and whoever counts and throws (hostile R03)', async t => {
    const refused = Promise.withResolvers<string>();
    const listener = await systemSockets.listen(
      {
        host: '127.0.0.1',
        port: 0,
        onRefused: ({ reason }) => {
          refused.resolve(reason);
          throw new Error('cannot count');
        },
      },
      () => {
        throw new Error('cannot accept');
      },
    );
    t.after(() => listener.close());
    const client = net.connect({ host: '127.0.0.1', port: listener.port });
    await readToEnd(client);
    assert.equal(await within(refused.promise, 'not told'), 'failed');
  });

  it('tells why a port cannot be opened', async t => {
    const listener = await TestListener.open(t);
    await assert.rejects(
      systemSockets.listen({ host: '127.0.0.1', port: listener.port }, () => {}),
      {
        code: 'EADDRINUSE',
      },
    );
  });

  it('calls an IPv4 client by its address on a port of both families (hostile H13)', async t => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const listener = await systemSockets
      .listen({ host: '::', port: 0 }, socket => {
        resolve(socket.remoteAddress);
        socket.destroy();
      })
      .catch(() => undefined);
    if (!listener) return t.skip('no IPv6 on this machine');
    t.after(() => listener.close());
    const client = net.connect({ host: '127.0.0.1', port: listener.port });
    await readToEnd(client);
    assert.equal(await within(promise, 'not accepted'), '127.0.0.1');
  });
});

describe('a TCP socket', { timeout: 60_000 }, () => {
  it('calls the methods of its receiver on the receiver', async t => {
    const told: string[] = [];
    const closed = Promise.withResolvers<void>();
    const receiver = {
      name: 'receiver',
      data(bytes: Buffer) {
        told.push(`${this.name} ${bytes}`);
      },
      drain() {},
      close() {
        told.push(`${this.name} closed`);
        closed.resolve();
      },
    };
    const listener = await systemSockets.listen({ host: '127.0.0.1', port: 0 }, socket => socket.start(receiver));
    t.after(() => listener.close());
    net.connect({ host: '127.0.0.1', port: listener.port }).end('hello');
    await within(closed.promise, 'not closed');
    assert.deepEqual(told, ['receiver hello', 'receiver closed']);
  });

  it('tells its end exactly once, whenever it is started', async t => {
    const listener = await TestListener.open(t);
    const client = await listener.connect();
    const { socket, closed } = await listener.accepted.take();
    client.destroy();
    await within(closed, 'not closed');
    let closes = 0;
    socket.start({ data: () => {}, drain: () => {}, close: () => void closes++ });
    await new Promise(resolve => setImmediate(resolve));
    assert.equal(closes, 1);

    const other = await listener.connect();
    const destroyed = await listener.accepted.take();
    destroyed.socket.destroy();
    await within(destroyed.closed, 'not closed');
    await once(other, 'close');
    assert.equal(destroyed.closes, 1);
  });

  it('tells when everything has gone out', async t => {
    const listener = await TestListener.open(t);
    const client = await listener.connect();
    const { socket } = await listener.accepted.take();
    const drained = Promise.withResolvers<void>();
    socket.start({ data: () => {}, drain: drained.resolve, close: () => {} });
    socket.write(Buffer.alloc(16 * 1024 * 1024));
    assert(socket.bufferedBytes > 0);
    client.resume();
    await within(drained.promise, 'no drain');
    assert.equal(socket.bufferedBytes, 0);
  });
});
