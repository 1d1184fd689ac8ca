import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type net from 'node:net';
import { describe, it } from 'node:test';
import { WebSocket } from 'ws';
import { bites } from './bites.ts';
import { listenLimits } from './listen-limits.ts';
import type { WebSocketOptions } from './sockets.ts';
import { TestAuthority } from './test-certificates.ts';
import {
  type AcceptedSocket,
  patienceMsDefault,
  readToEnd,
  type TestEnd,
  TestListener,
  within,
} from './test-listener.ts';
import { QuietWebSocket } from './web-socket.ts';

const webSocket: WebSocketOptions = {};

async function closeCode(client: WebSocket, patienceMs = patienceMsDefault): Promise<number> {
  const [code] = await within(once(client, 'close'), 'the WebSocket stays open', patienceMs);
  return code;
}

interface RawHeaders {
  readonly [name: string]: string | undefined;
}

const upgradeHeaders: RawHeaders = {
  Host: 'broker',
  Upgrade: 'websocket',
  Connection: 'Upgrade',
  'Sec-WebSocket-Key': Buffer.alloc(16, 1).toString('base64'),
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Protocol': 'mqtt',
};

function requestText(headers: RawHeaders, line = 'GET /mqtt HTTP/1.1'): string {
  const lines = Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]));
  return `${[line, ...lines].join('\r\n')}\r\n\r\n`;
}

/** A WebSocket by hand, so that frames can be sent that no library would. */
async function rawWebSocket(listener: TestListener): Promise<{ client: net.Socket; accepted: AcceptedSocket }> {
  const client = await listener.connect();
  client.write(requestText(upgradeHeaders));
  const [answer] = await within(once(client, 'data'), 'no answer');
  assert.match(String(answer), /^HTTP\/1\.1 101 /);
  return { client, accepted: await listener.accepted.take() };
}

/** A frame of a client, masked with zeros, so that the payload can be read in it. */
function frame(firstByte: number, payload: Buffer | string = ''): Buffer {
  const bytes = Buffer.from(payload);
  const length =
    bytes.length < 126 ? [0x80 | bytes.length] : [0x80 | 126, Math.floor(bytes.length / 256), bytes.length % 256];
  return Buffer.concat([Buffer.from([firstByte, ...length, 0, 0, 0, 0]), bytes]);
}

/** The code of the close frame that the server sends, before it closes the connection. */
async function rawCloseCode(client: net.Socket, patienceMs = patienceMsDefault): Promise<number> {
  const [bytes] = await within(once(client, 'data'), 'no close frame', patienceMs);
  assert.equal(bytes[0], 0x88, 'not a close frame');
  return bytes.readUInt16BE(2);
}

