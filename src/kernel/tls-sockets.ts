/** TLS on connections accepted elsewhere, so that a PROXY header can come before it. */
import { constants, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import type net from 'node:net';
import tls from 'node:tls';
import { messageOf } from './errors.ts';
import type { ClientCertificate, TlsCertificates, TlsOptions } from './sockets.ts';
import { ignoreError } from './tcp-socket.ts';
import { caMissing, caNotUsable, certificateNotUsable, keyDoesNotMatch, keyNotUsable } from './tls-errors.ts';

export const alpnProtocols = {
  mqtt: ['x-amzn-mqtt-ca', 'mqtt'], // AWS IoT Core "Device communication protocols"; IANA's name
  http: ['http/1.1', 'x-amzn-http-ca'],
} as const;

export interface SecureSocket {
  readonly socket: tls.TLSSocket;
  readonly certificate: ClientCertificate | undefined;
}

export class TlsHandshakeRefused extends Error {
  readonly reason: 'tlsHandshake' | 'clientCertificate';

  constructor(reason: 'tlsHandshake' | 'clientCertificate', detail: string) {
    super(detail);
    this.reason = reason;
  }
}

interface Handshake {
  readonly resolve: (secure: SecureSocket) => void;
  readonly reject: (refused: TlsHandshakeRefused) => void;
}

export class TlsDoor {
  #options: TlsOptions;
  #server: tls.Server;
  #expiresAtMs: number;
  /** By `endpointsOf`: Node tells of the end of a handshake with a socket of its own making. */
  readonly #handshakes = new Map<string, Handshake>();

  /** Throws `tls.*`. */
  constructor(options: TlsOptions) {
    if (options.requireCertificate && options.ca === undefined) throw caMissing();
    this.#options = options;
    this.#expiresAtMs = checkCertificates(options);
    this.#server = this.#openServer(options);
  }

  get certificateExpiresAtMs(): number {
    return this.#expiresAtMs;
  }

  /**
   * Handshakes from now on use these. A server of its own, which has new ticket keys too: no session of a client that
   * the old authority vouched for is resumed.
   */
  replace(certificates: TlsCertificates): void {
    const { key, certificate, ca } = certificates;
    const options = { ...this.#options, key, certificate, ca: ca ?? this.#options.ca };
    const expiresAtMs = checkCertificates(options);
    this.#server = this.#openServer(options);
    this.#options = options;
    this.#expiresAtMs = expiresAtMs;
  }

  /** Rejects with `TlsHandshakeRefused`. The caller destroys `socket` when it takes too long. */
  secure(socket: net.Socket): Promise<SecureSocket> {
    const endpoints = endpointsOf(socket);
    if (endpoints === undefined) return Promise.reject(new TlsHandshakeRefused('tlsHandshake', 'gone already'));
    const { promise, resolve, reject } = Promise.withResolvers<SecureSocket>();
    const handshake = { resolve, reject };
    this.#handshakes.set(endpoints, handshake);
    socket.once('close', () => {
      if (this.#handshakes.get(endpoints) === handshake) this.#handshakes.delete(endpoints);
      reject(new TlsHandshakeRefused('tlsHandshake', 'closed before the end of the handshake'));
    });
    this.#server.emit('connection', socket); // As documented for `tls.Server`, which does the same with its own.
    return promise;
  }

  #openServer(options: TlsOptions): tls.Server {
    const server = createServer(options);
    server.on('secureConnection', socket => {
      const handshake = this.#take(socket);
      if (!handshake) return void socket.destroy(); // It has ended already.
      const shown = socket.getPeerX509Certificate();
      const refusal = judgeCertificate(socket, shown, options);
      if (refusal) {
        handshake.reject(refusal);
        socket.destroy();
      } else {
        handshake.resolve({ socket, certificate: shown && clientCertificateOf(shown) });
      }
    });
    // Not for each TLS client its own log line: OpenSSL's code says what was wrong and repeats nothing that was sent.
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
      this.#take(socket)?.reject(new TlsHandshakeRefused('tlsHandshake', error.code ?? 'unknown'));
      socket.on('error', ignoreError);
      socket.destroy();
    });
    return server;
  }

  #take(socket: tls.TLSSocket): Handshake | undefined {
    const endpoints = endpointsOf(socket);
    if (endpoints === undefined) return undefined;
    const handshake = this.#handshakes.get(endpoints);
    this.#handshakes.delete(endpoints);
    return handshake;
  }
}

