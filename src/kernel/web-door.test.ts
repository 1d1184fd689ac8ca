import assert from 'node:assert/strict';
import { once } from 'node:events';
import https from 'node:https';
import { describe, it } from 'node:test';
import type { ListenAddress, RequestHandler } from './sockets.ts';
import { TestAuthority } from './test-certificates.ts';
import { patienceMsDefault, readToEnd, TestListener, within } from './test-listener.ts';

const get = 'GET /topics/a HTTP/1.1\r\nHost: a\r\n\r\n';
const getAndClose = 'GET /topics/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';

/** What the server answers to raw bytes, up to the end of the connection. */
async function answerTo(listener: TestListener, bytes: string | Buffer): Promise<string> {
  const client = await listener.connect();
  client.write(bytes);
  return readToEnd(client);
}

describe('a listener that serves HTTP', { timeout: 60_000 }, () => {
  it('answers requests by the handler, beside WebSockets', async t => {
    const onRequest: RequestHandler = async (request, response, peer) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      response.end(`${request.method} ${request.url} ${Buffer.concat(chunks)} ${peer.remoteAddress}`);
    };
    const listener = await TestListener.open(t, { webSocket: {}, onRequest });
    const post = 'POST /topics/a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello';
    assert.match(await answerTo(listener, post), /\r\n\r\n[\s\S]*POST \/topics\/a hello 127\.0\.0\.1/);
    const client = await listener.connectWebSocket();
    client.send(Buffer.from('hello'));
    await (await listener.accepted.take()).expect('hello');
  });

  it('answers 404 where there is no handler', async t => {
    const listener = await TestListener.open(t, { webSocket: {} });
    const answer = await answerTo(listener, getAndClose);
    assert.match(answer, /^HTTP\/1\.1 404 Not Found\r\ncontent-type: application\/problem\+json\r\n/);
    const { code, fix, status } = JSON.parse(answer.slice(answer.indexOf('{')));
    assert.deepEqual([code, status], ['http.noSuchPath', 404]);
    assert.match(fix, /WebSocket/);
  });

  it('serves TLS, and tells the handler whose certificate it is', async t => {
    const authority = await TestAuthority.create();
    const tls = { ...(await authority.issueServer()), ca: authority.certificate };
    const shown = await authority.issueClient('speaker-1');
    const onRequest: RequestHandler = (_request, response, { certificate }) =>
      void response.end(certificate?.commonName ?? 'nobody');
    const listener = await TestListener.open(t, { tls, onRequest });
    const ask = async (options: https.RequestOptions & { ALPNProtocols?: string[] }) => {
      const request = https.get({ host: '127.0.0.1', port: listener.port, ca: authority.certificate, ...options });
      const [response] = await within(once(request, 'response'), 'no answer');
      const [body] = await within(once(response, 'data'), 'no body');
      return String(body);
    };
    assert.equal(await ask({ key: shown.key, cert: shown.certificate, agent: false }), 'speaker-1');
    assert.equal(await ask({ agent: false }), 'nobody');
    assert.equal(await ask({ agent: false, ALPNProtocols: ['x-amzn-http-ca'] }), 'nobody');
  });

  it('answers several requests of one connection', async t => {
    let answers = 0;
    const listener = await TestListener.open(t, {
      onRequest: (_request, response) => void response.end(`answer ${++answers}`),
    });
    const client = await listener.connect();
    for (let asked = 1; asked <= 2; asked++) {
      client.write(get);
      const [bytes] = await within(once(client, 'data'), 'no answer');
      assert.match(String(bytes), new RegExp(`answer ${asked}`));
    }
    client.write(get + getAndClose);
    assert.match(await readToEnd(client), /answer 3[\s\S]*answer 4/);
  });

  it('answers a client that has closed its side', async t => {
    const onRequest: RequestHandler = (_request, response) => void setImmediate(() => response.end('late answer'));
    const listener = await TestListener.open(t, { onRequest });
    const client = await listener.connect();
    client.end(get);
    assert.match(await readToEnd(client), /late answer/);
  });

  it('answers an upgrade to something else as if none was asked for', async t => {
    const listener = await TestListener.open(t, {
      webSocket: {},
      onRequest: (_request, response) => void response.end('plain'),
    });
    const upgrade = getAndClose.replace('Connection: close', 'Connection: Upgrade, close\r\nUpgrade: h2c');
    assert.match(await answerTo(listener, upgrade), /^HTTP\/1\.1 200 [\s\S]*plain/);
  });

  const failing: Readonly<Record<string, RequestHandler>> = {
    throws: () => {
      throw new Error('secret of the handler');
    },
    rejects: async () => {
      throw new Error('secret of the handler');
    },
  };
  for (const [how, onRequest] of Object.entries(failing)) {
    it(`answers 500 when the handler ${how}, without its words (hostile R03)`, async t => {
      const listener = await TestListener.open(t, { onRequest });
      const answer = await answerTo(listener, getAndClose);
      assert.match(answer, /^HTTP\/1\.1 500 /);
      assert(!answer.includes('secret'));
      assert.equal((await listener.refusals.take()).reason, 'failed');
    });
  }

  it('cuts an answer short when the handler fails within it', async t => {
    const onRequest: RequestHandler = async (_request, response) => {
      response.writeHead(200, { 'content-length': 100 });
      response.write('half');
      throw new Error('too late');
    };
    const listener = await TestListener.open(t, { onRequest });
    const answer = await answerTo(listener, getAndClose);
    assert(!answer.includes('500'));
    assert.equal((await listener.refusals.take()).reason, 'failed');
  });

  const bad: Readonly<Record<string, readonly [status: number, bytes: string | Buffer]>> = {
    'MQTT (hostile W15)': [400, Buffer.from('101000044d5154540402003c000474657374', 'hex')],
    'a TLS ClientHello (hostile W15)': [400, Buffer.from('1603010200010001fc0303', 'hex')],
    'a PROXY header (hostile W15)': [400, `PROXY TCP4 192.0.2.7 198.51.100.9 1 2\r\n${get}`],
    'headers too large (hostile H02)': [431, `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(17_000)}\r\n\r\n`],
    'no host': [400, 'GET / HTTP/1.1\r\n\r\n'],
    'two lengths (hostile H03)': [
      400,
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
    ],
    'length and chunks (hostile H03)': [
      400,
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
  };
  for (const [name, [status, bytes]] of Object.entries(bad)) {
    it(`answers ${status} and closes: ${name}`, async t => {
      const listener = await TestListener.open(t, { webSocket: {} });
      const answer = await answerTo(listener, bytes);
      assert(answer.startsWith(`HTTP/1.1 ${status} `), answer);
      assert.equal(listener.accepted.size, 0);
    });
  }

  it('does not mix the answer to a bad request with one that is under way', async t => {
    const answered = Promise.withResolvers<void>();
    const onRequest: RequestHandler = (_request, response) => {
      response.writeHead(200, { 'content-length': 10 });
      response.write('half ');
      answered.resolve();
    };
    const listener = await TestListener.open(t, { onRequest });
    const client = await listener.connect();
    const all = readToEnd(client);
    client.write(get);
    await within(answered.promise, 'no request');
    client.write('not HTTP\r\n\r\n');
    assert(!(await all).includes('400'));
  });

  it('gives a request so much time, and no more (hostile H01)', async t => {
    const isTimely = async (deadlines: ListenAddress['deadlines'], patienceMs: number) => {
      const listener = await TestListener.open(t, { webSocket: {}, onRequest: () => {}, deadlines });
      const client = await listener.connect();
      client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell');
      await readToEnd(client, patienceMs);
      assert.equal((await listener.refusals.take()).detail, 'ERR_HTTP_REQUEST_TIMEOUT');
    };
    await isTimely({ requestHeadersMs: 40, requestMs: 60 }, patienceMsDefault);
    await assert.rejects(isTimely({ requestHeadersMs: 40, requestMs: 60_000 }, 200), assert.AssertionError);
  });

  it('ends idle connections when it closes, and answers what it is asked already', async t => {
    const asked = Promise.withResolvers<() => void>();
    const onRequest: RequestHandler = (_request, response) =>
      asked.resolve(() => response.writeHead(200, { 'content-length': 5 }).end('there'));
    const listener = await TestListener.open(t, { onRequest });
    const busy = await listener.connect();
    busy.write(get);
    const answer = await within(asked.promise, 'no request');
    const idle = await listener.connect();
    const idleEnds = readToEnd(idle);
    await listener.listener.close();
    await idleEnds;
    answer();
    assert.match(await readToEnd(busy), /there/);
  });
});