describe('a WebSocket listener', { timeout: 60_000 }, () => {
  it('carries bytes both ways, as binary frames [MQTT5 6.0.0-1] [MQTT311 6.0.0-1]', async t => {
    const listener = await TestListener.open(t, { webSocket });
    const client = await listener.connectWebSocket();
    assert.equal(client.protocol, 'mqtt');
    assert.equal(client.extensions, ''); // Hostile X03: compression is never agreed to.
    const accepted = await listener.accepted.take();
    assert.equal(accepted.socket.remoteAddress, '127.0.0.1');
    client.send(Buffer.from('hello'));
    await accepted.expect('hello');
    const answered = once(client, 'message');
    accepted.socket.write(Buffer.from('welcome'));
    const [data, isBinary] = await within(answered, 'no answer');
    assert.deepEqual([String(data), isBinary], ['welcome', true]);
    accepted.socket.end();
    assert.equal(await closeCode(client), 1000);
    await within(accepted.closed, 'not closed');
    assert.equal(accepted.closes, 1);
  });

  it('serves TLS with certificates of clients', async t => {
    const authority = await TestAuthority.create();
    const shown = await authority.issueClient('speaker-1');
    const tls = { ...(await authority.issueServer()), ca: authority.certificate, requireCertificate: true };
    const listener = await TestListener.open(t, { webSocket, tls });
    const trusting = { scheme: 'wss', ca: authority.certificate } as const;
    const client = await listener.connectWebSocket({ ...trusting, key: shown.key, cert: shown.certificate });
    const accepted = await listener.accepted.take();
    assert.equal(accepted.socket.certificate?.commonName, 'speaker-1');
    assert((accepted.socket.handshakeMs ?? 0) > 0);
    client.send(Buffer.from('hello'));
    await accepted.expect('hello');
    await assert.rejects(listener.connectWebSocket(trusting));
    assert.equal((await listener.refusals.take()).detail, 'missing');
  });

  it('knows the client behind a proxy', async t => {
    const listener = await TestListener.open(t, { webSocket, proxyProtocol: true });
    const client = await listener.connect();
    client.write(`PROXY TCP4 192.0.2.7 198.51.100.9 1 2\r\n${requestText(upgradeHeaders)}`);
    const accepted = await listener.accepted.take();
    assert.equal(accepted.socket.remoteAddress, '192.0.2.7');
    client.write(frame(0x82, 'hello'));
    await accepted.expect('hello');
  });

  it('takes frames that come in one segment with the upgrade', async t => {
    const listener = await TestListener.open(t, { webSocket });
    const client = await listener.connect();
    client.write(Buffer.concat([Buffer.from(requestText(upgradeHeaders)), frame(0x82, 'first')]));
    await (await listener.accepted.take()).expect('first');
  });

  it('does not care how packets lie in frames [MQTT5 6.0.0-2] [MQTT311 6.0.0-2] (hostile X04)', async t => {
    const listener = await TestListener.open(t, { webSocket });
    const { client, accepted } = await rawWebSocket(listener);
    client.write(frame(0x82, 'one frame '));
    client.write(frame(0x02, 'several '));
    client.write(frame(0x89, 'a ping between')); // Allowed within a fragmented message.
    client.write(frame(0x00, 'frag'));
    client.write(frame(0x80, 'ments '));
    client.write(Buffer.concat([frame(0x82, 'two '), frame(0x82), frame(0x82, 'at once')]));
    await accepted.expect('one frame several fragments two at once');
    for (const byte of frame(0x82, ' and byte by byte')) client.write(Buffer.from([byte]));
    await accepted.expect('one frame several fragments two at once and byte by byte');
  });

  it('stops and restarts delivery, and tells what waits and when it is gone', async t => {
    const listener = await TestListener.open(t, { webSocket });
    const client = await listener.connectWebSocket();
    const { socket } = await listener.accepted.take();
    const drained = Promise.withResolvers<void>();
    socket.start({ data: () => {}, drain: drained.resolve, close: () => {} });
    client.pause();
    const large = Buffer.alloc(16 * 1024 * 1024);
    socket.write(large);
    assert(socket.bufferedBytes > 0);
    client.resume();
    await within(drained.promise, 'no drain');
    assert.equal(socket.bufferedBytes, 0);
  });

  it('delivers nothing while it is paused', async t => {
    const listener = await TestListener.open(t, { webSocket });
    const client = await listener.connectWebSocket();
    const accepted = await listener.accepted.take();
    accepted.socket.pause();
    client.send(Buffer.from('early'));
    const other = await listener.connectWebSocket(); // The bytes have arrived by the time this one is served.
    other.send(Buffer.from('later'));
    await (await listener.accepted.take()).expect('later');
    assert.equal(accepted.text, '');
    accepted.socket.resume();
    await accepted.expect('early');
  });

  it('ends with what was written before, also when reading was paused', async t => {
    const listener = await TestListener.open(t, { webSocket });
    const client = await listener.connectWebSocket();
    const accepted = await listener.accepted.take();
    const received = once(client, 'message');
    accepted.socket.pause();
    accepted.socket.write(Buffer.from('goodbye'));
    accepted.socket.end();
    accepted.socket.write(Buffer.from('too late'));
    assert.equal(String((await within(received, 'nothing'))[0]), 'goodbye');
    assert.equal(await closeCode(client), 1000);
    await within(accepted.closed, 'not closed');
  });

  it('tells the close of a client that says goodbye, and of one that does not', async t => {
    const listener = await TestListener.open(t, { webSocket });
    const [polite, rude] = [await listener.connectWebSocket(), await listener.connectWebSocket()];
    const sockets = [await listener.accepted.take(), await listener.accepted.take()];
    polite.close(1000);
    rude.terminate();
    for (const { closed } of sockets) await within(closed, 'not closed');
    assert.deepEqual(
      sockets.map(({ closes }) => closes),
      [1, 1],
    );
  });

  it('tells a socket that is started late of its end', async t => {
    const listener = await TestListener.open(t, { webSocket });
    await listener.connectWebSocket();
    const { socket, closed } = await listener.accepted.take();
    socket.destroy();
    await within(closed, 'not closed');
    const late = Promise.withResolvers<void>();
    socket.start({ data: () => {}, drain: () => {}, close: late.resolve });
    await within(late.promise, 'not told');
  });

  it('is not ended for being idle, as a connection without a request is', async t => {
    await withLimit('requestIdleMs', 30, async () => {
      const listener = await TestListener.open(t, { webSocket });
      const client = await listener.connectWebSocket();
      await readToEnd(await listener.connect());
      client.send(Buffer.from('still here'));
      await (await listener.accepted.take()).expect('still here');
    });
  });

  it('stops being accepted at once, while those there live on', async t => {
    const listener = await TestListener.open(t, { webSocket });
    const client = await listener.connectWebSocket();
    const idle = await listener.connect();
    await listener.listener.close();
    client.send(Buffer.from('still here'));
    await (await listener.accepted.take()).expect('still here');
    idle.write('GET'); // It may have been accepted or not; it is closed in any case.
    await assert.rejects(listener.connectWebSocket());
  });
});

