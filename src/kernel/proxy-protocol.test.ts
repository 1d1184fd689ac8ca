import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { bites } from './bites.ts';
import { listenLimits } from './listen-limits.ts';
import { decodeProxyHeader, type ProxyHeader } from './proxy-protocol.ts';
import { TestAuthority } from './test-certificates.ts';
import { patienceMsDefault, readToEnd, TestListener } from './test-listener.ts';

const signature = '0d0a0d0a000d0a515549540a';

function binary(commandAndFamily: string, payload: string | Buffer, announcedBytes?: number): Buffer {
  const bytes = typeof payload === 'string' ? Buffer.from(payload, 'hex') : payload;
  const length = Buffer.alloc(2);
  length.writeUInt16BE(announcedBytes ?? bytes.length);
  return Buffer.concat([Buffer.from(signature + commandAndFamily, 'hex'), length, bytes]);
}

const ipv4 = 'c0000207c6336409d8030bb9'; // 192.0.2.7 to 198.51.100.9, and the ports
const ipv6 = `20010db8000000000000000000000001${'20010db8000000000000000000000002'}d8030bb9`;

const valid: Readonly<Record<string, readonly [Buffer, string | undefined]>> = {
  'version 1, IPv4': [Buffer.from('PROXY TCP4 192.0.2.7 198.51.100.9 56324 8883\r\n'), '192.0.2.7'],
  'version 1, IPv6': [Buffer.from('PROXY TCP6 2001:DB8::1 2001:db8::2 56324 8883\r\n'), '2001:db8::1'],
  'version 1, the longest': [
    Buffer.from(`PROXY UNKNOWN ${'ffff:'.repeat(7)}ffff ${'ffff:'.repeat(7)}ffff 65535 65535\r\n`),
    undefined,
  ],
  'version 1, unknown': [Buffer.from('PROXY UNKNOWN\r\n'), undefined],
  'version 2, IPv4': [binary('2111', ipv4), '192.0.2.7'],
  'version 2, IPv4 with TLVs': [binary('2111', `${ipv4}0400030a0b0c`), '192.0.2.7'],
  'version 2, IPv6': [binary('2121', ipv6), '2001:db8::1'],
  'version 2, IPv4 in IPv6': [binary('2121', `00000000000000000000ffffc0000207${ipv6.slice(32)}`), '192.0.2.7'],
  'version 2, a local socket': [binary('2131', Buffer.alloc(216)), undefined],
  'version 2, unspecified': [binary('2100', ''), undefined],
  'version 2, the proxy itself': [binary('2000', ''), undefined],
  'version 2, the proxy itself with an address': [binary('2011', ipv4), undefined],
  'version 2, the largest': [
    binary('2111', Buffer.concat([Buffer.from(ipv4, 'hex'), Buffer.alloc(4_096 - 16 - 12)])),
    '192.0.2.7',
  ],
};

const refused: Readonly<Record<string, Buffer>> = {
  'a CONNECT packet': Buffer.from('101000044d5154540402003c000474657374', 'hex'),
  'a TLS ClientHello': Buffer.from('1603010200010001fc0303', 'hex'),
  'an HTTP request': Buffer.from('GET /mqtt HTTP/1.1\r\n\r\n'),
  'an HTTP request that begins alike': Buffer.from('PROPFIND / HTTP/1.1\r\n\r\n'),
  'version 1 without an end': Buffer.from(`PROXY UNKNOWN ${'x'.repeat(200)}`),
  'version 1, too long by one': Buffer.from(`PROXY UNKNOWN ${'x'.repeat(107 + 1 - 16)}\r\n`),
  'version 1, another family': Buffer.from('PROXY UDP4 192.0.2.7 198.51.100.9 1 2\r\n'),
  'version 1, no family': Buffer.from('PROXY \r\n'),
  'version 1, addresses of the other family': Buffer.from('PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n'),
  'version 1, a name': Buffer.from('PROXY TCP4 localhost 198.51.100.9 1 2\r\n'),
  'version 1, octal': Buffer.from('PROXY TCP4 0300.0.2.7 198.51.100.9 1 2\r\n'),
  'version 1, a zone': Buffer.from('PROXY TCP6 fe80::1%eth0 2001:db8::2 1 2\r\n'),
  'version 1, no destination': Buffer.from('PROXY TCP4 192.0.2.7\r\n'),
  'version 1, no ports': Buffer.from('PROXY TCP4 192.0.2.7 198.51.100.9\r\n'),
  'version 1, a port too large': Buffer.from('PROXY TCP4 192.0.2.7 198.51.100.9 65536 1\r\n'),
  'version 1, a port with a zero': Buffer.from('PROXY TCP4 192.0.2.7 198.51.100.9 01 1\r\n'),
  'version 1, one port too many': Buffer.from('PROXY TCP4 192.0.2.7 198.51.100.9 1 2 3\r\n'),
  'version 1, two spaces': Buffer.from('PROXY TCP4  192.0.2.7 198.51.100.9 1 2\r\n'),
  'version 2 of version 1': binary('1111', ipv4),
  'version 3': binary('3111', ipv4),
  'version 2, another command': binary('2211', ipv4),
  'version 2, UDP': binary('2112', ipv4),
  'version 2, another family': binary('2141', ipv4),
  'version 2, IPv4 cut off': binary('2111', ipv4.slice(2)),
  'version 2, IPv6 cut off': binary('2121', ipv6.slice(2)),
  'version 2, a local socket cut off': binary('2131', Buffer.alloc(215)),
  'version 2, too long by one': binary('2111', ipv4, 4_096 - 16 + 1),
  'version 2, as long as can be': binary('2111', ipv4, 0xffff),
};

