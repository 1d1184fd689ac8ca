import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { before, describe, it } from 'node:test';
import type tls from 'node:tls';
import { MimamoriError } from './errors.ts';
import { systemSockets, type TlsCertificates, type TlsOptions } from './sockets.ts';
import { selfSigned, TestAuthority, type TestCertificate } from './test-certificates.ts';
import { patienceMsDefault, readToEnd, TestListener, within } from './test-listener.ts';

let authority: TestAuthority;
let foreign: TestAuthority;
let server: TestCertificate;
let client: TestCertificate;

before(async () => {
  // The same name, so that only the signature tells them apart.
  [authority, foreign] = [await TestAuthority.create(), await TestAuthority.create()];
  [server, client] = [await authority.issueServer(), await authority.issueClient('speaker-1')];
});

const hourMs = 3_600_000;
const mutual = (): TlsOptions => ({ ...server, ca: authority.certificate, requireCertificate: true });
const trusting = () => ({ ca: authority.certificate });
const showing = ({ key, certificate }: TestCertificate) => ({ ...trusting(), key, cert: certificate });

/** Resolves when the server has closed the connection, whether the client's handshake was done or not. */
async function refusedClient(listener: TestListener, options: tls.ConnectionOptions): Promise<string> {
  return readToEnd(listener.startTls(options));
}