describe('a request for a WebSocket', { timeout: 60_000 }, () => {
  const refused: Readonly<Record<string, readonly [status: number, code: string, request: string]>> = {
    'another path': [404, 'websocket.pathNotServed', requestText(upgradeHeaders, 'GET /other HTTP/1.1')],
    'no subprotocol [MQTT5 6.0.0-3] [MQTT311 6.0.0-3] (hostile X04)': [
      400,
      'websocket.subprotocolMissing',
      requestText({ ...upgradeHeaders, 'Sec-WebSocket-Protocol': undefined }),
    ],
    'another subprotocol': [
      400,
      'websocket.subprotocolMissing',
      requestText({ ...upgradeHeaders, 'Sec-WebSocket-Protocol': 'chat' }),
    ],
    'subprotocols that are no list': [
      400,
      'websocket.upgradeNotValid',
      requestText({ ...upgradeHeaders, 'Sec-WebSocket-Protocol': 'mqtt,,mqtt' }),
    ],
    'another origin (hostile X01)': [
      403,
      'websocket.originNotAllowed',
      requestText({ ...upgradeHeaders, Origin: 'https://evil.example' }),
    ],
    'no key': [400, 'websocket.upgradeNotValid', requestText({ ...upgradeHeaders, 'Sec-WebSocket-Key': undefined })],
    'a key too short': [400, 'websocket.upgradeNotValid', requestText({ ...upgradeHeaders, 'Sec-WebSocket-Key': 'a' })],
    'another version': [
      400,
      'websocket.upgradeNotValid',
      requestText({ ...upgradeHeaders, 'Sec-WebSocket-Version': '12' }),
    ],
    'another method': [400, 'websocket.upgradeNotValid', requestText(upgradeHeaders, 'POST /mqtt HTTP/1.1')],
  };
  for (const [name, [status, code, request]] of Object.entries(refused)) {
    it(`is refused with ${status} and closed: ${name}`, async t => {
      const listener = await TestListener.open(t, { webSocket });
      const client = await listener.connect();
      client.write(request);
      const answer = await readToEnd(client);
      assert(answer.startsWith(`HTTP/1.1 ${status} `), answer);
      assert.match(answer, /content-type: application\/problem\+json/i);
      assert.equal(JSON.parse(answer.slice(answer.indexOf('{'))).code, code);
      assert.deepEqual(await listener.refusals.take(), { reason: 'upgrade', detail: code, remoteAddress: '127.0.0.1' });
      assert.equal(listener.accepted.size, 0);
    });
  }

  it('lets pages of other origins in where they are on the list (hostile X01)', async t => {
    const origins = ['https://console.example'];
    const listener = await TestListener.open(t, { webSocket: { origins } });
    await listener.connectWebSocket({ origin: 'https://console.example' });
    await assert.rejects(listener.connectWebSocket({ origin: 'https://evil.example' }), { status: 403 });
  });

  it('is not answered with compression, even if that is asked for (hostile X03)', async t => {
    const listener = await TestListener.open(t, { webSocket });
    const client = await listener.connectWebSocket({ perMessageDeflate: true });
    assert.equal(client.extensions, '');
    const { client: raw, accepted } = await rawWebSocket(listener);
    raw.write(frame(0xc2, 'compressed, it says'));
    assert.equal(await rawCloseCode(raw), 1002);
    assert.equal(accepted.text, '');
  });

  it('has to be finished in time (hostile X06)', async t => {
    const isFinished = async (requestHeadersMs: number, patienceMs: number) => {
      const deadlines = { requestHeadersMs, requestMs: requestHeadersMs };
      const listener = await TestListener.open(t, { webSocket, deadlines });
      const [silent, slow] = [await listener.connect(), await listener.connect()];
      slow.write(requestText(upgradeHeaders).slice(0, -2));
      const trickle = setInterval(() => slow.write('X: y\r\n'), 10); // Never idle: the deadline is absolute.
      t.after(() => clearInterval(trickle));
      await readToEnd(silent, patienceMs);
      assert.match(await readToEnd(slow, patienceMs), /^(HTTP\/1\.1 408 |$)/);
      assert.equal((await listener.refusals.take()).detail, 'ERR_HTTP_REQUEST_TIMEOUT');
      assert.equal(listener.accepted.size, 0);
    };
    await isFinished(60, patienceMsDefault);
    await assert.rejects(isFinished(60_000, 150), assert.AssertionError);
  });

  it('counts while it is not finished, in total and per address (hostile X06)', async t => {
    for (const [option, reason] of [
      ['connectionsMax', 'connectionsMax'],
      ['connectionsPerAddressMax', 'connectionsPerAddressMax'],
    ] as const) {
      const isCapped = async (max: number, patienceMs: number) => {
        const listener = await TestListener.open(t, { webSocket, [option]: max });
        const half = [];
        for (let count = 0; count < 3; count++) half.push(await listener.connect());
        for (const client of half) client.write('GET /mqtt HTTP/1.1\r\n');
        const late = await listener.connect();
        await readToEnd(late, patienceMs);
        assert.equal((await listener.refusals.take()).reason, reason);
        half[0].destroy();
        await freed(listener);
      };
      await isCapped(3, patienceMsDefault);
      await assert.rejects(isCapped(100, 100), assert.AssertionError);
    }
  });
});

