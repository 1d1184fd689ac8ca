import type { IncomingMessage, ServerResponse } from 'node:http';
import net from 'node:net';
import { listenSystem } from './system-listener.ts';
import { TcpSocket } from './tcp-socket.ts';

/** The network, handed in: real TCP, or pairs in memory for a test. */
export interface Sockets {
  /** Throws `tls.*` for certificates that cannot be used, and the system's error when the port cannot be opened. */
  listen(address: ListenAddress, accept: (socket: Socket) => void): Promise<Listener>;
  connect(address: { host: string; port: number }): Promise<Socket>;
}

export interface ListenAddress {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** Further connections are closed at once, so that descriptors are left for storage. Default: no limit. */
  readonly connectionsMax?: number;
  /** The same for one IPv4 address or one IPv6 /64, as the PROXY header tells it. Default: no limit. */
  readonly connectionsPerAddressMax?: number;
  readonly tls?: TlsOptions;
  /** MQTT over WebSocket instead of directly over the connection. */
  readonly webSocket?: WebSocketOptions;
  /** Ordinary HTTP requests, beside `webSocket` or alone. Default with `webSocket`: 404. */
  readonly onRequest?: RequestHandler;
  /**
   * A PROXY header, version 1 or 2, comes before everything else and tells the client's address. Only for a port that
   * nobody but the proxy can reach: whoever writes the header chooses the address.
   */
  readonly proxyProtocol?: boolean;
  /** Called for every connection and request that is turned away below MQTT, to count and log it. */
  readonly onRefused?: (refusal: ConnectionRefusal) => void;
  /** Default: `listenLimits`. */
  readonly deadlines?: Partial<ListenDeadlines>;
}

/** PEM text or bytes. */
export interface TlsCertificates {
  /** Without a passphrase. */
  readonly key: string | Buffer;
  /** The server's first, then those between it and its authority. */
  readonly certificate: string | Buffer;
  /** Authorities of the clients. Without it no client is asked for a certificate. */
  readonly ca?: string | Buffer;
}

export interface TlsOptions extends TlsCertificates {
  /**
   * No client gets in without a valid certificate; needs `ca`. Otherwise a client may show none, but one that it shows
   * must be valid.
   */
  readonly requireCertificate?: boolean;
  /** A client that offers others only is refused. Default: those of MQTT, or of HTTP. */
  readonly alpnProtocols?: readonly string[];
}

export interface WebSocketOptions {
  /** Default: `/mqtt` and `/`. */
  readonly paths?: readonly string[];
  /**
   * Origins, e.g. `https://console.example.com`, whose pages may connect. Default: pages of the host that is connected
   * to, on any port. Clients that are no browsers send no Origin, and are let in.
   */
  readonly origins?: readonly string[];
  /** Of one WebSocket message, which may hold several packets or a part of one. Default: `listenLimits`. */
  readonly messageBytesMax?: number;
}

/** May return a promise; what it throws or rejects with is answered with 500. */
export type RequestHandler = (request: IncomingMessage, response: ServerResponse, peer: Peer) => void | Promise<void>;

/** Who is at the other end, as far as the listener knows. */
export interface Peer {
  /** In canonical form: IPv4 as such even on a dual-stack socket, IPv6 as RFC 5952 writes it. */
  readonly remoteAddress: string;
  /** Verified against the listener's `ca`. */
  readonly certificate?: ClientCertificate;
}

/** The X.509 certificate a client proved to own. */
export interface ClientCertificate {
  /** Hex SHA-256 of the DER form: AWS IoT's certificate id. */
  readonly certificateId: string;
  /** Of the subject; undefined when there is none or more than one. */
  readonly commonName: string | undefined;
}

export interface ConnectionRefusal {
  readonly reason: RefusalReason;
  /** A code or words of ours or of a library; never bytes of the peer. */
  readonly detail: string;
  readonly remoteAddress: string;
}

export type RefusalReason =
  | 'connectionsMax'
  | 'connectionsPerAddressMax'
  | 'deadline' // of PROXY header and TLS handshake together
  | 'proxyHeader'
  | 'tlsHandshake'
  | 'clientCertificate'
  | 'request' // not HTTP, or too slow or too large
  | 'upgrade' // to WebSocket
  | 'frame' // of a WebSocket
  | 'halfOpen' // a WebSocket whose peer answers no ping
  | 'failed'; // an error of ours

export interface ListenDeadlines {
  /** From accepting the connection to the end of the TLS handshake, the PROXY header included. */
  readonly handshakeMs: number;
  readonly proxyHeaderMs: number;
  readonly requestHeadersMs: number;
  readonly requestMs: number;
  /** For a peer to answer the closing of a WebSocket. */
  readonly webSocketCloseMs: number;
  /** Between two pings of a WebSocket; who has not answered by the next one is gone. */
  readonly webSocketPingMs: number;
}

export interface Listener {
  readonly port: number;
  /** When the server's certificate expires; undefined without TLS. */
  readonly certificateExpiresAtMs?: number;
  /**
   * Connections from now on get these certificates, those there are live on. Without `ca` the authorities stay as they
   * were. Only with `tls`. Throws `tls.*` and changes nothing if they cannot be used.
   */
  replaceCertificates?(certificates: TlsCertificates): void;
  /** Stops accepting; sockets already accepted live on. */
  close(): Promise<void>;
}

/** A byte stream both ways. Nothing arrives before `start`. */
export interface Socket extends Peer {
  /** Milliseconds from accepting the connection that PROXY header, TLS and HTTP have taken; undefined: none. */
  readonly handshakeMs?: number;
  /** Bytes accepted by `write` that the peer's side has not taken yet. */
  readonly bufferedBytes: number;
  /** `events` is kept and its methods are called on it: one object may receive the events of its own socket. */
  start(events: SocketEvents): void;
  write(bytes: Uint8Array): void;
  /** Stops and restarts delivery of `data`, so that the peer is slowed down. */
  pause(): void;
  resume(): void;
  /** Sends what is buffered, then closes. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
}

export interface SocketEvents {
  /** The bytes belong to the receiver from now on. */
  data(bytes: Buffer): void;
  /** Everything buffered has gone out. */
  drain(): void;
  /** Exactly once, after which nothing else arrives. */
  close(): void;
}

export const systemSockets: Sockets = {
  listen: listenSystem,
  connect({ host, port }) {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ host, port, noDelay: true });
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.removeListener('error', reject);
        resolve(new TcpSocket(socket, { remoteAddress: socket.remoteAddress ?? 'unknown' }));
      });
    });
  },
};