describe('a TLS listener', { timeout: 60_000 }, () => {
  it('serves clients without certificates when no authority of theirs is named', async t => {
    const listener = await TestListener.open(t, { tls: server });
    const connected = await listener.connectTls(trusting());
    const accepted = await listener.accepted.take();
    assert.equal(accepted.socket.certificate, undefined);
    assert.equal(accepted.socket.remoteAddress, '127.0.0.1');
    assert((accepted.socket.handshakeMs ?? 0) > 0);
    connected.write('hello');
    await accepted.expect('hello');
    accepted.socket.write(Buffer.from('welcome'));
    accepted.socket.end();
    assert.equal(await readToEnd(connected), 'welcome');
    await within(accepted.closed, 'not closed');
    assert.equal(accepted.closes, 1);
  });

  it('speaks TLS 1.2 and 1.3, nothing older', async t => {
    const listener = await TestListener.open(t, { tls: server });
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const connected = await listener.connectTls({ ...trusting(), minVersion: version, maxVersion: version });
      assert.equal(connected.getProtocol(), version);
    }
    // Without this the client itself would not even try.
    const old = { ...trusting(), minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    await assert.rejects(listener.connectTls(old));
    assert.equal((await listener.refusals.take()).detail, 'ERR_SSL_UNSUPPORTED_PROTOCOL');
  });

  it('accepts the protocols of MQTT by ALPN, and clients that name none', async t => {
    const listener = await TestListener.open(t, { tls: server });
    for (const [offered, chosen] of [
      [['x-amzn-mqtt-ca'], 'x-amzn-mqtt-ca'],
      [['mqtt'], 'mqtt'],
      [['http/1.1', 'mqtt'], 'mqtt'],
      [undefined, false],
    ] as const) {
      const ALPNProtocols = offered && [...offered];
      assert.equal((await listener.connectTls({ ...trusting(), ALPNProtocols })).alpnProtocol, chosen);
    }
  });

  it('refuses a client that offers only protocols it does not know', async t => {
    const listener = await TestListener.open(t, { tls: server });
    const connecting = listener.connectTls({ ...trusting(), ALPNProtocols: ['h2', 'http/1.1'] });
    await assert.rejects(connecting, { code: 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL' });
    assert.equal((await listener.refusals.take()).reason, 'tlsHandshake');
    assert.equal(listener.accepted.size, 0);
  });

  it('is not brought down by odd server names (hostile K04)', async t => {
    const listener = await TestListener.open(t, { tls: server });
    const checkServerIdentity = () => undefined;
    for (const servername of ['', 'x'.repeat(255), 'x'.repeat(300), 'a\0b', 'unknown.example', '*', '..', 'ü', '%s']) {
      const done = listener.connectTls({ ...trusting(), servername, checkServerIdentity });
      await done.catch(() => {}); // Some get in, some are refused, some names the client itself cannot send.
    }
    await listener.connectTls(trusting()); // It is still there.
  });

  it('closes what does not speak TLS, and goes on (hostile W15)', async t => {
    const listener = await TestListener.open(t, { tls: server });
    const strangers = {
      'plain MQTT': Buffer.from('101000044d5154540402003c000474657374', 'hex'),
      HTTP: Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'),
      'a PROXY header': Buffer.from('PROXY TCP4 192.0.2.7 198.51.100.9 56324 8883\r\n'),
      'half a record': Buffer.from('160301ffff01', 'hex'),
      zeros: Buffer.alloc(1_000),
    };
    for (const [name, bytes] of Object.entries(strangers)) {
      const stranger = await listener.connect();
      stranger.end(bytes);
      await readToEnd(stranger);
      const { reason, detail, remoteAddress } = await listener.refusals.take();
      assert.deepEqual([reason, remoteAddress], ['tlsHandshake', '127.0.0.1'], name);
      assert(!detail.includes('GET'), 'repeats nothing of what was sent');
    }
    await listener.connectTls(trusting());
  });

  it('ends a handshake that is never finished (hostile S12)', async t => {
    const finishes = async (handshakeMs: number, patienceMs: number) => {
      const listener = await TestListener.open(t, { tls: server, deadlines: { handshakeMs } });
      const [silent, slow] = [await listener.connect(), await listener.connect()];
      slow.write(Buffer.from('1603010200', 'hex'));
      const trickle = setInterval(() => slow.write(Buffer.from([1])), 10); // Never idle: the deadline is absolute.
      t.after(() => clearInterval(trickle));
      await readToEnd(silent, patienceMs);
      await readToEnd(slow, patienceMs);
      const refusal = await listener.refusals.take();
      assert.deepEqual(refusal, { reason: 'deadline', detail: 'not in time', remoteAddress: '127.0.0.1' });
      assert.equal(listener.accepted.size, 0);
    };
    await finishes(60, patienceMsDefault);
    await assert.rejects(finishes(60_000, 150), assert.AssertionError); // It is the deadline that ends them.
  });

  it('ends unfinished handshakes when it closes, and leaves the others alone', async t => {
    const listener = await TestListener.open(t, { tls: server });
    const connected = await listener.connectTls(trusting());
    const accepted = await listener.accepted.take();
    const unfinished = await listener.connect();
    unfinished.write(Buffer.from('1603', 'hex'));
    await new Promise(resolve => setImmediate(resolve));
    await listener.listener.close();
    await readToEnd(unfinished);
    connected.write('still here');
    await accepted.expect('still here');
  });
});

describe('mutual TLS', { timeout: 60_000 }, () => {
  it('tells whose certificate it is', async t => {
    const listener = await TestListener.open(t, { tls: mutual() });
    await listener.connectTls(showing(client));
    const { certificate } = (await listener.accepted.take()).socket;
    const fingerprint = new X509Certificate(client.certificate).fingerprint256.replaceAll(':', '').toLowerCase();
    assert.deepEqual(certificate, { certificateId: fingerprint, commonName: 'speaker-1' });
    assert.match(fingerprint, /^[0-9a-f]{64}$/);
  });

  it('tells it of a resumed session too', async t => {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const listener = await TestListener.open(t, { tls: mutual() });
      const options = { ...showing(client), minVersion: version, maxVersion: version };
      const first = listener.startTls(options);
      first.on('data', () => {}); // The ticket comes with the data.
      const [session] = await within(once(first, 'session'), 'no session');
      const before = (await listener.accepted.take()).socket.certificate;
      const second = await listener.connectTls({ ...options, session });
      assert(second.isSessionReused());
      assert.deepEqual((await listener.accepted.take()).socket.certificate, before);
    }
  });

  it('has no common name where the subject has none or several', async t => {
    const listener = await TestListener.open(t, { tls: mutual() });
    for (const subject of [[{ O: ['an organisation'] }], [{ CN: ['speaker-1'] }, { CN: ['speaker-2'] }]]) {
      await listener.connectTls(showing(await authority.issueClient('', { subject })));
      assert.equal((await listener.accepted.take()).socket.certificate?.commonName, undefined);
    }
  });

  it('takes a common name as it is, line breaks and all', async t => {
    const listener = await TestListener.open(t, { tls: mutual() });
    const subject = [{ CN: ['speaker-1\nCN=speaker-2'] }];
    await listener.connectTls(showing(await authority.issueClient('', { subject })));
    const { certificate } = (await listener.accepted.take()).socket;
    assert.equal(certificate?.commonName, 'speaker-1\nCN=speaker-2');
  });

  const wrong: Readonly<Record<string, readonly [detail: string, make: () => Promise<TestCertificate>]>> = {
    expired: [
      'CERT_HAS_EXPIRED',
      () =>
        authority.issueClient('c', { notBefore: new Date(Date.now() - hourMs), notAfter: new Date(Date.now() - 1e4) }),
    ],
    'not valid yet': [
      'CERT_NOT_YET_VALID',
      () => authority.issueClient('c', { notBefore: new Date(Date.now() + hourMs / 2) }),
    ],
    'signed by itself': ['DEPTH_ZERO_SELF_SIGNED_CERT', () => selfSigned('speaker-1')],
    'of another authority of the same name': ['CERT_SIGNATURE_FAILURE', () => foreign.issueClient('speaker-1')],
    'made for a server': ['INVALID_PURPOSE', () => authority.issueServer()],
    'of a key too weak': ['key or signature too weak', () => authority.issueClient('speaker-1', { weakKey: true })],
  };
  for (const [name, [detail, make]] of Object.entries(wrong)) {
    for (const requireCertificate of [true, false]) {
      const whether = requireCertificate ? 'required' : 'welcome';
      it(`lets no client in with a certificate that is ${name}, where one is ${whether} (hostile K01)`, async t => {
        const shown = await make();
        const refuses = async (tls: TlsOptions, patienceMs: number) => {
          const listener = await TestListener.open(t, { tls });
          // Of its own free will a client would not use a weak key.
          const options = { ...showing(shown), ciphers: 'DEFAULT@SECLEVEL=0' };
          assert.equal(await readToEnd(listener.startTls(options), patienceMs), '');
          const refusal = await listener.refusals.take();
          assert.deepEqual([refusal.reason, refusal.detail], ['clientCertificate', detail]);
          assert.equal(listener.accepted.size, 0);
        };
        await refuses({ ...mutual(), requireCertificate }, patienceMsDefault);
        await assert.rejects(refuses(server, 100), assert.AssertionError); // Nobody asks for it: the client gets in.
      });
    }
  }

  it('lets no client in with a certificate signed with SHA-1 (hostile K01)', async t => {
    const old = await TestAuthority.create({ weakHash: true, commonName: 'Old authority' });
    const listener = await TestListener.open(t, { tls: { ...mutual(), ca: old.certificate } });
    await refusedClient(listener, { ...showing(await old.issueClient('c')), ciphers: 'DEFAULT@SECLEVEL=0' });
    assert.equal((await listener.refusals.take()).detail, 'key or signature too weak');
    assert.equal(listener.accepted.size, 0);
  });

  it('does not read a certificate that is larger than any (hostile K01)', async t => {
    const listener = await TestListener.open(t, { tls: mutual() });
    const dnsNames = Array.from({ length: 10_000 }, (_, index) => `name-${index}.example.com`);
    await refusedClient(listener, showing(await authority.issueClient('speaker-1', { dnsNames })));
    assert.equal((await listener.refusals.take()).reason, 'tlsHandshake');
    assert.equal(listener.accepted.size, 0);
  });

  it('lets no client in with a long chain to nowhere (hostile K01)', async t => {
    const listener = await TestListener.open(t, { tls: mutual() });
    const others = await Promise.all(Array.from({ length: 19 }, () => foreign.issueServer()));
    const leaf = await foreign.issueClient('speaker-1');
    const chain = [leaf, ...others].map(({ certificate }) => certificate).join('\n');
    await refusedClient(listener, { ...showing(leaf), cert: chain });
    assert.equal((await listener.refusals.take()).reason, 'clientCertificate');
  });

  it('lets no client in without a certificate where one is required', async t => {
    const listener = await TestListener.open(t, { tls: mutual() });
    await refusedClient(listener, trusting());
    const { reason, detail } = await listener.refusals.take();
    assert.deepEqual([reason, detail], ['clientCertificate', 'missing']);
    assert.equal(listener.accepted.size, 0);
  });

  it('lets no client resume without a certificate what it began without one', async t => {
    // OpenSSL calls a resumed session without a certificate verified.
    const welcoming = await TestListener.open(t, { tls: { ...mutual(), requireCertificate: false } });
    const first = welcoming.startTls(trusting());
    first.on('data', () => {});
    const [session] = await within(once(first, 'session'), 'no session');
    await welcoming.connectTls({ ...trusting(), session });
    await welcoming.accepted.take();
    assert.equal((await welcoming.accepted.take()).socket.certificate, undefined);
  });

  it('lets clients in without a certificate where it is welcome only', async t => {
    const listener = await TestListener.open(t, { tls: { ...mutual(), requireCertificate: false } });
    await listener.connectTls(trusting());
    assert.equal((await listener.accepted.take()).socket.certificate, undefined);
    await listener.connectTls(showing(client));
    assert.equal((await listener.accepted.take()).socket.certificate?.commonName, 'speaker-1');
  });

  it('verifies against every authority of the bundle', async t => {
    const second = await TestAuthority.create({ commonName: 'Second authority' });
    const ca = `${second.certificate}\n${authority.certificate}`;
    const listener = await TestListener.open(t, { tls: { ...mutual(), ca } });
    await listener.connectTls(showing(client));
    assert.equal((await listener.accepted.take()).socket.certificate?.commonName, 'speaker-1');
    await listener.connectTls(showing(await second.issueClient('speaker-2')));
    assert.equal((await listener.accepted.take()).socket.certificate?.commonName, 'speaker-2');
  });
});

describe('certificates of a listener', { timeout: 60_000 }, () => {
  it('are replaced while it runs, and no connection drops (hostile K03)', async t => {
    const { listener, ...test } = await openedWith(t, mutual());
    const before = await test.connectTls(showing(client));
    const accepted = await test.accepted.take();
    const next = await foreign.issueServer({ notAfter: new Date(Date.now() + 2 * hourMs) });
    listener.replaceCertificates?.({ ...next, ca: foreign.certificate });
    assert.equal(listener.certificateExpiresAtMs, Date.parse(new X509Certificate(next.certificate).validTo));
    before.write('still here');
    await accepted.expect('still here');
    const fresh = { ...showing(await foreign.issueClient('speaker-2')), ca: foreign.certificate };
    const after = await test.connectTls(fresh);
    assert.equal(after.getPeerX509Certificate()?.raw.equals(new X509Certificate(next.certificate).raw), true);
    assert.equal((await test.accepted.take()).socket.certificate?.commonName, 'speaker-2');
    // Nor is anybody let in any more whom only the old authority knows, not even by a resumed session.
    await readToEnd(test.startTls({ ...showing(client), ca: foreign.certificate, session: before.getSession() }));
    assert.equal((await test.refusals.take()).reason, 'clientCertificate');
  });

  it('keep the authorities when only key and certificate are replaced', async t => {
    const { listener, ...test } = await openedWith(t, mutual());
    listener.replaceCertificates?.(await authority.issueServer());
    await readToEnd(test.startTls(trusting()));
    assert.equal((await test.refusals.take()).detail, 'missing');
    await test.connectTls(showing(client));
  });

  it('can be asked for from now on', async t => {
    const { listener, ...test } = await openedWith(t, server);
    listener.replaceCertificates?.({ ...server, ca: authority.certificate });
    await test.connectTls(showing(client));
    assert.equal((await test.accepted.take()).socket.certificate?.commonName, 'speaker-1');
  });

  it('stay as they are when those to replace them cannot be used (hostile K03)', async t => {
    const { listener, ...test } = await openedWith(t, mutual());
    const expiresAtMs = listener.certificateExpiresAtMs;
    const other = await authority.issueServer();
    const bad: readonly (readonly [TlsCertificates, string])[] = [
      [{ ...server, key: other.key }, 'tls.keyDoesNotMatch'],
      [{ ...server, key: 'no key' }, 'tls.keyNotUsable'],
      [{ ...server, certificate: '' }, 'tls.certificateNotUsable'],
      [{ ...server, ca: 'no bundle' }, 'tls.caNotUsable'],
    ];
    for (const [certificates, code] of bad) {
      assert.throws(() => listener.replaceCertificates?.(certificates), { code });
    }
    assert.equal(listener.certificateExpiresAtMs, expiresAtMs);
    await test.connectTls(showing(client));
    assert.equal((await test.accepted.take()).socket.certificate?.commonName, 'speaker-1');
  });

  it('cannot be replaced where there are none', async t => {
    const { listener } = await TestListener.open(t);
    assert.equal(listener.replaceCertificates, undefined);
    assert.equal(listener.certificateExpiresAtMs, undefined);
  });

  const refused: Readonly<Record<string, readonly [code: string, make: () => Promise<TlsOptions>]>> = {
    'a key that is none': ['tls.keyNotUsable', async () => ({ ...server, key: server.certificate })],
    'a key with a passphrase': ['tls.keyNotUsable', async () => ({ ...server, key: withPassphrase(server.key) })],
    'an empty certificate': ['tls.certificateNotUsable', async () => ({ ...server, certificate: '' })],
    'a damaged certificate': [
      'tls.certificateNotUsable',
      async () => ({ ...server, certificate: server.certificate.replace('MII', 'MIJ') }),
    ],
    'a certificate too weak': ['tls.certificateNotUsable', () => authority.issueServer({ weakKey: true })],
    'the key of another': ['tls.keyDoesNotMatch', async () => ({ ...server, key: client.key })],
    'the key of another kind': [
      'tls.keyDoesNotMatch',
      async () => ({ ...server, key: (await authority.issueServer({ weakKey: true })).key }),
    ],
    'a bundle that is none': ['tls.caNotUsable', async () => ({ ...server, ca: server.key })],
    'an empty bundle': ['tls.caNotUsable', async () => ({ ...server, ca: '' })],
    'a bundle whose end is cut off': [
      'tls.caNotUsable',
      async () => ({ ...server, ca: authority.certificate + foreign.certificate.slice(0, 200) }),
    ],
    'a bundle with one damaged': [
      'tls.caNotUsable',
      async () => ({ ...server, ca: authority.certificate + foreign.certificate.replace('MII', 'MIJ') }),
    ],
    'certificates required of no authority': ['tls.caMissing', async () => ({ ...server, requireCertificate: true })],
  };
  for (const [name, [code, make]] of Object.entries(refused)) {
    it(`are refused with ${code}: ${name}`, async () => {
      const tls = await make();
      await assert.rejects(
        systemSockets.listen({ host: '127.0.0.1', port: 0, tls }, () => {}),
        error => error instanceof MimamoriError && error.code === code && !error.message.includes('PRIVATE KEY'),
      );
    });
  }
});

/** `listener` apart from what connects to it. */
async function openedWith(t: Parameters<typeof TestListener.open>[0], options: TlsOptions) {
  const test = await TestListener.open(t, { tls: options });
  return {
    listener: test.listener,
    accepted: test.accepted,
    refusals: test.refusals,
    connectTls: test.connectTls.bind(test),
    startTls: test.startTls.bind(test),
  };
}

function withPassphrase(key: string): string | Buffer {
  return createPrivateKey(key).export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'secret' });
}