/** Tries until there is room again: the server learns of an end a little later than the client. */
async function freed(listener: TestListener): Promise<void> {
  const tries = async (): Promise<void> => {
    await listener.connectWebSocket().catch(tries);
  };
  await within(tries(), 'no room again');
}

describe('frames of a WebSocket', { timeout: 60_000 }, () => {
  it('that hold text end it with 1003 [MQTT5 6.0.0-1] [MQTT311 6.0.0-1] (hostile X04)', async t => {
    const listener = await TestListener.open(t, { webSocket });
    const client = await listener.connectWebSocket();
    const accepted = await listener.accepted.take();
    client.send('text');
    client.send(Buffer.from('and bytes after it'));
    assert.equal(await closeCode(client), 1003);
    await within(accepted.closed, 'not closed');
    assert.equal(accepted.text, '');
    assert.deepEqual(await listener.refusals.take(), { reason: 'frame', detail: 'text', remoteAddress: '127.0.0.1' });
  });

  const bad: Readonly<Record<string, readonly [code: number, bytes: Buffer]>> = {
    'without a mask': [1002, Buffer.from('820568656c6c6f', 'hex')],
    'with RSV1': [1002, frame(0xc2, 'x')],
    'with RSV2': [1002, frame(0xa2, 'x')],
    'with RSV3': [1002, frame(0x92, 'x')],
    'with an opcode not known': [1002, frame(0x83, 'x')],
    'with a control opcode not known': [1002, frame(0x8b, 'x')],
    'that continue nothing': [1002, frame(0x80, 'x')],
    'that begin anew within a message': [1002, Buffer.concat([frame(0x02, 'x'), frame(0x82, 'y')])],
    'that split a ping': [1002, frame(0x09, 'x')],
    'that hold a ping too long': [1002, frame(0x89, 'x'.repeat(126))],
    'of 2^63 bytes': [1009, Buffer.from('82ff8000000000000000', 'hex')],
    'of 2^53 bytes': [1009, Buffer.from('82ff0020000000000000', 'hex')],
    'of 4 GiB': [1009, Buffer.from('82ff0000000100000000', 'hex')],
    'of text that is not UTF-8': [1007, frame(0x81, Buffer.from([0xc0, 0xaf]))],
    'that close with 1005': [1002, frame(0x88, Buffer.from([0x03, 0xed]))],
    'that close with 999': [1002, frame(0x88, Buffer.from([0x03, 0xe7]))],
    'that close with half a code': [1002, frame(0x88, Buffer.from([0x03]))],
    'that close with words that are not UTF-8': [1007, frame(0x88, Buffer.from([0x03, 0xe8, 0xc0, 0xaf]))],
  };
  for (const [name, [code, bytes]] of Object.entries(bad)) {
    it(`end it with ${code}: ${name} (hostile X05)`, async t => {
      const listener = await TestListener.open(t, { webSocket });
      const { client, accepted } = await rawWebSocket(listener);
      client.write(bytes);
      assert.equal(await rawCloseCode(client), code);
      await within(accepted.closed, 'not closed');
      assert.equal(accepted.closes, 1);
      const { reason, detail } = await listener.refusals.take();
      assert.equal(reason, 'frame');
      assert.match(detail, /^WS_ERR_/);
      assert.equal(accepted.text, '');
    });
  }

  it('that are never finished cost no more than the limits: fragments (hostile X02)', async t => {
    const isLimited = async () => {
      const listener = await TestListener.open(t, { webSocket });
      const { client } = await rawWebSocket(listener);
      const empty = Buffer.concat(
        Array.from({ length: listenLimits.webSocketFragmentsMax || 2_000 }, () => frame(0x00)),
      );
      client.write(Buffer.concat([frame(0x02), empty]));
      assert.equal(await rawCloseCode(client, patienceMs), 1008);
      assert.equal((await listener.refusals.take()).detail, 'WS_ERR_TOO_MANY_BUFFERED_PARTS');
    };
    let patienceMs = patienceMsDefault;
    await isLimited();
    patienceMs = 100;
    await bites(listenLimits, 'webSocketFragmentsMax', { value: 0 }, isLimited);
  });

  it('that are never finished cost no more than the limits: chunks (hostile X02)', async t => {
    let patienceMs = patienceMsDefault;
    const isLimited = async () => {
      const listener = await TestListener.open(t, { webSocket });
      const { client } = await rawWebSocket(listener);
      client.setNoDelay(true);
      const closed = rawCloseCode(client, patienceMs);
      client.write(Buffer.from('82fe7fff00000000', 'hex')); // 32,767 bytes, which come one by one.
      for (let sent = 0; sent < 64 && !client.destroyed; sent++) {
        client.write(Buffer.from([0]));
        await new Promise(resolve => setTimeout(resolve, 1));
      }
      assert.equal(await closed, 1008);
    };
    await withLimit('webSocketChunksMax', 16, isLimited);
    patienceMs = 200;
    await bites(listenLimits, 'webSocketChunksMax', { value: 0 }, isLimited);
  });

  it('that make a message too large end it before it has arrived (hostile X02)', async t => {
    let patienceMs = patienceMsDefault;
    const isLimited = async () => {
      const listener = await TestListener.open(t, { webSocket });
      const { client } = await rawWebSocket(listener);
      const announced = Buffer.from('82ff000000000005000100000000', 'hex'); // 320 KiB and one byte
      client.write(announced);
      assert.equal(await rawCloseCode(client, patienceMs), 1009);
    };
    await isLimited();
    patienceMs = 100;
    await bites(listenLimits, 'webSocketMessageBytesMax', { value: 0 }, isLimited);
  });

  it('may hold the largest packet, and what comes along with it', async t => {
    const listener = await TestListener.open(t, { webSocket });
    const client = await listener.connectWebSocket();
    const large = randomBytes(listenLimits.webSocketMessageBytesMax);
    client.send(large);
    await (await listener.accepted.take()).expect(large);
  });

  it('may be of another size by option', async t => {
    const listener = await TestListener.open(t, { webSocket: { messageBytesMax: 10 } });
    const client = await listener.connectWebSocket();
    client.send(Buffer.alloc(10));
    await (await listener.accepted.take()).expect(Buffer.alloc(10));
    client.send(Buffer.alloc(11));
    assert.equal(await closeCode(client), 1009);
  });

  it('that are pings are answered, and a flood of them that is not read ends it (hostile X02)', async t => {
    const listener = await TestListener.open(t, { webSocket });
    const { client, accepted } = await rawWebSocket(listener);
    client.write(frame(0x89, 'are you there'));
    const [answer] = await within(once(client, 'data'), 'no pong');
    assert.deepEqual([answer[0], String(answer.subarray(2))], [0x8a, 'are you there']);
    client.pause();
    const pings = Buffer.concat(Array.from({ length: 500 }, () => frame(0x89, 'x'.repeat(125))));
    let isClosed = false;
    void accepted.closed.then(() => {
      isClosed = true;
    });
    for (let sent = 0; sent < 400 && !isClosed; sent++) {
      await new Promise(resolve => client.write(pings, resolve));
    }
    await within(accepted.closed, 'the flood goes on');
    assert(accepted.socket.bufferedBytes < 16 * 1024 * 1024);
  });
});

