/**
 * Hostile inputs of group X whose defence is not a number that a test can raise: each promise is made once by our
 * listener and once by a naive one, which must break it.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { describe, it } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { patienceMsDefault, type TestEnd, TestListener, within } from './test-listener.ts';

interface Door {
  readonly port: number;
  readonly patienceMs: number;
}

async function ours(test: TestEnd, options = {}): Promise<Door> {
  const { port } = await TestListener.open(test, { webSocket: options });
  return { port, patienceMs: patienceMsDefault };
}

/** The library as it comes, for everybody, with all it offers; and what it is sent is taken for good. */
async function naive(test: TestEnd): Promise<Door> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: true });
  server.on('connection', socket => socket.on('message', () => {}).on('error', () => {}));
  await once(server, 'listening');
  test.after(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  return { port: (server.address() as net.AddressInfo).port, patienceMs: 200 }; // It listens on TCP.
}

/** Says yes to the upgrade and then reads nothing that it is sent. */
async function deaf(test: TestEnd): Promise<Door> {
  const answer = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n';
  const open = new Set<net.Socket>();
  const server = net.createServer(socket => {
    open.add(socket);
    socket.on('error', () => {}).once('data', () => socket.write(answer));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  test.after(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return { port: (server.address() as net.AddressInfo).port, patienceMs: 200 }; // It listens on TCP.
}

function connect({ port }: Door, test: TestEnd, options = {}): WebSocket {
  const client = new WebSocket(`ws://127.0.0.1:${port}/mqtt`, ['mqtt'], { perMessageDeflate: false, ...options });
  client.on('error', () => {});
  test.after(() => client.terminate());
  return client;
}

async function statusOf(client: WebSocket, patienceMs: number): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  client.once('open', () => resolve(101));
  client.once('unexpected-response', (_request, response) => resolve(response.statusCode ?? 0));
  return within(promise, 'no answer', patienceMs);
}

describe('a WebSocket, beside one whose defence is off', { timeout: 60_000 }, () => {
  it('is refused to a page of another origin, and given to one of its own (hostile X01)', async t => {
    const isRefused = async (door: Door) => {
      const status = (origin: string) => statusOf(connect(door, t, { origin }), patienceMsDefault);
      assert.equal(await status(`http://127.0.0.1:${door.port}`), 101);
      for (const origin of ['https://evil.example', 'null', 'file://', 'http://127.0.0.1.evil.example']) {
        assert.equal(await status(origin), 403, origin);
      }
    };
    await isRefused(await ours(t));
    await assert.rejects(isRefused(await naive(t)), assert.AssertionError);
  });

  it('has no compression, and so none that a bomb could inflate (hostile X03)', async t => {
    const isNotInflated = async (door: Door) => {
      const client = connect(door, t, { perMessageDeflate: true });
      assert.equal(await statusOf(client, patienceMsDefault), 101);
      assert.equal(client.extensions, '');
    };
    await isNotInflated(await ours(t));
    await assert.rejects(isNotInflated(await naive(t)), assert.AssertionError);
  });

  it('is closed over a text frame, with 1003 (hostile X04)', async t => {
    const isClosed = async (door: Door) => {
      const client = connect(door, t);
      assert.equal(await statusOf(client, patienceMsDefault), 101);
      client.send('text');
      const [code] = await within(once(client, 'close'), 'it stays open', door.patienceMs);
      assert.equal(code, 1003);
    };
    await isClosed(await ours(t));
    await assert.rejects(isClosed(await naive(t)), assert.AssertionError);
  });

  it('is closed over frames that are none, with 1002 or 1009 (hostile X05)', async t => {
    const isClosed = async (door: Door) => {
      for (const [hex, code] of [
        ['820568656c6c6f', 1002], // Not masked.
        ['f28000000000', 1002], // Reserved bits.
        ['82ff8000000000000000', 1009], // 2^63 bytes.
        ['888200000000ff00', 1002], // Closing with a code that is none.
      ] as const) {
        const client = net.connect({ host: '127.0.0.1', port: door.port });
        client.on('error', () => {});
        t.after(() => void client.destroy());
        client.write(
          `GET /mqtt HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
            `Sec-WebSocket-Key: ${Buffer.alloc(16, 1).toString('base64')}\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n`,
        );
        await within(once(client, 'data'), 'no answer to the upgrade');
        client.write(Buffer.from(hex, 'hex'));
        const [bytes] = await within(once(client, 'data'), `nothing follows on ${hex}`, door.patienceMs);
        assert.deepEqual([bytes[0], bytes.readUInt16BE(2)], [0x88, code], hex);
      }
    };
    await isClosed(await ours(t));
    await assert.rejects(isClosed(await deaf(t)), assert.AssertionError);
  });
});
