import type net from 'node:net';
import type { ClientCertificate, Peer, Socket, SocketEvents } from './sockets.ts';

const closeWaitMs = 2_000; // ours: long enough for the last bytes to arrive

/** Where the socket of Node keeps who receives: its listeners are the same functions for all, not closures of each. */
const receiver = Symbol('receiver');

interface ReceivedSocket extends net.Socket {
  [receiver]?: SocketEvents;
}

function onData(this: ReceivedSocket, bytes: Buffer): void {
  this[receiver]?.data(bytes);
}

function onDrain(this: ReceivedSocket): void {
  this[receiver]?.drain();
}

function onClose(this: ReceivedSocket): void {
  this[receiver]?.close();
}

/** 'close' follows an error and is all we need; without a listener Node would crash. */
export function ignoreError(): void {}

/** One connection over TCP, or over TLS on it. */
export class TcpSocket implements Socket {
  readonly remoteAddress: string;
  readonly certificate: ClientCertificate | undefined;
  readonly handshakeMs: number | undefined;
  readonly #socket: ReceivedSocket;

  constructor(socket: net.Socket, { remoteAddress, certificate }: Peer, handshakeMs?: number) {
    this.#socket = socket;
    this.remoteAddress = remoteAddress;
    this.certificate = certificate;
    this.handshakeMs = handshakeMs;
    if (socket.listenerCount('error') === 0) socket.on('error', ignoreError);
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  start(events: SocketEvents): void {
    const socket = this.#socket;
    if (socket.closed) return queueMicrotask(() => events.close());
    socket[receiver] = events;
    socket.on('data', onData);
    socket.on('drain', onDrain);
    socket.on('close', onClose);
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
