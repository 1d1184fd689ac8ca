import type net from 'node:net';
import { WebSocket } from 'ws';
import { codeOf } from './errors.ts';
import type { ClientCertificate, Peer, RefusalReason, Socket, SocketEvents } from './sockets.ts';

/** What we say when a WebSocket closes: always in our words, whatever the peer said or did (hostile X09). */
const closeReasons: Readonly<Record<number, string>> = {
  1000: 'closed',
  1002: 'frame not valid',
  1003: 'binary frames only',
  1007: 'text not valid',
  1008: 'too many fragments',
  1009: 'message too large',
};

export class QuietWebSocket extends WebSocket {
  /** The library would repeat the reason of the peer. */
  override close(code?: number): void {
    super.close(code, code === undefined ? undefined : (closeReasons[code] ?? ''));
  }
}

export interface WebSocketFacts {
  readonly peer: Peer;
  readonly handshakeMs: number;
  readonly refuse: (reason: RefusalReason, detail: string, remoteAddress: string) => void;
  readonly closed: (socket: WebSocketSocket) => void;
}

/**
 * A byte stream over the binary frames of a WebSocket: MQTT packets and frames begin and end independently of each
 * other [MQTT5 6.0.0-2] [MQTT311 6.0.0-2].
 */
export class WebSocketSocket implements Socket {
  readonly remoteAddress: string;
  readonly certificate: ClientCertificate | undefined;
  readonly handshakeMs: number;
  readonly #webSocket: QuietWebSocket;
  readonly #facts: WebSocketFacts;
  #events: SocketEvents | undefined;
  /** Nothing is heard any more: `close` has been told, or is told to the first who asks. */
  #isClosed = false;
  #isEnding = false;
  #hasBeenHeard = true;

  constructor(webSocket: QuietWebSocket, socket: net.Socket, facts: WebSocketFacts) {
    this.remoteAddress = facts.peer.remoteAddress;
    this.certificate = facts.peer.certificate;
    this.handshakeMs = facts.handshakeMs;
    this.#webSocket = webSocket;
    this.#facts = facts;
    webSocket.pause(); // Until `start`.
    webSocket.on('message', (data, isBinary) => this.#message(data, isBinary));
    webSocket.on('ping', () => this.#heard());
    webSocket.on('pong', () => this.#heard());
    webSocket.on('error', error => this.#failed(error));
    webSocket.on('close', () => this.#gone());
    socket.on('drain', () => this.#drained()); // The library does not tell.
  }

  get bufferedBytes(): number {
    return this.#webSocket.bufferedAmount;
  }

  start(events: SocketEvents): void {
    this.#events = events;
    if (this.#isClosed) queueMicrotask(() => events.close());
    else this.#webSocket.resume();
  }

  write(bytes: Uint8Array): void {
    if (this.#webSocket.readyState !== WebSocket.OPEN) return;
    this.#webSocket.send(bytes, { binary: true }); // [MQTT5 6.0.0-1] [MQTT311 6.0.0-1]
  }

  pause(): void {
    this.#webSocket.pause();
  }

  resume(): void {
    this.#hasBeenHeard = true; // While it was not read it could not be heard.
    this.#webSocket.resume();
  }

  end(): void {
    this.#end(1000);
  }

  destroy(): void {
    this.#webSocket.terminate();
  }

  /** Called at each interval of pings: ends the connection if nothing came since the last one (hostile X07). */
  checkAlive(): void {
    const webSocket = this.#webSocket;
    if (this.#isEnding || webSocket.readyState !== WebSocket.OPEN) return; // The library's deadline ends it.
    // Who is not read cannot be heard, and who does not read gets no ping: the write deadline of MQTT judges that one.
    if (webSocket.isPaused || webSocket.bufferedAmount > 0) return;
    if (!this.#hasBeenHeard) {
      this.#facts.refuse('halfOpen', 'no answer to a ping', this.remoteAddress);
      return webSocket.terminate();
    }
    this.#hasBeenHeard = false;
    webSocket.ping();
  }

  #end(code: number): void {
    this.#isEnding = true;
    this.#webSocket.close(code);
    this.#webSocket.resume(); // Paused, it would not notice the answer.
  }

  #lost(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#events?.close();
  }

  #message(data: unknown, isBinary: boolean): void {
    if (this.#isEnding || this.#isClosed) return;
    this.#hasBeenHeard = true;
    if (!isBinary || !Buffer.isBuffer(data)) return this.#refuseText();
    if (data.length > 0) this.#events?.data(data);
  }

  /** [MQTT5 6.0.0-1] [MQTT311 6.0.0-1] */
  #refuseText(): void {
    this.#facts.refuse('frame', 'text', this.remoteAddress);
    this.#end(1003);
    this.#lost();
  }

  #drained(): void {
    if (!this.#isClosed) this.#events?.drain();
  }

  #heard(): void {
    this.#hasBeenHeard = true;
  }

  /** The library has answered with the code that fits, and waits for the peer to close. */
  #failed(error: unknown): void {
    this.#facts.refuse('frame', codeOf(error), this.remoteAddress);
    this.#isEnding = true;
    this.#lost();
  }

  #gone(): void {
    this.#facts.closed(this);
    this.#lost();
  }
}