describe('a PROXY header', () => {
  for (const [name, [bytes, sourceAddress]] of Object.entries(valid)) {
    it(`is read: ${name}`, () => {
      const expected: ProxyHeader = { kind: 'header', byteLength: bytes.length, sourceAddress };
      assert.deepEqual(decodeProxyHeader(bytes), expected);
      assert.deepEqual(decodeProxyHeader(Buffer.concat([bytes, Buffer.from('more')])), expected);
      for (let length = 0; length < bytes.length; length++) {
        assert.equal(decodeProxyHeader(bytes.subarray(0, length)).kind, 'incomplete', `after ${length} bytes`);
      }
    });
  }

  for (const [name, bytes] of Object.entries(refused)) {
    it(`is refused: ${name}`, () => assert.equal(decodeProxyHeader(bytes).kind, 'refused'));
  }

  it('is read or refused, and never throws, whatever arrives (hostile W15)', () => {
    const starts = [Buffer.alloc(0), Buffer.from('PROXY '), Buffer.from('PROXY TCP6 '), Buffer.from(signature, 'hex')];
    const bytes = fc.tuple(fc.constantFrom(...starts), fc.uint8Array({ maxLength: 300 }));
    fc.assert(
      fc.property(bytes, ([start, rest]) => {
        const all = Buffer.concat([start, rest]);
        const header = decodeProxyHeader(all);
        if (header.kind === 'header') assert(header.byteLength <= all.length);
        if (all.length > listenLimits.proxyHeaderBytesMax) assert.notEqual(header.kind, 'incomplete');
      }),
      { numRuns: 2_000 },
    );
  });
});

const header = 'PROXY TCP4 192.0.2.7 198.51.100.9 56324 1883\r\n';

