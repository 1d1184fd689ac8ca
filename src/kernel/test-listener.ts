/** A listener on a free port of this machine that remembers what comes in, for tests. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { type ClientOptions, WebSocket } from 'ws';
import type { ConnectionRefusal, ListenAddress, Listener, Socket } from './sockets.ts';
import { systemSockets } from './sockets.ts';

/** What a test may need of the object that `node:test` hands it. */
export interface TestEnd {
  after(run: () => void | Promise<void>): void;
}

export const patienceMsDefault = 5_000;

/** Fails, instead of hanging, when `promise` does not settle. */
export async function within<T>(promise: Promise<T>, what: string, patienceMs = patienceMsDefault): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const complain = () => reject(new assert.AssertionError({ message: `${what}: not within ${patienceMs} ms` }));
  const timer = setTimeout(complain, patienceMs);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What arrives is taken one by one, or waited for. */
export class Mailbox<T> {
  readonly #items: T[] = [];
  readonly #waiting: ((item: T) => void)[] = [];
  readonly #what: string;

  constructor(what: string) {
    this.#what = what;
  }

  get size(): number {
    return this.#items.length;
  }

  put(item: T): void {
    const waiting = this.#waiting.shift();
    if (waiting) waiting(item);
    else this.#items.push(item);
  }

  take(patienceMs = patienceMsDefault): Promise<T> {
    const item = this.#items.shift();
    if (item !== undefined) return Promise.resolve(item);
    const { promise, resolve } = Promise.withResolvers<T>();
    this.#waiting.push(resolve);
    return within(promise, `no ${this.#what}`, patienceMs);
  }
}

/** The server's end of a connection. */
export class AcceptedSocket {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  closes = 0;
  chunks = 0;
  #received = Buffer.alloc(0);
  #progress = Promise.withResolvers<void>();

  constructor(socket: Socket) {
    this.socket = socket;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    socket.start({
      data: bytes => {
        this.chunks++;
        this.#received = Buffer.concat([this.#received, bytes]);
        this.#progress.resolve();
      },
      drain: () => {},
      close: () => {
        this.closes++;
        resolve();
      },
    });
  }

  get text(): string {
    return this.#received.toString('latin1');
  }

  /** Waits for exactly this much, and compares it. */
  async expect(bytes: string | Buffer, patienceMs = patienceMsDefault): Promise<void> {
    const expected = Buffer.from(bytes);
    while (this.#received.length < expected.length) {
      this.#progress = Promise.withResolvers<void>();
      await within(this.#progress.promise, `${this.#received.length} bytes arrived`, patienceMs);
    }
    assert(this.#received.equals(expected), 'other bytes arrived');
  }
}

export class TestListener {
  readonly listener: Listener;
  readonly accepted = new Mailbox<AcceptedSocket>('connection accepted');
  readonly refusals = new Mailbox<ConnectionRefusal>('refusal');
  readonly #clients: { destroy(): void }[] = [];

  private constructor(listener: Listener, accepted: Mailbox<AcceptedSocket>, refusals: Mailbox<ConnectionRefusal>) {
    this.listener = listener;
    this.accepted = accepted;
    this.refusals = refusals;
  }

  /** Everything is closed when the test ends. */
  static async open(test: TestEnd, options: Omit<ListenAddress, 'host' | 'port'> = {}): Promise<TestListener> {
    const accepted = new Mailbox<AcceptedSocket>('connection accepted');
    const refusals = new Mailbox<ConnectionRefusal>('refusal');
    const onRefused = (refusal: ConnectionRefusal) => refusals.put(refusal);
    const address = { host: '127.0.0.1', port: 0, onRefused, ...options };
    const open: Socket[] = [];
    const listener = await systemSockets.listen(address, socket => {
      open.push(socket);
      accepted.put(new AcceptedSocket(socket));
    });
    const testListener = new TestListener(listener, accepted, refusals);
    test.after(async () => {
      for (const client of testListener.#clients) client.destroy();
      for (const socket of open) socket.destroy();
      await listener.close();
    });
    return testListener;
  }

  get port(): number {
    return this.listener.port;
  }

  /** A client that has connected, over TCP only. */
  async connect(): Promise<net.Socket> {
    const client = net.connect({ host: '127.0.0.1', port: this.port });
    client.on('error', () => {});
    this.#clients.push(client);
    await within(once(client, 'connect'), 'no connection');
    return client;
  }

  /** A client whose TLS handshake is done. Rejects if it is refused. */
  async connectTls(options: tls.ConnectionOptions, over?: net.Socket): Promise<tls.TLSSocket> {
    const client = this.startTls(options, over);
    const done = once(client, 'secureConnect'); // Rejects on 'error'.
    await within(done, 'no TLS handshake');
    return client;
  }

  startTls(options: tls.ConnectionOptions, over?: net.Socket): tls.TLSSocket {
    const transport = over ? { socket: over } : { host: '127.0.0.1', port: this.port };
    const client = tls.connect({ servername: 'localhost', ...transport, ...options });
    client.on('error', () => {});
    this.#clients.push(client);
    return client;
  }

  /** A WebSocket that is open. Rejects with what the server answered instead. */
  async connectWebSocket(options: WebSocketClientOptions = {}): Promise<WebSocket> {
    const client = this.startWebSocket(options);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    client.once('open', resolve);
    client.once('unexpected-response', (_request, response) => {
      reject(Object.assign(new Error(`answered ${response.statusCode}`), { status: response.statusCode }));
      client.terminate();
    });
    client.on('error', reject);
    await within(promise, 'no WebSocket');
    return client;
  }

  startWebSocket(options: WebSocketClientOptions = {}): WebSocket {
    const { path = '/mqtt', subprotocols = ['mqtt'], scheme = 'ws', ...rest } = options;
    const url = `${scheme}://127.0.0.1:${this.port}${path}`;
    const client = new WebSocket(url, subprotocols, { perMessageDeflate: false, ...rest });
    client.on('error', () => {});
    this.#clients.push({ destroy: () => client.terminate() });
    return client;
  }
}

export interface WebSocketClientOptions extends ClientOptions {
  readonly path?: string;
  readonly subprotocols?: string[];
  readonly scheme?: 'ws' | 'wss';
}

/** Everything the peer still says, up to its end. */
export async function readToEnd(client: net.Socket, patienceMs = patienceMsDefault): Promise<string> {
  const chunks: Buffer[] = [];
  client.on('data', (bytes: Buffer) => void chunks.push(bytes));
  if (!client.closed)
    await within(
      once(client, 'close').catch(() => {}),
      'the connection stays open',
      patienceMs,
    );
  return Buffer.concat(chunks).toString('latin1');
}