async function withLimit(name: keyof typeof listenLimits, value: number, run: () => Promise<void>): Promise<void> {
  const before = listenLimits[name];
  Object.assign(listenLimits, { [name]: value });
  try {
    await run();
  } finally {
    Object.assign(listenLimits, { [name]: before });
  }
}

describe('a WebSocket whose peer does not answer', { timeout: 60_000 }, () => {
  const unanswering = async (t: TestEnd, deadlines: { webSocketCloseMs: number; webSocketPingMs: number }) => {
    const listener = await TestListener.open(t, { webSocket, deadlines });
    return { listener, ...(await rawWebSocket(listener)) };
  };

  it('is closed all the same when it does not answer the close (hostile X07)', async t => {
    const isClosed = async (webSocketCloseMs: number, patienceMs: number) => {
      const { client, accepted } = await unanswering(t, { webSocketCloseMs, webSocketPingMs: 60_000 });
      accepted.socket.end();
      assert.equal(await rawCloseCode(client), 1000);
      await within(accepted.closed, 'not closed', patienceMs);
    };
    await isClosed(50, patienceMsDefault);
    await assert.rejects(isClosed(60_000, 150), assert.AssertionError);
  });

  it('is closed when it does not answer pings (hostile X07)', async t => {
    const isClosed = async (webSocketPingMs: number, patienceMs: number) => {
      const { listener, client, accepted } = await unanswering(t, { webSocketCloseMs: 60_000, webSocketPingMs });
      const [ping] = await within(once(client, 'data'), 'no ping', patienceMs);
      assert.equal(ping[0], 0x89);
      await within(accepted.closed, 'not closed', patienceMs);
      assert.equal((await listener.refusals.take()).reason, 'halfOpen');
    };
    await isClosed(40, patienceMsDefault);
    await assert.rejects(isClosed(60_000, 150), assert.AssertionError);
  });

  it('lives on when it does, or says anything else, or is not read', async t => {
    const listener = await TestListener.open(t, { webSocket, deadlines: { webSocketPingMs: 40 } });
    const ponging = await listener.connectWebSocket();
    const talking = await listener.connectWebSocket({ autoPong: false });
    const paused = await listener.connectWebSocket({ autoPong: false });
    const accepted = [];
    for (let count = 0; count < 3; count++) accepted.push(await listener.accepted.take());
    accepted[2].socket.pause();
    let pings = 0;
    const enough = Promise.withResolvers<void>();
    ponging.on('ping', () => ++pings === 4 && enough.resolve());
    const talk = setInterval(() => talking.send(Buffer.from('.')), 10);
    t.after(() => clearInterval(talk));
    await within(enough.promise, 'no pings');
    assert.deepEqual(
      accepted.map(({ closes }) => closes),
      [0, 0, 0],
    );
    assert.equal(paused.readyState, WebSocket.OPEN);
  });
});

describe('the reason of a close', { timeout: 60_000 }, () => {
  it('is in our own words, whatever the peer says (hostile X09)', async t => {
    const isOurs = async () => {
      const listener = await TestListener.open(t, { webSocket });
      for (const [code, ours] of [
        [1000, 'closed'],
        [4_999, ''],
      ] as const) {
        const client = await listener.connectWebSocket();
        await listener.accepted.take();
        client.close(code, 'words of the attacker');
        const [echoed, reason] = await within(once(client, 'close'), 'not closed');
        assert.deepEqual([echoed, String(reason)], [code, ours]);
      }
    };
    await isOurs();
    const repeating = Object.getOwnPropertyDescriptor(WebSocket.prototype, 'close');
    assert(repeating);
    await bites(QuietWebSocket.prototype, 'close', repeating, isOurs);
  });
});