describe('a listener behind a proxy', { timeout: 30_000 }, () => {
  it('takes the address of the header, and hands on what follows it', async t => {
    const listener = await TestListener.open(t, { proxyProtocol: true });
    const client = await listener.connect();
    client.write(`${header}first`);
    const accepted = await listener.accepted.take();
    assert.equal(accepted.socket.remoteAddress, '192.0.2.7');
    await accepted.expect('first');
    client.write(' second');
    await accepted.expect('first second');
  });

  it('reads a header that comes byte by byte, and bytes that come at once after it', async t => {
    const listener = await TestListener.open(t, { proxyProtocol: true });
    const client = await listener.connect();
    client.setNoDelay(true);
    for (const byte of binary('2121', ipv6)) {
      client.write(Buffer.from([byte]));
      await new Promise(resolve => setImmediate(resolve)); // So that most of them arrive alone.
    }
    client.write('then this');
    const accepted = await listener.accepted.take();
    assert.equal(accepted.socket.remoteAddress, '2001:db8::1');
    await accepted.expect('then this');
  });

  it('keeps the own address of a proxy that speaks for itself', async t => {
    const listener = await TestListener.open(t, { proxyProtocol: true });
    const client = await listener.connect();
    client.write(binary('2000', ''));
    assert.equal((await listener.accepted.take()).socket.remoteAddress, '127.0.0.1');
  });

  it('delivers nothing before the socket is started, and all of it then', async t => {
    const listener = await TestListener.open(t, { proxyProtocol: true });
    const client = await listener.connect();
    const large = Buffer.alloc(300_000, 7); // More than Node reads ahead.
    client.write(Buffer.concat([Buffer.from(header), large]));
    const accepted = await listener.accepted.take();
    await accepted.expect(large);
  });

  it('serves TLS after the header', async t => {
    const authority = await TestAuthority.create();
    const tls = await authority.issueServer();
    const listener = await TestListener.open(t, { proxyProtocol: true, tls });
    const transport = await listener.connect();
    transport.write(header);
    const client = await listener.connectTls({ ca: authority.certificate }, transport);
    client.write('secret');
    const accepted = await listener.accepted.take();
    assert.equal(accepted.socket.remoteAddress, '192.0.2.7');
    await accepted.expect('secret');
  });

  it('serves TLS whose first bytes come in one segment with the header', async t => {
    const authority = await TestAuthority.create();
    const tls = await authority.issueServer();
    const listener = await TestListener.open(t, { proxyProtocol: true, tls });
    const transport = await listener.connect();
    transport.cork();
    transport.write(header);
    const connecting = listener.connectTls({ ca: authority.certificate }, transport);
    process.nextTick(() => transport.uncork());
    (await connecting).write('secret');
    await (await listener.accepted.take()).expect('secret');
  });

  it('serves HTTP after the header, in the same segment or not', async t => {
    const listener = await TestListener.open(t, {
      proxyProtocol: true,
      onRequest: (_request, response, peer) => void response.end(peer.remoteAddress),
    });
    const request = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
    const together = await listener.connect();
    together.write(header + request);
    assert.match(await readToEnd(together), /^HTTP\/1.1 200 [\s\S]*192\.0\.2\.7/);
    const apart = await listener.connect();
    apart.write(header);
    await new Promise(resolve => setImmediate(resolve));
    apart.write(request);
    assert.match(await readToEnd(apart), /^HTTP\/1.1 200 [\s\S]*192\.0\.2\.7/);
  });

  it('counts connections by the address of the header (hostile H13, R05)', async t => {
    const listener = await TestListener.open(t, { proxyProtocol: true, connectionsPerAddressMax: 1 });
    const [first, second, third] = [await listener.connect(), await listener.connect(), await listener.connect()];
    first.write(header);
    await listener.accepted.take();
    second.write(header);
    assert.deepEqual(await listener.refusals.take(), {
      reason: 'connectionsPerAddressMax',
      detail: 'too many connections of one address',
      remoteAddress: '192.0.2.7',
    });
    third.write(header.replace('192.0.2.7', '192.0.2.8'));
    await listener.accepted.take();
  });

  for (const [name, bytes] of Object.entries(refused)) {
    if (!/^(a|an) /.test(name)) continue;
    it(`closes without a word when there is no header: ${name} (hostile W15)`, async t => {
      const listener = await TestListener.open(t, { proxyProtocol: true });
      const client = await listener.connect();
      client.write(bytes);
      assert.equal(await readToEnd(client), '');
      const { reason, detail, remoteAddress } = await listener.refusals.take();
      assert.deepEqual([reason, detail, remoteAddress], ['proxyHeader', 'no header', '127.0.0.1']);
      assert.equal(listener.accepted.size, 0);
    });
  }

  it('closes a connection whose header does not come, or not to its end (hostile W15)', async t => {
    const comesToItsEnd = async (proxyHeaderMs: number, patienceMs: number) => {
      const listener = await TestListener.open(t, { proxyProtocol: true, deadlines: { proxyHeaderMs } });
      const [silent, slow] = [await listener.connect(), await listener.connect()];
      slow.write('PROXY TCP4');
      await readToEnd(silent, patienceMs);
      await readToEnd(slow, patienceMs);
      assert.equal((await listener.refusals.take()).detail, 'not in time');
    };
    await comesToItsEnd(50, patienceMsDefault);
    await assert.rejects(comesToItsEnd(60_000, 150), assert.AssertionError); // The deadline it is, and nothing else.
  });

  it('closes a connection that ends within the header', async t => {
    const listener = await TestListener.open(t, { proxyProtocol: true });
    const client = await listener.connect();
    client.end('PROXY TCP4');
    assert.equal(await readToEnd(client), '');
    assert.equal((await listener.refusals.take()).reason, 'proxyHeader');
  });

  it('takes no more of a header than the limit (hostile W15)', async () => {
    const holds = async () => assert.equal(decodeProxyHeader(refused['version 2, as long as can be']).kind, 'refused');
    await holds();
    await bites(listenLimits, 'proxyHeaderBytesMax', { value: Number.POSITIVE_INFINITY }, holds);
  });

  it('is not one unless it is told so: the header is the first packet then (hostile W15)', async t => {
    const listener = await TestListener.open(t);
    const client = await listener.connect();
    client.write(header);
    const accepted = await listener.accepted.take();
    await accepted.expect(header);
    assert.equal(accepted.socket.remoteAddress, '127.0.0.1');
  });
});
