import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import { describe, it } from 'node:test';
import { TableError, TransactionCanceledError } from '../../platform/table/index.ts';
import { endpointLimits } from '../aws-json/limits.ts';
import { dynamoDbLimits } from './limits.ts';
import { openTestEndpoint, send, sendBytes, signed, unsigned } from './test-endpoint.ts';

const tables = { ListTables: () => ({ TableNames: ['a'] }) };
const service = 'com.amazon.coral.service#';

describe('an answer of the DynamoDB endpoint', () => {
  it('carries a request id, a checksum, and the content type that was sent', async t => {
    const { url } = await openTestEndpoint(t, tables);
    const answer = await send(url, { headers: signed, body: '{}' });
    assert.equal(answer.status, 200);
    assert.equal(answer.text, '{"TableNames":["a"]}');
    assert.match(String(answer.headers['x-amzn-requestid']), /^[0-9A-Z]{52}$/);
    assert(answer.headers['x-amz-crc32']); // and `send` has compared it
    assert.equal(answer.headers['content-type'], 'application/x-amz-json-1.0');
    const plain = await send(url, {
      headers: { ...signed, 'content-type': 'Application/JSON; charset=utf-8' },
      body: '{}',
    });
    assert.deepEqual([plain.status, plain.headers['content-type']], [200, 'application/json']);
    assert.notEqual(plain.headers['x-amzn-requestid'], answer.headers['x-amzn-requestid']);
  });

  it('writes dates as seconds and bytes as base64, but in no answer of items, whose values are ready', async t => {
    const at = new Date(1_363_729_002_358);
    const { url } = await openTestEndpoint(t, {
      ListTables: () => ({ at, deep: [{ bytes: Uint8Array.of(0, 1, 2) }], none: undefined }),
    });
    const { json } = await send(url, { headers: signed, body: '{}' });
    assert.deepEqual(json, { at: 1_363_729_002.358, deep: [{ bytes: 'AAEC' }] });
  });

  it('keeps attributes that are called like members of every object', async t => {
    const { url } = await openTestEndpoint(t, { ListTables: input => ({ seen: input.Item }) });
    const body = '{"Item":{"__proto__":{"S":"x"},"constructor":{"S":"y"}}}';
    const { text } = await send(url, { headers: signed, body });
    assert.equal(text, '{"seen":{"__proto__":{"S":"x"},"constructor":{"S":"y"}}}');
    assert.equal(Object.hasOwn(Object.prototype, 'S'), false);
  });

  it('says that the service is healthy', async t => {
    const { url } = await openTestEndpoint(t, tables, { region: 'eu-west-2' });
    const { status, text } = await send(url, { method: 'GET' });
    assert.deepEqual([status, text], [200, 'healthy: dynamodb.eu-west-2.amazonaws.com ']);
  });
});

describe('a request that is none', () => {
  const cases: [name: string, request: Parameters<typeof send>[1]][] = [
    ['PUT', { method: 'PUT', headers: signed, body: '{}' }],
    ['DELETE', { method: 'DELETE' }],
    ['OPTIONS without an origin', { method: 'OPTIONS' }],
    ['a body without a content type', { headers: { ...signed, 'content-type': '' }, body: 'hi' }],
    ['a body of another type', { headers: { ...signed, 'content-type': 'application/x-amz-json-1.1' }, body: '{}' }],
    ['a type that only begins right', { headers: { ...signed, 'content-type': 'application/jsonp' }, body: '{}' }],
  ];
  for (const [name, request] of cases) {
    it(`is not there: ${name}`, async t => {
      const { url } = await openTestEndpoint(t, tables);
      const { status, text, headers } = await send(url, request);
      assert.deepEqual([status, text], [404, '<UnknownOperationException/>\n']);
      assert.equal(headers['x-amz-crc32'], '3552371480');
    });
  }

  for (const path of ['//', '/x', '/%2e', '/?x/../', '/.']) {
    it(`has no other path than the root: ${path} (hostile H07)`, async t => {
      const { url } = await openTestEndpoint(t, tables);
      const { status } = await send(url, { path, headers: signed, body: '{}' });
      assert.equal(status, path.startsWith('/?') ? 200 : 404);
    });
  }

  it('is refused below us when its framing is ambiguous (hostile H03)', async t => {
    const { port } = await openTestEndpoint(t, tables);
    const head = 'POST / HTTP/1.1\r\nHost: x\r\n';
    for (const both of [
      'Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}',
    ]) {
      assert.match(await sendBytes(port, head + both), /^HTTP\/1\.1 400 /);
    }
  });
});

