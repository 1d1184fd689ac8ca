import type { Clock } from './clock.ts';
import type { ListenAddress, Listener, Socket, SocketEvents, Sockets } from './sockets.ts';

/**
 * Sockets inside one process: no ports of the machine are used, and bytes travel when the test's clock lets them. What
 * a listener does below the byte stream (TLS, WebSocket, PROXY header, limits of connections) it leaves out.
 */
export class MemorySockets implements Sockets {
  readonly #clock: Clock;
  readonly #listeners = new Map<number, (socket: Socket) => void>();
  readonly #open = new Set<MemorySocket>();
  #nextPort = 10_000;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async listen(address: ListenAddress, accept: (socket: Socket) => void): Promise<Listener> {
    const port = address.port === 0 ? this.#nextPort++ : address.port;
    this.#listeners.set(port, accept);
    return { port, close: async () => void this.#listeners.delete(port) };
  }

  async connect({ port }: { port: number }): Promise<Socket> {
    const accept = this.#listeners.get(port);
    if (!accept) throw Object.assign(new Error(`Nobody listens on port ${port}.`), { code: 'ECONNREFUSED' });
    const client = new MemorySocket(this.#clock);
    const server = new MemorySocket(this.#clock);
    client.peer = server;
    server.peer = client;
    this.#open.add(client).add(server);
    accept(server);
    return client;
  }

  /** Every connection ends without a word and nobody listens any more, as when the power goes. */
  cut(): void {
    this.#listeners.clear();
    for (const socket of this.#open) socket.destroy();
    this.#open.clear();
  }
}

class MemorySocket implements Socket {
  readonly remoteAddress = '127.0.0.1';
  peer: MemorySocket | undefined;
  readonly #clock: Clock;
  #events: SocketEvents | undefined;
  #inbox: Buffer[] = [];
  #inboxBytes = 0;
  #paused = false;
  #closed = false;
  #deliveryIsDue = false;
  #endAfterInbox = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get bufferedBytes(): number {
    return this.peer ? this.peer.#inboxBytes : 0;
  }

  start(events: SocketEvents): void {
    this.#events = events;
    this.#scheduleDelivery();
  }

  write(bytes: Uint8Array): void {
    if (this.#closed || !this.peer || this.peer.#closed) return;
    this.peer.#inbox.push(Buffer.from(bytes));
    this.peer.#inboxBytes += bytes.length;
    this.peer.#scheduleDelivery();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#scheduleDelivery();
  }

  end(): void {
    if (!this.peer || this.#closed) return;
    this.peer.#endAfterInbox = true;
    this.peer.#scheduleDelivery();
  }

  destroy(): void {
    this.#close();
    const peer = this.peer;
    if (peer) this.#clock.setTimer(0, () => peer.#close());
  }

  drained(): void {
    this.#events?.drain();
  }

  #scheduleDelivery(): void {
    if (this.#deliveryIsDue) return;
    this.#deliveryIsDue = true;
    this.#clock.setTimer(0, () => {
      this.#deliveryIsDue = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    if (!this.#events || this.#paused || this.#closed) return;
    const bytes = Buffer.concat(this.#inbox);
    this.#inbox = [];
    this.#inboxBytes = 0;
    if (bytes.length > 0) {
      this.#events.data(bytes);
      if (this.peer) this.peer.drained();
    }
    if (this.#endAfterInbox && this.#inbox.length === 0) this.destroy();
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const events = this.#events;
    if (events) this.#clock.setTimer(0, () => events.close());
  }
}
