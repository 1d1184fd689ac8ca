import net from 'node:net';
import { AddressCap, canonicalAddress } from './addresses.ts';
import { codeOf } from './errors.ts';
import { deadlinesOf } from './listen-limits.ts';
import { ProxyHeaderRefused, readProxyHeader } from './proxy-protocol.ts';
import type { ListenAddress, ListenDeadlines, Listener, RefusalReason, Socket, TlsCertificates } from './sockets.ts';
import { ignoreError, TcpSocket } from './tcp-socket.ts';
import { alpnProtocols, TlsDoor, TlsHandshakeRefused } from './tls-sockets.ts';
import { WebDoor } from './web-door.ts';

/** Opens a port of the machine. Throws `tls.*`, and the system's error if the port cannot be opened. */
export async function listenSystem(address: ListenAddress, accept: (socket: Socket) => void): Promise<Listener> {
  const listener = new SystemListener(address, accept);
  await listener.open();
  return listener;
}

/**
 * One port: connections are let in by number and address, asked for a PROXY header, secured, and handed to HTTP or
 * straight to `accept`, each step only where it is wished for. Nothing that a peer or a callback does is thrown.
 */
class SystemListener implements Listener {
  port: number;
  readonly replaceCertificates: Listener['replaceCertificates'];
  readonly #address: ListenAddress;
  readonly #accept: (socket: Socket) => void;
  readonly #deadlines: ListenDeadlines;
  readonly #server: net.Server;
  readonly #cap: AddressCap | undefined;
  readonly #tls: TlsDoor | undefined;
  readonly #web: WebDoor | undefined;
  /** Connections that are not handed over yet. */
  readonly #arriving = new Set<net.Socket>();

  constructor(address: ListenAddress, accept: (socket: Socket) => void) {
    const { connectionsPerAddressMax, tls, webSocket, onRequest } = address;
    this.#address = address;
    this.#accept = accept;
    this.#deadlines = deadlinesOf(address.deadlines);
    this.port = address.port;
    const isWeb = webSocket !== undefined || onRequest !== undefined;
    const offered = isWeb ? alpnProtocols.http : alpnProtocols.mqtt;
    const door = tls && new TlsDoor({ ...tls, alpnProtocols: tls.alpnProtocols ?? offered });
    this.#tls = door;
    if (door) this.replaceCertificates = (certificates: TlsCertificates) => door.replace(certificates);
    if (isWeb) {
      this.#web = new WebDoor({
        webSocket,
        onRequest,
        deadlines: this.#deadlines,
        accept: socket => this.#handOver(socket),
        refuse: (reason, detail, remoteAddress) => this.#refused(reason, detail, remoteAddress),
      });
    }
    if (connectionsPerAddressMax !== undefined) this.#cap = new AddressCap(connectionsPerAddressMax);
    // HTTP clients may close their side once they have asked; a TLS server of Node does without.
    this.#server = net.createServer({ noDelay: true, allowHalfOpen: isWeb && !tls });
  }

  get certificateExpiresAtMs(): number | undefined {
    return this.#tls?.certificateExpiresAtMs;
  }

  open(): Promise<void> {
    const { host, port, connectionsMax } = this.#address;
    const server = this.#server;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port, backlog: 1_024 }, () => {
        server.removeListener('error', reject);
        server.on('error', ignoreError); // EMFILE while accepting: Node goes on by itself once a descriptor is free.
        if (connectionsMax !== undefined) server.maxConnections = connectionsMax;
        const bound = server.address();
        if (typeof bound === 'object' && bound) this.port = bound.port;
        resolve();
      });
      server.on('drop', data => {
        this.#refused('connectionsMax', 'too many connections', canonicalAddress(data?.remoteAddress ?? 'unknown'));
      });
      server.on('connection', socket => this.#arrive(socket));
    });
  }

  async close(): Promise<void> {
    // Node calls back only when the last accepted socket is closed too; no more are accepted at once.
    this.#server.close();
    for (const socket of this.#arriving) socket.destroy();
    this.#web?.close();
  }

  #arrive(socket: net.Socket): void {
    socket.on('error', ignoreError);
    const remoteAddress = canonicalAddress(socket.remoteAddress ?? 'unknown');
    if (this.#address.proxyProtocol || this.#tls || this.#web) {
      void this.#welcome(socket, remoteAddress);
    } else if (this.#isWithinCap(socket, remoteAddress)) {
      this.#handOver(new TcpSocket(socket, { remoteAddress }));
    }
  }

  /** Step by step, each of which may take until the deadline. Never rejects. */
  async #welcome(socket: net.Socket, ownAddress: string): Promise<void> {
    const startMs = performance.now();
    let remoteAddress = ownAddress;
    let isLate = false;
    const deadline = setTimeout(() => {
      isLate = true;
      socket.destroy();
    }, this.#deadlines.handshakeMs);
    this.#arriving.add(socket);
    try {
      if (this.#address.proxyProtocol) {
        remoteAddress = (await readProxyHeader(socket, this.#deadlines.proxyHeaderMs)) ?? ownAddress;
      }
      if (!this.#isWithinCap(socket, remoteAddress)) return;
      const secure = await this.#tls?.secure(socket);
      if (!this.#server.listening) return void socket.destroy();
      const peer = { remoteAddress, certificate: secure?.certificate };
      if (this.#web) this.#web.serve(secure?.socket ?? socket, peer, startMs);
      else this.#handOver(new TcpSocket(secure?.socket ?? socket, peer, performance.now() - startMs));
    } catch (error) {
      socket.destroy();
      const [reason, detail] = isLate ? (['deadline', 'not in time'] as const) : refusalOf(error);
      if (this.#server.listening) this.#refused(reason, detail, remoteAddress);
    } finally {
      clearTimeout(deadline);
      this.#arriving.delete(socket);
    }
  }

  #isWithinCap(socket: net.Socket, remoteAddress: string): boolean {
    if (!this.#cap || this.#cap.admit(socket, remoteAddress)) return true;
    this.#refused('connectionsPerAddressMax', 'too many connections of one address', remoteAddress);
    socket.destroy();
    return false;
  }

  #handOver(socket: Socket): void {
    try {
      this.#accept(socket);
    } catch (error) {
      socket.destroy();
      this.#refused('failed', codeOf(error), socket.remoteAddress);
    }
  }

  #refused(reason: RefusalReason, detail: string, remoteAddress: string): void {
    try {
      this.#address.onRefused?.({ reason, detail, remoteAddress });
    } catch {
      // Whoever counts cannot count; the connection has been refused all the same.
    }
  }
}

function refusalOf(error: unknown): readonly [RefusalReason, string] {
  if (error instanceof ProxyHeaderRefused) return ['proxyHeader', error.message];
  if (error instanceof TlsHandshakeRefused) return [error.reason, error.message];
  return ['failed', codeOf(error)];
}
