import net from 'node:net';

/** The network, handed in: real TCP, or pairs in memory for a test. */
export interface Sockets {
  listen(address: ListenAddress, accept: (socket: Socket) => void): Promise<Listener>;
  connect(address: { host: string; port: number }): Promise<Socket>;
}

export interface ListenAddress {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** Further connections are closed at once, so that descriptors are left for storage. Default: no limit. */
  readonly connectionsMax?: number;
}

export interface Listener {
  readonly port: number;
  /** Stops accepting; sockets already accepted live on. */
  close(): Promise<void>;
}

/** A byte stream both ways. Nothing arrives before `start`. */
export interface Socket {
  readonly remoteAddress: string;
  /** Bytes accepted by `write` that the peer's side has not taken yet. */
  readonly bufferedBytes: number;
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

const closeWaitMs = 2_000; // ours: long enough for the last bytes to arrive

class TcpSocket implements Socket {
  readonly remoteAddress: string;
  readonly #socket: net.Socket;

  constructor(socket: net.Socket) {
    this.#socket = socket;
    this.remoteAddress = socket.remoteAddress ?? 'unknown';
    socket.setNoDelay(true);
    socket.on('error', () => {}); // 'close' follows and is all we need; without a listener Node would crash.
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  start(events: SocketEvents): void {
    this.#socket.on('data', events.data);
    this.#socket.on('drain', events.drain);
    this.#socket.on('close', events.close);
    if (this.#socket.destroyed) queueMicrotask(events.close);
  }

  write(bytes: Uint8Array): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
    this.#socket.resume(); // Paused, it would not notice that the peer has closed its side.
    // A peer that never closes its side would keep the descriptor for ever.
    const waiting = setTimeout(() => this.#socket.destroy(), closeWaitMs).unref();
    this.#socket.once('close', () => clearTimeout(waiting));
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

export const systemSockets: Sockets = {
  listen(address, accept) {
    return new Promise((resolve, reject) => {
      const server = net.createServer({ noDelay: true, pauseOnConnect: false }, socket =>
        accept(new TcpSocket(socket)),
      );
      server.once('error', reject);
      server.listen({ host: address.host, port: address.port, backlog: 1_024 }, () => {
        server.removeListener('error', reject);
        if (address.connectionsMax !== undefined) server.maxConnections = address.connectionsMax;
        server.on('error', () => {}); // EMFILE while accepting: Node goes on by itself once a descriptor is free.
        const bound = server.address();
        const port = typeof bound === 'object' && bound ? bound.port : address.port;
        // Node calls back only when the last accepted socket is closed too; no more are accepted at once.
        resolve({ port, close: async () => void server.close() });
      });
    });
  },
  connect({ host, port }) {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ host, port, noDelay: true });
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.removeListener('error', reject);
        resolve(new TcpSocket(socket));
      });
    });
  },
};
