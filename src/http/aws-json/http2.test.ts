/** What an endpoint takes over HTTP/2, and what it does not, with a protocol that answers what it was sent. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { seededRandom } from '../../kernel/random.ts';
import { VirtualClock } from '../../kernel/virtual-clock.ts';
import { endpointLimits, http2Limits } from './limits.ts';
import { type EndpointListener, listenEndpoint } from './listener.ts';
import type { Call, Protocol } from './protocol.ts';

interface Opened extends EndpointListener {
  readonly clock: VirtualClock;
  /** Bodies that were answered. */
  readonly bodies: string[];
}

/** Answers `{"size":n}`, or so many bytes as `x-size` says; waits while `held` does. */
async function open(t: TestContext, held: Promise<void> = Promise.resolve()): Promise<Opened> {
  const clock = new VirtualClock();
  const bodies: string[] = [];
  const protocol: Protocol = {
    service: 'echo',
    hasChecksums: false,
    requestIdOf: (_prefix, number) => String(number),
    answersAlone: () => false,
    answer: async (exchange, { body, head }: Call) => {
      await held;
      bodies.push(body.toString('latin1', 0, 20));
      const size = Number(head.headers['x-size'] ?? 0);
      exchange.answer(200, size > 0 ? 'x'.repeat(size) : JSON.stringify({ size: body.length }), 'text/plain');
    },
    encodeRefusal: ({ name }) => ({ body: name, contentType: 'text/plain' }),
  };
  const options = { protocol, clock, random: seededRandom(1), host: '127.0.0.1', port: 0, connectionsMax: 100 };
  const problem = () => new Error('It cannot be opened.');
  const listener = await listenEndpoint(
    { ...options, hasHttp2: true },
    { credentialsRequired: problem, portInUse: problem, hostNotUsable: problem },
  );
  t.after(() => listener.close());
  return { ...listener, clock, bodies };
}

function connect(t: TestContext, url: string, settings: http2.Settings = {}): http2.ClientHttp2Session {
  const session = http2.connect(url, { settings, maxSessionMemory: 200 });
  session.on('error', () => {});
  t.after(() => session.destroy());
  return session;
}

/** Resolves however it ends. */
function closeOf(session: http2.ClientHttp2Session): Promise<void> {
  return new Promise(resolve => session.once('close', () => resolve()));
}

/** Everything sent before has arrived. */
async function hasArrived(session: http2.ClientHttp2Session): Promise<void> {
  if (session.connecting) await once(session, 'connect');
  await new Promise(resolve => session.ping(resolve));
}

interface Answer {
  readonly status: number;
  readonly text: string;
  /** RFC 9113 7, as told by the other side. */
  readonly code: number;
}

function ask(
  session: http2.ClientHttp2Session,
  body: string | Buffer = '',
  headers: http2.OutgoingHttpHeaders = {},
): Promise<Answer> {
  const stream = session.request({ ':method': 'POST', ':path': '/', ...headers });
  const answered = answerOf(stream);
  stream.end(body);
  return answered;
}

async function answerOf(stream: http2.ClientHttp2Stream): Promise<Answer> {
  let status = 0;
  let text = '';
  stream.on('response', headers => {
    status = Number(headers[':status']);
  });
  stream.on('data', chunk => {
    text += chunk;
  });
  stream.on('error', () => {});
  await new Promise(resolve => stream.once('close', resolve));
  return { status, text, code: stream.rstCode ?? 0 };
}