describe('the body of a request', () => {
  const serialization = { __type: `${service}SerializationException` };
  const cases: [name: string, body: string | Buffer, message?: string][] = [
    ['no JSON', 'hi'],
    ['half of it', '{"a":'],
    ['a byte order mark', '\u{feff}{}'],
    ['bytes that are no UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
    ['an overlong NUL', Buffer.from([0x7b, 0x22, 0xc0, 0x80, 0x22, 0x3a, 0x31, 0x7d])],
    ['text', '"hi"'],
    ['a number', '1'],
    ['null', 'null'],
    ['a list', '[]', 'Start of list found where not expected'],
    ['nothing', ''],
  ];
  for (const [name, body, message] of cases) {
    it(`is no request: ${name}`, async t => {
      const { url } = await openTestEndpoint(t, tables);
      const { status, json } = await send(url, { headers: signed, body });
      assert.equal(status, 400);
      assert.deepEqual(json, message === undefined ? serialization : { ...serialization, Message: message });
    });
  }

  it('may nest as deep as DynamoDB has words for, and no deeper than ours (hostile H04)', async t => {
    const { url } = await openTestEndpoint(t, { ListTables: () => ({}) });
    const nested = (levels: number) => `{"a":${'['.repeat(levels)}${']'.repeat(levels)}}`;
    assert.equal((await send(url, { headers: signed, body: nested(dynamoDbLimits.jsonDepthMax - 1) })).status, 200);
    for (const levels of [dynamoDbLimits.jsonDepthMax, 100_000, 8_000_000]) {
      const { status, json } = await send(url, { headers: signed, body: nested(levels) });
      assert.deepEqual([status, json.__type], [400, serialization.__type]);
    }
  });

  it('may come in pieces, after 100-continue, and many on one connection', async t => {
    const { port } = await openTestEndpoint(t, { ListTables: input => ({ seen: input.x }) });
    const head = `POST / HTTP/1.1\r\nHost: x\r\n${Object.entries(signed)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('')}`;
    const chunked = `${head}Transfer-Encoding: chunked\r\n\r\n4\r\n{"x"\r\n3\r\n:1}\r\n0\r\n\r\n`;
    const expecting = `${head}Expect: 100-continue\r\nContent-Length: 7\r\n\r\n{"x":2}`;
    const last = `${head}Connection: close\r\nContent-Length: 7\r\n\r\n{"x":3}`;
    const text = await sendBytes(port, chunked + expecting + last);
    assert.deepEqual(
      [...text.matchAll(/\{"seen":(\d)\}/g)].map(([, seen]) => seen),
      ['1', '2', '3'],
    );
    assert.match(text, /HTTP\/1\.1 100 Continue/);
  });

  it('is refused over 16 MiB, announced or not, and the client sees why (hostile H02)', async t => {
    const { url } = await openTestEndpoint(t, { ListTables: () => ({}) });
    const fits = `{"x":"${'x'.repeat(endpointLimits.bodyBytesMax - 8)}"}`;
    assert.equal((await send(url, { headers: signed, body: fits })).status, 200);
    const announced = await send(url, { headers: signed, body: `${fits} ` });
    assert.equal(announced.status, 413);
    assert.match(announced.json.message, /16777216 bytes/);
    assert.equal(announced.headers['transfer-encoding'], 'chunked');
    const chunked = await send(url, { headers: { ...signed, 'transfer-encoding': 'chunked' }, body: `${fits} ` });
    assert.equal(chunked.status, 413);
  });

  it('is thrown away after a refusal only so long', async t => {
    const { port } = await openTestEndpoint(t, tables);
    const socket = net.connect({ host: '127.0.0.1', port });
    const closed = new Promise<void>(resolve => socket.on('close', () => resolve()));
    socket.on('error', () => {});
    socket.write(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000000\r\n\r\n`);
    const megabyte = Buffer.alloc(1024 * 1024);
    let sent = 0;
    const more = () => {
      while (sent < 1_000 && !socket.destroyed) {
        sent++;
        if (!socket.write(megabyte)) return;
      }
    };
    socket.on('drain', more);
    more();
    await closed;
    assert(sent < 200, `${sent} MiB were taken`);
  });
});

describe('the operation', () => {
  const unknown = { __type: `${service}UnknownOperationException` };
  for (const target of [
    undefined,
    'whatever',
    'DynamoDB_20120810.ListTable',
    'DynamoDB_20120810.constructor',
    'DynamoDB_20111205.ListTables',
    'DynamoDB_20120810.ListTables.',
  ]) {
    it(`is unknown: ${target}, which is said before anything about the signature`, async t => {
      const { url } = await openTestEndpoint(t, tables);
      const headers = { 'content-type': 'application/json', ...(target && { 'x-amz-target': target }) };
      for (const body of ['{}', '']) {
        const { status, json } = await send(url, { headers, body });
        assert.deepEqual([status, json], [400, unknown]);
      }
    });
  }
});

describe('a request without a whole signature', () => {
  const missing = {
    __type: `${service}MissingAuthenticationTokenException`,
    message: 'Request is missing Authentication Token',
  };
  const incomplete = (message: string) => ({ __type: `${service}IncompleteSignatureException`, message });
  const cases: [name: string, path: string, headers: Record<string, string>, answer: object][] = [
    ['none', '/', {}, missing],
    ['another scheme', '/', { authorization: 'Basic AWS4-' }, missing],
    ['nearly one', '/', { authorization: 'AWS4' }, missing],
    [
      'only the beginning',
      '/',
      { authorization: 'AWS4-' },
      incomplete(
        "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. Authorization=AWS4-",
      ),
    ],
    [
      'no signature in it',
      '/',
      { authorization: 'AWS4-HMAC-SHA256 Credential=a, SignedHeaders=b', date: 'today' },
      incomplete(
        "Authorization header requires 'Signature' parameter. Authorization=AWS4-HMAC-SHA256 Credential=a, SignedHeaders=b",
      ),
    ],
    [
      'parts of one in the query',
      '/?X-Amz-Algorithm=b&X-Amz-Credential=',
      {},
      incomplete(
        "AWS query-string parameters must include 'X-Amz-Credential'. AWS query-string parameters must include 'X-Amz-Signature'. AWS query-string parameters must include 'X-Amz-SignedHeaders'. AWS query-string parameters must include 'X-Amz-Date'. Re-examine the query-string parameters.",
      ),
    ],
    [
      'two',
      '/?X-Amz-Algorithm',
      { authorization: 'a' },
      {
        __type: `${service}InvalidSignatureException`,
        message: "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
      },
    ],
  ];
  for (const [name, path, headers, answer] of cases) {
    it(`is refused: ${name}`, async t => {
      const { url } = await openTestEndpoint(t, tables);
      const { status, json } = await send(url, { path, headers: { ...unsigned, ...headers }, body: '{}' });
      assert.deepEqual([status, json], [400, answer]);
    });
  }
});

describe('what an operation throws', () => {
  const thrown = (error: unknown) => ({
    ListTables: () => {
      throw error;
    },
  });
  const tableError = (name: string) => new TableError({ name, code: 'table.invalid', message: 'm', fix: '' });
  const cases: [name: string, type: string, status: number, spelling: string][] = [
    ['ValidationException', 'com.amazon.coral.validate#', 400, 'message'],
    ['ResourceNotFoundException', 'com.amazonaws.dynamodb.v20120810#', 400, 'message'],
    ['TransactionInProgressException', 'com.amazonaws.dynamodb.v20120810#', 400, 'Message'],
    ['IdempotentParameterMismatchException', 'com.amazonaws.dynamodb.v20120810#', 400, 'Message'],
    ['ThrottlingException', 'com.amazon.coral.availability#', 400, 'message'],
    ['InternalServerError', 'com.amazonaws.dynamodb.v20120810#', 500, 'message'],
    ['SerializationException', service, 400, 'Message'],
  ];
  for (const [name, namespace, status, spelling] of cases) {
    it(`is told in DynamoDB's form: ${name}`, async t => {
      const { url } = await openTestEndpoint(t, thrown(tableError(name)));
      const answer = await send(url, { headers: signed, body: '{}' });
      assert.deepEqual([answer.status, answer.json], [status, { __type: namespace + name, [spelling]: 'm' }]);
    });
  }

  it('brings the reasons of a cancelled transaction and the items in them', async t => {
    const Item = { PK: { B: Uint8Array.of(1) } };
    const reasons = [{ Code: 'None' }, { Code: 'ConditionalCheckFailed', Message: 'no', Item }] as const;
    const { url } = await openTestEndpoint(t, thrown(new TransactionCanceledError(reasons)));
    const { json } = await send(url, { headers: signed, body: '{}' });
    assert.deepEqual(json, {
      __type: 'com.amazonaws.dynamodb.v20120810#TransactionCanceledException',
      CancellationReasons: [
        { Code: 'None' },
        { Code: 'ConditionalCheckFailed', Message: 'no', Item: { PK: { B: 'AQ==' } } },
      ],
      Message:
        'Transaction cancelled, please refer cancellation reasons for specific reasons [None, ConditionalCheckFailed]',
    });
  });

  it('tells nothing when the fault is ours, and the log everything (hostile H14)', async t => {
    const lines: object[] = [];
    const log = { info() {}, warn() {}, error: (facts: object) => void lines.push(facts) };
    const { url } = await openTestEndpoint(t, thrown(new Error('secret of /home/user')), { log });
    const { status, json, headers } = await send(url, { headers: signed, body: '{}' });
    assert.equal(status, 500);
    assert.deepEqual(json, {
      __type: 'com.amazonaws.dynamodb.v20120810#InternalServerError',
      message: 'Internal server error',
    });
    assert.equal(lines.length, 1);
    assert.match(JSON.stringify(lines), /secret of/);
    assert(JSON.stringify(lines).includes(String(headers['x-amzn-requestid'])));
  });
});

describe('a web page', () => {
  it('of this machine may call, and is told so beforehand', async t => {
    const { url } = await openTestEndpoint(t, tables);
    for (const origin of [
      'http://localhost:3000',
      'https://app.localhost',
      'http://127.0.0.1:8001',
      'http://[::1]',
      'whatever',
    ]) {
      const asked = {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'x-amz-target, authorization',
      };
      const before = await send(url, { method: 'OPTIONS', headers: asked });
      assert.equal(before.status, 200);
      assert.equal(before.headers['access-control-allow-origin'], '*');
      assert.equal(before.headers['access-control-allow-methods'], 'POST');
      assert.equal(before.headers['access-control-allow-headers'], 'x-amz-target, authorization');
      assert.equal(before.headers['access-control-max-age'], '172800');
      const answer = await send(url, { headers: { ...signed, origin }, body: '{}' });
      assert.deepEqual([answer.status, answer.headers['access-control-allow-origin']], [200, '*']);
    }
  });

  it('of anybody else may not, without credentials, even if its host is made to be this machine', async t => {
    let calls = 0;
    const { url } = await openTestEndpoint(t, { ListTables: () => ({ calls: ++calls }) });
    for (const origin of [
      'https://evil.example',
      'http://localhost.evil.example',
      'http://127.0.0.1.evil.example',
      'null',
    ]) {
      for (const method of ['OPTIONS', 'POST']) {
        const answer = await send(url, {
          method,
          headers: { ...signed, origin },
          ...(method === 'POST' && { body: '{}' }),
        });
        assert.deepEqual([answer.status, answer.headers['access-control-allow-origin']], [403, undefined]);
      }
    }
    assert.equal(calls, 0);
  });
});

describe('the bounds of the endpoint', () => {
  it('turn away what is over the number of requests in flight, and take more when they are answered', async t => {
    let release = () => {};
    const held = new Promise<object>(resolve => {
      release = () => resolve({});
    });
    let waiting = 0;
    const isFull = Promise.withResolvers<void>();
    const { port, url } = await openTestEndpoint(t, {
      ListTables: () => {
        if (++waiting === endpointLimits.requestsInFlightMax) isFull.resolve();
        return held;
      },
    });
    const head = Object.entries(signed).map(([name, value]) => `${name}: ${value}\r\n`);
    const one = `POST / HTTP/1.1\r\nHost: x\r\n${head.join('')}Content-Length: 2\r\n\r\n{}`;
    const socket = net.connect({ host: '127.0.0.1', port });
    t.after(() => socket.destroy());
    socket.resume();
    socket.write(one.repeat(endpointLimits.requestsInFlightMax));
    await isFull.promise;
    const refused = await send(url, { headers: signed, body: '{}' });
    assert.deepEqual(
      [refused.status, refused.json.__type],
      [503, 'com.amazonaws.dynamodb.v20120810#ServiceUnavailable'],
    );
    release();
    await held;
    assert.equal((await send(url, { headers: signed, body: '{}' })).status, 200);
  });

  it('keep the bytes of unfinished bodies together below their limit, and get them back', async t => {
    const { port, url } = await openTestEndpoint(t, { ListTables: () => ({}) });
    const part = Buffer.alloc(endpointLimits.bodyBytesMax - 1, ' ');
    const head = Object.entries(signed).map(([name, value]) => `${name}: ${value}\r\n`);
    const start = `POST / HTTP/1.1\r\nHost: x\r\n${head.join('')}Content-Length: ${part.length + 1}\r\n\r\n`;
    let refused = false;
    const sockets: net.Socket[] = [];
    t.after(() => {
      for (const socket of sockets) socket.destroy();
    });
    while (!refused) {
      assert(sockets.length * part.length < 2 * endpointLimits.heldBytesMax);
      const socket = net.connect({ host: '127.0.0.1', port });
      sockets.push(socket);
      socket.on('error', () => {});
      await new Promise<void>(resolve => {
        socket.on('data', () => resolve()); // The only answer to half a request is that it is too much.
        socket.write(start);
        socket.write(part, () => resolve());
      });
      refused = (await send(url, { headers: signed, body: '{}' })).status === 503;
    }
    for (const socket of sockets) socket.destroy();
    let status = 503;
    while (status !== 200) ({ status } = await send(url, { headers: signed, body: '{}' }));
  });

  it('keep large answers that nobody takes below the same limit, and get them back', async t => {
    const large = 'x'.repeat(16 * 1024 * 1024);
    const { port, url } = await openTestEndpoint(t, { ListTables: ({ small }) => (small ? {} : { large }) });
    const head = Object.entries(signed).map(([name, value]) => `${name}: ${value}\r\n`);
    const request = `POST / HTTP/1.1\r\nHost: x\r\n${head.join('')}Content-Length: 2\r\n\r\n{}`;
    const sockets: net.Socket[] = [];
    t.after(() => {
      for (const socket of sockets) socket.destroy();
    });
    const ask = async () => (await send(url, { headers: signed, body: '{"small":true}' })).status;
    while ((await ask()) === 200) {
      assert(sockets.length * large.length < 2 * endpointLimits.heldBytesMax);
      const socket = net.connect({ host: '127.0.0.1', port });
      sockets.push(socket);
      socket.on('error', () => {});
      await new Promise<void>(resolve => {
        socket.once('readable', () => resolve()); // The first bytes are here, and nobody reads on.
        socket.write(request);
      });
    }
    assert(sockets.length * large.length >= endpointLimits.heldBytesMax);
    for (const socket of sockets) socket.destroy();
    while ((await ask()) !== 200);
  });
});

describe('an endpoint that is closed', () => {
  it('answers what is in flight, and ends connections that only wait', async t => {
    const started = Promise.withResolvers<void>();
    const done = Promise.withResolvers<object>();
    const endpoint = await openTestEndpoint(t, {
      ListTables: () => {
        started.resolve();
        return done.promise;
      },
    });
    const silent = net.connect({ host: '127.0.0.1', port: endpoint.port });
    await new Promise<void>(resolve => silent.once('connect', () => resolve()));
    const agent = new http.Agent({ keepAlive: true });
    const answered = new Promise<http.IncomingMessage>((resolve, reject) => {
      const request = http.request(endpoint.url, { method: 'POST', headers: signed, agent }, resolve);
      request.on('error', reject).end('{}');
    });
    await started.promise;
    const closed = endpoint.close();
    done.resolve({ fine: true });
    const response = await answered;
    assert.deepEqual([response.statusCode, response.headers.connection], [200, 'close']);
    response.resume();
    await closed;
  });

  it('says which port is taken, and where it cannot listen', async t => {
    const { port } = await openTestEndpoint(t, tables);
    await assert.rejects(openTestEndpoint(t, tables, { port }), { code: 'dynamodb.portInUse' });
    await assert.rejects(openTestEndpoint(t, tables, { host: '192.0.2.1', credentials: new Map([['a', 'b']]) }), {
      code: 'dynamodb.hostNotUsable',
    });
  });

  it('is not opened to others without credentials', async t => {
    for (const host of ['0.0.0.0', '::', '192.168.0.1', 'example.com', '', '127.0.0.1.example.com']) {
      await assert.rejects(openTestEndpoint(t, tables, { host }), { code: 'dynamodb.credentialsRequired' });
    }
    const { status } = await send((await openTestEndpoint(t, tables, { host: 'localhost' })).url, { method: 'GET' });
    assert.equal(status, 200);
  });
});