/** The same for a connection and the TLS on it, and at any instant for no two connections. Undefined: it has no peer. */
function endpointsOf({ localAddress, localPort, remoteAddress, remotePort }: net.Socket): string | undefined {
  if (remotePort === undefined) return undefined;
  return `${localAddress} ${localPort} ${remoteAddress} ${remotePort}`;
}

function createServer({ key, certificate, ca, alpnProtocols: offered }: TlsOptions): tls.Server {
  try {
    return tls.createServer({
      key,
      cert: certificate,
      ca,
      requestCert: ca !== undefined,
      rejectUnauthorized: false, // `judgeCertificate` does: it knows why, and Node would not tell us.
      minVersion: 'TLSv1.2',
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION, // Only an attacker asks for it.
      ALPNProtocols: [...(offered ?? alpnProtocols.mqtt)], // No callbacks of ours, which could throw (hostile K04).
    });
  } catch (cause) {
    throw certificateNotUsable(cause); // Key and CA have been read before; what is left is a certificate too weak.
  }
}

/** Valid if one is shown, and shown if one is required. */
function judgeCertificate(
  socket: tls.TLSSocket,
  shown: X509Certificate | undefined,
  options: TlsOptions,
): TlsHandshakeRefused | undefined {
  if (!shown) return options.requireCertificate ? new TlsHandshakeRefused('clientCertificate', 'missing') : undefined;
  if (socket.authorized) return undefined;
  // Node's types say Error; it is the code of OpenSSL's verification, for some of which Node has no name.
  const code = String(socket.authorizationError ?? 'not verified');
  return new TlsHandshakeRefused('clientCertificate', code === 'UNSPECIFIED' ? 'key or signature too weak' : code);
}

export function clientCertificateOf(certificate: X509Certificate): ClientCertificate {
  // Node's types say string; a name that comes several times is an array of its values.
  const commonName: unknown = certificate.toLegacyObject().subject.CN;
  return {
    certificateId: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    commonName: typeof commonName === 'string' ? commonName : undefined,
  };
}

/** Throws `tls.*` in words that say which of them is wrong. @returns when the server's own certificate expires */
function checkCertificates({ key, certificate, ca }: TlsCertificates): number {
  const privateKey = read(() => createPrivateKey(key), keyNotUsable);
  const leaf = read(() => new X509Certificate(certificate), certificateNotUsable);
  if (!matches(leaf, privateKey)) throw keyDoesNotMatch();
  if (ca !== undefined) checkAuthorities(String(ca));
  return Date.parse(leaf.validTo);
}

function read<T>(parse: () => T, complaint: (cause: unknown) => Error): T {
  try {
    return parse();
  } catch (cause) {
    throw complaint(cause);
  }
}

function matches(leaf: X509Certificate, key: KeyObject): boolean {
  try {
    return leaf.checkPrivateKey(key);
  } catch {
    return false; // Keys of different kinds cannot even be compared.
  }
}

/** OpenSSL would read up to the first that is damaged, and trust fewer than were named. */
function checkAuthorities(bundle: string): void {
  const blocks = bundle.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  const begun = bundle.split('-----BEGIN ').length - 1;
  if (blocks.length === 0 || blocks.length !== begun) throw caNotUsable('it is not a list of PEM certificates');
  for (const block of blocks) {
    try {
      new X509Certificate(block);
    } catch (cause) {
      throw caNotUsable(cause instanceof Error ? cause : messageOf(cause));
    }
  }
}