/** One request of HTTP/1.1 in the form of bytes; resolves with what came back when the connection is closed. */
function sendBytes(port: number, ...parts: (string | Buffer)[]): Promise<string> {
  return new Promise(resolve => {
    const socket = net.connect({ host: '127.0.0.1', port }, async () => {
      for (const part of parts) {
        socket.write(part);
        await new Promise(next => setImmediate(next));
      }
    });
    let text = '';
    socket.on('data', chunk => {
      text += chunk.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(text));
  });
}

const { constants } = http2;
const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

/** Frames as RFC 9113 has them, for what no client of Node sends. */
function frameOf(type: number, flags: number, stream: number, payload = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

const [data, headers, reset, endStream, endHeaders] = [0, 1, 3, 1, 4];
const noSettings = frameOf(4, 0, 0);
const goodbye = frameOf(7, 0, 0, Buffer.alloc(8));
/** The start of a request: method, path and scheme from the table of HPACK, and an authority. */
const post = (stream: number) => frameOf(headers, endHeaders, stream, Buffer.from([0x83, 0x84, 0x86, 0x41, 1, 0x78]));

describe('HTTP/2 and HTTP/1.1 on one port', () => {
  it('are told apart by the first bytes, also when these come one by one', async t => {
    const { url, port, bodies } = await open(t);
    const session = connect(t, url);
    assert.deepEqual(await ask(session, 'over two'), { status: 200, text: '{"size":8}', code: 0 });
    const request = 'POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\none';
    assert.match(await sendBytes(port, request), /^HTTP\/1\.1 200 OK/);
    assert.match(await sendBytes(port, ...request), /^HTTP\/1\.1 200 OK/);
    assert.match(await sendBytes(port, 'PUT / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'), /^HTTP\/1\.1 200/);
    const slow = frameOf(data, endStream, 1, Buffer.from('slow'));
    await sendBytes(port, ...preface, noSettings, post(1), slow, goodbye);
    assert.deepEqual(bodies, ['over two', 'one', 'one', '', 'slow']);
  });

  it('are neither when the first bytes are something else, or nothing for too long', async t => {
    const { port, clock } = await open(t);
    assert.match(await sendBytes(port, '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'), /^HTTP\/1\.1 400/); // TLS
    assert.equal(
      (await sendBytes(port, 'PRI * HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n')).includes('HTTP/1.1 200'),
      false,
    );
    const silent = ['', 'P', 'PRI'].map(text => sendBytes(port, text));
    await settleUntilConnected(port);
    await clock.advance(endpointLimits.headersTimeoutMs);
    assert.deepEqual(await Promise.all(silent), ['', '', '']);
  });
});

/** Connections made before are known to the server once one made after is served. */
async function settleUntilConnected(port: number): Promise<void> {
  await sendBytes(port, 'POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
}

describe('a session of HTTP/2', () => {
  it('carries many requests at once, and bodies as large as on HTTP/1.1', async t => {
    const { url } = await open(t);
    const session = connect(t, url);
    const sizes = [0, 1, 100_000, 5_000_000, endpointLimits.bodyBytesMax];
    const answers = await Promise.all(sizes.map(size => ask(session, Buffer.alloc(size, 'x'))));
    assert.deepEqual(
      answers.map(({ text }) => JSON.parse(text).size),
      sizes,
    );
    const large = await Promise.all(Array.from({ length: 4 }, () => ask(session, '', { 'x-size': '14000000' })));
    assert.deepEqual(
      large.map(({ text }) => text.length),
      Array.from({ length: 4 }, () => 14_000_000),
    );
  });

  it('is told why a body is too large, announced or not, and goes on', async t => {
    const { url } = await open(t);
    const session = connect(t, url);
    const tooMuch = endpointLimits.bodyBytesMax + 1;
    const announced = session.request({ ':method': 'POST', 'content-length': tooMuch });
    const first = await answerOf(announced);
    assert.deepEqual([first.status, first.text], [413, 'RequestEntityTooLargeException']);
    const unannounced = session.request({ ':method': 'POST' });
    unannounced.write(Buffer.alloc(tooMuch));
    const second = await answerOf(unannounced);
    assert.deepEqual([second.status, second.code], [413, constants.NGHTTP2_NO_ERROR]);
    assert.equal((await ask(session, 'x')).text, '{"size":1}');
  });

  it('has so many requests at once, and no more', async t => {
    const held = Promise.withResolvers<void>();
    const { url } = await open(t, held.promise);
    const session = connect(t, url);
    await once(session, 'remoteSettings');
    assert.equal(session.remoteSettings.maxConcurrentStreams, http2Limits.streamsMax);
    const asked = Array.from({ length: http2Limits.streamsMax + 20 }, () => ask(session, 'x'));
    held.resolve(); // Those over the limit were not sent before: the client knows it.
    assert.equal((await Promise.all(asked)).filter(({ status }) => status === 200).length, asked.length);
  });

  it('has headers of so many bytes and fields, and no more', async t => {
    const { url } = await open(t);
    const session = connect(t, url);
    const many = Object.fromEntries(Array.from({ length: http2Limits.headersMax }, (_, at) => [`x-${at}`, 'y']));
    assert.equal((await ask(session, '', many)).code, constants.NGHTTP2_ENHANCE_YOUR_CALM);
    const long = { 'x-long': 'y'.repeat(endpointLimits.headerBytesMax) };
    const refused = await ask(connect(t, url), '', long);
    assert.notEqual(refused.status, 200);
    assert.equal((await ask(connect(t, url), '', { 'x-long': 'y'.repeat(8_000) })).status, 200);
  });

  it('ends a request whose body does not come, and keeps the others', async t => {
    const { url, clock } = await open(t);
    const session = connect(t, url);
    const half = session.request({ ':method': 'POST', 'content-length': 10 });
    half.write('12345');
    const ending = answerOf(half);
    assert.equal((await ask(session, 'x')).status, 200);
    await clock.advance(endpointLimits.requestTimeoutMs);
    assert.deepEqual(await ending, { status: 0, text: '', code: constants.NGHTTP2_CANCEL });
    assert.equal((await ask(session, 'x')).status, 200);
  });

  it('ends an answer that nobody takes, and gets its memory back', async t => {
    const { url, clock } = await open(t);
    const session = connect(t, url, { initialWindowSize: 1_000 });
    const stream = session.request({ ':method': 'POST', 'x-size': '2000000' });
    stream.on('error', () => {});
    stream.pause().end();
    await once(stream, 'response');
    const closed = once(stream, 'close');
    await clock.advance(endpointLimits.answerTimeoutMs);
    await closed;
    assert.equal(stream.rstCode, constants.NGHTTP2_CANCEL);
  });

  it('carries out no request that was cancelled before it was whole', async t => {
    const { port, bodies } = await open(t);
    for (const [at, code] of [constants.NGHTTP2_CANCEL, constants.NGHTTP2_NO_ERROR].entries()) {
      const id = 1 + 2 * at;
      const request = Buffer.concat([post(1), frameOf(data, 0, 1, Buffer.from('{}'))]);
      const cancelled = frameOf(reset, 0, 1, Buffer.from([0, 0, 0, code]));
      const whole = Buffer.concat([post(3), frameOf(data, endStream, 3, Buffer.from(`whole ${id}`)), goodbye]);
      await sendBytes(port, preface, noSettings, request, Buffer.concat([cancelled, whole]));
    }
    assert.deepEqual(bodies, ['whole 1', 'whole 3']);
  });

  it('is over when nobody asks anything for a while, whatever else it says', async t => {
    const { url, clock } = await open(t);
    const [used, unused] = [connect(t, url), connect(t, url)];
    assert.equal((await ask(used, 'x')).status, 200);
    await once(unused, 'remoteSettings');
    const unusedClosed = closeOf(unused);
    await clock.advance(endpointLimits.headersTimeoutMs);
    await unusedClosed;
    assert.equal((await ask(used, 'x')).status, 200);
    await clock.advance(endpointLimits.keepAliveTimeoutMs - 1);
    await hasArrived(used);
    assert.equal(used.closed, false);
    const usedClosed = closeOf(used);
    await clock.advance(1);
    await usedClosed;
  });

  it('is over when it opens requests only to cancel them', async t => {
    const { url, port, bodies } = await open(t);
    const cancelled = Array.from({ length: 4 * http2Limits.resetBurst }, (_, at) => {
      const id = 1 + 2 * at;
      return Buffer.concat([post(id), frameOf(reset, 0, id, Buffer.from([0, 0, 0, constants.NGHTTP2_CANCEL]))]);
    });
    await sendBytes(port, preface, noSettings, Buffer.concat(cancelled)); // resolves as the connection is closed
    assert.deepEqual(bodies, []);
    assert.equal((await ask(connect(t, url), 'x')).status, 200);
  });

  it('is over when it sends what is none, and others are not', async t => {
    const { port, url } = await open(t);
    const frames = [
      Buffer.from([255, 255, 255, data, 0, 0, 0, 0, 1]), // 16 MiB at once
      frameOf(8, 0, 0, Buffer.alloc(4)), // a window that grows by nothing
      frameOf(9, 0, 1, Buffer.alloc(1)), // a continuation of nothing
      frameOf(headers, endHeaders, 1, Buffer.alloc(3, 255)), // no HPACK
      frameOf(data, endStream, 0), // data of no stream
    ];
    for (const frame of frames) await sendBytes(port, preface, noSettings, frame); // resolves as the connection is closed
    assert.equal((await ask(connect(t, url), 'x')).status, 200);
  });

  it('answers what is in flight when the endpoint is closed, and says goodbye', async t => {
    const held = Promise.withResolvers<void>();
    const { url, close } = await open(t, held.promise);
    const session = connect(t, url);
    const asked = ask(session, 'x');
    await hasArrived(session);
    const goodbye = once(session, 'goaway');
    const closing = close();
    await goodbye;
    held.resolve();
    assert.equal((await asked).text, '{"size":1}');
    await closing;
    const other = await open(t, new Promise(() => {}));
    const stuck = connect(t, other.url);
    const never = ask(stuck, 'x');
    await hasArrived(stuck);
    const ended = other.close();
    await other.clock.advance(endpointLimits.closeMs);
    await ended;
    assert.notEqual((await never).status, 200);
  });
});
