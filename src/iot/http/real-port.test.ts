import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { describe, it } from 'node:test';
import { bites } from '../../kernel/bites.ts';
import { readToEnd, type TestEnd, TestListener, within } from '../../kernel/test-listener.ts';
import { HttpWorld } from './http-world.ts';
import { dataPlaneLimits, makeDataPlane } from './index.ts';

const topic = 'dt/app/one/reading';
const path = `/topics/${encodeURIComponent(topic)}?qos=1`;

// biome-ignore lint/suspicious/noExplicitAny: a test says what it expects by comparing.
const bodyOf = async (answer: Response): Promise<any> => answer.json();

/** The handler behind a port of the machine; its gateway is in memory. */
async function open(test: TestEnd) {
  const world = await HttpWorld.start();
  const { clock, gateway } = world.gateway;
  const listener = await TestListener.open(test, { webSocket: {}, onRequest: makeDataPlane(gateway) });
  const url = `http://127.0.0.1:${listener.port}`;
  const authorization = await world.basic('one');
  const post = (target: string, init: RequestInit = {}) =>
    clock.until(fetch(url + target, { method: 'POST', headers: { authorization }, body: '{}', ...init }));
  const raw = async (bytes: string) => {
    const client = await listener.connect();
    client.write(bytes);
    return clock.until(readToEnd(client));
  };
  return { world, clock, listener, url, authorization, post, raw };
}

describe('publishing over HTTP on a real port', { timeout: 30_000 }, () => {
  it('answers as AWS IoT Core does, and carries what waits', async t => {
    const { world, post } = await open(t);
    const answer = await post(`${path}&pending=10&waitMs=0`, { body: 'first' });
    assert.deepEqual(
      ['content-type', 'cache-control', 'x-content-type-options'].map(name => answer.headers.get(name)),
      ['application/json', 'no-store', 'nosniff'],
    );
    const { traceId, ...said } = await bodyOf(answer);
    assert.equal(answer.status, 200);
    assert.equal(typeof traceId, 'string');
    assert.deepEqual(said, { message: 'OK', pending: [], more: false });
    await world.publish('cmd/app/one/play', 'music');
    const { pending } = await bodyOf(await post(`${path}&pending=10`, { body: 'second' }));
    assert.equal(Buffer.from(pending[0].payload, 'base64').toString(), 'music');
    assert.deepEqual(await world.gateway.telemetry(), ['first', 'second']);
  });

  it('refuses in the words of AWS, and the connection goes on', async t => {
    const { world, clock, listener, authorization } = await open(t);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    t.after(() => agent.destroy());
    const ports = new Set<number | undefined>();
    const send = async (headers: http.OutgoingHttpHeaders, body: Buffer) => {
      const request = http.request({ host: '127.0.0.1', port: listener.port, path, method: 'POST', agent, headers });
      request.end(body);
      const [response] = await clock.until(within(once(request, 'response'), 'no answer'));
      ports.add(request.socket?.localPort);
      response.resume();
      await clock.until(once(response, 'end'));
      return [response.statusCode, response.headers['x-amzn-errortype']];
    };
    assert.deepEqual(await send({}, Buffer.alloc(100_000)), [401, 'UnauthorizedException']);
    assert.deepEqual(await send({ authorization }, Buffer.alloc(300_000)), [413, 'RequestEntityTooLargeException']);
    assert.deepEqual(await send({ authorization, 'transfer-encoding': 'chunked' }, Buffer.alloc(300_000)), [
      413,
      'RequestEntityTooLargeException',
    ]);
    assert.deepEqual(await send({ authorization }, Buffer.from('taken')), [200, undefined]);
    assert.equal(ports.size, 1);
    assert.deepEqual(await world.gateway.telemetry(), ['taken']);
  });

  it('cuts off an upload without end (hostile H02)', async t => {
    const cutsOff = async () => {
      const { clock, listener, authorization } = await open(t);
      const client = await listener.connect();
      const closed = new Promise(resolve => client.once('close', resolve)); // By a reset, if need be.
      let answer = '';
      client.on('data', (bytes: Buffer) => {
        answer += bytes;
      });
      const headers = `Host: a\r\nAuthorization: ${authorization}\r\nTransfer-Encoding: chunked`;
      client.write(`POST ${path} HTTP/1.1\r\n${headers}\r\n\r\n`);
      const chunk = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(0x10000), Buffer.from('\r\n')]);
      const endlessBytes = 50_000_000;
      let sent = 0;
      const pour = () => {
        while (!client.destroyed) {
          sent += chunk.length;
          if (sent > endlessBytes) client.destroy();
          else if (!client.write(chunk)) return void client.once('drain', pour);
        }
      };
      pour();
      await clock.until(within(closed, 'the connection stays open'));
      assert.match(answer, /^HTTP\/1\.1 413 /);
      assert(sent < endlessBytes, `${sent} bytes were taken`);
    };
    await cutsOff();
    await bites(dataPlaneLimits, 'discardedBytesMax', { value: 1e12 }, cutsOff);
  });

  it('takes no request that two readers could understand differently (hostile H03)', async t => {
    const { world, raw, authorization } = await open(t);
    const head = `POST ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\n`;
    const shapes = {
      'a length beside chunks': `${head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      'two lengths': `${head}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`,
      'a folded header': `${head}X: a\r\n b\r\nContent-Length: 0\r\n\r\n`,
      'no host': head.replace('Host: a\r\n', 'Connection: close\r\nContent-Length: 0\r\n\r\n').concat('\r\n'),
      'the full form of a URL': `${head.replace('POST /', 'POST http://b/')}Connection: close\r\nContent-Length: 0\r\n\r\n`,
      'NUL in the path': `${head.replace('/topics/', '/topics/\0')}Connection: close\r\nContent-Length: 0\r\n\r\n`,
    };
    for (const [what, bytes] of Object.entries(shapes)) {
      const answer = await raw(bytes);
      assert.match(answer, /^HTTP\/1\.1 400 /, what);
    }
    assert.deepEqual(await world.gateway.telemetry(), []);
  });

  it('goes on when a client has left while its answer waits', async t => {
    const { world, clock, post, url, authorization } = await open(t);
    await post(`${path}&pending=1&waitMs=0`);
    const leaving = new AbortController();
    const init = { method: 'POST', headers: { authorization }, body: '{}', signal: leaving.signal };
    const waiting = fetch(`${url}${path}&pending=1&waitMs=20000`, init).catch(() => 'left');
    const link = () =>
      world.gateway.gateway.broker.sessionOf({ clientId: 'one.http', thingName: 'one', principal: 'one' })?.link;
    while (!link()) await new Promise(resolve => setImmediate(resolve)); // Until the request has arrived.
    const startedAtMs = clock.nowMs();
    leaving.abort();
    assert.equal(await waiting, 'left');
    while (link()) {
      await new Promise(resolve => setImmediate(resolve));
      await clock.settle();
    }
    assert(clock.nowMs() - startedAtMs < 20_000);
    assert.equal((await post(path)).status, 200);
  });
});
